"""The writing of findings, and of all else that shadows keep, into the store."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from strangler.control.shadow.batch import Batch, BatchWriter, Replayed, Written, halves
from strangler.control.shadow.counters import ShadowCounters
from strangler.control.shadow.fleet import ShadowFleet
from strangler.control.shadow.listener import EvidenceListener
from strangler.control.shadow.naming import EndpointNaming
from strangler.control.shadow.pending import PendingFindings
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.shadow.rules import rule_report
from strangler.control.shadow.stopping import ShadowStops
from strangler.store.evidence.carry_over import Carried, Endpoint, StoredEndpoint, renamed, stored_endpoints
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.releases_state import Changed, ReleasesState
from strangler.store.evidence.replayed import of_release
from strangler.store.evidence.resets import load_resets
from strangler.store.evidence.stopped_routes import load_stops
from strangler.store.evidence.stored_releases import load_releases
from strangler.store.store import InDoubtError, Store, StoreError

log = structlog.get_logger()

STORE_EVERY_S = 0.5
PRUNE_EVERY_S = 600.0
MAX_FINDINGS: Final = 1000
"""The most findings of a batch if several nodes share the store: each gets its turn soon, and no batch takes long."""
MAX_REFUSALS: Final = 3
"""How often a batch is tried that a store refuses, which may only have preferred another transaction."""
REPLAY_TRIES: Final = 3
"""How often findings of a replay are tried if several nodes share the store, whose response may be lost."""
REPLAY_PAUSE_S: Final = 1.0


class FindingWriter:
    """Has findings stored, and knows whether they can be. While a store of this node alone fails, no capture is taken;
    for one that several nodes share, captures go on as long as there is room for findings."""

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
        fleet: ShadowFleet,
        release_changed: Changed,
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
        self._fleet = fleet
        self._release_changed = release_changed
        self._pending = PendingFindings(counters)
        self._batches = BatchWriter(store.folder, index, stops.all, listener, fleet.clock.now, fleet.sender)
        self._batch: Batch | None = None
        """The batch that may be stored already, or not: it is tried until that is known."""
        self._parts: list[Batch] = []
        """The parts of a batch that the store has refused."""
        self._refusals = 0
        self._numbers = {False: 0, True: 0}
        """The numbers of the last batch of shadows and of replays."""
        self._storing = asyncio.Lock()
        self._is_due = asyncio.Event()
        self._pruned = time.monotonic()

    @property
    def is_shared(self) -> bool:
        """Whether other nodes write the store, too."""
        return self._store.is_shared

    @property
    def is_ready(self) -> bool:
        """Whether findings can be taken, as far as is known."""
        return self.is_restored and (self._pending.has_room if self.is_shared else not self._has_problem)

    @property
    def can_store(self) -> bool:
        """Whether findings can be stored, as far as is known."""
        return self.is_restored and not self._has_problem

    @property
    def _has_problem(self) -> bool:
        return self.problem is not None or self._store.problem is not None

    @property
    def halted(self) -> str | None:
        """Why findings cannot be taken at the moment; None unless something is wrong."""
        if self.is_shared and self.is_restored:
            return None if self._pending.has_room else "nothing is compared while so many findings wait for the store"
        return self.problem if self._store.problem is None else "nothing is compared while the store has a problem"

    @property
    def reason(self) -> str:
        """Why findings cannot be stored, in words for an event."""
        return self._store.problem or self.problem or "the state folder is not read yet"

    async def restore(self) -> None:
        """Read the stops and releases that an earlier control has stored. Raises StoreError."""
        self._stops.restore(await self._store.call(load_stops))
        self._releases.restore(await self._store.call(load_releases))
        self._releases.restore_resets(await self._store.call(load_resets))
        self.is_restored = True

    def fail(self, problem: str) -> None:
        """Take no capture until something has been stored again, unless there is room for findings."""
        self.problem = problem

    def add(self, finding: Finding) -> None:
        """Keep a finding, or count it as dropped after a reset or because too much waits."""
        if self.is_shared:  # from here on all times are those of the store
            finding = replace(finding, at=finding.at + self._fleet.clock.ahead_s)
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
                written = await self._write_replayed(batch)
            except StoreError:
                self._releases.not_saved(batch.releases, batch.evicted)
                raise
            self._settle(batch, written)
        late = {finding.id for finding in written.late}
        for finding in batch.findings:
            if finding.id not in late:
                self._listener.publish_comparison(finding)
        return len(batch.findings) - len(written.late)

    async def _write_replayed(self, batch: Batch) -> Written:
        for left in reversed(range(REPLAY_TRIES if self.is_shared else 1)):
            try:
                return await self._store.call(partial(self._batches.write, batch=batch))
            except StoreError:
                if not left:
                    raise
                await asyncio.sleep(REPLAY_PAUSE_S)
        raise AssertionError

    def _replayed_batch(self, findings: Sequence[Finding], replay: Replayed) -> Batch:
        now = self._fleet.clock.now()
        added = [
            self._named(of_release(finding, self._releases, now))
            for finding in findings
            if finding.at >= self._releases.begun(finding.route)
        ]
        releases, evicted = self._releases.unsaved()
        number = self._next_number(is_replay=True)
        return Batch(added, [], releases, evicted, rules={}, is_prune_due=False, replay=replay, number=number)

    def _next_number(self, *, is_replay: bool) -> int:
        self._numbers[is_replay] += 1
        return self._numbers[is_replay]

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
            now = self._fleet.clock.now()
            names = await self._store.call(partial(self._batches.set_aside, route=route, now=now))
            self._releases.begin_anew(route, now, names)
            self._pending.drop(route, now)
        return names

    async def carry_over(self, names: Callable[[Sequence[StoredEndpoint]], Awaitable[dict[Endpoint, str]]]) -> Carried:
        """Carry stored evidence over to the names that `names` returns. Findings of this node wait meanwhile.

        Raises StoreError; nothing has changed then.
        """
        async with self._storing:
            stored = await self._store.call(stored_endpoints)
            found = await names(stored)
            if not any(each.is_earlier or found.get(each[:2], each.name) != each.name for each in stored):
                return Carried()
            settings = self._table.settings
            return await self._fleet.leadership.call(partial(self._batches.carry_over, names=found, settings=settings))

    async def following(self, take_over: Callable[[], Awaitable[None]]) -> bool:
        """Take over what other nodes have stored, once all that this node knows is stored, and before it stores more.
        Return False if the store cannot be written."""
        async with self._storing:
            if not await self._store_pending():
                return False
            await take_over()
        return True

    async def between_batches(self, work: Callable[[], None]) -> None:
        """Do some work while no batch is being written."""
        async with self._storing:
            work()

    def drop_before(self, route: str, begun: float) -> None:
        """Drop the findings that wait from before a reset that another node has made."""
        self._pending.drop(route, begun)

    async def _store_pending(self) -> bool:
        """Write the batch that is in doubt, if there is one, and then all that waits."""
        while True:
            was_in_doubt = self._batch is not None or bool(self._parts)
            batch = self._batch or self._next_part() or self._next_batch()
            if batch.is_empty and self.problem is None:
                return True
            self._batch = batch
            try:
                written = await self._store.call(partial(self._batches.write, batch=batch))
            except StoreError as error:
                self.fail(f"the store: {error}")
                self._note_refusal(batch, error)
                return False
            self._batch, self._refusals = None, 0
            self._settle(batch, written)
            if batch.is_prune_due:
                self._pruned = time.monotonic()
            if self.is_restored:
                self.problem = None
            if not was_in_doubt and len(batch.findings) < MAX_FINDINGS:
                return True

    def _next_part(self) -> Batch | None:
        if not self._parts:
            return None
        return replace(self._parts.pop(0), number=self._next_number(is_replay=False))

    def _note_refusal(self, batch: Batch, error: StoreError) -> None:
        """Divide a batch that a shared store refuses, though it works: what it cannot take must not keep back the rest.

        A store of this node alone that refuses something has a problem, which somebody solves.
        """
        if not self.is_shared or self._store.problem is not None or isinstance(error, InDoubtError):
            self._refusals = 0
            return
        self._refusals += 1
        if self._refusals < MAX_REFUSALS:
            return
        self._batch, self._refusals = None, 0
        parts = halves(batch)
        if len(parts) > 1:
            self._parts = [*parts, *self._parts]
            return
        log.error("evidence.refused", reason=str(error), findings=[finding.id for finding in batch.findings])
        self._pending.let_go(batch.findings)
        for finding in batch.findings:
            self._counters.count_dropped(finding.route, "failed")

    def _settle(self, batch: Batch, written: Written) -> None:
        """Follow a batch that is stored."""
        self._batches.committed(batch)
        if batch.replay is None:
            self._pending.let_go(batch.findings)
            self._pending.count_late(written.late)
        for other in written.releases.others:
            self._releases.yield_to(other)
        for change in written.releases.changes:
            self._release_changed(*change)
        self._listener.on_stored(written.events)

    def _next_batch(self) -> Batch:
        findings = [self._named(finding) for finding in self._pending.take(MAX_FINDINGS if self.is_shared else None)]
        releases, evicted = self._releases.unsaved()
        return Batch(
            findings=findings,
            changes=self._stops.unsaved(),
            releases=releases,
            evicted=evicted,
            rules={name: rule_report(route) for name, route in self._table.routes.items()} if findings else {},
            is_prune_due=not self.is_shared and time.monotonic() - self._pruned > PRUNE_EVERY_S,
            number=self._next_number(is_replay=False),
        )

    def _named(self, finding: Finding) -> Finding:
        """Return a finding under the present name of its endpoint, which may be another one than at the request."""
        return renamed(finding, self._naming.present(finding.route, finding.endpoint))
