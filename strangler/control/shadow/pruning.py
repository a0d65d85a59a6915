"""The pruning of evidence that several nodes share: their leader does it. A node alone prunes with its batches."""

import asyncio
from typing import Final

import structlog

from strangler.control.shadow.fleet import ShadowFleet
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.shadow.stopping import ShadowStops
from strangler.store.connection import Connection
from strangler.store.evidence.retention import pruning
from strangler.store.evidence.stopped_routes import load_stops, settle_changes
from strangler.store.store import StoreError
from strangler.store.topics import Topic, announce

PRUNE_EVERY_S: Final = 600.0

log = structlog.get_logger()


class EvidencePruner:
    """Prunes every few minutes while this node leads."""

    def __init__(self, fleet: ShadowFleet, stops: ShadowStops, table: ShadowRouteTable, *, is_shared: bool) -> None:
        self._fleet = fleet
        self._stops = stops
        self._table = table
        self._is_shared = is_shared

    async def run(self) -> None:
        """Prune now and then, until cancelled."""
        while self._is_shared:
            await asyncio.sleep(PRUNE_EVERY_S)
            if self._fleet.leadership.holds:
                await self.prune()

    async def prune(self) -> None:
        """Delete what is too old or too much, step by step: other nodes write in between. A step that fails is made the
        next time."""
        now = self._fleet.clock.now()
        steps = (*pruning(now), self._end_stops)
        for step in steps:
            try:
                await self._fleet.leadership.call(step)
            except StoreError as error:
                log.warning("evidence.not_pruned", reason=str(error))
                return

    def _end_stops(self, connection: Connection) -> None:
        """End the stops of settings that are not in force any more."""
        if settle_changes(connection, self._stops.others(load_stops(connection), self._table.routes)):
            announce(connection, Topic.STOPS)
