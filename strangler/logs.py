"""The logs of every process: one format, to standard output, and never waited for.

A thread collects the lines and writes them. When standard output is slower than the lines come, they are dropped
and counted, so that serving requests is never delayed.
"""

import logging
import os
import re
import select
import stat
import threading
from collections.abc import MutableMapping
from typing import Any, Final, Literal

import msgspec
import structlog

from strangler.core.settings import LogSettings
from strangler.times import utc_now

FLUSH_EVERY_S: Final = 0.1
WAKE_AT_BYTES: Final = 64 * 1024
MAX_QUEUED_BYTES: Final = 8 * 1024 * 1024
CLOSE_TIMEOUT_S: Final = 2.0


class LogWriter:
    """Writes whole lines to a file descriptor from a thread of its own; `write` never waits for it."""

    def __init__(self, descriptor: int = 1, max_queued_bytes: int = MAX_QUEUED_BYTES) -> None:
        self.dropped = 0
        self._descriptor = descriptor
        self._max_queued_bytes = max_queued_bytes
        self._chunk_bytes = _chunk_bytes(descriptor)
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._queued_bytes = 0
        self._wake = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> bool:
        """Queue one line (its newline included), from any thread; False if it was dropped."""
        return self.write_lines([line])

    def write_lines(self, lines: list[bytes]) -> bool:
        """Queue lines, from any thread; False if all of them were dropped. The list is not kept."""
        size = sum(map(len, lines))
        with self._lock:
            if self._queued_bytes > self._max_queued_bytes:
                self.dropped += len(lines)
                return False
            self._lines += lines
            self._queued_bytes += size
        if self._queued_bytes > WAKE_AT_BYTES and not self._wake.is_set():
            self._wake.set()
        return True

    def close(self) -> None:
        """Write what is queued, for two seconds at most. Later lines are dropped."""
        self._is_closed = True
        self._wake.set()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while not self._is_closed:
            self._wake.wait(FLUSH_EVERY_S)
            self._wake.clear()
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        for chunk in chunks(lines, self._chunk_bytes):
            self._write_all(chunk)
            with self._lock:
                self._queued_bytes -= len(chunk)

    def _write_all(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:  # someone made the terminal or pipe that we share non-blocking
                select.select([], [self._descriptor], [], 1.0)
            except OSError:  # the reader has gone
                with self._lock:
                    self.dropped += bytes(view).count(b"\n")
                return


def chunks(lines: list[bytes], limit: int) -> list[bytes]:
    """Return the lines joined, in order, into chunks of at most `limit` bytes; a longer line is a chunk of its own."""
    joined: list[bytes] = []
    start, size = 0, 0
    for index, line in enumerate(lines):
        if size and size + len(line) > limit:
            joined.append(b"".join(lines[start:index]))
            start, size = index, 0
        size += len(line)
    if size:
        joined.append(b"".join(lines[start:]))
    return joined


def _chunk_bytes(descriptor: int) -> int:
    """Return how much may be written at once: a pipe keeps processes apart up to PIPE_BUF (POSIX write())."""
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return select.PIPE_BUF
    return 1024 * 1024


def resolved_format(log: LogSettings, descriptor: int = 1) -> Literal["console", "json", "combined"]:
    """Return the format of the log: `auto` means console on a terminal and JSON elsewhere."""
    if log.format == "auto":
        return "console" if os.isatty(descriptor) else "json"
    return log.format


def configure(log: LogSettings, process: str, writer: LogWriter) -> None:
    """Send the lines of `structlog.get_logger()` and of the standard library's loggers to `writer`.

    `process` is `supervisor`, `control` or `worker-0`; every line has it. May be called again.
    """
    level = logging.getLevelNamesMapping()[log.level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _stamp(process),
            structlog.processors.format_exc_info,
            *([_plain, _console()] if resolved_format(log) == "console" else [_render_json]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _LineLogger(writer),
        cache_logger_on_first_use=False,
    )
    logging.root.handlers[:] = [_Bridge()]
    logging.root.setLevel(max(level, logging.WARNING))


_Event = MutableMapping[str, Any]


def _stamp(process: str) -> structlog.typing.Processor:
    pid = os.getpid()

    def stamp(_: Any, __: str, event: _Event) -> _Event:
        head = {"time": utc_now(), "level": event.pop("level"), "event": event.pop("event")}
        return head | dict(event) | {"process": process, "pid": pid}

    return stamp


def _render_json(_: Any, __: str, event: _Event) -> bytes:
    return msgspec.json.encode(event, enc_hook=repr) + b"\n"


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _plain(_: Any, __: str, event: _Event) -> _Event:
    """Return the event with its control characters escaped, so that no text can steer the terminal."""
    return {key: _CONTROL.sub(_escape, value) if isinstance(value, str) else value for key, value in event.items()}


def _escape(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}"


def _console() -> structlog.typing.Processor:
    render = structlog.dev.ConsoleRenderer(
        colors="NO_COLOR" not in os.environ,
        timestamp_key="time",
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,  # a richer one prints local variables: secrets
    )
    return lambda logger, name, event: f"{render(logger, name, event)}\n".encode()


class _LineLogger:
    """The receiver of structlog's finished lines: one method for each level."""

    def __init__(self, writer: LogWriter) -> None:
        self.msg = writer.write

    def __getattr__(self, level: str) -> Any:
        return self.msg


class _Bridge(logging.Handler):
    """The handler for libraries that use the standard library's logging, such as aiohttp and asyncio."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
