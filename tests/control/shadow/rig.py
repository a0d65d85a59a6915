"""The parts of shadows without workers, and a listener that keeps what it is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from strangler.control.events.comparisons import ComparisonTopic
from strangler.control.events.publisher import EventPublisher
from strangler.control.events.shadow_events import EvidenceEvents
from strangler.control.events.sinks import EventSinks
from strangler.control.events.slow import SlowWatch
from strangler.control.links import LinksState, WorkerLinks
from strangler.control.own_metrics import OwnMetrics
from strangler.control.shadow.assembly import ShadowListeners, ShadowParts, assemble_shadow
from strangler.control.shadow.fleet import ShadowFleet
from strangler.control.shadow.naming import TreeSource, no_tree
from strangler.control.totals import TotalsState
from strangler.control.tracing import TracingState
from strangler.core.settings import Settings
from strangler.state.kill_switch import OFF
from strangler.store.connection import Connection
from strangler.store.events.event import Event
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.stopped_routes import StopChange
from strangler.store.store import Store


@dataclass(slots=True)
class RecordingListener:
    """Keeps what shadows publish; signatures and stops become events in the store."""

    events: EvidenceEvents
    stored: list[tuple[str, str]] = field(default_factory=list)
    halts: list[str] = field(default_factory=list)
    """Reasons; `resumed` for the end of a halt."""
    releases: list[tuple[str, str]] = field(default_factory=list)

    def insert_signatures(self, connection: Connection, now: float) -> list[Event]:
        return self.events.insert_signatures(connection, now)

    def insert_stops(self, connection: Connection, changes: Sequence[StopChange], now: float) -> list[Event]:
        return self.events.insert_stops(connection, changes, now)

    def on_stored(self, events: Sequence[Event]) -> None:
        self.stored += [(event.kind.value, event.subject) for event in events]

    def publish_comparison(self, finding: Finding) -> None: ...

    def publish_halt(self, reason: str) -> None:
        self.halts.append(reason)

    def publish_resumption(self) -> None:
        self.halts.append("resumed")

    def release_changed(self, route: str, former: str, current: str, at: float) -> None:
        self.releases.append((former, current))


@dataclass(frozen=True, slots=True)
class Rig:
    """All parts of shadows, and what they are made of."""

    parts: ShadowParts
    listener: RecordingListener
    links: WorkerLinks
    own: OwnMetrics

    def count(self, name: str, *labels: str) -> float:
        """Return the counts so far."""
        self.own.report()
        return self.links.state.totals.counter(name, *labels)


def rig_of(
    store: Store, settings: Settings, run: str = "run", tree: TreeSource = no_tree, fleet: ShadowFleet | None = None
) -> Rig:
    """The parts as they are before anything was read from the store."""
    totals = TotalsState()
    own = OwnMetrics(totals, "own")
    links = WorkerLinks(LinksState(totals, 1, b"", OFF))
    publisher = EventPublisher(store, EventSinks(store, {}, own), own, run, "//host/strangler")
    slow = SlowWatch(store, publisher, settings)
    listener = RecordingListener(EvidenceEvents(publisher, ComparisonTopic("//host/strangler", own), slow))
    listeners = ShadowListeners(listener, listener.release_changed, TracingState(settings))
    return Rig(assemble_shadow(run, settings, store, links, own, listeners, tree, fleet=fleet), listener, links, own)


async def begun(
    store: Store, settings: Settings, run: str = "run", tree: TreeSource = no_tree, fleet: ShadowFleet | None = None
) -> Rig:
    """The parts, as they are once all was read."""
    rig = rig_of(store, settings, run, tree, fleet)
    await rig.parts.runner.restore()
    return rig
