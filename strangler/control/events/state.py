"""All that concerns events in control: emitting them, keeping them, and the ways to their sinks."""

import asyncio
import os
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any, Final

import structlog

from strangler.control.events import outbox
from strangler.control.events.delivery import Delivery, Sink
from strangler.control.events.event import Event, Kind, event, source_of_this_host
from strangler.control.events.outbox import Standing
from strangler.control.events.webhook import SecretError, Webhook, webhook_secret
from strangler.control.links import LinksState
from strangler.control.reload import InForce
from strangler.control.store import Store, StoreError
from strangler.core.documents import DeadLetter, EventsStatus, PassedGate, QueueStatus, SinkStatus, StoredEvent
from strangler.core.settings import EventSettings, KafkaSettings, RouteSettings, Settings
from strangler.wire.messages import BreakerChanged
from strangler.wire.numbers import Numbers

MAX_UNWRITTEN: Final = 1000
"""Events that wait for a store which does not write at the moment; the oldest go first, and are in the log anyway."""

RETRY_S: Final = 1.0
PRUNE_EVERY_S: Final = 600.0

if TYPE_CHECKING:
    from strangler.control.events.kafka import KafkaComparisons

_HAVE_A_LINE: Final = frozenset(
    {
        Kind.ROUTES_RELOADED,  # reload.py: routes.reloaded
        Kind.ROUTES_REJECTED,  # reload.py: routes.rejected, routes.problem
        Kind.KILL_SWITCH,  # plane.py: kill_switch.on, kill_switch.off
        Kind.BREAKER_OPENED,  # the worker: breaker.changed
        Kind.BREAKER_CLOSED,
    }
)
"""Whoever makes them happen logs them: here they would be told a second time."""
_LEVELS: Final = {Kind.SHADOW_HALTED: "error", Kind.SIGNATURE_REGRESSED: "warning"}

log = structlog.get_logger()


class EventsState:
    """Owns the events of this process and the tasks that deliver them. Emitting never waits for anything."""

    def __init__(self, folder: Path, run: str, links: LinksState, store: Store, settings: Settings) -> None:
        self.problem: str | None = None
        """Why a sink that routes.yaml names is not served."""
        self.passed_by: Mapping[str, PassedGate] = {}
        """By route: how its percent was raised past its gate, which is not met yet."""
        self.source = source_of_this_host()
        self._folder = folder
        self._run = run
        self._links = links
        self._store = store
        self._settings = settings
        self._sunk: EventSettings | None = None
        self._unwritten: list[Event] = []
        self._hint = asyncio.Event()
        self._deliveries: dict[str, tuple[Delivery, asyncio.Task[None]]] = {}
        self._comparisons: tuple[KafkaComparisons, asyncio.Task[None]] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._standings: dict[str, Standing] = {}
        self._open_breakers: set[str] = set()
        self._numbers = Numbers()
        self._instance = f"{run}-events-{time.time_ns()}"
        self._pruned = 0.0
        links.own.add(self._instance)
        links.events = self

    # 1. What happened

    def emit(self, kind: Kind, subject: str, data: Mapping[str, Any]) -> None:
        """Something has happened: tell the log, keep it, and have it sent."""
        self.kept(one := event(kind, subject, data), is_stored=False)
        self._wait([*self._unwritten, one])
        self._hint.set()

    def _wait(self, unwritten: list[Event]) -> None:
        """Keep the newest of them until the store writes."""
        self._unwritten = unwritten[-MAX_UNWRITTEN:]
        for lost in unwritten[:-MAX_UNWRITTEN]:
            self._numbers.counter("strangler_events_lost_total").inc()
            log.error("event.lost", id=lost.id, type=lost.kind.value)

    def kept(self, one: Event, *, is_stored: bool = True) -> None:
        """Log and count an event. `is_stored`: by `insert`, in a transaction of somebody else's."""
        if one.kind not in _HAVE_A_LINE:
            tell = getattr(log, _LEVELS.get(one.kind, "info"))
            tell("event", type=one.kind.value, subject=one.subject, id=one.id, data=dict(one.data))
        self._numbers.counter("strangler_events_total", one.kind.value).inc()
        if is_stored:
            self._wake_all()

    def insert(self, connection: Connection, events: list[Event]) -> None:
        """Keep events in a transaction of one's own: they are there if and only if the rest of it is. Call `kept` with
        each afterwards, in the loop."""
        outbox.insert(connection, events, self._run, self.source)

    def reloaded(self, now: InForce) -> None:
        """New settings are in force: follow them, and tell what they change."""
        old = {route.name: route for route in self._settings.routes}
        self._open_breakers.intersection_update(now.settings.upstreams)
        self.adopt(now.settings)
        new = {route.name: route for route in now.settings.routes}
        self.emit(
            Kind.ROUTES_RELOADED,
            "routes.yaml",
            {
                "generation": now.generation,
                "routes": len(new),
                "added": sorted(new.keys() - old.keys()),
                "removed": sorted(old.keys() - new.keys()),
                "changed": sorted(name for name in new.keys() & old.keys() if new[name] != old[name]),
            },
        )
        for name in sorted(new.keys() | old.keys()):
            shift = _percent(old.get(name)), _percent(new.get(name))
            if shift[0] != shift[1]:
                data = {"route": name, "from": shift[0], "to": shift[1], "generation": now.generation}
                self.emit(Kind.ROUTE_SHIFTED, name, data)

    def rejected(self, in_force: InForce) -> None:
        """A routes.yaml was not put in force."""
        data = {"generation": in_force.generation, "problems": list(in_force.problems)[:100]}
        self.emit(Kind.ROUTES_REJECTED, "routes.yaml", data)

    def killed(self, on: bool, reason: str) -> None:
        """The kill switch was turned."""
        self.emit(Kind.KILL_SWITCH, "kill_switch", {"on": on, "reason": reason})

    def breaker_changed(self, change: BreakerChanged) -> None:
        """A worker's breaker has changed. The workers share openings: one event for all of them; and the first whose
        trials succeed tells of the closing."""
        upstream, is_open = change.upstream, change.upstream in self._open_breakers
        if change.after == "open" and not is_open:
            self._open_breakers.add(upstream)
            self.emit(Kind.BREAKER_OPENED, upstream, {"upstream": upstream, "reason": change.reason})
        elif change.after == "closed" and is_open:
            self._open_breakers.discard(upstream)
            self.emit(Kind.BREAKER_CLOSED, upstream, {"upstream": upstream, "reason": change.reason})

    def compared(self, route: str, at: float, comparison: Mapping[str, Any]) -> None:
        """A comparison, redacted: to its topic, if routes.yaml wants that."""
        if self._comparisons is not None:
            self._comparisons[0].offer(event(Kind.COMPARISON, route, comparison, at))

    @property
    def wants_comparisons(self) -> bool:
        """Whether `compared` does anything."""
        return self._comparisons is not None

    # 2. Where it goes

    async def restore(self) -> None:
        """Go on where an earlier control of this state folder was."""
        self.adopt(self._settings)
        try:
            self._open_breakers = await self._store.call(partial(outbox.open_breakers, run=self._run))
        except StoreError:  # told by the store itself
            return
        await self.write()

    def adopt(self, settings: Settings) -> None:
        """Send to what these settings name, from now on."""
        self._settings = settings
        if settings.events == self._sunk:
            return
        before, self._sunk = self._sunk, settings.events
        self.problem = None
        for delivery, task in self._deliveries.values():
            self._end(task, delivery.sink)
        self._deliveries = {sink.name: self._begun(sink) for sink in self._sinks(settings.events)}
        if before is None or before.kafka != settings.events.kafka:
            self._adopt_comparisons(settings.events.kafka)
        self._hint.set()

    def _sinks(self, settings: EventSettings) -> list[Sink]:
        sinks: list[Sink] = []
        if settings.webhook is not None:
            try:
                sinks.append(Webhook(settings.webhook, webhook_secret(self._folder, os.environ)))
            except SecretError as error:
                self._fail(str(error))
        if settings.kafka is not None:
            from strangler.control.events import kafka  # 30 ms of libraries, for those who want it

            if kafka.MISSING is None:
                sinks.append(kafka.Kafka(settings.kafka))
            else:
                self._fail(kafka.MISSING)
        return sinks

    def _adopt_comparisons(self, settings: KafkaSettings | None) -> None:
        if self._comparisons is not None:
            self._end(self._comparisons[1], None)
            self._comparisons = None
        if settings is None or not settings.shadow:
            return
        from strangler.control.events import kafka

        if kafka.MISSING is None:
            topic = kafka.KafkaComparisons(settings, self.source, self._compared)
            task = asyncio.create_task(topic.run())
            task.add_done_callback(_tell_crash)
            self._comparisons = topic, task

    def _compared(self, result: str, count: int) -> None:
        self._numbers.counter("strangler_comparisons_sent_total", result).inc(count)

    def _begun(self, sink: Sink) -> tuple[Delivery, asyncio.Task[None]]:
        delivery = Delivery(sink, self._store, self._stand)
        task = asyncio.create_task(delivery.run())
        task.add_done_callback(_tell_crash)
        return delivery, task

    def _end(self, task: asyncio.Task[None], sink: Sink | None) -> None:
        task.cancel()
        ending = asyncio.create_task(_ended(task, sink))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    def _fail(self, problem: str) -> None:
        log.error("events.halted", reason=problem)
        self.problem = problem

    def _wake_all(self) -> None:
        for delivery, _ in self._deliveries.values():
            delivery.hint()

    # 3. As time goes by

    async def run(self) -> None:
        """Write what was emitted, until cancelled."""
        while True:
            await self._hint.wait()
            self._hint.clear()
            if not await self.write():
                await asyncio.sleep(RETRY_S)
                self._hint.set()

    async def write(self) -> bool:
        """Keep what was emitted; False if the store does not work."""
        batch, self._unwritten = self._unwritten, []
        names, now = self._configured(), time.time()
        is_due = now - self._pruned > PRUNE_EVERY_S or len(batch) > 100

        def work(connection: Connection) -> dict[str, Standing]:
            outbox.register(connection, names)
            outbox.insert(connection, batch, self._run, self.source)
            if is_due:
                outbox.prune(connection, now)
            return outbox.standings(connection)

        try:
            self._stand(await self._store.call(work))
        except StoreError:
            self._wait(batch + self._unwritten)
            return False
        self._pruned = now if is_due else self._pruned
        self._wake_all()
        return True

    def _configured(self) -> list[str]:
        """The sinks that routes.yaml names, whether or not they can be served: what happens is kept for them."""
        events = self._settings.events
        return [name for name, setting in (("webhook", events.webhook), ("kafka", events.kafka)) if setting is not None]

    def _stand(self, standings: dict[str, Standing]) -> None:
        for gone in self._standings.keys() - standings.keys():
            self._numbers.gauge("strangler_events_backlog", gone).set(0)
        self._standings = standings
        for name, standing in standings.items():
            self._numbers.gauge("strangler_events_backlog", name).set(standing.backlog)
            self._numbers.gauge("strangler_events_dead", name).set(standing.dead)

    def report(self) -> None:
        """Add what was counted here to the totals."""
        if self._numbers.is_touched:
            self._links.totals.take(self._instance, self._numbers.report())

    async def close(self) -> None:
        """Keep what was emitted, and end the deliveries: what is not sent yet is sent after the next start."""
        for delivery, task in self._deliveries.values():
            self._end(task, delivery.sink)
        self._deliveries = {}
        if self._comparisons is not None:
            self._end(self._comparisons[1], None)
        await asyncio.gather(*self._ending)
        await self.write()
        self.report()

    # 4. For status and the API

    def status(self) -> EventsStatus:
        """By sink, and of the comparisons."""
        return EventsStatus(
            unwritten=len(self._unwritten),
            sinks={name: self._sink_status(name, standing) for name, standing in self._standings.items()},
            comparisons=None if self._comparisons is None else QueueStatus(self._comparisons[0].backlog),
        )

    def _sink_status(self, name: str, standing: Standing) -> SinkStatus:
        delivery = self._deliveries.get(name)
        return SinkStatus(
            backlog=standing.backlog,
            delivered=standing.delivered,
            dead=standing.dead,
            lost=standing.lost,
            last_dead=standing.last_dead,
            problem=self.problem if delivery is None else delivery[0].problem,
        )

    async def read(self, after: int, since: float, most: int) -> list[StoredEvent]:
        """Raises StoreError."""
        return await self._store.call(partial(outbox.read, after=after, since=since, most=most))

    async def dead_letters(self, most: int) -> list[DeadLetter]:
        """Raises StoreError."""
        return await self._store.call(partial(outbox.dead_letters, most=most))


def _tell_crash(task: asyncio.Task[None]) -> None:
    """A bug in the way to one sink ends that, and is not kept quiet until the end."""
    if not task.cancelled() and (crash := task.exception()) is not None:
        log.error("events.crash", error=repr(crash), exc_info=crash)


async def _ended(task: asyncio.Task[None], sink: Sink | None) -> None:
    await asyncio.gather(task, return_exceptions=True)
    if sink is not None:
        await sink.close()


def _percent(route: RouteSettings | None) -> float:
    """The share that the candidate gets: none of a route that is disabled, or is not there."""
    return route.split.percent if route is not None and route.enabled else 0.0
