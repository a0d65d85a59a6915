"""The ledger of a node that shares its store with no other: it counts the calls of its workers, and stores them."""

import asyncio
from collections.abc import Callable, Generator

from strangler.control.ledger_counting import SUMS_AT_ONCE, HeldBatches, counting_steps
from strangler.control.ledger_home import LedgerSender
from strangler.core.documents import LedgerImportedDocument, LedgerImportRequest
from strangler.core.ledger.counts import day_of
from strangler.core.ledger.states import SHORT_GAP_S
from strangler.core.ledger_settings import LedgerSettings
from strangler.core.settings import Settings
from strangler.ipc.messages import LedgerBatch
from strangler.ledger import actions
from strangler.ledger.actions import RowChange, apply_change
from strangler.ledger.ledger_state import LedgerState
from strangler.ledger.steps import with_pauses
from strangler.store import stored_ledger
from strangler.store.store import Store, StoreError

SAVE_SLOW_EVERY_S = 30.0
"""How often the learned words, and the time that was watched, are saved: a shorter gap counts as watched."""
COMPACTED_AT_ONCE = 250
"""The rows that are compacted in one second, which takes 20 ms."""


class Housekeeping:
    """Once a day, sums up earlier days and forgets what is too old, some rows at a time."""

    def __init__(self) -> None:
        self._compacted_on = ""
        self._to_compact: list[str] = []

    def keep(self, state: LedgerState, ledger: LedgerSettings, now: float) -> None:
        """Do a part of it."""
        state.forget_instances(now)
        today = day_of(now)
        if today != self._compacted_on:
            self._compacted_on = today
            self._to_compact = list(state.rows.rows)
        some, self._to_compact = self._to_compact[:COMPACTED_AT_ONCE], self._to_compact[COMPACTED_AT_ONCE:]
        stored_ledger.compact(state, some, now, ledger.keep_s)


class SoleLedger:
    """Owns the ledger. `now` returns Unix time."""

    problem = None

    def __init__(self, store: Store, workers: LedgerSender, settings: Settings, now: Callable[[], float]) -> None:
        self.state = LedgerState()
        self.is_restored = False
        self._store = store
        self._workers = workers
        self._settings = settings
        self._now = now
        self._held = HeldBatches()
        """Large batches, and those that came before the stored ledger was read."""
        self._owed: dict[str, int] = {}
        """By worker: the number to acknowledge after the next save."""
        self._watched: float | None = None
        """Up to when calls have been watched."""
        self._slow_saved = 0.0
        self._house = Housekeeping()
        self._saving = asyncio.Lock()

    async def restore(self) -> None:
        """Continue the ledger that an earlier control has stored. It is tried again while the store cannot be read."""
        try:
            self.state = await self._store.call(stored_ledger.load)
        except StoreError:  # logged by the store itself
            return
        self.is_restored = True
        if self._ledger is not None:
            self.state.adopt(self._settings, self._now())

    def adopt(self, settings: Settings) -> None:
        """Follow new settings. Without a ledger, what is stored is kept, and nothing more is counted."""
        self._settings = settings
        if self._ledger is None:
            self._watched = None
        elif self.is_restored:
            self.state.adopt(settings, self._now())

    async def step(self) -> None:
        """Save what a second has brought."""
        if not self.is_restored:
            await self.restore()
        self.watch()
        await self.save()

    async def close(self) -> None:
        """Save what is left."""
        self.watch()
        await self.save(is_last=True)

    def watch(self) -> None:
        """Note that calls have been watched since the last time. A clock that was set adds nothing."""
        if self._ledger is None or not self.is_restored:
            return
        now = self._now()
        if self._watched is not None and 0 < now - self._watched <= SHORT_GAP_S:
            self.state.watch.add(self._watched, now)
        self._watched = now

    def take(self, instance: str, batch: LedgerBatch) -> None:
        """Count a worker's batch. It is acknowledged once it is stored; without a ledger it is dropped at once."""
        if self._ledger is None:
            self._workers.ledger_stored(instance, batch.number)
            return
        is_large = len(batch.sums) > SUMS_AT_ONCE
        if is_large or self._held.has(instance) or not self.is_restored:
            self._held.add(instance, batch)
            return
        for _ in self._counting(instance, batch):
            pass

    def _counting(self, instance: str, batch: LedgerBatch) -> Generator[None, None, None]:
        """Count a batch in steps of some milliseconds. Nothing must be saved before the last of them."""
        ledger = self._ledger
        if ledger is not None:
            yield from counting_steps(self.state, instance, batch, ledger.quiet_s, self._now())
        self._owed[instance] = max(batch.number, self._owed.get(instance, 0))

    async def _count_held(self) -> None:
        """Count the batches that wait, each worker's in their order. One that comes meanwhile waits, too."""
        while (first := self._held.first()) is not None:
            instance, batch = first
            await with_pauses(self._counting(instance, batch))
            self._held.remove(instance, batch.number)

    async def save(self, *, is_last: bool = False) -> None:
        """Store what has changed, and acknowledge the batches in it."""
        if not self.is_restored:
            return
        async with self._saving:
            await self._count_held()
            if self._ledger is not None:
                self._house.keep(self.state, self._ledger, self._now())
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

    async def change(self, change: RowChange) -> str:
        """Make a change and store it. A store that cannot be written gets it as soon as it can."""
        done = apply_change(self.state, change)
        await self._save_change()
        return done

    async def import_file(self, request: LedgerImportRequest) -> LedgerImportedDocument:
        """Take over a list of endpoints, or the calls of a log."""
        quiet_s = (self._ledger or LedgerSettings()).quiet_s
        async with self._saving:  # nothing is saved between its steps, so that a file is never imported in part
            done = await with_pauses(actions.import_steps(self.state, request, quiet_s, self._now()))
        await self._save_change()
        return done

    async def _save_change(self) -> None:
        await self.save()
        if self._store.problem is not None:
            raise StoreError(self._store.problem)

    @property
    def _ledger(self) -> LedgerSettings | None:
        return self._settings.ledger
