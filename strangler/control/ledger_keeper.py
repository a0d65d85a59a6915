"""The keeper of the ledger: takes the calls that workers count, stores them, and acknowledges what is stored."""

import asyncio
import time
from collections.abc import Callable, Generator
from typing import Protocol

import structlog

from strangler.control.reload import InForce
from strangler.control.totals import Key
from strangler.core.documents import (
    LedgerDocument,
    LedgerEndpointDocument,
    LedgerEvidence,
    LedgerHistoryDocument,
    LedgerImportedDocument,
    LedgerImportRequest,
    LedgerStatus,
)
from strangler.core.ledger.counts import day_of
from strangler.core.ledger.rows import CallSum
from strangler.core.ledger.states import SHORT_GAP_S
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.core.ledger_settings import LedgerSettings
from strangler.core.settings import Settings
from strangler.ipc.messages import LedgerBatch, LedgerSum
from strangler.ledger import actions
from strangler.ledger.ledger_queries import (
    Filters,
    Progress,
    document_steps,
    endpoint_document,
    history_document,
    ledger_document,
    progress,
)
from strangler.ledger.ledger_state import EndpointSum, LedgerState
from strangler.ledger.placements import PlacementsState
from strangler.ledger.steps import with_pauses
from strangler.store import stored_ledger
from strangler.store.evidence import reading
from strangler.store.evidence.queries import endpoint_evidence
from strangler.store.store import Store, StoreError
from strangler.times import utc_day

SAVE_EVERY_S = 1.0
SAVE_SLOW_EVERY_S = 30.0
"""How often the learned words, and the time that was watched, are saved: a shorter gap counts as watched."""
COUNT_STATES_EVERY_S = 5.0
"""How old the states in metrics and in the status, and the calls of all endpoints by day, may be: 5,000 take 0.1 s."""
MAX_HELD = 200
"""The workers whose batches wait for a store that cannot be read; more than those that run have ended since."""
SUMS_AT_ONCE = 250
"""The sums of a batch that are counted without a pause, which takes 10 ms; a worker sends at most 5,000."""
COMPACTED_AT_ONCE = 250
"""The rows that are compacted in one second, which takes 20 ms."""

log = structlog.get_logger()


class LedgerOffError(Exception):
    """There is no ledger; the text says why, and the way out."""


class LedgerSender(Protocol):
    """The way back to the workers."""

    def ledger_stored(self, instance: str, number: int) -> None: ...


class LedgerKeeper:
    """Owns the ledger. `wall_clock` returns Unix time."""

    def __init__(
        self, store: Store, workers: LedgerSender, settings: Settings, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self.state = LedgerState()
        self._store = store
        self._workers = workers
        self._settings = settings
        self._now = wall_clock
        self._placements: PlacementsState | None = None
        self._is_restored = False
        self._held: dict[str, dict[int, LedgerBatch]] = {}
        """The batches that wait, by worker and number: large ones, and those that came before the stored ledger was
        read. There is one of each worker, and one more of a worker that has ended."""
        self._owed: dict[str, int] = {}
        """By worker: the number to acknowledge after the next save."""
        self._watched: float | None = None
        """Up to when calls have been watched."""
        self._slow_saved = 0.0
        self._compacted_on = ""
        self._to_compact: list[str] = []
        self._progress: tuple[float, Progress] | None = None
        self._history: tuple[float, LedgerHistoryDocument] | None = None
        self._saving = asyncio.Lock()

    # From start to end

    async def restore(self) -> None:
        """Continue the ledger that an earlier control has stored. It is tried again while the store cannot be read."""
        try:
            self.state = await self._store.call(stored_ledger.load)
        except StoreError:  # logged by the store itself
            return
        self._is_restored = True
        if self._ledger is not None:
            self.state.adopt(self._settings, self._now())

    def adopt(self, in_force: InForce) -> None:
        """Follow new settings. Without a ledger, what is stored is kept, and nothing more is counted."""
        self._settings = in_force.settings
        self._placements = None
        self._forget_computed()
        if self._ledger is None:
            self._watched = None
        elif self._is_restored:
            self.state.adopt(self._settings, self._now())

    async def run(self) -> None:
        """Save the ledger every second until cancelled."""
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            if not self._is_restored:
                await self.restore()
            self.watch()
            await self.save()

    async def close(self) -> None:
        """Save what is left."""
        self.watch()
        await self.save(is_last=True)

    def watch(self) -> None:
        """Note that calls have been watched since the last time. A clock that was set adds nothing."""
        if self._ledger is None or not self._is_restored:
            return
        now = self._now()
        if self._watched is not None and 0 < now - self._watched <= SHORT_GAP_S:
            self.state.watch.add(self._watched, now)
        self._watched = now

    # Calls that workers have counted

    def take(self, instance: str, batch: LedgerBatch) -> None:
        """Count a worker's batch. It is acknowledged once it is stored; without a ledger it is dropped at once."""
        if self._ledger is None:
            self._workers.ledger_stored(instance, batch.number)
            return
        is_large = len(batch.sums) > SUMS_AT_ONCE
        if is_large or instance in self._held or not self._is_restored:
            self._held.setdefault(instance, {})[batch.number] = batch
            if len(self._held) > MAX_HELD:
                del self._held[next(iter(self._held))]
            return
        for _ in self._counting(instance, batch):
            pass

    def _counting(self, instance: str, batch: LedgerBatch) -> Generator[None, None, None]:
        """Count a batch in steps of some milliseconds. Nothing must be saved before the last of them."""
        ledger, now = self._ledger, self._now()
        if ledger is not None and self.state.begin_batch(instance, batch.number, batch.sampled_from, now):
            for at in range(0, len(batch.sums), SUMS_AT_ONCE):
                self.state.count([_sum(each, now) for each in batch.sums[at : at + SUMS_AT_ONCE]], ledger.quiet_s)
                yield
        self._owed[instance] = max(batch.number, self._owed.get(instance, 0))

    async def _count_held(self) -> None:
        """Count the batches that wait, each worker's in their order. One that comes meanwhile waits, too."""
        while self._held:
            instance = next(iter(self._held))
            batches = self._held[instance]
            number = min(batches)
            await with_pauses(self._counting(instance, batches[number]))
            batches.pop(number, None)
            if self._held.get(instance) == {}:
                del self._held[instance]

    async def save(self, *, is_last: bool = False) -> None:
        """Store what has changed, and acknowledge the batches in it."""
        if not self._is_restored:
            return
        async with self._saving:
            await self._count_held()
            self._keep_house()
            now = self._now()
            is_slow_due = is_last or not 0 <= now - self._slow_saved < SAVE_SLOW_EVERY_S
            owed, self._owed = self._owed, {}
            unsaved = stored_ledger.collect_unsaved(self.state, with_slow=is_slow_due)
            if unsaved.is_empty and not owed:
                return
            if await self._write(unsaved):
                self._slow_saved = now if is_slow_due else self._slow_saved
                for instance, number in owed.items():
                    self._workers.ledger_stored(instance, number)
            else:
                for instance, number in owed.items():
                    self._owed[instance] = max(number, self._owed.get(instance, 0))

    async def _write(self, unsaved: stored_ledger.Unsaved) -> bool:
        try:
            is_whole = await self._store.call(lambda connection: stored_ledger.save(connection, unsaved))
        except StoreError:  # logged by the store itself, and in the status
            stored_ledger.put_back(self.state, unsaved)
            return False
        except asyncio.CancelledError:  # it may be written or not; writing it again does no harm
            stored_ledger.put_back(self.state, unsaved)
            raise
        if is_whole:
            stored_ledger.confirm(self.state, unsaved)
        else:
            stored_ledger.put_all_back(self.state)
        return is_whole

    def _keep_house(self) -> None:
        """Once a day, sum up earlier days and forget what is too old, some rows at a time."""
        if self._ledger is None:
            return
        now = self._now()
        self.state.forget_instances(now)
        today = day_of(now)
        if today != self._compacted_on:
            self._compacted_on = today
            self._to_compact = list(self.state.rows.rows)
        some, self._to_compact = self._to_compact[:COMPACTED_AT_ONCE], self._to_compact[COMPACTED_AT_ONCE:]
        stored_ledger.compact(self.state, some, now, self._ledger.keep_s)

    # For the admin listener

    @property
    def is_on(self) -> bool:
        """Whether there is a ledger."""
        return self._ledger is not None

    @property
    def tree(self) -> TemplateTreeState | None:
        """The tree that names endpoints; None if there is no ledger, or it could not be read yet."""
        return self.state.tree if self.is_on and self._is_restored else None

    @property
    def _ledger(self) -> LedgerSettings | None:
        return self._settings.ledger

    def document(self, filters: Filters) -> LedgerDocument:
        """Return the rows that filters ask for. Raises LedgerOffError."""
        self._check()
        return ledger_document(self.state, self._settings, self._now(), filters, self._placed())

    async def listed(self, filters: Filters) -> LedgerDocument:
        """Return the same with pauses, in which others may run: 5,000 rows with their callers take a second."""
        self._check()
        reached, placed = self.progress(), self._placed()
        return await with_pauses(document_steps(self.state, self._settings, self._now(), filters, placed, reached))

    async def endpoint(self, endpoint: str) -> LedgerEndpointDocument | None:
        """Return all that is known of an endpoint; None if it is unknown. Raises LedgerOffError."""
        self._check()
        found = endpoint_document(self.state, self._settings, self._now(), endpoint, None, self._placed())
        if found is None or found.row.route is None:
            return found
        evidence = await self._evidence(found.row.route, found.row.endpoint)
        self._check()
        return endpoint_document(self.state, self._settings, self._now(), endpoint, evidence, self._placed())

    async def _evidence(self, route: str, endpoint: str) -> LedgerEvidence | None:
        settings = self._settings
        try:
            return await reading.ask(
                self._store, lambda connection: endpoint_evidence(connection, settings, route, endpoint, utc_day())
            )
        except reading.NoEvidenceError:  # in the status already
            return None

    def history(self) -> LedgerHistoryDocument:
        """Return the calls of all endpoints by day, a few seconds old. Raises LedgerOffError."""
        self._check()
        now = self._now()
        if self._history is None or not 0 <= now - self._history[0] < COUNT_STATES_EVERY_S:
            self._history = now, history_document(self.state, self._placed())
        return self._history[1]

    def progress(self) -> Progress | None:
        """Return how far the migration is, a few seconds old; None without a ledger."""
        if self._ledger is None:
            return None
        now = self._now()
        if self._progress is None or not 0 <= now - self._progress[0] < COUNT_STATES_EVERY_S:
            self._progress = now, progress(self.state, self._settings, now, self._placed())
        return self._progress[1]

    def gauges(self) -> dict[Key, float]:
        """Return the metrics of the ledger; none without one."""
        found = self.progress()
        if found is None:
            return {}
        gauges: dict[Key, float] = {("strangler_migration_share", ()): found.share}
        for state, count in found.states.items():
            gauges["strangler_endpoints", (state,)] = float(count)
        return gauges

    def status(self) -> LedgerStatus | None:
        """Return the ledger in short; None if there is none."""
        found = self.progress()
        if found is None:
            return None
        return LedgerStatus(round(found.share, 6), found.states, self.state.left_out)

    async def fold(self, endpoint: str) -> str:
        """Make the paths of a template one endpoint. Raises LedgerOffError, LedgerError and StoreError, like all."""
        return await self._change(lambda: actions.fold(self.state, endpoint))

    async def unfold(self, endpoint: str) -> str:
        """Undo a fold."""
        return await self._change(lambda: actions.unfold(self.state, endpoint))

    async def ignore(self, endpoint: str) -> str:
        """Hide an endpoint, or show it again."""
        return await self._change(lambda: actions.ignore(self.state, endpoint))

    async def own(self, endpoint: str, name: str) -> str:
        """Name who answers for an endpoint."""
        return await self._change(lambda: actions.own(self.state, endpoint, name))

    async def import_file(self, request: LedgerImportRequest) -> LedgerImportedDocument:
        """Take over a list of endpoints, or the calls of a log."""
        ledger = self._check_restored()
        async with self._saving:  # nothing is saved between its steps, so that a file is never imported in part
            done = await with_pauses(actions.import_steps(self.state, request, ledger.quiet_s, self._now()))
        await self._save_change()
        return done

    async def _change(self, change: Callable[[], str]) -> str:
        """Make a change and store it. A store that cannot be written gets it as soon as it can."""
        self._check_restored()
        done = change()
        await self._save_change()
        return done

    async def _save_change(self) -> None:
        self._forget_computed()
        await self.save()
        if self._store.problem is not None:
            raise StoreError(self._store.problem)

    def _forget_computed(self) -> None:
        self._progress = self._history = None

    def _check_restored(self) -> LedgerSettings:
        ledger = self._check()
        if not self._is_restored:
            raise StoreError(self._store.problem)
        return ledger

    def _check(self) -> LedgerSettings:
        if self._ledger is None:
            raise LedgerOffError(
                "there is no ledger: routes.yaml has `ledger: false`; take that line out, and calls are counted"
            )
        return self._ledger

    def _placed(self) -> PlacementsState:
        if self._placements is None or self._placements.settings is not self._settings:
            self._placements = PlacementsState(self._settings)
        return self._placements


def _sum(each: LedgerSum, now: float) -> EndpointSum:
    at = min(each.at, now)  # a clock that was set back must not keep an endpoint alive
    calls = CallSum(at, each.arm, each.status, each.caller, each.calls, tuple(each.buckets), each.route)
    return EndpointSum(each.method, each.template, each.example, calls)
