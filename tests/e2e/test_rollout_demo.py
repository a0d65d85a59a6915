"""`strangler demo --rollout` as a newcomer runs it: in a terminal with keys, and without one."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from strangler.cli import main
from strangler.config.load import load
from strangler.core.documents import RolloutStatus
from strangler.demo import rollout_texts
from strangler.demo.candidate import Harm
from strangler.demo.rollout_lines import LinesState
from strangler.demo.rollout_play import DEFAULT_HOLD_S, MIN_HOLD_S
from strangler.demo.rollout_routes import STEPS, rollout_routes_yaml
from strangler.demo.routes import Ports
from tests.cli.rollout_documents import look, move, rollout

DEMO = (sys.executable, "-m", "strangler", "demo", "--rollout", "--hold", "1s")
_LONG_S = 120


class Screen:
    """All that a demo has printed, of which each pattern is found once."""

    def __init__(self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader) -> None:
        self.process = process
        self.text = ""
        self._reader = reader
        self._from = 0

    async def until(self, pattern: str, timeout_s: float = _LONG_S) -> re.Match[str]:
        """Read on until what was not looked at yet has the pattern."""
        wanted = re.compile(pattern, re.MULTILINE)
        try:
            async with asyncio.timeout(timeout_s):
                while not (found := wanted.search(self.text, self._from)):
                    read = await self._reader.read(65536)
                    assert read, f"{pattern!r} never came:\n{self.text}"
                    self.text += read.decode(errors="replace").replace("\r", "")
        except TimeoutError:
            raise AssertionError(f"{pattern!r} has not come yet:\n{self.text}") from None
        self._from = found.end()
        return found

    async def rest(self) -> int:
        """Read to the end; the exit code."""
        async with asyncio.timeout(_LONG_S):
            while read := await self._reader.read(65536):
                self.text += read.decode(errors="replace").replace("\r", "")
            return await self.process.wait()


class Terminal:
    """A terminal, and the screen of the demo that runs in it."""

    def __init__(self, ours: int, screen: Screen, settings: list[Any]) -> None:
        self._ours = ours
        self._settings = settings
        self.screen = screen
        self.process = screen.process

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    @property
    def is_as_before(self) -> bool:
        """Whether it has the settings that it had before the demo."""
        return termios.tcgetattr(self._ours) == self._settings


class _Ended(asyncio.StreamReaderProtocol):
    """Our side of a terminal: reading fails with EIO when the last process that had it is gone."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(None)


@asynccontextmanager
async def _in_terminal(
    tmp_path: Path, *options: str, term: str = "xterm", size: tuple[int, int] = (24, 80)
) -> AsyncIterator[Terminal]:
    """Run a demo as the foreground job of a terminal with so many rows and columns."""
    ours, slave = pty.openpty()
    settings = termios.tcgetattr(ours)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    process = await asyncio.create_subprocess_exec(
        *DEMO,
        *options,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "TERM": term},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)  # reading ends with the last process that has it
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    with os.fdopen(os.dup(ours), "rb", buffering=0) as output:
        transport, _ = await loop.connect_read_pipe(lambda: _Ended(reader), output)
        try:
            yield Terminal(ours, Screen(process, reader), settings)
        finally:
            await _end(process)
            transport.close()
            os.close(ours)


@asynccontextmanager
async def _without_terminal(tmp_path: Path, *options: str) -> AsyncIterator[Screen]:
    process = await asyncio.create_subprocess_exec(
        *DEMO,
        *options,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
    )
    assert process.stdout is not None
    try:
        yield Screen(process, process.stdout)
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_LONG_S):
        while not holds():  # noqa: ASYNC110 (of another process)
            await asyncio.sleep(0.02)


async def _all_gone(begun: list[psutil.Process]) -> bool:
    _, alive = await asyncio.to_thread(psutil.wait_procs, begun, timeout=5)
    return not alive


async def test_it_climbs_falls_and_climbs_again_at_the_press_of_a_key(tmp_path: Path) -> None:
    async with _in_terminal(tmp_path) as terminal:
        screen = terminal.screen
        routes = Path((await screen.until(r"routes +(\S+)"))[1])
        await screen.until(r"^Press  b: ")
        assert not terminal.is_as_before
        for percents in ("0 % -> 5 %", "5 % -> 25 %", "25 % -> 50 %", "50 % -> 100 %"):
            await screen.until(rf"{percents}  stepped")
        await screen.until(r"nobody looks any more")

        begun = psutil.Process(terminal.process.pid).children(recursive=True)
        terminal.type(b"d")
        await screen.until(r"100 % -> 0 %  failed.*breaker")
        await screen.until(r"to 0 % at once, without a look")
        terminal.type(b"d")
        await screen.until(r"d: release 2026\.13: mended")
        terminal.type(b"r")
        await screen.until(r"0 % -> 5 %  stepped")

        terminal.type(b"\x03")
        await screen.until(r"^\d+ requests, \d+ errors\.$")
        assert await screen.rest() == 0, screen.text
        assert terminal.is_as_before
        assert await _all_gone(begun)
        assert not routes.parent.exists()
        assert "Traceback" not in screen.text
        assert "\x1b" not in screen.text


async def test_without_a_terminal_signals_break_it_and_looks_bring_it_down(tmp_path: Path) -> None:
    async with _without_terminal(tmp_path) as screen:
        await screen.until(rf"kill -USR1 {screen.process.pid} ")
        await screen.until(r"5 % -> 25 %  stepped")
        screen.process.send_signal(signal.SIGUSR1)
        await screen.until(r"b: release 2026\.12: one request in ten fails")
        bad = await screen.until(r"^ +\d\d:\d\d +\d+ %  bad +(\d+) of ([\d,]+) +0 of ")
        assert int(bad[1]) > 0, "the numbers of a bad look are printed"
        fall = await screen.until(r"(\d+) % -> (\d+) %  failed: 3 looks in a row were bad")
        assert int(fall[2]) < int(fall[1])
        await screen.until(r"decided by: the candidate failed \d+ of [\d,]+ requests, legacy 0 of [\d,]+;")
        await screen.until(r"brought it down, one step")
        screen.process.send_signal(signal.SIGUSR1)
        await screen.until(r"b: release 2026\.13: mended")
        await screen.until(rf"{fall[2]} % -> \d+ %  stepped: the look was good")
        screen.process.send_signal(signal.SIGTERM)
        assert await screen.rest() == 0, screen.text
    assert "Traceback" not in screen.text


@pytest.mark.parametrize(
    ("term", "size"), [("dumb", (24, 80)), ("xterm", (0, 0)), ("no-such-terminal", (1, 1))], ids=["dumb", "0x0", "1x1"]
)
async def test_an_odd_terminal_does_no_harm(tmp_path: Path, term: str, size: tuple[int, int]) -> None:
    async with _in_terminal(tmp_path, term=term, size=size) as terminal:
        hint = await terminal.screen.until(r"^Press  b(.*?): ")
        assert hint[1] == (" and Enter" if term == "dumb" else "")
        assert terminal.is_as_before is (term == "dumb")
        terminal.type(b"b\n")
        await terminal.screen.until(r"b: release 2026\.12: ")
        terminal.process.send_signal(signal.SIGTERM)
        assert await terminal.screen.rest() == 0, terminal.screen.text
        assert terminal.is_as_before


async def test_a_candidate_that_dies_ends_it_with_the_terminal_as_it_was(tmp_path: Path) -> None:
    async with _in_terminal(tmp_path) as terminal:
        await terminal.screen.until(r"^Press  b: ")
        below = psutil.Process(terminal.process.pid).children(recursive=True)
        (candidate,) = [child for child in below if "--candidate" in child.cmdline()]
        candidate.kill()
        assert await terminal.screen.rest() == 1
        assert "candidate ended with exit code -9" in terminal.screen.text
        assert terminal.is_as_before


async def test_suspended_it_leaves_the_terminal_as_it_was_and_takes_it_again(tmp_path: Path) -> None:
    async with _in_terminal(tmp_path) as terminal:
        await terminal.screen.until(r"^Press  b: ")
        terminal.type(b"\x1a")
        process = psutil.Process(terminal.process.pid)
        await _until(lambda: process.status() == psutil.STATUS_STOPPED)
        assert terminal.is_as_before
        terminal.process.send_signal(signal.SIGCONT)
        await _until(lambda: not terminal.is_as_before)
        terminal.type(b"b")
        await terminal.screen.until(r"b: release 2026\.12: ")
        terminal.type(b"\x03")
        assert await terminal.screen.rest() == 0, terminal.screen.text
        assert terminal.is_as_before


@pytest.mark.parametrize(
    ("options", "way_out"),
    [(("--hold", "1s"), "add --rollout"), (("--rollout", "--hold", "10ms"), "write 1s or more")],
    ids=["without-rollout", "too-short"],
)
def test_a_hold_that_cannot_be_is_refused_with_the_way_out(options: tuple[str, ...], way_out: str) -> None:
    result = CliRunner().invoke(main, ["demo", *options])
    assert result.exit_code == 2
    assert way_out in result.output


@pytest.mark.parametrize("hold_s", [MIN_HOLD_S, 1.5, DEFAULT_HOLD_S])
def test_its_routes_load_without_a_problem(tmp_path: Path, hold_s: float) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(rollout_routes_yaml(Ports(1000, 1001, 1002, 1003), str(tmp_path / "state"), hold_s))
    loaded = load(file, {})
    assert (loaded.problems, loaded.warnings) == ((), ())
    assert loaded.settings is not None
    (route,) = loaded.settings.routes
    assert route.rollout is not None
    assert route.rollout.steps == STEPS
    assert route.rollout.hold_s == hold_s


NOON = datetime(2026, 11, 30, 14, 0, tzinfo=UTC).timestamp()
"""The day of the documents, five minutes before their look."""


class TestLines:
    def test_a_look_is_printed_once_with_its_numbers_and_what_is_lacking(self) -> None:
        lines = LinesState(begun=NOON)
        status = rollout(moves=[])
        first, lacking = lines.new_lines(status)
        assert first.split() == [
            *("05:11", "25", "%", "not", "enough", "0", "of", "120", "12", "of", "31,360", "3"),
            *("99.2", "ms,", "120.4", "ms"),
        ]
        assert lacking.strip() == "the candidate has served 120 of 500 requests and 3 of 20 callers on this step"
        assert lines.new_lines(status) == []

    def test_a_reason_is_printed_again_if_more_than_its_numbers_has_changed(self) -> None:
        def printed(reason: str, time: str) -> int:
            return len(lines.new_lines(rollout(moves=[], looks=[look(time, reasons=(reason,))])))

        lines = LinesState(begun=NOON)
        assert printed("it has served 1 of 9 requests", "14:05") == 2
        assert printed("it has served 2 of 9 requests", "14:06") == 1
        assert printed("times are not certain enough: 1.2", "14:07") == 2

    def test_a_move_is_printed_after_its_look_with_the_numbers_it_was_decided_by(self) -> None:
        good = look("14:05", "good", reasons=(), callers=41)
        status = rollout(
            looks=[good], moves=[move("14:05", "stepped", 5, 25, "the look was good", by=good)], waits_for=None
        )
        row, stepped, numbers = LinesState(begun=NOON).new_lines(status)
        assert "good" in row
        assert stepped.split(maxsplit=1) == ["05:11", "5 % -> 25 %  stepped: the look was good"]
        assert numbers.strip() == (
            "decided by: the candidate failed 0 of 120 requests, legacy 12 of 31,360;"
            " 41 callers; p95 99.2 ms and 120.4 ms"
        )

    def test_waits_and_notes_are_printed_when_they_begin(self) -> None:
        lines = LinesState(begun=NOON)
        held = rollout(looks=[], moves=[], waits_for="hold", until="2026-11-30T14:06:00.000Z", notes=["legacy is cold"])
        assert [line.strip() for line in lines.new_lines(held)] == [
            "25 % is held until 06:00 at least",
            "note: legacy is cold",
        ]
        assert lines.new_lines(held) == []
        backing = rollout(looks=[], moves=[], state="backing", waits_for="hold", percent=5.0, why="it goes down to 0 %")
        assert [line.strip() for line in lines.new_lines(backing)] == ["it goes down to 0 %"]


class TestExplanations:
    def test_a_fall_is_explained_by_what_brought_it_down(self) -> None:
        before = rollout()
        by_looks = rollout(moves=[*before.moves, move("14:09", "failed", 25, 5, "3 looks in a row were bad")])
        assert rollout_texts.occasions(before, by_looks) == [rollout_texts.STEP_BACK]
        broken = move("14:09", "failed", 25, 0, "the candidate's breaker opened")
        by_breaker = rollout(moves=[*before.moves, broken], state="paused", percent=0.0)
        assert rollout_texts.occasions(before, by_breaker) == [rollout_texts.BREAKER, rollout_texts.PAUSED]
        assert rollout_texts.occasions(by_breaker, by_breaker) == []

    @pytest.mark.parametrize(
        ("harm", "status", "hint"),
        [
            (Harm.SOME, rollout(), ""),
            (Harm.NONE, rollout(percent=0.0), ""),
            (Harm.SOME, rollout(percent=0.0), "serves nobody"),
            (Harm.SOME, rollout(state="done", percent=100.0), "nobody looks any more"),
            (Harm.ALL, rollout(state="done", percent=100.0), ""),
            (Harm.SOME, rollout(state="paused"), "looks move nothing"),
        ],
        ids=["climbing", "mended", "at-0", "done", "done-breaker", "paused"],
    )
    def test_breaking_says_so_where_it_will_not_show(self, harm: Harm, status: RolloutStatus, hint: str) -> None:
        found = rollout_texts.hint_on(harm, status)
        assert (hint in found) if hint else not found
