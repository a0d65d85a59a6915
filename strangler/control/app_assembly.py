"""The parts of control, built in one direction: each takes parts built before it, and none writes into another."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from strangler.control.app import AnyRolloutKeeper, ControlApp, Launch
from strangler.control.envoy_refusal import envoy_refusal, never_refused
from strangler.control.events.event_assembly import EventParts, assemble_events
from strangler.control.events.shadow_events import EvidenceEvents
from strangler.control.first_loads_keeper import FirstLoadsKeeper
from strangler.control.fleet.fleet_parts import FleetParts, OwnNode, assemble_fleet
from strangler.control.fleet.ledger_assembly import assemble_ledger
from strangler.control.fleet.shared_keys import SharedKeys
from strangler.control.fleet.shared_switch import share_kill_switch
from strangler.control.fleet.store_watch import StoreWatch
from strangler.control.health import HealthChecks
from strangler.control.history import HistoryState
from strangler.control.ledger_keeper import LedgerKeeper
from strangler.control.link_server import LinkListeners, LinkServer
from strangler.control.links import LinksState, WorkerLinks
from strangler.control.metrics_source import MetricsFilter, MetricsSource
from strangler.control.operator_actions import Operator
from strangler.control.own_metrics import OwnMetrics
from strangler.control.processes import ProcessesState
from strangler.control.readiness import LegacyProbe, Readiness
from strangler.control.receiver.receiving import Receiving
from strangler.control.receiver.server import ReceiverServer
from strangler.control.recording.recording_keeper import RecordingKeeper
from strangler.control.reload import Follower, ReloadState
from strangler.control.rollout.approval_links import ApprovalLinks
from strangler.control.rollout.climbs import ClimbsState
from strangler.control.rollout.fleet_hold import why_held
from strangler.control.rollout.fleet_keeper import FleetRolloutKeeper
from strangler.control.rollout.keeper import RolloutKeeper
from strangler.control.shadow.assembly import ShadowListeners, ShadowParts, assemble_shadow
from strangler.control.shadow.figures import FiguresState
from strangler.control.shadow.fleet import shared_fleet
from strangler.control.switch_keeper import KillSwitchKeeper
from strangler.control.totals import TotalsState
from strangler.control.totals_saver import TotalsSaver
from strangler.control.tracing import TracingState
from strangler.core.routing.snapshot import Snapshot
from strangler.state import kill_switch
from strangler.store.evidence.access import file_location
from strangler.store.location import StoreLocation
from strangler.store.schema.opening import file_store, node_of, open_store
from strangler.store.store import Store
from strangler.store.topics import Topic


def build_app(launch: Launch, *, before: Sequence[Follower] = (), after: Sequence[Follower] = ()) -> ControlApp:
    """Build all parts. Nothing runs yet, and only the kill switch is read.

    Followers in `before` adopt new settings before the parts in here, followers in `after` after them.
    """
    settings, base = launch.in_force.settings, _build_base(launch)
    keys = SharedKeys(base.store, launch.folder, launch.environ) if base.store.is_shared else None
    check_keys: Callable[[], object] = (lambda: None) if keys is None else keys.check
    store, links, workers, own = base.store, base.links, base.workers, base.own
    approvals, first_loads = ApprovalLinks(launch.folder, settings.admin, check_keys), FirstLoadsKeeper(launch.folder)
    events = _build_events(launch, base, approvals, check_keys)
    climbs = ClimbsState(settings, links.kill_switch, launch.in_force.generation)
    followers: list[Follower] = []  # filled below: parts that follow the settings may also put percents in force
    reload = _build_reload(launch, base, followers, events, first_loads, climbs)
    probe, processes = LegacyProbe(), ProcessesState()
    rollouts = _build_rollouts(launch, base, events, climbs, reload, processes)
    ledger = assemble_ledger(launch.run, node_of(launch.first), store, base.fleet, workers, settings)
    shadow = _build_shadow(launch, base, events, ledger, rollouts, check_keys)
    if keys is not None:
        keys.follow([shadow.runner.take_key, events.sinks.take_key, approvals.take_key])
    keeper = KillSwitchKeeper(launch.folder, links, [workers, shadow.runner, rollouts])
    switch = share_kill_switch(store, keeper, events.publisher.insert, base.fleet, node_of(launch.first))
    base.fleet.feed.subscribe(Topic.EVENTS, events.sinks.hint)
    recordings = RecordingKeeper(workers, links.totals, own, settings, lambda: shadow.table.key)
    receiver = _build_receiver(launch, base, shadow)
    figures, only = FiguresState(store, settings), MetricsFilter(settings)
    checks = HealthChecks(links.shared, workers.broadcast)
    # Files first: a control that is killed in between leaves no worker with what no file has.
    followers += [*before, first_loads, rollouts, ledger, workers, checks, shadow.runner, *events.followers]
    followers += [
        recordings,
        figures,
        base.tracing,
        only,
        approvals,
        *(() if receiver is None else (receiver,)),
        *after,
    ]
    return ControlApp(
        launch=launch,
        store=store,
        local=base.local,
        fleet=base.fleet,
        links=links,
        server=_build_server(base, events, shadow, ledger, rollouts, recordings),
        workers=workers,
        processes=processes,
        history=base.history,
        own=own,
        saver=TotalsSaver(links.totals, base.local, launch.run),
        tracing=base.tracing,
        events=events,
        approvals=approvals,
        shadow=shadow,
        figures=figures,
        checks=checks,
        first_loads=first_loads,
        ledger=ledger,
        rollouts=rollouts,
        recordings=recordings,
        reload=reload,
        operator=Operator(base.store, keeper, shadow.table, shadow.switch, events.publisher.publish_event, switch),
        switch=switch,
        keys=keys,
        probe=probe,
        ready=Readiness(probe, links, processes, reload),
        metrics=MetricsSource(
            reload,
            links,
            own,
            store,
            probe,
            only,
            shadow.table,
            events.slow,
            events.certificates,
            ledger,
            rollouts,
            base.fleet,
        ),
        receiver=receiver,
        store_watch=StoreWatch(base.fleet.nodes.node, base.fleet.problem, events.publisher),
    )


@dataclass(frozen=True, slots=True)
class _Base:
    """The parts that need no other part."""

    store: Store
    local: Store
    fleet: FleetParts
    links: LinksState
    workers: WorkerLinks
    own: OwnMetrics
    tracing: TracingState
    history: HistoryState


def _build_base(launch: Launch) -> _Base:
    totals, in_force = TotalsState(), launch.in_force
    links = LinksState(totals, in_force.generation, in_force.encoded, kill_switch.read(launch.folder))
    local, shared, history = file_store(file_location(launch.folder)), launch.first.store, HistoryState()
    node = OwnNode(node_of(launch.first), launch.folder, launch.run, lambda: history.last_minute(time.monotonic()))
    store = local if shared is None else open_store(_shared(launch, shared), node.name)
    return _Base(
        store=store,
        local=local,
        fleet=assemble_fleet(shared, node, store),
        links=links,
        workers=WorkerLinks(links),
        own=OwnMetrics(totals, f"{launch.run}-control-{time.time_ns()}"),
        tracing=TracingState(in_force.settings),
        history=history,
    )


def _shared(launch: Launch, url: str) -> StoreLocation:
    return replace(file_location(launch.folder), url=url)


def _build_events(
    launch: Launch, base: _Base, approvals: ApprovalLinks, check_keys: Callable[[], object]
) -> EventParts:
    node = node_of(launch.first) if base.store.is_shared else ""
    return assemble_events(
        launch.run,
        launch.in_force.settings,
        base.store,
        launch.environ,
        base.own,
        base.links,
        approvals.decorated,
        base.fleet.leadership,
        node,
        check_keys,
    )


def _build_shadow(
    launch: Launch,
    base: _Base,
    events: EventParts,
    ledger: LedgerKeeper,
    rollouts: AnyRolloutKeeper,
    check_keys: Callable[[], object],
) -> ShadowParts:
    evidence = EvidenceEvents(events.publisher, events.comparisons, events.slow, rollouts.observe)
    listeners = ShadowListeners(evidence, evidence.publish_release_change, base.tracing, events.slow.forget)
    settings, node = launch.in_force.settings, node_of(launch.first)
    fleet = shared_fleet(base.fleet, node) if base.store.is_shared else None
    return assemble_shadow(
        launch.run,
        settings,
        base.store,
        base.workers,
        base.own,
        listeners,
        tree=lambda: ledger.tree,
        check_keys=check_keys,
        fleet=fleet,
    )


def _build_receiver(launch: Launch, base: _Base, shadow: ShadowParts) -> ReceiverServer | None:
    if not launch.receives_at and not launch.has_mirrors:
        return None
    settings, links = launch.in_force.settings, base.links
    snapshot = Snapshot(settings, launch.in_force.generation)
    receiving = Receiving(snapshot, shadow.runner, lambda: links.kill_switch, base.own)
    return ReceiverServer(settings, receiving, base.own)


def _build_reload(
    launch: Launch,
    base: _Base,
    followers: Sequence[Follower],
    events: EventParts,
    first_loads: FirstLoadsKeeper,
    climbs: ClimbsState,
) -> ReloadState:
    return ReloadState(
        launch.config,
        launch.environ,
        launch.first,
        launch.in_force,
        followers,
        rejected=events.changes.rejected,
        first_loads=lambda: first_loads.known,
        effective=climbs.effective,
        loaded=base.fleet.nodes.load,
        refusal=partial(envoy_refusal, launch.envoy_binary) if launch.envoy_binary else never_refused,
    )


def _build_rollouts(
    launch: Launch,
    base: _Base,
    events: EventParts,
    climbs: ClimbsState,
    reload: ReloadState,
    processes: ProcessesState,
) -> AnyRolloutKeeper:
    if not base.store.is_shared:
        return RolloutKeeper(
            base.store,
            events.publisher,
            base.own,
            climbs,
            put_in_force=reload.put_percents,
            has_successor=lambda: processes.has_successor,
        )
    leadership, now, feed = base.fleet.leadership, base.fleet.clock.now, base.fleet.feed
    keeper = FleetRolloutKeeper(
        base.store,
        leadership,
        events.publisher,
        base.own,
        climbs,
        put_in_force=reload.put_percents,
        node=node_of(launch.first),
        run=f"{launch.run}-{time.time_ns()}",
        now=now,
        hold=lambda connection: why_held(connection, now()),
        has_successor=lambda: processes.has_successor,
    )
    feed.subscribe(Topic.ROLLOUTS, keeper.hint)
    feed.subscribe(Topic.REQUESTS, keeper.hint_leader)
    return keeper


def _build_server(
    base: _Base,
    events: EventParts,
    shadow: ShadowParts,
    ledger: LedgerKeeper,
    rollouts: AnyRolloutKeeper,
    recordings: RecordingKeeper,
) -> LinkServer:
    listeners = LinkListeners(shadow.runner, events.changes, base.tracing, ledger, rollouts, recordings)
    return LinkServer(base.workers, base.own, listeners)
