"""The start of a successor: what it inherits, and which process the service manager goes on to watch."""

from collections.abc import Sequence

from strangler import __version__
from strangler.ipc.start import SupervisorStart
from strangler.supervisor.adopted_settings import AdoptedSettings
from strangler.supervisor.origin import Origin, OriginLink
from strangler.supervisor.peer import pair
from strangler.supervisor.service_manager import ServiceManager
from strangler.supervisor.sockets import Sockets
from strangler.supervisor.spawner import RunInfo
from strangler.supervisor.successor import Successor


class SuccessorLauncher:
    """Starts new programs, each with the next number."""

    def __init__(
        self,
        run: RunInfo,
        lock_fd: int,
        sockets: Sockets,
        settings: AdoptedSettings,
        service_manager: ServiceManager,
        origin_link: OriginLink,
    ) -> None:
        self._run = run
        self._lock_fd = lock_fd
        self._sockets = sockets
        self._settings = settings
        self._service_manager = service_manager
        self._origin_link = origin_link
        self._last_term = run.term

    def start(self, command: Sequence[str], deadline: float) -> tuple[Successor, Origin | None]:
        """Start the program. Return it, and the `Origin` that this process becomes once it serves, if there is none yet
        and the service manager does not accept another main process. Raises OSError."""
        self._last_term += 1
        link_fd = self._origin_link.fd
        if link_fd is not None or self._service_manager.is_heard:
            return Successor(command, self._next_start(link_fd), deadline), None
        ours, theirs = pair()
        with theirs:
            try:
                successor = Successor(command, self._next_start(theirs.fileno()), deadline)
            except OSError:
                ours.close()
                raise
        return successor, Origin(ours, successor.process.pid)

    def _next_start(self, origin_fd: int | None) -> SupervisorStart:
        return SupervisorStart(
            run=self._run.name,
            term=self._last_term,
            generation=self._settings.generation,
            version=__version__,
            folder=str(self._run.folder),
            lock_fd=self._lock_fd,
            listeners=self._sockets.groups,
            link_fd=self._sockets.link.fileno(),
            channel_fd=-1,
            stderr_fd=-1,
            origin_fd=origin_fd,
        )
