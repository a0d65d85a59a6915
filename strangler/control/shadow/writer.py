"""The findings that wait for the store, and how they get there together with all else that shadows keep."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from sqlite3 import Connection
from typing import Any

from strangler.control.events.event import Event
from strangler.control.shadow.counters import ShadowCounters
from strangler.control.shadow.evidence import store_findings
from strangler.control.shadow.evidence_index import IndexState
from strangler.control.shadow.findings import Finding
from strangler.control.shadow.journal import Journal
from strangler.control.shadow.listener import EvidenceListener
from strangler.control.shadow.releases import Release, ReleasesState, load_releases, save_releases
from strangler.control.shadow.retention import drop_evidence, prune, set_aside
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.shadow.rules import rule_report, store_rules
from strangler.control.shadow.stopping import ShadowStops
from strangler.control.shadow.stops import StopChange, load_stops, store_changes, store_stop
from strangler.control.store import Store, StoreError, look_over

STORE_EVERY_S = 0.5
PRUNE_EVERY_S = 600.0
MAX_PENDING = 10_000
MAX_PENDING_BYTES = 32 * 1024 * 1024
"""Findings that wait for a store which does not write at the moment, those that it is writing included."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """All that one transaction writes."""

    findings: list[Finding]
    changes: list[StopChange]
    releases: list[Release]
    evicted: list[tuple[str, str]]
    rules: dict[str, Any]
    is_prune_due: bool

    @property
    def is_empty(self) -> bool:
        return not (self.findings or self.changes or self.releases or self.evicted or self.is_prune_due)


class FindingWriter:
    """Owns what is not stored yet. While the store fails, nothing new is taken, and what waits is bounded."""

    def __init__(
        self,
        store: Store,
        table: ShadowRouteTable,
        stops: ShadowStops,
        releases: ReleasesState,
        index: IndexState,
        counters: ShadowCounters,
        listener: EvidenceListener,
    ) -> None:
        self.problem: str | None = None
        """Why nothing can be kept at the moment, if the store itself is not to blame."""
        self.is_restored = False
        self._store = store
        self._table = table
        self._stops = stops
        self._releases = releases
        self._index = index
        self._counters = counters
        self._listener = listener
        self._journal = Journal(store.folder)
        self._indexed: Connection | None = None
        self._storing = asyncio.Lock()
        self._pending: list[Finding] = []
        self._pending_count = self._pending_bytes = 0
        self._journaled: set[str] = set()
        """Pending findings whose lines are in the journal: the database took the batch no further than that."""
        self._is_due = asyncio.Event()
        self._pruned = time.monotonic()

    @property
    def is_ready(self) -> bool:
        """Return whether findings can be kept, as far as is known."""
        return self.is_restored and self.problem is None and self._store.problem is None

    @property
    def halted(self) -> str | None:
        """Why findings cannot be kept at the moment; None unless something is wrong."""
        return self.problem if self._store.problem is None else "nothing is compared while the store has a problem"

    @property
    def reason(self) -> str:
        """Why findings cannot be kept, in words for an event."""
        return self._store.problem or self.problem or "the state folder is not read yet"

    async def restore(self) -> None:
        """Read what an earlier control has stored of stops and releases. Raises StoreError."""
        self._stops.restore(await self._store.call(load_stops))
        self._releases.restore(await self._store.call(load_releases))
        self.is_restored = True

    def fail(self, problem: str) -> None:
        """Keep nothing until something was stored again."""
        self.problem = problem

    # 1. What waits

    def add(self, finding: Finding) -> None:
        """Keep a finding, or drop it and count that: because of a reset, or because too much waits."""
        if finding.at < self._releases.begun(finding.route):
            self._counters.count_dropped(finding.route, "reset")
            return
        size = finding.size
        if self._pending_count >= MAX_PENDING or self._pending_bytes + size > MAX_PENDING_BYTES:
            self._counters.count_dropped(finding.route, "store")
            return
        self._pending.append(finding)
        self._pending_count += 1
        self._pending_bytes += size
        self._listener.publish_comparison(finding)
        self._counters.count_compared(finding.route, finding.outcome)

    def _drop_pending(self, route: str, before: float) -> None:
        """Forget findings of requests before a Unix time that the store did not take."""
        pending, self._pending = self._pending, []
        dropped: list[Finding] = []
        for one in pending:
            (dropped if one.route == route and one.at < before else self._pending).append(one)
        self._let_go(dropped)
        for _ in dropped:
            self._counters.count_dropped(route, "reset")

    def _let_go(self, findings: list[Finding]) -> None:
        self._pending_count -= len(findings)
        self._pending_bytes -= sum(one.size for one in findings)

    def hint(self) -> None:
        """Have what waits stored now rather than soon."""
        self._is_due.set()

    async def wait_until_due(self) -> None:
        """Wait for the moment at which `store` is to be called next."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STORE_EVERY_S):
                await self._is_due.wait()
        self._is_due.clear()

    # 2. How it is stored

    async def store(self) -> bool:
        """Write what is pending, and return whether that is stored now."""
        async with self._storing:
            return await self._store_pending()

    async def set_aside(self, route: str) -> list[str]:
        """Set aside all evidence of a route, pending findings included. Return the names under which it can be read.

        Raises StoreError; nothing has changed then.
        """
        async with self._storing:
            await self._store_pending()
            now = time.time()
            names = await self._store.call(partial(self._set_aside, route=route, now=now))
            self._releases.begin_anew(route, now, names)
            self._drop_pending(route, now)
        return names

    def _set_aside(self, connection: Connection, route: str, now: float) -> list[str]:
        self._indexed = None
        return set_aside(connection, route, now)

    async def _store_pending(self) -> bool:
        batch = self._next_batch()
        if batch.is_empty and self.problem is None:
            return True
        try:
            events = await self._store.call(partial(self._write, batch=batch))
        except StoreError as error:
            self._take_back(batch)
            self.fail(f"the store: {error}")
            return False
        self._journaled.clear()
        self._let_go(batch.findings)
        if batch.is_prune_due:
            self._pruned = time.monotonic()
        if self.is_restored:
            self.problem = None
        self._listener.on_stored(events)
        return True

    def _next_batch(self) -> _Batch:
        findings, self._pending = self._pending, []
        releases, evicted = self._releases.unsaved()
        return _Batch(
            findings=findings,
            changes=self._stops.unsaved(),
            releases=releases,
            evicted=evicted,
            rules={name: rule_report(route) for name, route in self._table.routes.items()} if findings else {},
            is_prune_due=time.monotonic() - self._pruned > PRUNE_EVERY_S,
        )

    def _take_back(self, batch: _Batch) -> None:
        self._releases.not_saved(batch.releases, batch.evicted)
        self._pending = batch.findings + self._pending
        self._stops.not_saved(batch.changes)

    # 3. In the store's thread

    def _write(self, connection: Connection, batch: _Batch) -> list[Event]:
        """Write a batch in one transaction. Return the events that are stored with it."""
        self._follow(connection)
        now = time.time()
        drop_evidence(connection, batch.evicted)
        save_releases(connection, batch.releases)
        store_findings(connection, self._index, batch.findings, now)
        store_changes(connection, batch.changes)
        events = self._listener.insert_signatures(connection, now)
        events += self._listener.insert_stops(connection, batch.changes, now)
        store_rules(connection, batch.rules)
        if batch.is_prune_due:
            prune(connection, now)
            self._indexed = None
            look_over(connection)
        self._append_lines(batch.findings)
        return events

    def _follow(self, connection: Connection) -> None:
        """Read the index anew, and write down the stops in force, where the database may be another one."""
        if self._indexed is connection:
            return
        self._index.load(connection)
        for route, stop in self._stops.all().items():
            store_stop(connection, route, stop)
        self._indexed = connection

    def _append_lines(self, findings: list[Finding]) -> None:
        lines = {one.id: one.line for one in findings if one.line is not None and one.id not in self._journaled}
        self._journal.append(lines.values())
        self._journaled |= lines.keys()
