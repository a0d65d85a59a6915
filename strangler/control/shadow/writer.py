"""The writing of findings, and of all else that shadows keep, into the store."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from strangler.control.shadow.batch import Batch, BatchWriter, Replayed
from strangler.control.shadow.counters import ShadowCounters
from strangler.control.shadow.listener import EvidenceListener
from strangler.control.shadow.naming import EndpointNaming
from strangler.control.shadow.pending import PendingFindings
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.shadow.rules import rule_report
from strangler.control.shadow.stopping import ShadowStops
from strangler.store.evidence.carry_over import Carried, Endpoint, StoredEndpoint, renamed, stored_endpoints
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.replayed import of_release
from strangler.store.evidence.stopped_routes import load_stops
from strangler.store.evidence.stored_releases import ReleasesState, load_releases
from strangler.store.store import Store, StoreError

STORE_EVERY_S = 0.5
PRUNE_EVERY_S = 600.0


class FindingWriter:
    """Has findings stored, and knows whether they can be. While the store fails, no capture is taken."""

    def __init__(
        self,
        store: Store,
        table: ShadowRouteTable,
        stops: ShadowStops,
        releases: ReleasesState,
        index: IndexState,
        counters: ShadowCounters,
        listener: EvidenceListener,
        naming: EndpointNaming,
    ) -> None:
        self.problem: str | None = None
        """Why nothing can be stored at the moment, if the store itself is not the cause."""
        self.is_restored = False
        self._store = store
        self._table = table
        self._stops = stops
        self._releases = releases
        self._counters = counters
        self._listener = listener
        self._naming = naming
        self._pending = PendingFindings(counters)
        self._batches = BatchWriter(store.folder, index, stops.all, listener)
        self._storing = asyncio.Lock()
        self._is_due = asyncio.Event()
        self._pruned = time.monotonic()

    @property
    def is_ready(self) -> bool:
        """Whether findings can be stored, as far as is known."""
        return self.is_restored and self.problem is None and self._store.problem is None

    @property
    def halted(self) -> str | None:
        """Why findings cannot be stored at the moment; None unless something is wrong."""
        return self.problem if self._store.problem is None else "nothing is compared while the store has a problem"

    @property
    def reason(self) -> str:
        """Why findings cannot be stored, in words for an event."""
        return self._store.problem or self.problem or "the state folder is not read yet"

    async def restore(self) -> None:
        """Read the stops and releases that an earlier control has stored. Raises StoreError."""
        self._stops.restore(await self._store.call(load_stops))
        self._releases.restore(await self._store.call(load_releases))
        self.is_restored = True

    def fail(self, problem: str) -> None:
        """Take no capture until something has been stored again."""
        self.problem = problem

    def add(self, finding: Finding) -> None:
        """Keep a finding, or count it as dropped after a reset or because too much waits."""
        if finding.at < self._releases.begun(finding.route):
            self._counters.count_dropped(finding.route, "reset")
        elif self._pending.add(finding):
            self._listener.publish_comparison(finding)

    @property
    def is_busy(self) -> bool:
        """Whether the findings of a replay must wait for those of shadows."""
        return self._pending.is_half_full

    async def add_replayed(self, findings: Sequence[Finding], replay: Replayed) -> int:
        """Store findings of a replay in a transaction of their own. Return how many are stored.

        Those from before a reset are left out. Raises StoreError; nothing is stored then.
        """
        async with self._storing:
            batch = self._replayed_batch(findings, replay)
            try:
                events = await self._store.call(partial(self._batches.write, batch=batch))
            except StoreError:
                self._releases.not_saved(batch.releases, batch.evicted)
                raise
            self._batches.forget_lines(batch)
        self._listener.on_stored(events)
        for finding in batch.findings:
            self._listener.publish_comparison(finding)
        return len(batch.findings)

    def _replayed_batch(self, findings: Sequence[Finding], replay: Replayed) -> Batch:
        now = time.time()
        added = [
            self._named(of_release(finding, self._releases, now))
            for finding in findings
            if finding.at >= self._releases.begun(finding.route)
        ]
        releases, evicted = self._releases.unsaved()
        return Batch(added, [], releases, evicted, rules={}, is_prune_due=False, replay=replay)

    def hint(self) -> None:
        """Store what waits now rather than soon."""
        self._is_due.set()

    async def wait_until_due(self) -> None:
        """Wait until `store` must be called next."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STORE_EVERY_S):
                await self._is_due.wait()
        self._is_due.clear()

    async def store(self) -> bool:
        """Write what is pending, and return whether it is stored now."""
        async with self._storing:
            return await self._store_pending()

    async def set_aside(self, route: str) -> list[str]:
        """Set aside all evidence of a route, pending findings included. Return the names under which it can be read.

        Raises StoreError; nothing has changed then.
        """
        async with self._storing:
            await self._store_pending()
            now = time.time()
            names = await self._store.call(partial(self._batches.set_aside, route=route, now=now))
            self._releases.begin_anew(route, now, names)
            self._pending.drop(route, now)
        return names

    async def carry_over(self, names: Callable[[Sequence[StoredEndpoint]], Awaitable[dict[Endpoint, str]]]) -> Carried:
        """Carry stored evidence over to the names that `names` returns. Findings wait meanwhile.

        Raises StoreError; nothing has changed then.
        """
        async with self._storing:
            stored = await self._store.call(stored_endpoints)
            found = await names(stored)
            if not any(each.is_earlier or found.get(each[:2], each.name) != each.name for each in stored):
                return Carried()
            settings = self._table.settings
            return await self._store.call(partial(self._batches.carry_over, names=found, settings=settings))

    async def _store_pending(self) -> bool:
        batch = self._next_batch()
        if batch.is_empty and self.problem is None:
            return True
        try:
            events = await self._store.call(partial(self._batches.write, batch=batch))
        except StoreError as error:
            self._take_back(batch)
            self.fail(f"the store: {error}")
            return False
        self._batches.forget_lines(batch)
        self._pending.let_go(batch.findings)
        if batch.is_prune_due:
            self._pruned = time.monotonic()
        if self.is_restored:
            self.problem = None
        self._listener.on_stored(events)
        return True

    def _next_batch(self) -> Batch:
        findings = [self._named(finding) for finding in self._pending.take()]
        releases, evicted = self._releases.unsaved()
        return Batch(
            findings=findings,
            changes=self._stops.unsaved(),
            releases=releases,
            evicted=evicted,
            rules={name: rule_report(route) for name, route in self._table.routes.items()} if findings else {},
            is_prune_due=time.monotonic() - self._pruned > PRUNE_EVERY_S,
        )

    def _named(self, finding: Finding) -> Finding:
        """Return a finding under the present name of its endpoint, which may be another one than at the request."""
        return renamed(finding, self._naming.present(finding.route, finding.endpoint))

    def _take_back(self, batch: Batch) -> None:
        self._releases.not_saved(batch.releases, batch.evicted)
        self._pending.take_back(batch.findings)
        self._stops.not_saved(batch.changes)
