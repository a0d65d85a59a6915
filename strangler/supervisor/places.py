"""The places of the child processes: which process fills each, and when it is filled again."""

import signal
import subprocess
from dataclasses import dataclass

from strangler.wire.messages import ProcessInfo

FIRST_DELAY_S = 0.5
MAX_DELAY_S = 30.0


def restart_delay_s(failures: int) -> float:
    """How long to wait before a process that died `failures` times in a row is started again: at first, not at all."""
    if failures <= 1:
        return 0.0
    return min(FIRST_DELAY_S * 2.0 ** min(failures - 2, 16), MAX_DELAY_S)


@dataclass(slots=True)
class PlaceState:
    """A place for one process, filled again when the process dies."""

    role: str
    index: int
    due: float | None = 0.0  # when to fill it, on the monotonic clock; None: not now
    process: subprocess.Popen[bytes] | None = None
    instance: str = ""
    started: float = 0.0  # Unix time
    begun: float = 0.0  # the same on the monotonic clock
    restarts: int = 0
    failures: int = 0  # deaths in a row
    is_leaving: bool = False
    has_successor: bool = False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if there is one."""
        if self.process is not None:
            self.process.send_signal(number)

    def info(self, pid: int) -> ProcessInfo:
        """What control is told of the process."""
        return ProcessInfo(self.role, self.index, self.instance, pid, self.started, self.restarts)
