"""The places of the child processes: which process fills each, and when to fill it again."""

import signal
import subprocess
from dataclasses import dataclass

import structlog

from strangler.ipc.messages import ProcessInfo
from strangler.ipc.process import restart_delay_s

QUIET_S = 60.0  # a process that lived this long did not crash in a loop

log = structlog.get_logger()


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

    @property
    def is_dead(self) -> bool:
        """True if there is a process that has ended."""
        return self.process is not None and self.process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if there is one."""
        if self.process is not None:
            self.process.send_signal(number)

    def dismiss(self) -> None:
        """End the process, and start no other in its place."""
        self.is_leaving, self.due = True, None
        self.signal(signal.SIGTERM)

    def schedule(self, now: float, how: str) -> None:
        """Schedule a new process: at once the first time, ever later while it keeps dying."""
        self.failures = 1 if now - self.begun >= QUIET_S else self.failures + 1
        self.restarts += 1
        delay_s = restart_delay_s(self.failures)
        self.due = now + delay_s
        event = f"{self.role}.died" if self.failures == 1 else f"{self.role}.crash_loop"
        log.error(event, index=self.index, how=how, deaths_in_a_row=self.failures, restart_in_s=delay_s)

    def infos(self) -> list[ProcessInfo]:
        """Return the facts that control needs about the process; none if there is no process."""
        if self.process is None:
            return []
        return [ProcessInfo(self.role, self.index, self.instance, self.process.pid, self.started, self.restarts)]


def kill_late(places: list[PlaceState]) -> None:
    """Kill the processes that have not ended in time."""
    for place in places:
        log.error(f"{place.role}.killed", index=place.index, reason="it did not end in time")
        place.signal(signal.SIGKILL)
