"""The following of other nodes: stops, releases and resets that they have stored reach the memory of this one."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

import structlog

from strangler.control.shadow.credits import CaptureCredits
from strangler.control.shadow.fleet import Feed
from strangler.control.shadow.held_captures import HeldCaptures
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.shadow.writer import FindingWriter
from strangler.store.connection import Connection
from strangler.store.errors import DatabaseError
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.releases_state import Followed, ReleasesState
from strangler.store.evidence.resets import load_resets
from strangler.store.evidence.stopped_routes import Stop, load_stops
from strangler.store.evidence.stored_releases import Release, load_releases
from strangler.store.store import Store
from strangler.store.topics import Topic

FOLLOW_EVERY_S: Final = 10.0
"""How often all is read that other nodes may have stored without an announcement: when they saw a release last."""
INDEX_EVERY_S: Final = 60.0
"""How often the index is loaded again, since other nodes add to what it bounds."""
INDEX_PAUSE_S: Final = 5.0
"""The shortest time between two loads of the index, which takes a while if the store is full."""

log = structlog.get_logger()


class _Stored(NamedTuple):
    stops: dict[str, Stop]
    releases: list[Release]
    resets: dict[str, float]


def _read(connection: Connection) -> _Stored:
    return _Stored(load_stops(connection), load_releases(connection), load_resets(connection))


class FleetFollower:
    """Follows the other nodes. Of a store that is not shared there is nothing to follow."""

    def __init__(
        self,
        store: Store,
        feed: Feed,
        table: ShadowRouteTable,
        releases: ReleasesState,
        index: IndexState,
        writer: FindingWriter,
        held: HeldCaptures,
        credits_: CaptureCredits,
        renewed: Callable[[str], None],
    ) -> None:
        """`renewed` is called with a route that has another current release, or whose evidence was set aside."""
        self._store = store
        self._table = table
        self._releases = releases
        self._index = index
        self._writer = writer
        self._held = held
        self._credits = credits_
        self._renewed = renewed
        self._is_due, self._is_index_due = asyncio.Event(), asyncio.Event()
        self._is_index_due.set()  # nothing is loaded yet
        for topic in (Topic.STOPS, Topic.RELEASES):
            feed.subscribe(topic, self._is_due.set)
        feed.subscribe(Topic.EVIDENCE, self._is_index_due.set)

    async def run(self) -> None:
        """Follow until cancelled."""
        if not self._store.is_shared:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_following())
            group.create_task(self._keep_indexing())

    async def _keep_following(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(FOLLOW_EVERY_S):
                    await self._is_due.wait()
            self._is_due.clear()
            if self._writer.is_restored and not await self.follow():
                await asyncio.sleep(1.0)
                self._is_due.set()

    async def _keep_indexing(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(INDEX_EVERY_S):
                    await self._is_index_due.wait()
            self._is_index_due.clear()
            began = time.monotonic()
            if not await self.load_index():
                self._is_index_due.set()
            await asyncio.sleep(max(INDEX_PAUSE_S, time.monotonic() - began))

    async def follow(self) -> bool:
        """Take over what other nodes have stored about stops, releases and resets. Return False if that cannot be read;
        nothing has changed then."""
        try:
            return await self._writer.following(self._take_over)
        except DatabaseError as error:
            log.debug("shadow.not_followed", reason=str(error))
            return False

    async def _take_over(self) -> None:
        stored = await self._store.read(_read)
        for followed in self._releases.follow(stored.releases, stored.resets):
            if followed.begun is not None:
                self._follow_reset(followed, followed.begun)
            self._renewed(followed.route)
        concerned = self._table.follow_stops(stored.stops)
        if concerned:
            self._credits.grant(*concerned)

    def _follow_reset(self, followed: Followed, begun: float) -> None:
        """Drop what was asked for before a reset that another node has made."""
        self._held.abandon("reset", lambda route: route.name == followed.route)
        self._writer.drop_before(followed.route, begun)
        if followed.route in self._table.routes:
            self._table.routes[followed.route].begin_anew()

    async def load_index(self) -> bool:
        """Load the index again, beside the writing. Return False if the store cannot be read."""
        loaded = IndexState()
        try:
            await self._store.read(loaded.load)
        except DatabaseError as error:
            log.debug("shadow.not_indexed", reason=str(error))
            return False
        await self._writer.between_batches(lambda: self._index.become(loaded))
        return True
