"""Envoy's own log: each of its lines becomes a line of ours.

Envoy writes into a pipe that has a name, so that a process that is started after a killed one can read on. Envoy has
both ends open and never waits: while nobody reads, up to a mebibyte is kept, and what is more is lost.
"""

import asyncio
import fcntl
import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

PIPE: Final = "log"
FORMAT: Final = "%l\t%n\t%v"
MAX_LINE_BYTES: Final = 16 * 1024

_PIPE_BYTES: Final = 1024 * 1024
_LEVELS: Final = {"trace": "debug", "debug": "debug", "info": "info", "warning": "warning", "error": "error"}
_OURS: Final = (
    "caught ENVOY_SIGTERM",
    "shutting down admin due to child startup",
    "terminating parent process",
    "is marked as work-in-progress",
    "Using deprecated option",
    "There is no configured limit to the number of allowed active downstream connections",
)
"""Lines about what this program does itself, or has written into the configuration on purpose."""
_REFUSALS: Final = ("rejected", "failure", "error adding", "error initializing")


class EnvoyLog:
    """The reading end of one Envoy's log."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        """Make the pipe if it is not there, and read from it. Raises OSError."""
        path = folder / PIPE
        with suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        self._path = path
        self._loop = loop
        self._log = structlog.get_logger()
        self._rest = b""
        self._refusals: deque[str] = deque(maxlen=20)
        self._descriptor: int | None = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        loop.add_reader(self._descriptor, self.read)

    def writing_end(self) -> int:
        """Return a descriptor for Envoy to write to; the caller closes it. Raises OSError."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        with suppress(OSError):  # the user may not have larger pipes
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return descriptor

    def forget_refusals(self) -> None:
        """Drop the lines so far in which Envoy has said what it refuses."""
        self._refusals.clear()

    @property
    def refusal(self) -> str | None:
        """The last line since in which Envoy has said what it refuses; None if there is none."""
        return self._refusals[-1] if self._refusals else None

    def read(self) -> None:
        """Log the lines that have come."""
        while self._descriptor is not None:
            try:
                data = os.read(self._descriptor, 65536)
            except OSError:
                return
            if not data:
                self._loop.remove_reader(self._descriptor)  # Envoy has ended
                return
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._rest = self._rest[:MAX_LINE_BYTES]
            for line in lines:
                self._take(line[:MAX_LINE_BYTES].decode(errors="replace"))

    def close(self) -> None:
        """Log what is left, and read no more."""
        self.read()
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _take(self, line: str) -> None:
        level, logger, message = parsed(line)
        if any(text in message for text in _OURS):
            level = "debug"
        if level in ("warning", "error") and any(text in message for text in _REFUSALS):
            self._refusals.append(message)
        if message:
            getattr(self._log, level)("envoy.log", logger=logger, message=message)


def parsed(line: str) -> tuple[str, str, str]:
    """Return level, logger and message of a line. One that has not our form, as of a crash, is an error."""
    level, _, rest = line.partition("\t")
    logger, separator, message = rest.partition("\t")
    if not separator:
        return "error", "", line.strip()
    return _LEVELS.get(level, "error"), logger, message.strip()
