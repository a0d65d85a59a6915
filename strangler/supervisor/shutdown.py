"""The end of a supervisor: readiness fails, the workers drain, control ends."""

import signal
from collections.abc import Callable
from contextlib import suppress

import structlog

from strangler.ipc.messages import Draining
from strangler.sockets.handshakes import stop_handshakes
from strangler.sockets.listen import close_all
from strangler.supervisor.adopted_settings import AdoptedSettings
from strangler.supervisor.child_processes import ChildProcesses
from strangler.supervisor.phase import LifecycleState, Phase
from strangler.supervisor.places import PlaceState, kill_late
from strangler.supervisor.sockets import Sockets

ANNOUNCE_S = 1.0  # control has this long to make readiness fail
LAST_S = 0.2  # in YIELDING: for clients that are connecting to an address that is given up
GRACE_S = 5.0  # beyond limits.drain, before a process that does not end is killed

log = structlog.get_logger()


class Shutdown:
    """Takes the steps from the first signal to the end."""

    def __init__(
        self,
        life: LifecycleState,
        children: ChildProcesses,
        sockets: Sockets,
        settings: AdoptedSettings,
        clock: Callable[[], float],
    ) -> None:
        self._life = life
        self._children = children
        self._sockets = sockets
        self._settings = settings
        self._clock = clock
        self._steps = {
            Phase.ANNOUNCING: self._advance_announcing,
            Phase.YIELDING: self._advance_yielding,
            Phase.EMPTYING: self._advance_emptying,
            Phase.CLOSING: self._advance_closing,
        }

    @property
    def drain_s(self) -> float:
        """The time that requests under way have to finish."""
        return self._settings.drain_s

    def announce(self) -> None:
        """Begin the end: have control make readiness fail."""
        self._children.end_starting()
        self._life.enter(Phase.ANNOUNCING, self._clock() + ANNOUNCE_S)
        self._children.control.send(Draining())

    def on_announced(self) -> None:
        """Go on, since readiness fails now."""
        if self._life.phase is Phase.ANNOUNCING:
            self._life.deadline = 0.0

    def yield_to_successor(self, unwanted_fds: tuple[int, ...]) -> None:
        """Release what belongs to the successor now. `unwanted_fds` are of sockets that it does not listen at."""
        close_all(self._sockets.admin)
        close_all(self._sockets.receiver)
        if self._sockets.mirror is not None:
            self._sockets.mirror.close()
        self._children.workers.remove_unfilled()
        given_up = [listener for listener in self._sockets.listen if listener.fileno() in unwanted_fds]
        for listener in given_up:
            with suppress(OSError):  # not on this system: a few may be reset
                stop_handshakes(listener)
        self._life.enter(Phase.YIELDING, self._clock() + (LAST_S if given_up else 0.0))

    def empty(self) -> None:
        """Accept no more, and let the workers finish what they have accepted."""
        close_all(self._sockets.listen)  # the workers hold them, too, and close them as they drain
        self._children.workers.drain()
        self._life.enter(Phase.EMPTYING, self._clock() + self._settings.drain_s + GRACE_S)

    def end_at_once(self, number: signal.Signals) -> None:
        """End without waiting, since a second signal came."""
        log.warning("supervisor.ends_at_once", signal=number.name)
        self._life.exit_status = 128 + number
        self._life.enter(Phase.ENDED)

    def advance(self) -> None:
        """Take as many steps towards the end as can be taken now."""
        before = None
        while before is not self._life.phase:
            before = self._life.phase
            step = self._steps.get(before)
            if step is not None:
                step(self._life.is_late(self._clock()))

    def _advance_announcing(self, is_late: bool) -> None:
        if is_late or not self._children.control.is_connected:
            self.empty()

    def _advance_yielding(self, is_late: bool) -> None:
        if is_late:
            self.empty()

    def _advance_emptying(self, is_late: bool) -> None:
        if self._children.workers.places:
            self._kill_if(is_late, self._children.workers.places)
            return
        self._children.control.place.signal(signal.SIGTERM)
        self._life.enter(Phase.CLOSING, self._clock() + GRACE_S)

    def _advance_closing(self, is_late: bool) -> None:
        if self._children.control.place.process is not None:
            self._kill_if(is_late, [self._children.control.place])
            return
        self._life.enter(Phase.ENDED)

    def _kill_if(self, is_late: bool, places: list[PlaceState]) -> None:
        if not is_late:
            return
        kill_late(places)
        self._life.exit_status = 1
        self._life.deadline = float("inf")  # what is killed ends; SIGCHLD wakes us
