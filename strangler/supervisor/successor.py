"""The next supervisor, as the present one sees it: a new program beside it, which may fail.

    STARTING --ready--> CLEARING --our control has ended--> YIELDED --serving--> SERVING, and we drain

Until it has sent `serving`, nothing that happens to it affects the present one.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum

from strangler.ipc.process import how_it_ended
from strangler.ipc.start import SupervisorStart, read_file
from strangler.supervisor.notify import without_watched_pid
from strangler.supervisor.peer import pair
from strangler.unnamed_files import unnamed_file

MAX_START_S = 60.0
"""How long the new program may take until it serves: with 10,000 routes it takes 5 s on a free core."""

MAX_REASON_CHARACTERS = 2000
MAX_OUTPUT_CHARACTERS = 10_000


class Step(Enum):
    """The progress of the new supervisor."""

    STARTING = "starting"
    CLEARING = "clearing"
    YIELDED = "yielded"
    SERVING = "serving"


def program() -> list[str]:
    """Return the command that started this process, by the path as it was called: a new version may be there now."""
    called = sys.argv[0]
    if os.path.isabs(called) and os.access(called, os.X_OK) and called in sys.orig_argv:
        return [called, *sys.argv[1:]]
    return [sys.executable, *sys.orig_argv[1:]]


class Successor:
    """The owner of the new process until it serves, and of the connection to it."""

    def __init__(self, command: Sequence[str], start: SupervisorStart, deadline: float) -> None:
        """Start the program; `channel_fd` and `stderr_fd` of `start` are filled in here. Raises OSError."""
        self.step = Step.STARTING
        self.deadline = deadline
        self.unwanted: tuple[int, ...] = ()
        """Descriptors of listening sockets that it does not listen at."""
        self.has_our_folder = True
        self.clear_deadline = float("inf")
        """The time at which our control is killed, if it has not ended by then."""
        self._output_fd = unnamed_file(b"")
        self.peer, channel = pair()
        stderr_fd = os.dup(2)
        try:
            start = replace(start, channel_fd=channel.fileno(), stderr_fd=stderr_fd)
            self.process = subprocess.Popen(  # noqa: S603 - the program that runs here, no shell
                command,
                env=without_watched_pid(os.environ) | start.to_environ(),
                pass_fds=start.fds,
                stdin=subprocess.DEVNULL,
                stderr=self._output_fd,
                process_group=0,
            )
        except OSError:
            self.close()
            raise
        finally:
            channel.close()
            os.close(stderr_fd)

    @property
    def next_due(self) -> float:
        """The deadline of its present step, on the monotonic clock."""
        if self.step is Step.SERVING:
            return float("inf")
        return min(self.deadline, self.clear_deadline) if self.step is Step.CLEARING else self.deadline

    @property
    def has_died(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        """Kill the process. Its workers notice, and drain."""
        with suppress(OSError):
            self.process.kill()
        self.process.wait()

    def reason(self) -> str:
        """Return why it has ended, by its standard error: the last line of a traceback, else the whole text."""
        text = self.output()
        if "Traceback (most recent call last)" in text:
            text = text.splitlines()[-1]
        if text:
            return text.removeprefix("Error: ")[:MAX_REASON_CHARACTERS]
        status = self.process.poll()
        return "it makes no progress" if status is None else how_it_ended(status)

    def output(self) -> str:
        """Return the end of what it wrote to standard error before it served."""
        return read_file(self._output_fd).decode(errors="replace").strip()[-MAX_OUTPUT_CHARACTERS:]

    def close(self) -> None:
        self.peer.close()
        os.close(self._output_fd)
