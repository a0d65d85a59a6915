"""The totals in the store, saved every second so that a new control process of the same run continues them."""

import asyncio
from contextlib import suppress

from strangler.control.totals import TotalsState
from strangler.store.store import Store, StoreError
from strangler.store.stored_metrics import load_metrics, save_metrics

SAVE_EVERY_S = 1.0


class TotalsSaver:
    """Stores the totals of workers and control."""

    def __init__(self, totals: TotalsState, store: Store, run: str) -> None:
        self._totals = totals
        self._store = store
        self._run = run

    async def restore(self) -> None:
        """Continue the totals that an earlier control of this run has stored."""
        with suppress(StoreError):  # logged by the store itself
            self._totals.restore(await self._store.call(lambda connection: load_metrics(connection, self._run)))

    async def save(self) -> None:
        """Store the changes since the last time. A store with a problem is tried even without changes."""
        batch = self._totals.unsaved()
        is_well = self._store.problem is None and self._store.log_problem is None
        if not batch.rows and not batch.gone and is_well:
            return
        try:
            is_whole = await self._store.call(lambda connection: save_metrics(connection, self._run, batch))
        except StoreError:
            self._totals.not_saved(batch)
            return
        if not is_whole:
            self._totals.mark_all_unsaved()

    async def run(self) -> None:
        """Save the totals every second until cancelled."""
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await self.save()
