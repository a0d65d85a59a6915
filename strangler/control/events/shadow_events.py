"""Events about shadows: new and returning differences, every comparison, and a route that is ready."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
import structlog

from strangler.control.events.comparisons import ComparisonTopic
from strangler.control.events.publisher import EventPublisher
from strangler.control.events.slow import SlowWatch
from strangler.control.fleet.leadership import Leadership, SoleLeadership
from strangler.control.reload import InForce
from strangler.core.documents import VerdictDocument
from strangler.core.gate import Verdict
from strangler.core.settings import Settings
from strangler.core.source import LIVE
from strangler.store.connection import Connection
from strangler.store.events.event import Event, Kind, event
from strangler.store.evidence import queries
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.reading import NoEvidenceError, ask
from strangler.store.evidence.states import surfaced_signatures
from strangler.store.evidence.stopped_routes import StopChange
from strangler.store.meta import read_meta, write_meta
from strangler.store.store import Store, StoreError
from strangler.times import utc_day

READY_EVERY_S: Final = 60.0
_META: Final = "ready_routes"
_STORE: Final = "store"

log = structlog.get_logger()


class EvidenceEvents:
    """Publishes the results of comparisons: the `EvidenceListener` of control."""

    def __init__(
        self,
        publisher: EventPublisher,
        comparisons: ComparisonTopic,
        slow: SlowWatch,
        rollouts: Callable[[Finding], None] = lambda _: None,
    ) -> None:
        """`rollouts` gets each comparison, for its times."""
        self._publisher = publisher
        self._comparisons = comparisons
        self._slow = slow
        self._rollouts = rollouts

    def insert_signatures(self, connection: Connection, now: float) -> list[Event]:
        """Store an event for each signature that is new or came back among the findings stored at `now`, in the same
        transaction as these."""
        events = [_signature_event(*row) for row in surfaced_signatures(connection, now)]
        self._publisher.insert(connection, events)
        return events

    def insert_stops(self, connection: Connection, changes: Sequence[StopChange], now: float) -> list[Event]:
        """Store an event for each route whose shadowing has stopped by itself, or started again after that, in the same
        transaction as that change."""
        events = [_stop_event(change, now) for change in changes if change.stop is not None or change.has_started]
        self._publisher.insert(connection, events)
        return events

    def on_stored(self, events: Sequence[Event]) -> None:
        """Publish events whose transaction is committed."""
        self._publisher.on_stored(events)

    def publish_comparison(self, finding: Finding) -> None:
        """Send a comparison, which is redacted, to its topic, and observe its times unless it was replayed."""
        if finding.source == LIVE:
            self._slow.observe(finding)
            self._rollouts(finding)
        if self._comparisons.is_served:
            self._comparisons.send(finding.route, finding.at, comparison_of(finding))

    def publish_halt(self, reason: str) -> None:
        """Publish that findings cannot be stored, so that nothing is compared. The log has it at once; it is sent when
        the store can be written again."""
        self._publisher.publish(Kind.SHADOW_HALTED, _STORE, {"reason": reason})

    def publish_resumption(self) -> None:
        """Publish that findings can be stored again."""
        self._publisher.publish(Kind.SHADOW_RESUMED, _STORE, {})

    def publish_release_change(self, route: str, former: str, current: str, at: float) -> None:
        """Publish that another release of a route's candidate is the current one."""
        log.info("shadow.release", route=route, former=former, current=current)
        self._slow.forget(route)
        data = {"route": route, "from": former or None, "to": current or None, "at": at}
        self._publisher.publish(Kind.RELEASE_CHANGED, route, data)


def _stop_event(change: StopChange, now: float) -> Event:
    if change.stop is None:
        return event(Kind.SHADOW_STARTED, change.route, {"route": change.route, "reason": change.reason}, now)
    return event(Kind.SHADOW_STOPPED, change.route, {"route": change.route, "reason": change.stop.why}, now)


def _signature_event(
    name: str, route: str, endpoint: str, place: str, path: str | None, kind: str, severity: str, state: str
) -> Event:
    data = {
        "signature": name,
        "route": route,
        "endpoint": endpoint,
        "in": place,
        "path": path,
        "kind": kind,
        "severity": severity,
    }
    return event(Kind.SIGNATURE_NEW if state == "new" else Kind.SIGNATURE_REGRESSED, route, data)


def comparison_of(finding: Finding) -> Mapping[str, Any]:
    """Return the record for the topic of comparisons: `id` is that of shadow-diffs.jsonl."""
    return {
        "id": finding.id,
        "route": finding.route,
        "source": finding.source,
        "endpoint": finding.endpoint,
        "outcome": finding.outcome,
        "reason": finding.reason or None,
        "latency_ms": None
        if finding.latency is None
        else {"legacy": finding.latency[0] * 1000, "candidate": finding.latency[1] * 1000},
        "differences": [
            {
                "signature": seen.id,
                "in": seen.place,
                "path": seen.path,
                "kind": seen.kind,
                "severity": seen.severity,
                "legacy": msgspec.Raw(seen.legacy.encode()),
                "candidate": msgspec.Raw(seen.candidate.encode()),
            }
            for seen in finding.differences
        ],
    }


class ReadyWatch:
    """Publishes once when a route with shadows has become ready, and again if it was not ready in between.

    Of several nodes, the one that leads does.
    """

    def __init__(
        self,
        store: Store,
        publisher: EventPublisher,
        settings: Settings,
        every_s: float,
        leadership: Leadership | None = None,
    ) -> None:
        """`leadership`: None if no other node has the store."""
        self._store = store
        self._leadership: Leadership = leadership or SoleLeadership(store)
        self._publisher = publisher
        self._settings = settings
        self._every_s = every_s

    def adopt(self, in_force: InForce) -> None:
        """Judge by these settings from now on."""
        self._settings = in_force.settings

    async def run(self) -> None:
        """Judge the routes again and again until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            if not self._leadership.holds:
                continue
            try:
                await self.look()
            except (StoreError, NoEvidenceError) as error:  # logged by the store itself; tried again
                log.debug("route.ready.unknown", reason=str(error))

    async def look(self) -> None:
        """Judge all routes that have shadows. The figures are read and judged in a thread."""
        settings = self._settings
        names = [route.name for route in settings.routes if route.shadow is not None]
        verdicts = [await self._verdict(settings, name) for name in names]
        ready = {found.route: found for found in verdicts if found and found.verdict == Verdict.READY}
        events = await self._leadership.call(partial(self._keep, ready=ready))
        self._publisher.on_stored(events)

    async def _verdict(self, settings: Settings, name: str) -> VerdictDocument | None:
        return await ask(self._store, lambda connection: queries.ready(connection, settings, name, utc_day()))

    def _keep(self, connection: Connection, ready: Mapping[str, VerdictDocument]) -> list[Event]:
        kept = read_meta(connection, _META)
        before = set() if kept is None else set(msgspec.json.decode(kept, type=list[str]))
        now = time.time()
        events = [_ready_event(ready[name], now) for name in sorted(ready.keys() - before)]
        if ready.keys() != before:
            write_meta(connection, _META, msgspec.json.encode(sorted(ready)).decode())
        self._publisher.insert(connection, events)
        return events


def _ready_event(found: VerdictDocument, now: float) -> Event:
    keys = ("route", "release", "pairs", "match_share", "match_low", "breaking_open")
    return event(Kind.ROUTE_READY, found.route, {key: getattr(found, key) for key in keys}, now)
