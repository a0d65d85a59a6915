"""The state of the control process, and all that can be asked of it."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from strangler.control import status
from strangler.control.events.slow import SlowWatch
from strangler.control.events.state import EventsState
from strangler.control.exposition import Numbers
from strangler.control.history import HistoryState
from strangler.control.links import LinksState
from strangler.control.readiness import CONNECT_S, PATIENCE_S, LegacyProbe
from strangler.control.reload import ReloadState
from strangler.control.shadow.audits import write_audit
from strangler.control.shadow.desk import DeskState
from strangler.control.shadow.figures import FiguresState
from strangler.control.shown import ShownState
from strangler.control.store import Store, StoreError, load_numbers, save_numbers
from strangler.control.tracing import TracingState
from strangler.core.documents import GatesStatus, ReadyChecks, ReadyDocument, StatusDocument
from strangler.core.settings import Settings
from strangler.core.snapshot import Snapshot
from strangler.state import kill_switch
from strangler.state.kill_switch import KillSwitchState
from strangler.wire.logs import utc_now
from strangler.wire.messages import ProcessInfo

AUDIT_WAIT_S = 1.0
SAVE_EVERY_S = 1.0
OBSERVE_EVERY_S = 1.0

log = structlog.get_logger()


@dataclass(slots=True)
class ControlState:
    """Owns the parts of control."""

    folder: Path
    run: str
    listen: str
    reload: ReloadState
    links: LinksState
    store: Store
    desk: DeskState
    events: EventsState
    tracing: TracingState
    processes: list[ProcessInfo] = field(default_factory=list)
    is_draining: bool = False
    history: HistoryState = field(default_factory=HistoryState)
    shown: ShownState = field(default_factory=ShownState)
    figures: FiguresState = field(init=False)
    slow: SlowWatch = field(init=False)
    _legacy: LegacyProbe = field(default_factory=LegacyProbe)
    _snapshot: Snapshot | None = None

    def __post_init__(self) -> None:
        self.figures = FiguresState(self.store, lambda: self.settings)
        self.slow = SlowWatch(self.store, self.events, lambda: self.settings)
        self.shown.adopt(self.settings, time.monotonic())

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self.reload.in_force.settings

    @property
    def token(self) -> str | None:
        """What opens the admin listener.

        A listener that is to move to loopback, where it needs no token, stays where it is until a restart: so does its
        token.
        """
        first, now = self.reload.first.admin, self.settings.admin
        return first.token if now.token is None and now.listen != first.listen else now.token

    @property
    def kill_switch(self) -> KillSwitchState:
        return self.links.kill_switch

    def set_processes(self, processes: list[ProcessInfo]) -> None:
        """What lives now, as the supervisor tells it."""
        self.processes = processes
        self.links.set_living(frozenset(info.instance for info in processes if info.role in ("worker", "leaving")))

    async def readiness(self) -> ReadyDocument:
        """`ready`, the checks that make it, and the problems of the latest routes.yaml (which do not).

        If legacy is down all replicas see that: were none ready, the routes that have moved would be lost, too. So that
        is `degraded`, unless `admin.ready_needs_legacy`.
        """
        needs_legacy = self.settings.admin.ready_needs_legacy
        checks = ReadyChecks(
            workers=bool(self.links.workers),
            legacy=await self._legacy.is_reachable(self.settings, CONNECT_S if needs_legacy else PATIENCE_S),
            not_draining=not self.is_draining,
        )
        in_force = self.reload.in_force
        return ReadyDocument(
            ready=checks.workers and checks.not_draining and (checks.legacy or not needs_legacy),
            degraded=not checks.legacy,
            checks=checks,
            generation=in_force.generation,
            is_rejected=bool(in_force.problems),
            problems=list(in_force.problems),
        )

    async def numbers(self) -> Numbers:
        """All metrics, at this moment."""
        is_legacy_reachable = await self._legacy.is_reachable(self.settings)
        self.events.report()
        in_force = self.reload.in_force
        own = {
            "strangler_config_last_reload_successful": float(not in_force.problems),
            "strangler_config_generation": float(in_force.generation),
            "strangler_legacy_reachable": float(is_legacy_reachable),
            "strangler_workers": float(len(self.links.workers)),
            "strangler_kill_switch": float(self.kill_switch.on),
            "strangler_store_working": float(self.store.problem is None),
            "strangler_store_log_bytes": float(self.store.log_bytes),
        }
        totals, now = self.links.totals, time.monotonic()
        gauges = self.shown.shown(totals.gauges(), now) | self.desk.stopped_gauges() | self.slow.gauges()
        return Numbers(self.shown.shown(totals.values(), now), gauges, own)

    def status(self) -> StatusDocument:
        """For `/api/status`."""
        return status.status(
            self.reload.in_force,
            self.processes,
            self.links,
            self.kill_switch,
            self.is_draining,
            self.listen,
            {
                "store": self.store.problem,
                "store_log": self.store.log_problem,
                "shadow": self.desk.halted,
                "events": self.events.problem,
                "tracing": self.tracing.problem,
            },
            self.desk.status,
            partial(self.history.recent, time.monotonic()),
            self.figures.of,
            self.events.status(),
            self.tracing.status(),
            GatesStatus(dict(self.events.passed_by)),
            self.slow.status(),
        )

    async def snapshot(self) -> Snapshot:
        """Of the settings in force. Made when asked for first: 10,000 routes take a moment."""
        in_force = self.reload.in_force
        if self._snapshot is None or self._snapshot.generation != in_force.generation:
            self._snapshot = await asyncio.to_thread(Snapshot, in_force.settings, in_force.generation)
        return self._snapshot

    async def turn_kill_switch(self, on: bool, reason: str, who: str) -> KillSwitchState:
        """Write it down, then tell all workers, then the audit: a store that cannot be written costs the audit, never
        the switch. One that stands so already stays as it is. Raises OSError; nothing has changed then."""
        before = self.kill_switch
        if before.on == on and (not on or reason in ("", before.reason)):
            return before
        state = KillSwitchState(on, reason, utc_now())
        await asyncio.to_thread(kill_switch.write, self.folder, state)
        self.links.turn(state)
        self.desk.turned()
        self.events.killed(on, reason)
        log.warning("kill_switch.on" if on else "kill_switch.off", reason=reason)
        await self.audit(who, "kill-switch", "", reason, "on" if on else "off")
        return state

    async def resume_shadows(self, route: str, who: str, why: str) -> bool:
        """Start the shadows of a route again that have stopped by themselves, audited. False if they have not."""
        told = self.desk.status(route)
        stopped = told.stopped if told is not None else None
        if stopped is None or not self.desk.resume(route, f"{who}: {why}" if why else who):
            return False
        await self.audit(who, "shadow resume", route, why, stopped)
        return True

    async def audit(self, who: str, what: str, route: str, why: str, detail: str) -> None:
        """Note what a person did: in the log always, in the store if it can be written."""
        log.info("audit", who=who, what=what, route=route, why=why, detail=detail)
        now = time.time()
        writing = asyncio.ensure_future(
            self.store.call(lambda connection: write_audit(connection, now, who, what, route, why, detail))
        )
        await asyncio.wait([writing], timeout=AUDIT_WAIT_S)  # a disk that hangs does not hold up who acts
        writing.add_done_callback(_take_failure)

    async def keep_history(self) -> None:
        """Until cancelled."""
        while True:
            self.history.observe(time.monotonic(), self.links.totals.values())
            await asyncio.sleep(OBSERVE_EVERY_S)

    async def restore(self) -> None:
        """Go on with what an earlier control of this run had stored."""
        with suppress(StoreError):  # told by the store itself
            rows = await self.store.call(lambda connection: load_numbers(connection, self.run))
            self.links.totals.restore(rows)

    async def save(self) -> None:
        """Store what workers have counted since the last time. A store with a problem is tried in any case."""
        totals = self.links.totals
        batch = totals.unsaved()
        is_well = self.store.problem is None and self.store.log_problem is None
        if not batch.rows and not batch.gone and is_well:
            return
        try:
            is_whole = await self.store.call(lambda connection: save_numbers(connection, self.run, batch))
        except StoreError:
            totals.not_saved(batch)
            return
        if not is_whole:
            totals.mark_all_unsaved()

    async def keep_saving(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await self.save()

    async def close(self) -> None:
        """Store what is left, and end."""
        await self._legacy.close()
        await self.save()
        await self.store.close()


def _take_failure(writing: "asyncio.Future[None]") -> None:
    """The store itself tells that it cannot be written."""
    if not writing.cancelled() and (failure := writing.exception()) is not None and not isinstance(failure, StoreError):
        log.error("audit.crash", error=repr(failure), exc_info=failure)
