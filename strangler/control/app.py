"""Control without its sockets: from start to end, and what the admin listener needs of its parts."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from strangler.control import status
from strangler.control.events.event_assembly import EventParts
from strangler.control.events.slow import SlowWatch
from strangler.control.exposition import ExposedMetrics
from strangler.control.first_loads_keeper import FirstLoadsKeeper
from strangler.control.fleet.fleet_parts import FleetParts, Running
from strangler.control.fleet.shared_keys import SharedKeys
from strangler.control.fleet.shared_switch import SharedKillSwitch
from strangler.control.fleet.store_watch import StoreWatch
from strangler.control.health import HealthChecks
from strangler.control.history import HistorySampler, HistoryState
from strangler.control.ledger_keeper import LedgerKeeper
from strangler.control.link_server import LinkServer
from strangler.control.links import LinksState, WorkerLinks
from strangler.control.metrics_source import MetricsSource
from strangler.control.operator_actions import Operator, log_turn
from strangler.control.own_metrics import OwnMetrics
from strangler.control.processes import ProcessesState
from strangler.control.readiness import LegacyProbe, Readiness
from strangler.control.receiver.receiver_status import receiver_status
from strangler.control.receiver.server import ReceiverServer
from strangler.control.recording.recording_keeper import RecordingKeeper
from strangler.control.reload import InForce, ReloadState
from strangler.control.rollout.approval_links import ApprovalLinks
from strangler.control.rollout.fleet_keeper import FleetRolloutKeeper
from strangler.control.rollout.keeper import RolloutKeeper
from strangler.control.shadow.assembly import ShadowParts
from strangler.control.shadow.evidence_actions import EvidenceActions
from strangler.control.shadow.figures import FiguresState
from strangler.control.shadow.route_status import route_status
from strangler.control.totals_saver import TotalsSaver
from strangler.control.tracing import TracingState
from strangler.core.documents import GatesStatus, ReadyDocument, StatusDocument, StoredEvent
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import Settings
from strangler.state.kill_switch import KillSwitchState
from strangler.store.events import outbox
from strangler.store.store import Store

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
    """Where the receiver listens for other proxies; empty: it does not."""
    has_mirrors: bool = False
    """Whether our own Envoy mirrors requests to us."""
    envoy_binary: str = ""
    """The Envoy that validates settings before they are in force; empty: there is none."""


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
                "engine": None if self.links.engine is None else self.links.engine.problem or None,
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
            self.reload.first,
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
