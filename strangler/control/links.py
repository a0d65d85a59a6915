"""The sending side of the links to workers: what all workers must know, and what each has received."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from strangler.control.reload import InForce
from strangler.control.shared_facts import SharedState
from strangler.control.totals import TotalsState
from strangler.ipc.frames import FrameProtocol
from strangler.ipc.messages import (
    CaptureGrant,
    CaptureGrants,
    EngineState,
    FrameError,
    Hello,
    KillSwitch,
    LedgerStored,
    Push,
    Shared,
    ToControl,
    ToWorker,
)
from strangler.state.kill_switch import KillSwitchState

log = structlog.get_logger()


@dataclass(slots=True)
class WorkerState:
    """One connected worker, as far as it has reported."""

    hello: Hello
    generation: int
    heard: float  # on the monotonic clock
    grants: dict[str, CaptureGrant] = field(default_factory=dict)  # by route: the last one sent
    used: dict[str, int] = field(default_factory=dict)  # by route: captures received since

    def use(self, route: str) -> bool:
        """Count a received capture. Return whether the worker has used half of its grant."""
        self.used[route] = used = self.used.get(route, 0) + 1
        grant = self.grants.get(route)
        return grant is None or 2 * used >= grant.captures


@dataclass(slots=True)
class LinksState:
    """The knowledge of control about its workers, and the state that they must have."""

    totals: TotalsState
    generation: int
    settings: bytes
    kill_switch: KillSwitchState
    shared: SharedState = field(default_factory=SharedState)
    workers: dict[str, WorkerState] = field(default_factory=dict)
    """The connected workers by instance."""
    engine: EngineState | None = None
    """The Envoy that serves, as it was last reported; None: none was."""
    breaker_reasons: dict[str, str] = field(default_factory=dict)
    """By upstream: why its breaker last changed."""


class WorkerListener(Protocol):
    """The receiver of all messages of workers."""

    def admits(self, hello: Hello) -> bool:
        """Return whether a worker may stay."""
        ...

    def joined(self, connection: "WorkerConnection", hello: Hello) -> None: ...
    def heard(self, connection: "WorkerConnection", hello: Hello, message: ToControl) -> None: ...
    def left(self, connection: "WorkerConnection", hello: Hello) -> None: ...


class WorkerLinks:
    """Owns the connections of all admitted workers."""

    def __init__(self, state: LinksState) -> None:
        self.state = state
        self._connections: set[WorkerConnection] = set()

    def adopt(self, in_force: InForce) -> None:
        """Drop the shared facts of upstreams that have changed, and push the settings to all workers."""
        self.state.shared.adopt(in_force.settings.upstreams, in_force.generation)
        self.publish(in_force.generation, in_force.encoded)

    def publish(self, generation: int, settings: bytes) -> None:
        """Push new settings to all workers, also to those that connect later."""
        self.state.generation, self.state.settings = generation, settings
        for connection in self._connections:
            connection.push()

    def turned(self, kill_switch: KillSwitchState) -> None:
        """Send the kill switch to all workers, also to those that connect later."""
        self.state.kill_switch = kill_switch
        for connection in self._connections:
            connection.send_kill_switch()

    def broadcast(self, message: Shared, but: "WorkerConnection | None" = None) -> None:
        """Send a shared fact to all workers except the one that reported it."""
        for connection in self._connections:
            if connection is not but:
                connection.publish(message)

    def grant(self, grants: Iterable[CaptureGrant]) -> None:
        """Grant each worker its part of the captures. Only changes are sent."""
        for connection in self._connections:
            connection.grant(grants)

    def ledger_stored(self, instance: str, number: int) -> None:
        """Tell a worker that its calls are stored, up to the batch of that number."""
        self.send_to(instance, LedgerStored(number))

    @property
    def instances(self) -> list[str]:
        """The connected workers."""
        return list(self.state.workers)

    def send_to(self, instance: str, message: ToWorker) -> None:
        """Send a worker a message. One that has gone needs no word."""
        for connection in self._connections:
            if connection.instance == instance:
                connection.send(message)

    def add(self, connection: "WorkerConnection", hello: Hello) -> None:
        """Admit a worker, and send it all that it does not know."""
        self._connections.add(connection)
        self.state.workers[hello.instance] = WorkerState(hello, hello.generation, time.monotonic())
        connection.send_kill_switch()
        if hello.generation != self.state.generation:
            connection.push()
        connection.publish_all()

    def remove(self, connection: "WorkerConnection", hello: Hello) -> None:
        """Forget a worker whose connection has ended."""
        self._connections.discard(connection)
        self.state.workers.pop(hello.instance, None)

    def abort(self) -> None:
        """Abort all connections."""
        for connection in list(self._connections):
            connection.abort()


class WorkerConnection(FrameProtocol[ToControl]):
    """One worker's link. Its first message must be Hello; garbage or an unknown worker closes it.

    A worker that reads slowly gets the newest settings and all shared facts once it reads again.
    """

    def __init__(self, state: LinksState, listener: WorkerListener) -> None:
        super().__init__(ToControl)
        self._state = state
        self._listener = listener
        self._hello: Hello | None = None
        self._is_full = False
        self._owes_settings = False
        self._owes_everything = False

    def on_message(self, message: ToControl) -> None:
        if self._hello is not None:
            self._listener.heard(self, self._hello, message)
        elif isinstance(message, Hello) and self._listener.admits(message):
            self._hello = message
            self._listener.joined(self, message)
        else:
            self.abort()

    def on_garbage(self, error: FrameError) -> None:
        log.error("link.garbage", reason=str(error))

    def on_lost(self) -> None:
        if self._hello is not None:
            self._listener.left(self, self._hello)

    @property
    def instance(self) -> str | None:
        """The worker's instance; None before its Hello."""
        return None if self._hello is None else self._hello.instance

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        if self._owes_settings:
            self.push()
        if self._owes_everything:
            self.publish_all()

    def push(self) -> None:
        """Send the settings in force, now or as soon as the worker reads."""
        self._owes_settings = self._is_full
        if not self._is_full:
            self.send(Push(self._state.generation, self._state.settings))

    def publish(self, message: Shared) -> None:
        """Send a shared fact now, or all of them as soon as the worker reads."""
        self._owes_everything |= self._is_full
        if not self._owes_everything:
            self.send(message)

    def publish_all(self) -> None:
        """Send all shared facts, now or as soon as the worker reads."""
        self._owes_everything = self._is_full
        if not self._is_full:
            for message in self._state.shared.everything(time.monotonic()):
                self.send(message)

    def grant(self, grants: Iterable[CaptureGrant]) -> None:
        """Send the grants that the worker does not know. A worker that reads slowly keeps what it has."""
        worker = self._state.workers.get(self._hello.instance) if self._hello is not None else None
        if worker is None or self._is_full:
            return
        changes = [
            grant for grant in grants if worker.grants.get(grant.route) != grant or worker.used.pop(grant.route, 0)
        ]
        if changes:
            worker.grants.update((grant.route, grant) for grant in changes)
            self.send(CaptureGrants(changes))

    def send_kill_switch(self) -> None:
        """Send the state of the kill switch."""
        switch = self._state.kill_switch
        self.send(KillSwitch(switch.on, switch.reason, list(switch.routes)))
