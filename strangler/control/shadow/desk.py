"""Where captures arrive: which are taken, what becomes of them, and what workers are told about room for more."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Protocol

import structlog

from strangler.control.events.event import Event
from strangler.control.links import LinksState
from strangler.control.shadow.evidence import Finding, IndexState, store_findings
from strangler.control.shadow.journal import Journal
from strangler.control.shadow.key import redaction_key
from strangler.control.shadow.looks import Looks
from strangler.control.shadow.releases import Release, ReleasesState, load_releases, save_releases
from strangler.control.shadow.retention import drop_evidence, prune, set_aside
from strangler.control.shadow.route import ShadowRoute, url_named
from strangler.control.shadow.rules import rule_report, store_rules
from strangler.control.shadow.sending import ShadowUpstream
from strangler.control.shadow.stops import Stop, StopChange, load_stops, stopped_text, store_changes, store_stop
from strangler.control.store import Store, StoreError
from strangler.control.totals import Key
from strangler.core.documents import RuleReport, ShadowComparisons, ShadowStatus
from strangler.core.settings import Settings
from strangler.state.database import look_over
from strangler.wire.messages import Captured, ShadowRoom
from strangler.wire.numbers import Numbers

ROOMS_EVERY_S = 0.05
STORE_EVERY_S = 0.5
PRUNE_EVERY_S = 600.0
MAX_PENDING = 10_000
MAX_PENDING_BYTES = 32 * 1024 * 1024
"""Findings that wait for a store which does not write at the moment, those that it is writing included."""
MAX_CHANGES = 1000
"""Stops, and ends of stops, that wait for such a store."""
MAX_HELD_BYTES = 64 * 1024 * 1024
"""Of all captures in hand."""

log = structlog.get_logger()


class ShadowSpans(Protocol):
    """Who makes a span of a shadow."""

    def shadow_begins(self, captured: Captured) -> tuple[Captured, Any]: ...
    def shadow_ends(self, span: Any, finding: Finding) -> None: ...


class Told(Protocol):
    """Who is told what comparisons show."""

    def insert(self, connection: Connection, now: float) -> list[Event]: ...
    def kept(self, news: list[Event]) -> None: ...
    def compared(self, finding: Finding) -> None: ...
    def halted(self, reason: str) -> None: ...
    def resumed(self) -> None: ...
    def insert_stops(self, connection: Connection, changes: Sequence[StopChange], now: float) -> list[Event]: ...
    def release_changed(self, route: str, former: str, current: str, at: float) -> None: ...


@dataclass(frozen=True, slots=True)
class _Taken:
    """A capture in hand."""

    route: ShadowRoute
    size: int


class DeskState:
    """Owns everything about shadows in control. Nothing in here is waited for by whoever serves."""

    def __init__(self, folder: Path, run: str, links: LinksState, store: Store, settings: Settings) -> None:
        self.problem: str | None = None
        """Why nothing is taken at the moment, if the store is not to blame: see `halted`."""
        self._folder = folder
        self._run = run
        self._links = links
        self._store = store
        self._journal = Journal(folder)
        self._index = IndexState()
        self._indexed: Connection | None = None
        self._numbers = Numbers()
        self._instance = f"{run}-control-{time.time_ns()}"
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compare")
        self._settings = settings
        self._routes: dict[str, ShadowRoute] = {}
        self._upstreams: dict[str, ShadowUpstream] = {}
        self._replaced: list[ShadowUpstream] = []
        self._tasks: dict[asyncio.Task[None], _Taken] = {}
        self._storing = asyncio.Lock()
        self._held_bytes = 0
        self._pending: list[Finding] = []
        self._pending_count = self._pending_bytes = 0
        self._journaled: set[str] = set()
        """Pending findings whose lines are in the journal: the database took the batch no further than that."""
        self._stops: dict[str, Stop] = {}
        self._changes: list[StopChange] = []
        """Stops that the store does not know of yet, and those that it does not know to be over."""
        self._is_due = asyncio.Event()
        """Set when something is to be stored now rather than soon."""
        self._busy: set[str] = set()
        """Routes whose room may have changed."""
        self._common_reason: str | None = None
        self._key: bytes | None = None
        self._is_restored = False
        self._pruned = time.monotonic()
        self.releases = ReleasesState(self._release_changed)
        self.told: Told | None = None
        self.spans: ShadowSpans | None = None
        links.own.add(self._instance)
        links.shadows = self

    # 1. What is in force

    async def restore(self) -> None:
        """Read the key, and what an earlier control of this run had stopped. Until that is done nothing is taken."""
        try:
            if self._key is None:
                self._key = await asyncio.to_thread(redaction_key, self._folder)
                self.adopt(self._settings)  # so that workers hear why there is no room
            self._stops = await self._store.call(load_stops)
            self.releases.restore(await self._store.call(load_releases))
        except OSError as error:
            self._fail(f"the key for redaction cannot be kept in {self._folder}: {error.strerror}")
        except StoreError as error:
            self._fail(f"the store: {error}")
        else:
            self._is_restored = True
            self.adopt(self._settings)

    def adopt(self, settings: Settings) -> None:
        """Follow new settings. Routes and upstreams that stay as they were keep what they know."""
        self._settings = settings
        if self._key is None:
            return
        replaced = [name for name, one in self._upstreams.items() if settings.upstreams.get(name) != one.settings]
        self._replaced += [self._upstreams.pop(name) for name in replaced]
        for name, wanted in settings.upstreams.items():
            if name not in self._upstreams:
                self._upstreams[name] = ShadowUpstream(wanted, self._links.shared.is_url_healthy)
        routes = {}
        hides_values = settings.evidence.values == "hashed"
        for one in settings.routes:
            known = self._routes.get(one.name)
            is_same = known is not None and known.settings == one and known.redactor.hides_values == hides_values
            route = known if is_same else ShadowRoute.of(one, self._key, settings.evidence.values)
            if route is not None:
                routes[one.name] = route
                route.stopped = self._stop_of(route)
        self._routes = routes
        for name in [name for name in self._stops if name not in routes or routes[name].stopped is None]:
            self._end_stop(name, "its settings have changed, or the proxy has started anew")
        self._abandon("reloaded", lambda route: routes.get(route.name) is not route or route.uses_any(replaced))
        self.tell_rooms()

    def _stop_of(self, route: ShadowRoute) -> str | None:
        stop = self._stops.get(route.name)
        return stop.why if stop is not None and stop.key == self._stop_key(route) else None

    def _stop_key(self, route: ShadowRoute) -> str:
        return f"{self._run} {route.fingerprint}"

    def resume(self, name: str, reason: str) -> bool:
        """Start the shadows of a route again that have stopped by themselves. False if they have not."""
        route = self._routes.get(name)
        if route is None or route.stopped is None:
            return False
        route.resume()
        self._end_stop(name, reason)
        self.tell_rooms(name)
        return True

    def _end_stop(self, name: str, reason: str) -> None:
        del self._stops[name]
        has_started = name in self._routes
        self._changes.append(StopChange(name, None, has_started, reason))
        self._is_due.set()
        if has_started:
            log.info("shadow.started", route=name, reason=reason)

    # 2. Captures

    def take(self, captured: Captured) -> None:
        """One more capture: begin with it, or drop it and count that."""
        self._busy.add(captured.route)
        route = self._routes.get(captured.route)
        if route is None:
            self._dropped(captured.route, "reloaded")
            return
        room, reason = self._room(route)
        if room <= 0:
            self._dropped(route.name, reason)
            return
        taken = _Taken(route, len(captured.body) + len(captured.answer.body))
        route.open += 1
        self._held_bytes += taken.size
        task = asyncio.get_running_loop().create_task(self._compare(captured, route))
        self._tasks[task] = taken
        task.add_done_callback(self._give_back)

    def _give_back(self, task: asyncio.Task[None]) -> None:
        """A capture is not in hand any more, though it may have been given up before anything was done with it."""
        taken = self._tasks.pop(task)
        taken.route.open -= 1
        self._held_bytes -= taken.size

    def _abandon(self, reason: str, concerns: Callable[[ShadowRoute], bool]) -> None:
        """Give up what is under way for some routes."""
        for task, taken in list(self._tasks.items()):
            if concerns(taken.route):
                task.cancel()
                self._dropped(taken.route.name, reason)

    async def _compare(self, captured: Captured, route: ShadowRoute) -> None:
        span = None
        if self.spans is not None:
            captured, span = self.spans.shadow_begins(captured)
        looks = Looks(
            captured=captured,
            route=route,
            upstreams=self._upstreams,
            served_url=url_named(captured.url, self._settings, captured.upstream),
            index=self._index,
            threads=self._threads,
            halt=self._stop,
            releases=self.releases,
        )
        try:
            finding = await looks.run()
            if self.spans is not None and span is not None:
                self.spans.shadow_ends(span, finding)
            self._keep(finding, route)
        except Exception:  # a bug of ours costs this comparison, and is told
            log.exception("shadow.failed", route=route.name)
            self._dropped(route.name, "failed")

    def _keep(self, finding: Finding, route: ShadowRoute) -> None:
        if finding.at < self.releases.begun(route.name):
            self._dropped(route.name, "reset")
            return
        size = finding.size
        if self._pending_count >= MAX_PENDING or self._pending_bytes + size > MAX_PENDING_BYTES:
            self._dropped(route.name, "store")
            return
        self._pending.append(finding)
        self._pending_count += 1
        self._pending_bytes += size
        if self.told is not None:
            self.told.compared(finding)
        self._numbers.counter("strangler_shadow_comparisons_total", route.name, finding.outcome).inc()

    def _stop(self, route: ShadowRoute, why: str) -> None:
        """No more shadows of this route until its settings change, somebody resumes it, or the proxy starts anew."""
        if route.stopped is not None or self._routes.get(route.name) is not route:
            return
        route.stopped = why
        self._stops[route.name] = stop = Stop(self._stop_key(route), why)
        self._changes.append(StopChange(route.name, stop))
        self._is_due.set()
        log.error("shadow.stopped", route=route.name, reason=why, message=stopped_text(route.name, why))
        self.tell_rooms(route.name)

    def _release_changed(self, route: str, former: str, current: str, at: float) -> None:
        log.info("shadow.release", route=route, former=former, current=current)
        if self.told is not None:
            self.told.release_changed(route, former, current, at)

    async def name_release(self, route: str, name: str) -> tuple[str, bool]:
        """Make a release the current one of a route. Return the former one, and whether that is a change.

        Raises StoreError; it is the current one all the same then, and stored as soon as that is possible.
        """
        former = self.releases.current(route)
        is_new = self.releases.name(route, name, time.time())
        if not await self.store():
            raise StoreError(self._store.problem or self.problem)
        return former, is_new

    async def reset(self, route: str) -> list[str]:
        """Set aside all evidence of a route, and what is under way for it. Return the names under which it can be read.

        Raises StoreError; nothing has changed then, but for what was under way.
        """
        self._abandon("reset", lambda one: one.name == route)
        async with self._storing:
            await self._store_pending()
            now = time.time()
            names = await self._store.call(partial(self._set_aside, route=route, now=now))
            self.releases.begin_anew(route, now, names)
            self._drop_pending(route, now)
        if route in self._routes:
            self._routes[route].begin_anew()
        return names

    def _drop_pending(self, route: str, before: float) -> None:
        """Forget findings of requests before a Unix time that the store did not take."""
        pending, self._pending = self._pending, []
        dropped: list[Finding] = []
        for one in pending:
            (dropped if one.route == route and one.at < before else self._pending).append(one)
        self._pending_count -= len(dropped)
        self._pending_bytes -= sum(one.size for one in dropped)
        for _ in dropped:
            self._dropped(route, "reset")

    def _set_aside(self, connection: Connection, route: str, now: float) -> list[str]:
        self._indexed = None
        return set_aside(connection, route, now)

    # 3. Room for more

    def tell_rooms(self, *routes: str) -> None:
        """Tell workers how many captures of these routes can be used; without any, of all."""
        self._tell(routes or self._routes)

    def turned(self) -> None:
        """The kill switch was turned: what is under way ends now, not at the next turn of the clock."""
        self._tell_changed()

    def _tell_changed(self) -> None:
        """The same for routes that something goes on with; what concerns all of them is told of all."""
        before, self._common_reason = self._common_reason, self._why_none()
        if before != self._common_reason:
            self._tell_halt(before, self._common_reason)
            if self._common_reason == "killed":
                self._abandon("killed", lambda route: True)
            self.tell_rooms()
            return
        self._tell(self._busy)
        self._busy = {name for name in self._busy if name in self._routes and self._is_busy(self._routes[name])}

    def _tell_halt(self, before: str | None, after: str | None) -> None:
        """What is found cannot be kept any more, or can again: an event."""
        if self.told is None or "store" not in (before, after):
            return
        if after == "store":
            self.told.halted(self._store.problem or self.problem or "the state folder is not read yet")
        else:
            self.told.resumed()

    def _is_busy(self, route: ShadowRoute) -> bool:
        return bool(route.open) or self._room(route)[0] < route.shadow.in_flight

    def _tell(self, names: Iterable[str]) -> None:
        count = max(1, len(self._links.workers))
        rooms = []
        for name in names:
            if name in self._routes:
                room, reason = self._room(self._routes[name])
                rooms.append(ShadowRoom(name, ceil(room / count), reason))
        self._links.tell_rooms(rooms)

    def _room(self, route: ShadowRoute) -> tuple[int, str]:
        reason = self._why_none()
        return route.room(self._upstreams) if reason is None else (0, reason)

    def _why_none(self) -> str | None:
        """What keeps all routes from having shadows at the moment."""
        if not self._is_restored or self.problem is not None or self._store.problem is not None:
            return "store"
        if self._links.kill_switch.on:
            return "killed"
        return "memory" if self._held_bytes >= MAX_HELD_BYTES else None

    @property
    def halted(self) -> str | None:
        """Why no route has shadows at the moment; None unless something is wrong."""
        return self.problem if self._store.problem is None else "nothing is compared while the store has a problem"

    def _dropped(self, route: str, reason: str) -> None:
        self._numbers.counter("strangler_shadow_dropped_total", route, reason).inc()

    # 4. As time goes by

    async def run(self) -> None:
        """Tell rooms, write findings, report numbers, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(ROOMS_EVERY_S, self._tell_changed))
            group.create_task(self._every(ROOMS_EVERY_S, self.report))
            group.create_task(self._keep_storing())

    async def _every(self, seconds: float, work: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(seconds)
            work()

    def report(self) -> None:
        """Add what was counted here to the totals."""
        if self._numbers.is_touched:
            self._links.totals.take(self._instance, self._numbers.report())

    async def _keep_storing(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(STORE_EVERY_S):
                    await self._is_due.wait()
            self._is_due.clear()
            if not self._is_restored:
                await self.restore()
            await self.store()
            while self._replaced:
                await self._replaced.pop().close()

    async def store(self) -> bool:
        """Write what is pending, and return whether that is stored now. While that fails nothing new is taken."""
        async with self._storing:
            return await self._store_pending()

    async def _store_pending(self) -> bool:
        batch, self._pending = self._pending, []
        is_due = time.monotonic() - self._pruned > PRUNE_EVERY_S
        changes, self._changes = self._changes, []
        releases, evicted = self.releases.unsaved()
        if not (batch or changes or releases or evicted or is_due) and self.problem is None:
            return True
        rules = {name: rule_report(route) for name, route in self._routes.items()} if batch else {}
        try:
            news = await self._store.call(
                lambda connection: self._write(connection, batch, changes, rules, is_due, releases, evicted)
            )
        except StoreError as error:
            self.releases.not_saved(releases, evicted)
            self._pending = batch + self._pending
            self._changes = (changes + self._changes)[-MAX_CHANGES:]
            self._fail(f"the store: {error}")
            return False
        self._journaled.clear()
        self._pending_count -= len(batch)
        self._pending_bytes -= sum(finding.size for finding in batch)
        if is_due:
            self._pruned = time.monotonic()
        if self.problem is not None and self._is_restored:
            self.problem = None
        if self.told is not None:
            self.told.kept(news)
        return True

    def _write(
        self,
        connection: Connection,
        batch: list[Finding],
        changes: list[StopChange],
        rules: dict[str, RuleReport],
        is_due: bool,
        releases: list[Release],
        evicted: list[tuple[str, str]],
    ) -> list[Event]:
        """In the store's thread, in one transaction. Return all news as events."""
        if self._indexed is not connection:
            self._index.load(connection)
            for route, stop in list(self._stops.items()):  # a new database knows nothing of them
                store_stop(connection, route, stop)
            self._indexed = connection
        now = time.time()
        drop_evidence(connection, evicted)
        save_releases(connection, releases)
        store_findings(connection, self._index, batch, now)
        store_changes(connection, changes)
        news = []
        if self.told is not None:
            news = self.told.insert(connection, now) + self.told.insert_stops(connection, changes, now)
        store_rules(connection, rules)
        if is_due:
            prune(connection, now)
            self._indexed = None
            look_over(connection)
        news_lines = {one.id: one.line for one in batch if one.line is not None and one.id not in self._journaled}
        self._journal.append(news_lines.values())
        self._journaled |= news_lines.keys()
        return news

    def _fail(self, problem: str) -> None:
        self.problem = problem
        self.tell_rooms()

    async def close(self) -> None:
        """Drop what is under way, write what is done."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.store()
        self.report()
        for upstream in (*self._upstreams.values(), *self._replaced):
            await upstream.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # 5. For status

    def stopped_gauges(self) -> dict[Key, float]:
        """`strangler_shadow_stopped` of each route that has shadows."""
        return {
            ("strangler_shadow_stopped", (name,)): float(route.stopped is not None)
            for name, route in self._routes.items()
        }

    def status(self, name: str) -> ShadowStatus | None:
        """What is to be said of a route's shadows; None if it has none."""
        route = self._routes.get(name)
        if route is None:
            return None
        totals = self._links.totals
        outcomes = ("match", "accepted", "mismatch", "not_comparable")
        counts = (int(totals.counter("strangler_shadow_comparisons_total", name, outcome)) for outcome in outcomes)
        return ShadowStatus(
            percent=route.shadow.percent,
            of=route.shadow.of,
            stopped=route.stopped,
            open=route.open,
            breakers={
                upstream: self._upstreams[upstream].breaker.state.value
                for upstream in sorted(frozenset().union(*map(route.asked_of, route.other_arms())))
            },
            comparisons=ShadowComparisons(*counts),
        )
