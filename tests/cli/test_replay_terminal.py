"""`strangler replay` as a process: its bar on a terminal, and signals, which end it with what was found."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest

from strangler.core.documents import ReplayDocument
from tests.cli.replaying import Upstream, order, recorded, same, upstream, write_routes
from tests.replay.test_junit import check

ROOT = Path(__file__).parents[2]
LONG_S = 60.0


@pytest.fixture
def candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """A candidate, and a recording that takes longer than any test waits."""
    monkeypatch.chdir(tmp_path)
    with upstream(same) as made:
        write_routes(made.port, made.port)
        recorded(*[order(7, at=0.02 * number) for number in range(100_000)])
        yield made


def start(*words: str, **files: int) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-m", "strangler", "replay", "a.rec", *words]
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **files}
    return subprocess.Popen(command, env=environment, **given)  # type: ignore[call-overload, no-any-return]


def until(condition: str, terminal: int) -> str:
    """Return what a terminal shows, up to the first sight of a text."""
    seen = b""
    ends_at = time.monotonic() + LONG_S
    while condition.encode() not in seen:
        assert time.monotonic() < ends_at, seen.decode("utf-8", "replace")
        seen += os.read(terminal, 65536)
    return seen.decode("utf-8", "replace")


def rest(terminal: int) -> str:
    """Return what a terminal shows until it is closed."""
    seen = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux: the other end is closed
            piece = b""
        if not piece:
            return seen.decode("utf-8", "replace")
        seen += piece


def on_a_terminal(*words: str) -> tuple["subprocess.Popen[bytes]", int]:
    """Start a replay in a session of its own, whose terminal sends Ctrl-C."""
    control, terminal = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-c", _IN_A_SESSION, "replay", "a.rec", *words],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
        start_new_session=True,
    )
    os.close(terminal)
    return process, control


_IN_A_SESSION = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from strangler.cli import main; main()"


def test_ctrl_c_on_a_terminal_ends_it_with_what_was_found(candidate: Upstream) -> None:
    process, control = on_a_terminal("--no-inbox")
    try:
        begun = until(" sent, ", control)
        assert "━" in begun
        while len(candidate.requests) < 20:
            begun += os.read(control, 65536).decode("utf-8", "replace")
        os.write(control, b"\x03")
        text = begun + rest(control)
        assert process.wait(LONG_S) == 1
    finally:
        process.kill()
        process.wait()
        os.close(control)
    assert "it was stopped: Ctrl-C" in text
    assert "mismatches" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is back"
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_it_with_its_whole_result(candidate: Upstream, number: signal.Signals, name: str) -> None:
    process = start("--no-inbox", "--json", "--junit", "r.xml", "--fail-on", "difference")
    try:
        assert process.stderr is not None
        while len(candidate.requests) < 20:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        output, errors = process.communicate(timeout=LONG_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1
    document = msgspec.json.decode(output, type=ReplayDocument)
    assert (document.stopped, document.reasons) == (name, [f"it was stopped: {name}"])
    assert document.sent >= 20
    assert document.routes[0].matches >= 19
    assert b"\x1b" not in errors
    root = ET.fromstring(Path("r.xml").read_bytes())
    check(root)
    assert root.find("testsuite/testcase/error") is not None


@pytest.fixture
def silent_admin() -> Iterator[tuple[Upstream, Event]]:
    """The admin listener of a proxy that takes findings, and never says so. The event lets it."""
    lets = Event()

    def respond(method: str, path: str) -> tuple[int, Any]:
        if method == "POST":
            lets.wait(LONG_S)
        return 200, {"releases": []}

    with upstream(respond) as made:
        try:
            yield made, lets
        finally:
            lets.set()


def test_a_second_ctrl_c_ends_it_at_once(candidate: Upstream, silent_admin: tuple[Upstream, Event]) -> None:
    admin, _ = silent_admin
    process, control = on_a_terminal("--admin", f"http://127.0.0.1:{admin.port}")
    try:
        text = until(" sent, ", control)
        while not [path for _, path, _ in admin.requests if path == "/api/replays"]:
            text += os.read(control, 65536).decode("utf-8", "replace")
        os.write(control, b"\x03")
        text += until("once more ends it at once", control)
        assert process.poll() is None, "the inbox still has a batch"
        os.write(control, b"\x03")
        began = time.monotonic()
        text += rest(control)
        assert process.wait(LONG_S) == 1
        assert time.monotonic() - began < LONG_S / 4
    finally:
        process.kill()
        process.wait()
        os.close(control)
    assert "mismatches\r\n" not in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is back"
    assert "Traceback" not in text
