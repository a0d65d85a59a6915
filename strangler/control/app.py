"""All parts of control, built in one direction: each takes parts built before it, and none writes into another."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog

from strangler.control import status
from strangler.control.events.event_assembly import EventParts, assemble_events
from strangler.control.events.shadow_events import EvidenceEvents
from strangler.control.events.slow import SlowWatch
from strangler.control.exposition import ExposedMetrics
from strangler.control.first_loads_keeper import FirstLoadsKeeper
from strangler.control.fleet.fleet_parts import FleetParts, OwnNode, Running, assemble_fleet
from strangler.control.fleet.ledger_assembly import assemble_ledger
from strangler.control.fleet.shared_keys import SharedKeys
from strangler.control.fleet.shared_switch import SharedKillSwitch, share_kill_switch
from strangler.control.fleet.store_watch import StoreWatch
from strangler.control.health import HealthChecks
from strangler.control.history import HistorySampler, HistoryState
from strangler.control.ledger_keeper import LedgerKeeper
from strangler.control.link_server import LinkListeners, LinkServer
from strangler.control.links import LinksState, WorkerLinks
from strangler.control.metrics_source import MetricsFilter, MetricsSource
from strangler.control.operator_actions import Operator, log_turn
from strangler.control.own_metrics import OwnMetrics
from strangler.control.processes import ProcessesState
from strangler.control.readiness import LegacyProbe, Readiness
from strangler.control.receiver.receiver_status import receiver_status
from strangler.control.receiver.receiving import Receiving
from strangler.control.receiver.server import ReceiverServer
from strangler.control.recording.recording_keeper import RecordingKeeper
from strangler.control.reload import Follower, InForce, ReloadState
from strangler.control.rollout.approval_links import ApprovalLinks
from strangler.control.rollout.climbs import ClimbsState
from strangler.control.rollout.fleet_hold import why_held
from strangler.control.rollout.fleet_keeper import FleetRolloutKeeper
from strangler.control.rollout.keeper import RolloutKeeper
from strangler.control.shadow.assembly import ShadowListeners, ShadowParts, assemble_shadow
from strangler.control.shadow.evidence_actions import EvidenceActions
from strangler.control.shadow.figures import FiguresState
from strangler.control.shadow.fleet import shared_fleet
from strangler.control.shadow.route_status import route_status
from strangler.control.switch_keeper import KillSwitchKeeper
from strangler.control.totals import TotalsState
from strangler.control.totals_saver import TotalsSaver
from strangler.control.tracing import TracingState
from strangler.core.documents import GatesStatus, ReadyDocument, StatusDocument, StoredEvent
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import Settings
from strangler.state import kill_switch
from strangler.state.kill_switch import KillSwitchState
from strangler.store.events import outbox
from strangler.store.evidence.access import file_location
from strangler.store.location import StoreLocation
from strangler.store.schema.opening import file_store, node_of, open_store
from strangler.store.store import Store
from strangler.store.topics import Topic

AnyRolloutKeeper = RolloutKeeper | FleetRolloutKeeper

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Launch:
    """The paths and settings that control starts with. `first`: the settings that the supervisor started with."""

    folder: Path
    run: str
    listen: str
    config: Path
    environ: Mapping[str, str]
    first: Settings
    in_force: InForce
    receives_at: str = ""
    """Where the receiver listens; empty: there is none."""


@dataclass(slots=True)
class ControlApp:
    """All of control except its sockets."""

    launch: Launch
    store: Store
    local: Store
    """The store in this node's state folder, for what is its own; the same as `store` where that is not shared."""
    fleet: FleetParts
    links: LinksState
    server: LinkServer
    workers: WorkerLinks
    processes: ProcessesState
    history: HistoryState
    own: OwnMetrics
    saver: TotalsSaver
    tracing: TracingState
    events: EventParts
    approvals: ApprovalLinks
    shadow: ShadowParts
    figures: FiguresState
    checks: HealthChecks
    first_loads: FirstLoadsKeeper
    ledger: LedgerKeeper
    rollouts: AnyRolloutKeeper
    recordings: RecordingKeeper
    reload: ReloadState
    operator: Operator
    switch: SharedKillSwitch | None
    """The kill switch of all nodes; None without others."""
    keys: SharedKeys | None
    """The keys of all nodes; None without others."""
    probe: LegacyProbe
    ready: Readiness
    metrics: MetricsSource
    receiver: ReceiverServer | None
    store_watch: StoreWatch
    _snapshot: Snapshot | None = None

    # 1. From start to end

    async def restore(self) -> None:
        """Restore the state that an earlier control left in the state folder."""
        in_force = self.launch.in_force
        if self.switch is not None:
            await self.switch.restore()
        if self.keys is not None:
            await self.keys.restore()
        await self.saver.restore()
        await self.ledger.restore()
        await self.shadow.runner.restore()
        await self.events.restore(in_force)
        await self.rollouts.restore()
        self.first_loads.adopt(in_force)
        self.links.shared.adopt(in_force.settings.upstreams, in_force.generation)
        switch = self.links.kill_switch
        if switch.on:
            log_turn(True, switch.reason, None, switch.since)
        for name, killed in switch.routes.items():
            log_turn(True, killed.reason, name, killed.since)

    @property
    def running(self) -> Sequence[Running]:
        """The parts that run as long as this process."""
        return (
            self.reload,
            *self.fleet.running,
            *(part for part in (self.switch, self.keys) if part is not None),
            self.saver,
            self.ledger,
            self.rollouts,
            HistorySampler(self.history, self.links.totals),
            self.own,
            self.shadow.runner,
            self.shadow.follower,
            self.shadow.pruner,
            self.figures,
            self.events.publisher,
            self.events.ready,
            self.events.gates,
            self.events.slow,
            self.events.certificates,
            self.events.retire,
            *(() if self.receiver is None else (self.receiver,)),
            *((self.store_watch,) if self.store.is_shared else ()),
        )

    async def close(self) -> None:
        """Drop work in progress, store what is left, and close every part, even if one fails."""
        steps: tuple[Callable[[], Awaitable[None]], ...] = (
            self.shadow.runner.close,
            self.events.close,
            partial(asyncio.to_thread, self.tracing.close),
            self.checks.close,
            self.probe.close,
            self._save,
            self.rollouts.close,
            self.ledger.close,
            *self.fleet.closing,
            self.store.close,
            *((self.local.close,) if self.store.is_shared else ()),
        )
        async with AsyncExitStack() as stack:
            for step in reversed(steps):
                stack.push_async_callback(step)

    async def _save(self) -> None:
        self.own.report()
        await self.saver.save()

    # 2. For the admin listener

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.reload.in_force.settings

    @property
    def token(self) -> str | None:
        """The token that opens the admin listener.

        A listener that moves to loopback, where it needs no token, does so at a restart: its token holds until then.
        """
        first, now = self.reload.first.admin, self.settings.admin
        return first.token if now.token is None and now.listen != first.listen else now.token

    @property
    def kill_switch(self) -> KillSwitchState:
        return self.links.kill_switch

    @property
    def evidence(self) -> EvidenceActions:
        return self.shadow.evidence

    @property
    def slow(self) -> SlowWatch:
        return self.events.slow

    async def readiness(self) -> ReadyDocument:
        """Return the document of `/readyz`."""
        return await self.ready.check()

    async def numbers(self) -> ExposedMetrics:
        """Return all metrics as they are now."""
        return await self.metrics.collect()

    async def read_events(self, after: int, since: float, most: int) -> list[StoredEvent]:
        """Return events after a `seq` and since a Unix time, oldest first. Raises StoreError."""
        return await self.store.call(partial(outbox.read, after=after, since=since, most=most))

    def status(self) -> StatusDocument:
        """Return the document of `/api/status`."""
        return status.status(
            self.reload.in_force,
            self.processes.processes,
            self.links,
            self.kill_switch,
            self.processes.is_draining,
            self.launch.listen,
            {
                "store": self.store.problem or self.fleet.problem() or self.local.problem,
                "store_log": self.local.log_problem,
                "shadow": self.shadow.writer.halted,
                "ledger": self.ledger.problem,
                "events": self.events.sinks.problem,
                "tracing": self.tracing.problem,
                "keys": None if self.keys is None else self.keys.problem,
                "node": self.fleet.nodes.problem,
            },
            partial(route_status, self.shadow.table, self.links.totals),
            partial(self.history.recent, time.monotonic()),
            self.figures.of,
            self.events.status(),
            self.tracing.status(),
            GatesStatus(dict(self.events.gates.passed_by)),
            self.events.slow.status(),
            self.ledger.status(),
            self.rollouts.short,
            self.recordings.status(),
            receiver_status(self.launch.receives_at, self.links.totals, self.settings),
            self.fleet.nodes.status(self.fleet.leadership.leader),
        )

    async def snapshot(self) -> Snapshot:
        """Return a snapshot of the settings in force. It is made at the first call: 10,000 routes take a moment."""
        in_force = self.reload.in_force
        if self._snapshot is None or self._snapshot.generation != in_force.generation:
            self._snapshot = await asyncio.to_thread(Snapshot, in_force.settings, in_force.generation)
        return self._snapshot

    async def turn_kill_switch(self, on: bool, reason: str, actor: str, route: str | None = None) -> KillSwitchState:
        return await self.operator.turn_kill_switch(on, reason, actor, route)

    async def resume_shadows(self, route: str, actor: str, why: str) -> bool:
        return await self.operator.resume_shadows(route, actor, why)

    async def audit(self, actor: str, what: str, route: str, why: str, detail: str) -> None:
        await self.operator.audit(actor, what, route, why, detail)


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
    if not launch.receives_at:
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
