"""The start beside another supervisor: this one stands by, and then replaces it or fails."""

import os

import structlog

from strangler.state.lock import FolderError
from strangler.supervisor.child_processes import ChildProcesses
from strangler.supervisor.origin import OriginLink
from strangler.supervisor.peer import restore_stderr
from strangler.supervisor.phase import LifecycleState, Phase
from strangler.supervisor.predecessor import Predecessor
from strangler.supervisor.registration import Registration
from strangler.supervisor.shutdown import Shutdown
from strangler.supervisor.spawner import Spawner

log = structlog.get_logger()


class Takeover:
    """Ends STANDBY, either way: by serving or by failing."""

    def __init__(
        self,
        life: LifecycleState,
        predecessor: Predecessor,
        registration: Registration,
        origin: OriginLink,
        spawner: Spawner,
        children: ChildProcesses,
        shutdown: Shutdown,
    ) -> None:
        self._life = life
        self._predecessor = predecessor
        self._registration = registration
        self._origin = origin
        self._spawner = spawner
        self._children = children
        self._shutdown = shutdown

    def try_serve(self) -> bool:
        """Become the proxy, now that our control serves; return False if it is one already, or on failure."""
        if self._life.phase is not Phase.STANDBY:
            return False
        try:
            self._registration.take()
        except (FolderError, OSError) as error:
            self.fail(str(error))
            return False
        self._predecessor.say_serving()
        self._origin.send(pid=os.getpid())
        self._restore_stderr()
        self._life.enter(Phase.RUNNING)
        return True

    def fail(self, reason: str) -> None:
        """Report why we cannot serve, and let our workers finish what they have accepted."""
        if self._life.phase is not Phase.STANDBY:
            return
        log.error("supervisor.start_failed", reason=reason)
        self._predecessor.say_failed(reason)
        self._children.end_starting()
        self._shutdown.empty()
        self._life.exit_status = 1

    def _restore_stderr(self) -> None:
        if self._spawner.stderr_fd is not None:
            restore_stderr(self._spawner.stderr_fd)
            self._spawner.stderr_fd = None
