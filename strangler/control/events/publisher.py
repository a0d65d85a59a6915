"""The publishing of events: each is logged and counted, stored in the outbox, and sent from there."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from strangler.control.events.sinks import EventSinks
from strangler.control.fleet.leadership import Leadership, NotLeaderError, SoleLeadership
from strangler.control.own_metrics import OwnMetrics
from strangler.store.connection import Connection
from strangler.store.events import outbox
from strangler.store.events.event import Event, Kind, event
from strangler.store.events.outbox import Standing
from strangler.store.store import Store, StoreError

MAX_UNWRITTEN: Final = 1000
"""The most events that wait while the store cannot be written. The oldest are dropped first; the log has them."""

RETRY_S: Final = 1.0
LEAD_EVERY_S: Final = 0.5
PRUNE_EVERY_S: Final = 600.0

_HAVE_A_LINE: Final = frozenset(
    {
        Kind.ROUTES_RELOADED,  # reload.py: routes.reloaded
        Kind.ROUTES_REJECTED,  # reload.py: routes.rejected, routes.problem
        Kind.KILL_SWITCH,  # operator_actions.py: kill_switch.on, kill_switch.off
        Kind.BREAKER_OPENED,  # the worker: breaker.changed
        Kind.BREAKER_CLOSED,
    }
)
"""The kinds of events that are logged where they happen, and so not again here."""
_LEVELS: Final = {
    Kind.SHADOW_HALTED: "error",
    Kind.STORE_AWAY: "error",
    Kind.SIGNATURE_REGRESSED: "warning",
    Kind.ROLLOUT_FAILED: "warning",
    Kind.CERTIFICATE_EXPIRING: "warning",
}

log = structlog.get_logger()


class EventPublisher:
    """Owns the events that are not written yet. Publishing never waits for anything."""

    def __init__(
        self,
        store: Store,
        sinks: EventSinks,
        own: OwnMetrics,
        run: str,
        source: str,
        leadership: Leadership | None = None,
    ) -> None:
        """`leadership`: None if no other node has the store."""
        self._store = store
        self._leadership: Leadership = leadership or SoleLeadership(store)
        self._has_led = False
        self._sinks = sinks
        self._own = own
        self._run = run
        self._source = source
        self._unwritten: list[Event] = []
        self._hint = asyncio.Event()
        self._hint.set()  # the store does not know the sinks yet
        self._pruned = 0.0

    @property
    def unwritten(self) -> int:
        """The number of events that wait for the store."""
        return len(self._unwritten)

    def publish(self, kind: Kind, subject: str, data: Mapping[str, Any]) -> None:
        """Log an event, store it soon, and have it sent."""
        self.publish_event(event(kind, subject, data))

    def publish_event(self, this_event: Event) -> None:
        """Log an event that was made before, store it soon, and have it sent."""
        self._log(this_event)
        self._wait([*self._unwritten, this_event])
        self._hint.set()

    def insert(self, connection: Connection, events: Sequence[Event]) -> None:
        """Store events in the caller's transaction, together with the rest of it or not at all. Call `on_stored` with
        them afterwards, in the loop."""
        outbox.insert(connection, events, self._run, self._source)

    def on_stored(self, events: Sequence[Event]) -> None:
        """Log and count events that `insert` has stored, and have them sent."""
        for each_event in events:
            self._log(each_event)
        if events:
            self._sinks.hint()

    def _log(self, this_event: Event) -> None:
        if this_event.kind not in _HAVE_A_LINE:
            write = getattr(log, _LEVELS.get(this_event.kind, "info"))
            write(
                "event",
                type=this_event.kind.value,
                subject=this_event.subject,
                id=this_event.id,
                data=dict(this_event.data),
            )
        self._own.counter("strangler_events_total", this_event.kind.value).inc()

    def _wait(self, unwritten: list[Event]) -> None:
        """Keep the newest events until the store can be written."""
        self._unwritten = unwritten[-MAX_UNWRITTEN:]
        for lost in unwritten[:-MAX_UNWRITTEN]:
            self._own.counter("strangler_events_lost_total").inc()
            log.error("event.lost", id=lost.id, type=lost.kind.value)

    async def run(self) -> None:
        """Write published events until cancelled."""
        while True:
            await self._pause()
            self._hint.clear()
            if not await self.write():
                await asyncio.sleep(RETRY_S)
                self._hint.set()

    async def _pause(self) -> None:
        """Wait for a hint. A node that begins to lead makes its sinks known, and prunes, without one."""
        while not self._hint.is_set():
            try:
                async with asyncio.timeout(LEAD_EVERY_S if self._store.is_shared else None):
                    await self._hint.wait()
            except TimeoutError:
                is_due = time.time() - self._pruned > PRUNE_EVERY_S
                if self._leadership.holds and (is_due or not self._has_led):
                    return
            self._has_led = self._has_led and self._leadership.holds

    async def write(self) -> bool:
        """Write published events; return False if the store does not work."""
        batch, self._unwritten = self._unwritten, []
        try:
            standings = await self._write(batch)
        except StoreError:
            self._wait(batch + self._unwritten)
            return False
        self._sinks.on_standings(standings)
        self._sinks.hint()
        return True

    async def _write(self, batch: Sequence[Event]) -> dict[str, Standing]:
        """Store events, and what only the node that leads stores. Return how the sinks stand. Raises StoreError."""
        names, now = self._sinks.names, time.time()
        is_due = now - self._pruned > PRUNE_EVERY_S or len(batch) > 100

        def lead(connection: Connection) -> dict[str, Standing]:
            outbox.register(connection, names)
            outbox.insert(connection, batch, self._run, self._source)
            if is_due:
                outbox.prune(connection, now)
            return outbox.standings(connection)

        def follow(connection: Connection) -> dict[str, Standing]:
            outbox.add_sinks(connection, names)  # nobody may lead yet, and these events are theirs
            outbox.insert(connection, batch, self._run, self._source)
            return outbox.standings(connection)

        if self._leadership.holds:
            with suppress(NotLeaderError):
                standings = await self._leadership.call(lead)
                self._pruned, self._has_led = now if is_due else self._pruned, True
                return standings
        return await self._store.call(follow)
