"""Logs: whole lines, in one shape, and never waited for."""

import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from strangler import logs
from strangler.core.settings import LogSettings
from strangler.logs import LogWriter, chunks


def written(tmp_path: Path, level: Literal["info", "debug"], form: Literal["json", "console", "combined"]) -> list[str]:
    """Return what a few calls write into a file."""
    path = tmp_path / "log"
    before = structlog.get_config(), logging.root.handlers[:], logging.root.level
    with path.open("wb") as file:
        writer = LogWriter(file.fileno())
        try:
            logs.configure(LogSettings(level, form, None), "worker-1", writer)
            structlog.get_logger().info("worker.ready", generation=3, odd=object)
            structlog.get_logger().debug("detail")
            structlog.get_logger().info("told", by="a\x1b]0;owned\x07\x9b31m")
            logging.getLogger("aiohttp.server").error("bad %s", "thing")
            writer.close()
        finally:
            structlog.configure(**before[0])
            logging.root.handlers[:] = before[1]
            logging.root.setLevel(before[2])
    return path.read_text().splitlines()


def test_a_json_line_tells_time_level_event_and_process(tmp_path: Path) -> None:
    line = json.loads(written(tmp_path, "info", "json")[0])
    assert list(line) == ["time", "level", "event", "generation", "odd", "process", "pid"]
    assert line | {"time": "", "odd": ""} == {
        "time": "",
        "level": "info",
        "event": "worker.ready",
        "generation": 3,
        "odd": "",
        "process": "worker-1",
        "pid": os.getpid(),
    }


def test_beside_requests_combined_writes_json(tmp_path: Path) -> None:
    lines = written(tmp_path, "info", "combined")
    assert json.loads(lines[0])["event"] == "worker.ready"


def test_lines_below_the_level_are_left_out(tmp_path: Path) -> None:
    assert not any("detail" in line for line in written(tmp_path, "info", "json"))
    assert any("detail" in line for line in written(tmp_path, "debug", "json"))


def test_lines_of_libraries_have_the_same_shape(tmp_path: Path) -> None:
    line = json.loads(written(tmp_path, "info", "json")[-1])
    assert (line["event"], line["level"], line["logger"]) == ("bad thing", "error", "aiohttp.server")


def test_the_console_form_is_for_people(tmp_path: Path) -> None:
    line = written(tmp_path, "info", "console")[0]
    assert "worker.ready" in line
    assert not line.startswith("{")


def test_what_is_told_cannot_steer_a_terminal(tmp_path: Path) -> None:
    (line,) = [line for line in written(tmp_path, "info", "console") if "told" in line]
    assert "\\x1b]0;owned\\x07\\x9b31m" in line
    assert "\x1b]" not in line


def test_a_writer_that_is_blocked_drops_and_counts_and_does_not_wait() -> None:
    reader, descriptor = os.pipe()
    writer = LogWriter(descriptor, max_queued_bytes=100_000)
    line = b"x" * 999 + b"\n"
    begun = time.monotonic()
    kept = sum(writer.write(line) for _ in range(2000))
    assert time.monotonic() - begun < 5
    assert writer.dropped == 2000 - kept > 0

    pipe = os.fdopen(reader, "rb")
    read: list[bytes] = []
    drain = threading.Thread(target=lambda: read.extend(pipe))
    drain.start()
    while not writer.write(b"again\n"):
        time.sleep(0.01)
    writer.close()
    os.close(descriptor)
    drain.join(5)
    pipe.close()
    assert read == [line] * kept + [b"again\n"], "lines are taken again once the reader reads, and none is cut"


def test_a_reader_that_has_gone_stops_nobody() -> None:
    reader, descriptor = os.pipe()
    writer = LogWriter(descriptor)
    os.close(reader)
    for number in range(20_000):  # more than one page of them, and than one chunk
        writer.write(b"%d nobody reads this\n" % number)
    writer.close()
    os.close(descriptor)
    assert writer.dropped == 20_000


def test_lines_that_are_dropped_together_are_counted_one_by_one() -> None:
    reader, descriptor = os.pipe()
    writer = LogWriter(descriptor, max_queued_bytes=10)
    writer.write(b"x" * 1_000_000)  # more than the pipe takes: it stays queued
    assert not writer.write_lines([b"a\n", b"b\n", b"c\n"])
    assert writer.dropped == 3
    os.close(reader)
    writer.close()
    os.close(descriptor)


_PROGRAM = """
import os, sys
from strangler.logs import LogWriter
lines = [f"{sys.argv[1]} {number} {'x' * (number % 300)}\\n".encode() for number in range(3000)]
writer = LogWriter()
os.write(2, b"!")
sys.stdin.read()
for start in range(0, 3000, int(sys.argv[2])):
    writer.write_lines(lines[start : start + int(sys.argv[2])])
writer.close()
"""


@pytest.mark.parametrize("at_once", [1, 1000])
def test_lines_of_several_processes_on_one_pipe_never_mix(at_once: int) -> None:
    """They begin at one moment, on a pipe of one page: whoever writes more than that has to wait in the middle of it,
    and others go on."""
    reader, descriptor = os.pipe()
    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 4096)
    ready, is_ready = os.pipe()
    begin, begins = os.pipe()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, name, str(at_once)], stdin=begin, stdout=descriptor, stderr=is_ready
        )
        for name in ("one", "two", "three")
    ]
    for each in (descriptor, is_ready, begin):
        os.close(each)
    assert [os.read(ready, 1) for _ in children] == [b"!"] * 3
    os.close(begins)
    with os.fdopen(reader, "rb") as pipe:
        lines = pipe.read().decode().splitlines()
    os.close(ready)
    assert [child.wait() for child in children] == [0, 0, 0]
    expected = {f"{name} {number} {'x' * (number % 300)}" for name in ("one", "two", "three") for number in range(3000)}
    assert set(lines) == expected
    assert len(lines) == len(expected)


@given(st.lists(st.binary(min_size=1, max_size=50)), st.integers(10, 60))
def test_chunks_keep_lines_whole_in_order_and_within_the_limit(lines: list[bytes], limit: int) -> None:
    joined = chunks(lines, limit)
    assert b"".join(joined) == b"".join(lines)
    assert all(len(chunk) <= limit or chunk in lines for chunk in joined)
