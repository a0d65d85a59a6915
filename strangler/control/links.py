"""Control's end of the links: which workers are there, what they say, and what they are told."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, cast

import structlog

from strangler.control.shared import SharedState
from strangler.control.totals import TotalsState
from strangler.state.kill_switch import KillSwitchState
from strangler.wire.messages import (
    BreakerChanged,
    BreakerOpened,
    Bye,
    Captured,
    EndpointHealth,
    FenceMarks,
    FrameError,
    FrameReader,
    Hello,
    KillSwitch,
    LoadedGeneration,
    Push,
    Report,
    ShadowRoom,
    ShadowRooms,
    Shared,
    Spans,
    ToControl,
    ToWorker,
    encode_frame,
)

log = structlog.get_logger()


@dataclass(slots=True)
class WorkerState:
    """One connected worker, as far as it has told."""

    hello: Hello
    generation: int
    heard: float  # on the monotonic clock
    rooms: dict[str, ShadowRoom] = field(default_factory=dict)  # by route: what it was told last
    used: dict[str, int] = field(default_factory=dict)  # by route: captures that came since

    def use(self, route: str) -> bool:
        """A capture has come. True if the worker has used half of what it may."""
        self.used[route] = used = self.used.get(route, 0) + 1
        told = self.rooms.get(route)
        return told is None or 2 * used >= told.room


class Shadows(Protocol):
    """Who takes captures."""

    def take(self, captured: Captured) -> None: ...
    def tell_rooms(self, *routes: str) -> None: ...


class Breakers(Protocol):
    """Who is told of what workers' breakers do."""

    def breaker_changed(self, change: BreakerChanged) -> None: ...


class SpanTaker(Protocol):
    """Who takes what sampled requests tell."""

    def take(self, spans: Spans) -> None: ...


@dataclass(slots=True)
class LinksState:
    """All links. Owns the connections; the totals are told what comes and who has gone."""

    totals: TotalsState
    generation: int
    settings: bytes
    kill_switch: KillSwitchState
    shared: SharedState = field(default_factory=SharedState)
    workers: dict[str, WorkerState] = field(default_factory=dict)
    """By instance."""
    breaker_reasons: dict[str, str] = field(default_factory=dict)
    """By upstream: why its breaker last changed."""
    shadows: Shadows | None = None
    events: Breakers | None = None
    spans: SpanTaker | None = None
    own: set[str] = field(default_factory=set)
    """Instances in the totals that are no worker: what control itself counts."""
    _living: frozenset[str] = frozenset()
    _connections: set["_Connection"] = field(default_factory=set)

    def accept(self) -> "_Connection":
        """The protocol for a new connection."""
        return _Connection(self)

    def publish(self, generation: int, settings: bytes) -> None:
        """Push new settings to all workers, and to those that come later."""
        self.generation, self.settings = generation, settings
        for connection in self._connections:
            connection.push()

    def turn(self, kill_switch: KillSwitchState) -> None:
        """Tell all workers, and those that come later, how the kill switch stands."""
        self.kill_switch = kill_switch
        for connection in self._connections:
            connection.turn()

    def tell(self, message: Shared, but: "_Connection | None" = None) -> None:
        """Tell all workers, except for the one that said it."""
        for connection in self._connections:
            if connection is not but:
                connection.tell(message)

    def set_living(self, instances: frozenset[str]) -> None:
        """Which worker instances the supervisor knows as alive."""
        self._living = instances
        self._retire_dead()

    def abort(self) -> None:
        """Cut all connections."""
        for connection in list(self._connections):
            connection.abort()

    def is_living(self, instance: str) -> bool:
        return instance in self._living

    def joined(self, connection: "_Connection", hello: Hello) -> None:
        self._connections.add(connection)
        self.workers[hello.instance] = WorkerState(hello, hello.generation, time.monotonic())
        log.debug("worker.connected", index=hello.index, child_pid=hello.pid, generation=hello.generation)
        connection.turn()
        if hello.generation != self.generation:
            connection.push()
        connection.tell_everything()
        if self.shadows is not None:
            self.shadows.tell_rooms()

    def left(self, connection: "_Connection", hello: Hello) -> None:
        self._connections.discard(connection)
        self.workers.pop(hello.instance, None)
        self.totals.silence(hello.instance)
        self._retire_dead()

    def heard(self, connection: "_Connection", hello: Hello, message: ToControl) -> None:
        worker = self.workers[hello.instance]
        worker.heard = time.monotonic()
        match message:
            case Report():
                self.totals.take(hello.instance, message)
            case LoadedGeneration(generation):
                worker.generation = generation
            case BreakerChanged(upstream, _, _, reason):
                self.breaker_reasons[upstream] = reason
                if self.events is not None:
                    self.events.breaker_changed(message)
            case BreakerOpened() | FenceMarks() | EndpointHealth():
                news = self.shared.learn(message, time.monotonic())
                if news is not None:
                    self.tell(news, but=connection)
            case Captured():
                self._take(worker, message)
            case Spans():
                if self.spans is not None:
                    self.spans.take(message)
            case Hello() | Bye():
                pass

    def _take(self, worker: WorkerState, captured: Captured) -> None:
        is_low = worker.use(captured.route)
        if self.shadows is not None:
            self.shadows.take(captured)
            if is_low:
                self.shadows.tell_rooms(captured.route)

    def tell_rooms(self, rooms: Iterable[ShadowRoom]) -> None:
        """How many captures can be used, each worker's part. It is told what it does not know yet."""
        for connection in self._connections:
            connection.tell_rooms(rooms)

    def _retire_dead(self) -> None:
        for instance in self.totals.instances - self._living - self.workers.keys() - self.own:
            self.totals.retire(instance)


class _Connection(asyncio.Protocol):
    """One worker's link. Its first message must be Hello; garbage, or a stranger, closes it.

    A worker that reads slowly is sent the newest settings and all that is shared, once it reads again.
    """

    def __init__(self, links: LinksState) -> None:
        self._links = links
        self._frames: FrameReader[ToControl] = FrameReader(ToControl)  # type: ignore[arg-type]
        self._transport: asyncio.Transport | None = None
        self._hello: Hello | None = None
        self._is_full = False
        self._owes_settings = False
        self._owes_everything = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._frames.feed(data)
        except FrameError as error:
            log.error("link.garbage", reason=str(error))
            self.abort()
            return
        for message in messages:
            if self._hello is not None:
                self._links.heard(self, self._hello, message)
            elif not self._greet(message):
                self.abort()
                return

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._hello is not None:
            self._links.left(self, self._hello)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        if self._owes_settings:
            self.push()
        if self._owes_everything:
            self.tell_everything()

    def push(self) -> None:
        """Send the settings in force, now or as soon as the worker reads."""
        self._owes_settings = self._is_full
        if not self._is_full:
            self._send(Push(self._links.generation, self._links.settings))

    def tell(self, message: Shared) -> None:
        """Send what a worker is to know, or all of that later."""
        self._owes_everything |= self._is_full
        if not self._owes_everything:
            self._send(message)

    def tell_everything(self) -> None:
        """Send all that is shared, now or as soon as the worker reads."""
        self._owes_everything = self._is_full
        if not self._is_full:
            for message in self._links.shared.everything(time.monotonic()):
                self._send(message)

    def tell_rooms(self, rooms: Iterable[ShadowRoom]) -> None:
        """Send what differs from what the worker knows. One that reads slowly makes do with what it has."""
        worker = self._links.workers.get(self._hello.instance) if self._hello is not None else None
        if worker is None or self._is_full:
            return
        news = [room for room in rooms if worker.rooms.get(room.route) != room or worker.used.pop(room.route, 0)]
        if news:
            worker.rooms.update((room.route, room) for room in news)
            self._send(ShadowRooms(news))

    def turn(self) -> None:
        """Send how the kill switch stands."""
        switch = self._links.kill_switch
        self._send(KillSwitch(switch.on, switch.reason))

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _greet(self, message: ToControl) -> bool:
        """Take the first message. A worker of a killed supervisor is turned away, as is one that is not known yet:
        it comes again."""
        if not isinstance(message, Hello) or not self._links.is_living(message.instance):
            return False
        self._hello = message
        self._links.joined(self, message)
        return True

    def _send(self, message: ToWorker) -> None:
        if self._transport is not None:
            self._transport.write(encode_frame(message))
