"""The announcement that all workers accept, made once to the process that waits for it: our predecessor, or systemd."""

from strangler.supervisor.phase import LifecycleState, Phase
from strangler.supervisor.predecessor import Predecessor
from strangler.supervisor.service_manager import ServiceManager
from strangler.supervisor.sockets import Sockets
from strangler.supervisor.workers import Workers

LOOK_EVERY_S = 0.02  # between checks whether all workers accept, while the announcement is awaited


class Announcement:
    """Makes the announcement once it is true and control is ready."""

    def __init__(
        self,
        life: LifecycleState,
        workers: Workers,
        sockets: Sockets,
        service_manager: ServiceManager,
        predecessor: Predecessor,
    ) -> None:
        self.control_stands_by = False
        """True once our control is loaded, and waits."""
        self.serves_admin = False
        self._life = life
        self._workers = workers
        self._sockets = sockets
        self._service_manager = service_manager
        self._predecessor = predecessor
        self._is_follower = life.phase is Phase.STANDBY
        self._is_made = False

    @property
    def is_awaited(self) -> bool:
        """True while it is still awaited. A supervisor with a predecessor makes it in STANDBY or never."""
        if self._is_made:
            return False
        return self._life.phase is Phase.STANDBY if self._is_follower else self._service_manager.is_heard

    def next_look(self, now: float) -> float:
        """Return when to call `advance` again, even if nothing happens."""
        return now + LOOK_EVERY_S if self.is_awaited else float("inf")

    def advance(self) -> None:
        """Make the announcement if it is time."""
        if not self.is_awaited or not self._workers.all_accept:
            return
        if self._is_follower and self.control_stands_by and self._predecessor.is_alive:
            self._is_made = True
            self._predecessor.say_ready(self._sockets.unwanted)
        elif self._life.phase is Phase.RUNNING and self.serves_admin:
            self._is_made = True
            self._service_manager.ready()
