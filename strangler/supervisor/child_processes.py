"""The children of a supervisor: started when it is time, and after their death started again or forgotten."""

import signal
import time
from collections.abc import Callable

import structlog

from strangler.ipc.messages import ProcessInfo
from strangler.ipc.process import how_it_ended
from strangler.supervisor.control_process import ControlProcess
from strangler.supervisor.phase import LifecycleState, Phase
from strangler.supervisor.places import PlaceState
from strangler.supervisor.predecessor import Predecessor
from strangler.supervisor.spawner import Spawner
from strangler.supervisor.workers import Workers

log = structlog.get_logger()


class ChildProcesses:
    """Starts, reaps and restarts control and the workers."""

    def __init__(
        self,
        life: LifecycleState,
        control: ControlProcess,
        workers: Workers,
        spawner: Spawner,
        predecessor: Predecessor,
    ) -> None:
        self.control = control
        self.workers = workers
        self._life = life
        self._spawner = spawner
        self._predecessor = predecessor

    @property
    def places(self) -> list[PlaceState]:
        """The places of control and the workers."""
        return [self.control.place, *self.workers.places]

    @property
    def next_due(self) -> float:
        """The time at which the next process is to be started."""
        return min((place.due for place in self.places if place.due is not None), default=float("inf"))

    @property
    def pids(self) -> set[int]:
        """The ids of the processes that have not been reaped."""
        return {place.process.pid for place in self.places if place.process is not None}

    def infos(self) -> list[ProcessInfo]:
        """Return the facts about the running processes."""
        return [info for place in self.places for info in place.infos()]

    def start_due(self, now: float) -> bool:
        """Start the processes whose time has come; return True if there were any."""
        due = [place for place in self.places if place.due is not None and place.due <= now]
        for place in due:
            self._start(place, now)
        return bool(due)

    def reap(self, now: float, on_early_death: Callable[[str], object]) -> bool:
        """Schedule a new start of the processes that have died; return True if there were any.

        `on_early_death` is called with the reason if a process died before the proxy was ready.
        """
        dead = [place for place in self.places if place.is_dead]
        for place in dead:
            self._on_death(place, now, on_early_death)
        return bool(dead)

    def end_starting(self) -> None:
        """Start no more processes; those that run go on."""
        self.workers.remove_unfilled()
        self.control.place.due = None

    def kill(self) -> None:
        """Kill and reap all of them."""
        for place in self.places:
            place.signal(signal.SIGKILL)
            if place.process is not None:
                place.process.wait()

    def _start(self, place: PlaceState, now: float) -> None:
        place.due = None
        place.begun, place.started = now, time.time()
        place.instance = self._spawner.next_instance(place.index)
        try:
            if place is self.control.place:
                place.process, channel = self._spawner.start_control(self._predecessor.link_fd)
                self.control.connect(channel)
            else:
                place.process = self._spawner.start_worker(place)
        except OSError as error:  # out of processes or memory: try again, as after a death
            place.schedule(now, f"cannot be started: {error.strerror}")
            return
        log.info(f"{place.role}.started", index=place.index, child_pid=place.process.pid)

    def _on_death(self, place: PlaceState, now: float, on_early_death: Callable[[str], object]) -> None:
        assert place.process is not None
        how = how_it_ended(place.process.returncode)
        place.process = None
        if place is self.control.place:
            self.control.disconnect()
        else:
            self.workers.on_death(place)
        if self._life.phase is Phase.STANDBY:
            on_early_death(f"{place.role} {place.index} ended before it was ready ({how}); its output is in the log")
        if place.is_leaving or self._life.phase is not Phase.RUNNING:
            log.info(f"{place.role}.ended", index=place.index, how=how)
            self.workers.remove(place)
            return
        place.schedule(now, how)
