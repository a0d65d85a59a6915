"""A receiver in the test's own event loop: real loopback sockets, and what would be compared is kept."""

import asyncio
import contextlib
import socket
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from structlog.testing import capture_logs

from strangler.config.receiver import with_receiver
from strangler.control.own_metrics import OwnMetrics
from strangler.control.receiver.receiving import RECEIVED, RESULTS, Receiving
from strangler.control.receiver.server import ReceiverServer
from strangler.control.totals import TotalsState
from strangler.core.listener_settings import Address
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import RouteSettings, Settings
from strangler.ipc.messages import Captured
from strangler.state.kill_switch import OFF, KillSwitchState
from tests.factories import route, settings, upstream
from tests.worker.plane import TIMEOUT_S, Visitor


@dataclass(slots=True)
class KeptComparisons:
    """Keeps what would be compared. `has_room`: whether there is credit."""

    taken: list[Captured] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    has_room: bool = True

    def take_received(self, captured: Captured) -> bool:
        if self.has_room:
            self.taken.append(captured)
        return self.has_room

    def count_dropped(self, route: str, reason: str) -> None:
        self.dropped.append((route, reason))


def received_settings(*routes: RouteSettings, **limits: Any) -> Settings:
    """Settings with a receiver, by default with one route that has no `shadow`."""
    made = settings(list(routes) or [route("orders", prefix="/api/orders")], [upstream("legacy"), upstream("orders")])
    return with_receiver(replace(made, limits=replace(made.limits, **limits)), Address("127.0.0.1", 0))


def listener_at(path: Path) -> socket.socket:
    """A listening unix socket, as the supervisor makes it for our own Envoy."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1024)
    listener.setblocking(False)
    return listener


class RunningReceiver:
    """Owns the server, its sockets and its ticks."""

    def __init__(self, wanted: Settings | None = None) -> None:
        self.settings = wanted or received_settings()
        self.comparisons = KeptComparisons()
        self.kill_switch: KillSwitchState = OFF
        self.totals = TotalsState()
        self.own = OwnMetrics(self.totals, "own")
        self._visitors: list[Visitor] = []
        self._exits = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.events = self._exits.enter_context(capture_logs())
        self.receiving = Receiving(Snapshot(self.settings, 1), self.comparisons, lambda: self.kill_switch, self.own)
        self.server = ReceiverServer(self.settings, self.receiving, self.own)
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = listener.getsockname()[1]
        folder = self._exits.enter_context(tempfile.TemporaryDirectory())
        self.mirrors_at = Path(folder) / "receiver.sock"
        self.server.start([listener], listener_at(self.mirrors_at))
        self._ticks = asyncio.create_task(self.server.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        for visitor in self._visitors:
            await visitor.close()
        await self.server.close(is_last=False)
        self._ticks.cancel()
        await asyncio.gather(self._ticks, return_exceptions=True)
        await self._exits.aclose()
        assert [event for event in self.events if event["event"] == "receiver.crash"] == []
        assert self.receiving.budget.try_take(32 * 1024 * 1024), "all room was given back"

    async def connect(self) -> Visitor:
        """Return a new connection."""
        visitor = await Visitor.connect(self.port)
        assert isinstance(visitor, Visitor)
        self._visitors.append(visitor)
        return visitor

    async def connect_as_envoy(self) -> Visitor:
        """Return a new connection to the socket of our own Envoy."""
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, str(self.mirrors_at))
        visitor = Visitor(sock)
        self._visitors.append(visitor)
        return visitor

    async def status(self, request: bytes) -> int:
        """Return the status that a request gets on a connection of its own."""
        return (await (await self.connect()).ask(request)).status

    def counts(self) -> dict[str, int]:
        """Return what has come so far, without zeros."""
        self.own.report()
        counts = {str(result): int(self.totals.counter(RECEIVED, result)) for result in RESULTS}
        return {result: count for result, count in counts.items() if count}

    async def counted(self, **expected: int) -> None:
        """Wait until these are the counts."""
        async with asyncio.timeout(TIMEOUT_S):
            while self.counts() != expected:  # noqa: ASYNC110 - the counts wake nobody
                await asyncio.sleep(0.005)
