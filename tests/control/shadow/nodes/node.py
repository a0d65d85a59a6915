"""A node without workers: the parts of shadows, with a store that others share."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strangler.control.fleet.feed import ChangeFeed
from strangler.control.fleet.feed_reader import FeedReader
from strangler.control.fleet.known_nodes import KnownNodes
from strangler.control.fleet.leadership import SoleLeadership
from strangler.control.fleet.store_clock import StoreClock
from strangler.control.shadow.assembly import ShadowParts
from strangler.control.shadow.fleet import Sender, ShadowFleet
from strangler.core.settings import Settings
from strangler.store.connection import Connection
from strangler.store.evidence.ulid import ulid
from strangler.store.server_store import ServerStore
from tests.control.shadow.rig import Rig, begun

DEADLINE_S = 30.0


def not_prepared(_: object) -> None:
    """Make no tables: the database has them."""


@dataclass(slots=True)
class Node:
    """One of several nodes."""

    rig: Rig
    store: ServerStore

    @property
    def parts(self) -> ShadowParts:
        return self.rig.parts

    async def stored(self) -> None:
        """Store all that waits, however long the store takes to come back."""
        deadline = time.monotonic() + DEADLINE_S
        while not await self.parts.runner.store():
            assert time.monotonic() < deadline, self.store.problem
            await asyncio.sleep(0.05)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return rows of the store, as they are committed."""

        def read(connection: Connection) -> list[tuple[Any, ...]]:
            return connection.execute(query).fetchall()

        return await self.store.read(read)

    async def counted(self) -> int:
        """Return how many pairs the store has."""
        ((count,),) = await self.rows("SELECT CAST(coalesce(sum(count), 0) AS bigint) FROM pairs")
        return int(count)


@asynccontextmanager
async def node(
    url: str, name: str, folder: Path, settings: Settings, *, clock: StoreClock | None = None, run: str = ""
) -> AsyncIterator[Node]:
    """Start a node; it follows the others while the block runs, and stores what it is given when it is asked to."""
    state = folder / name
    state.mkdir(exist_ok=True)
    store, feed = ServerStore(url, name, state, not_prepared), ChangeFeed()
    reader = FeedReader(url, feed, KnownNodes(name, f"folder of {name}", run or "run", lambda: 0))
    fleet = ShadowFleet(SoleLeadership(store), clock or StoreClock(), feed, Sender(name, run or ulid(time.time())))
    rig = await begun(store, settings, fleet=fleet)
    tasks = [asyncio.ensure_future(part.run()) for part in (reader, rig.parts.follower)]
    try:
        yield Node(rig, store)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await rig.parts.runner.close()
        await reader.close()
        await store.close()


async def until(holds: Callable[[], bool] | Callable[[], Awaitable[bool]], within_s: float = DEADLINE_S) -> float:
    """Wait until something holds. Return how long that took, in seconds."""
    began = time.monotonic()
    while True:
        found = holds()
        if found if isinstance(found, bool) else await found:
            return time.monotonic() - began
        assert time.monotonic() < began + within_s
        await asyncio.sleep(0.02)
