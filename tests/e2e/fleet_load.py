"""A load on several nodes, as from a balancer in front of them: it counts all that it got a response for."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from benchmarks.line import FAILURES, Line

CLIENTS = 6
PAUSE_S = 0.04
CALLERS = 60
_PATHS = ("/api/orders/{}", "/api/baskets/{}", "/api/orders/{}", "/api/baskets/{}", "/pages/home")


class Target(Protocol):
    """A node as the load sees it."""

    @property
    def name(self) -> str: ...
    @property
    def port(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A request that got its whole response. `ended`: by the monotonic clock."""

    node: str
    path: str
    arm: str
    status: int
    ended: float
    seconds: float

    @property
    def route(self) -> str:
        """The name of the route that it matches; empty for none."""
        return self.path.split("/")[2] if self.path.startswith("/api/") else ""

    @property
    def number(self) -> int:
        return int(self.path.rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class Lost:
    """A request that was sent and got no response, so that nobody knows whether it was served."""

    node: str
    path: str
    at: float
    why: str


@dataclass(frozen=True, slots=True)
class Window:
    """The requests that ended in a time."""

    acknowledged: Sequence[Acknowledged]
    lost: Sequence[Lost]

    def percentile(self, share: float) -> float:
        times = sorted(each.seconds for each in self.acknowledged)
        assert times, "nothing was acknowledged in this time"
        return times[min(len(times) - 1, int(len(times) * share))]

    def slower_than(self, seconds: float) -> list[Acknowledged]:
        return [each for each in self.acknowledged if each.seconds > seconds]


@dataclass(slots=True)
class Load:
    """Clients that go round the nodes, each with a kept connection to each.

    A node that refuses connections is passed over, as by a balancer; a request that was sent is never sent again.
    """

    nodes: Sequence[Target]
    acknowledged: list[Acknowledged] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)

    @asynccontextmanager
    async def running(self, clients: int = CLIENTS, pause_s: float = PAUSE_S) -> AsyncIterator[None]:
        """Send requests until the end of the block; by then each has its response, or is lost."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for client in range(clients):
                group.create_task(self._send_until(stop, client, pause_s))
            try:
                yield
            finally:
                stop.set()

    async def send(self, requests: int) -> None:
        """Send so many requests, one after the other."""
        lines: dict[str, Line] = {}
        for turn in range(requests):
            await self._send(lines, turn)
        _close(lines)

    async def during(self, seconds: float) -> Window:
        """Return what ends in a time that begins now."""
        since = time.monotonic()
        await asyncio.sleep(seconds)
        return self.since(since)

    def since(self, since: float) -> Window:
        """Return what has ended since a time of the monotonic clock."""
        return Window(
            [each for each in self.acknowledged if each.ended >= since],
            [each for each in self.lost if each.at >= since],
        )

    def counted(self) -> Counter[tuple[str, str]]:
        """Return how many requests are acknowledged, by route and arm."""
        return Counter((each.route, each.arm) for each in self.acknowledged)

    async def _send_until(self, stop: asyncio.Event, first: int, pause_s: float) -> None:
        lines: dict[str, Line] = {}
        for turn in count(first):
            if stop.is_set():
                break
            await self._send(lines, turn)
            await asyncio.sleep(pause_s)
        _close(lines)

    async def _send(self, lines: dict[str, Line], turn: int) -> None:
        number = next(self._numbers)
        path = _PATHS[number % len(_PATHS)].format(number)
        for offset in range(len(self.nodes)):
            node = self.nodes[(turn + offset) % len(self.nodes)]
            line = await self._line(lines, node)
            if line is not None:
                await self._ask(lines, node, line, path, number % CALLERS)
                return
        self.lost.append(Lost("", path, time.monotonic(), "no node takes a connection"))

    async def _line(self, lines: dict[str, Line], node: Target) -> Line | None:
        """Return a connection to a node; None if it takes none."""
        line = lines.get(node.name)
        if line is None or line.is_over:
            if line is not None:
                line.close()
            try:
                line = lines[node.name] = await Line.to(node.port)
            except OSError:
                return None
        return line

    async def _ask(self, lines: dict[str, Line], node: Target, line: Line, path: str, caller: int) -> None:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(60):
                await line.ask("GET", path, f"X-User-Id: user-{caller}\r\n")
                status, fields = await line.head()
                await line.body(fields)
        except FAILURES as error:
            self.lost.append(Lost(node.name, path, time.monotonic(), repr(error)))
            lines.pop(node.name).close()
            return
        now = time.monotonic()
        arm = fields.get("x-strangler-arm", "")
        self.acknowledged.append(Acknowledged(node.name, path, arm, status, now, now - begun))


def _close(lines: dict[str, Line]) -> None:
    for line in lines.values():
        line.close()
