"""The assembly of the parts of shadows: each takes parts made before it."""

from collections.abc import Callable
from dataclasses import dataclass

from strangler.control.links import WorkerLinks
from strangler.control.own_metrics import OwnMetrics
from strangler.control.shadow.carrier import EndpointCarrier
from strangler.control.shadow.counters import ShadowCounters
from strangler.control.shadow.credits import CaptureCredits
from strangler.control.shadow.evidence_actions import EvidenceActions
from strangler.control.shadow.fleet import ShadowFleet
from strangler.control.shadow.fleet_follower import FleetFollower
from strangler.control.shadow.held_captures import HeldCaptures
from strangler.control.shadow.listener import EvidenceListener
from strangler.control.shadow.naming import EndpointNaming, TreeSource, no_tree
from strangler.control.shadow.pruning import EvidencePruner
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.shadow.runner import ShadowRunner, ShadowSpans
from strangler.control.shadow.stop_switch import StopSwitch
from strangler.control.shadow.stopping import ShadowStops
from strangler.control.shadow.writer import FindingWriter
from strangler.core.settings import Settings
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.releases_state import Changed, ReleasesState
from strangler.store.store import Store


@dataclass(frozen=True, slots=True)
class ShadowListeners:
    """The receivers of what shadows do."""

    evidence: EvidenceListener
    release_changed: Changed
    spans: ShadowSpans
    evidence_renewed: Callable[[str], None] = lambda _: None
    """Called with a route that has another current release, or whose evidence was set aside, on another node."""


@dataclass(frozen=True, slots=True)
class ShadowParts:
    """The parts that others in control use."""

    table: ShadowRouteTable
    releases: ReleasesState
    writer: FindingWriter
    switch: StopSwitch
    runner: ShadowRunner
    evidence: EvidenceActions
    carrier: EndpointCarrier
    follower: FleetFollower
    pruner: EvidencePruner


def assemble_shadow(
    run: str,
    settings: Settings,
    store: Store,
    links: WorkerLinks,
    own: OwnMetrics,
    listeners: ShadowListeners,
    tree: TreeSource = no_tree,
    check_keys: Callable[[], object] = lambda: None,
    fleet: ShadowFleet | None = None,
) -> ShadowParts:
    """Make all parts of shadows. Nothing runs yet, and nothing is read or written. `tree`: that of the ledger.

    `check_keys` raises OSError while the key in the state folder is not to be used. `fleet`: the nodes that share the
    store, if it is shared.
    """
    is_shared, fleet = fleet is not None, fleet or ShadowFleet.alone(store)
    counters, stops, index = ShadowCounters(own), ShadowStops(None if is_shared else run), IndexState()
    if is_shared:  # a change is one once it is stored, since other nodes may know better
        releases = ReleasesState(ahead_s=lambda: fleet.clock.ahead_s)
    else:
        releases = ReleasesState(listeners.release_changed)
    table = ShadowRouteTable(settings, links.state.shared.is_url_healthy, stops)
    naming = EndpointNaming(table, tree)
    writer = FindingWriter(
        store,
        table,
        stops,
        releases,
        index,
        counters,
        listeners.evidence,
        naming,
        fleet,
        listeners.release_changed,
    )
    carrier = EndpointCarrier(naming, writer, fleet.leadership)
    held = HeldCaptures(counters)
    credits_ = CaptureCredits(links, table, writer, held, listeners.evidence)
    switch = StopSwitch(table, stops, writer, credits_)
    runner = ShadowRunner(
        folder=store.folder,
        table=table,
        releases=releases,
        index=index,
        held=held,
        writer=writer,
        credits_=credits_,
        counters=counters,
        halt=switch.halt,
        spans=listeners.spans,
        carrier=carrier,
        tree=tree,
        check_keys=check_keys,
    )
    evidence = EvidenceActions(runner, writer, releases, table, held, fleet.clock.now)
    follower = FleetFollower(
        store, fleet.feed, table, releases, index, writer, held, credits_, listeners.evidence_renewed
    )
    pruner = EvidencePruner(fleet, stops, table, is_shared=is_shared)
    return ShadowParts(table, releases, writer, switch, runner, evidence, carrier, follower, pruner)
