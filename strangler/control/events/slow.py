"""The watch for endpoints where a candidate is much slower than legacy; the times are those of baselines."""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec
import structlog

from strangler.control.events.publisher import EventPublisher
from strangler.control.reload import InForce
from strangler.control.totals import Key
from strangler.core.documents import SlowEndpoint
from strangler.core.settings import Settings
from strangler.core.slowness import Slowness, SlownessChange, SlownessState
from strangler.store.connection import Connection
from strangler.store.events.event import Kind
from strangler.store.evidence.findings import Finding
from strangler.store.meta import read_meta, write_meta
from strangler.store.store import Store, StoreError

LOOK_EVERY_S: Final = 60.0
MAX_LISTED: Final = 20
"""The most endpoints of a route in the status, the slowest first."""

_META: Final = "slow_endpoints"

log = structlog.get_logger()


class SlowWatch:
    """Owns the times of the last hour. The store has what is slow, so that a restart does not report it again."""

    def __init__(self, store: Store, publisher: EventPublisher, settings: Settings, node: str = "") -> None:
        """`node`: the name of this node among several, each of which watches its own; else empty."""
        self._store = store
        self._key = f"{_META} {node}" if node else _META
        self._publisher = publisher
        self._settings = settings
        self._state = SlownessState()

    def adopt(self, in_force: InForce) -> None:
        """Judge the routes of these settings from now on."""
        self._settings = in_force.settings

    def observe(self, finding: Finding) -> None:
        """Observe the times of a comparison, if both arms were timed."""
        if finding.latency is not None:
            self._state.observe(finding.route, finding.endpoint, finding.at, *finding.latency)

    def forget(self, route: str) -> None:
        """Forget the times of a route when another release responds, or its evidence starts again."""
        self._state.forget(route)

    async def restore(self) -> None:
        """Restore what was slow before this process."""
        try:
            slow = await self._store.call(partial(_load, key=self._key))
        except StoreError:  # logged by the store itself
            return
        self._state.restore(slow, time.time())

    async def run(self) -> None:
        """Judge every minute, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look(time.time())

    async def look(self, now: float) -> None:
        """Judge all endpoints, and publish which have become slow or are no longer slow."""
        timed = frozenset(route.name for route in self._settings.routes if route.shadow is not None)
        changes = self._state.keep_only(timed) + self._state.judge(now)
        for change in changes:
            self._publisher.publish(
                Kind.CANDIDATE_SLOW if change.is_slow else Kind.CANDIDATE_SLOW_OVER, *_event_data(change)
            )
        if not changes:
            return
        slow = list(self._state.slow.values())
        try:
            await self._store.call(lambda connection: _save(connection, self._key, slow))
        except StoreError as error:  # logged by the store itself; stored with the next change
            log.debug("slow.not_kept", reason=str(error))

    def status(self) -> dict[str, list[SlowEndpoint]]:
        """Return the slow endpoints by route, the slowest first."""
        found: dict[str, list[SlowEndpoint]] = {}
        for slowness in sorted(self._state.slow.values(), key=lambda slowness: -slowness.ratio):
            of_route = found.setdefault(slowness.route, [])
            if len(of_route) < MAX_LISTED:
                of_route.append(_slow_endpoint(slowness))
        return found

    def gauges(self) -> dict[Key, float]:
        """Return `strangler_candidate_slow` of each route with shadows: the number of its slow endpoints."""
        counts = {route.name: 0 for route in self._settings.routes if route.shadow is not None}
        for route, _ in self._state.slow:
            counts[route] = counts.get(route, 0) + 1
        return {("strangler_candidate_slow", (route,)): float(count) for route, count in counts.items()}


def _event_data(change: SlownessChange) -> tuple[str, Mapping[str, Any]]:
    if change.found is not None:
        return change.route, msgspec.to_builtins(_slow_endpoint(change.found))
    return change.route, {
        "route": change.route,
        "endpoint": change.endpoint,
        "ratio": None,
        "legacy_ms": None,
        "candidate_ms": None,
        "pairs": 0,
    }


def _slow_endpoint(slowness: Slowness) -> SlowEndpoint:
    return SlowEndpoint(
        route=slowness.route,
        endpoint=slowness.endpoint,
        ratio=round(slowness.ratio, 2),
        legacy_ms=round(slowness.legacy_s * 1000, 3),
        candidate_ms=round(slowness.candidate_s * 1000, 3),
        pairs=slowness.pairs,
    )


def _load(connection: Connection, key: str) -> list[Slowness]:
    kept = read_meta(connection, key)
    return [] if kept is None else msgspec.json.decode(kept, type=list[Slowness])


def _save(connection: Connection, key: str, slow: list[Slowness]) -> None:
    write_meta(connection, key, msgspec.json.encode(slow).decode())
