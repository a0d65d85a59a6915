"""Apps that read at several nodes in turn, as behind a load balancer, and count each response."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from strangler.demo.fleet_routes import NodePlace
from strangler.demo.tally import SeenRequest, Summary, summarise

CLIENTS: Final = 30
_PAUSE_S: Final = 0.4
_USERS: Final = 200
_ORDERS: Final = 240
_OTHERS: Final = ("/catalogue", "/products/MUG-01", "/api/users/{}")
_TIMEOUT: Final = ClientTimeout(total=15)


@dataclass(slots=True)
class FleetTallyState:
    """Responses since the last `take`, and in all. `errors`: no response, or a status of 400 and above."""

    requests: int = 0
    errors: int = 0
    by_node: Counter[str] = field(default_factory=Counter)
    shadowed: int = 0
    """Responses that legacy gave on the route with shadows."""
    _seen: list[SeenRequest] = field(default_factory=list)

    def record(self, node: str, seen: SeenRequest) -> None:
        self.requests += 1
        self.errors += seen.failed
        self.by_node[node] += 1
        self.shadowed += seen.on_route and seen.arm == "legacy"
        self._seen.append(seen)

    def take(self) -> Summary:
        """Return what was seen since the last call."""
        seen, self._seen = self._seen, []
        return summarise(seen)


async def send(nodes: Sequence[NodePlace], tally: FleetTallyState, closing: asyncio.Event) -> None:
    """Send requests until `closing` is set and every client has its last response."""
    async with ClientSession(timeout=_TIMEOUT) as session, asyncio.TaskGroup() as group:
        for client in range(CLIENTS):
            group.create_task(_read_often(session, nodes, client, tally, closing))


async def _read_often(
    session: ClientSession, nodes: Sequence[NodePlace], client: int, tally: FleetTallyState, closing: asyncio.Event
) -> None:
    turn = client
    while not closing.is_set():
        user = random.randint(1, _USERS)  # noqa: S311 (believable, not secret)
        path = random.choice((*(f"/api/orders/{random.randint(1, _ORDERS)}",) * 4, *_OTHERS)).format(user)  # noqa: S311
        node = nodes[turn % len(nodes)]
        tally.record(node.name, await _read(session, node, path, user))
        turn += 1
        await asyncio.sleep(random.expovariate(1 / _PAUSE_S))


async def _read(session: ClientSession, node: NodePlace, path: str, user: int) -> SeenRequest:
    begun, arm, failed = monotonic(), None, True
    try:
        async with session.get(node.proxy_url + path, headers={"X-User-Id": str(user)}) as response:
            await response.read()
            arm, failed = response.headers.get("X-Strangler-Arm"), response.status >= 400
    except (ClientError, TimeoutError):
        pass
    return SeenRequest(path.startswith("/api/orders"), arm, failed, monotonic() - begun)
