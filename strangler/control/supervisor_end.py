"""Control's end of the connection to the supervisor."""

import asyncio
from typing import Protocol

import structlog

from strangler.control.link_server import LinkServer
from strangler.control.processes import ProcessesState
from strangler.control.reload import InForce
from strangler.ipc.frames import FrameProtocol
from strangler.ipc.messages import (
    Adopt,
    Draining,
    DrainSeen,
    FrameError,
    FromSupervisor,
    Processes,
    Reload,
    ToSupervisor,
)

log = structlog.get_logger()


class SupervisorSender:
    """Sends messages to the supervisor without waiting. Before there is a connection they are dropped."""

    def __init__(self) -> None:
        self._connection: SupervisorEnd | None = None

    def connect(self, connection: "SupervisorEnd") -> None:
        """Send over this connection from now on."""
        self._connection = connection

    def send(self, message: ToSupervisor) -> None:
        """Send a message, if there is a connection."""
        if self._connection is not None:
            self._connection.send(message)

    def adopt(self, in_force: InForce) -> None:
        """Have workers started with these settings from now on."""
        settings = in_force.settings
        self.send(Adopt(in_force.generation, in_force.encoded, settings.workers, settings.limits.drain_s))


class ReloadListener(Protocol):
    """The receiver of SIGHUP."""

    def ask(self) -> None: ...


class SupervisorEnd(FrameProtocol[FromSupervisor]):
    """Passes on the supervisor's messages, and sets `ended` when it is gone."""

    def __init__(
        self, reload: ReloadListener, processes: ProcessesState, links: LinkServer, ended: asyncio.Event
    ) -> None:
        super().__init__(FromSupervisor)
        self._reload = reload
        self._processes = processes
        self._links = links
        self._ended = ended

    def on_message(self, message: FromSupervisor) -> None:
        match message:
            case Reload():
                self._reload.ask()
            case Draining():
                self._processes.is_draining = True
                self.send(DrainSeen())
            case Processes(processes, has_successor):
                self._processes.processes = processes
                self._processes.has_successor = has_successor
                self._links.set_living(self._processes.workers)

    def on_garbage(self, error: FrameError) -> None:
        log.error("link.garbage", reason=str(error))

    def on_lost(self) -> None:
        self._ended.set()
