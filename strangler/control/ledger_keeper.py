"""The keeper of the ledger: what others read of it, and the changes that an operator makes."""

import asyncio
import time
from collections.abc import Callable

from strangler.control.ledger_home import NO_LEDGER, LedgerHome, LedgerOffError, LedgerSender
from strangler.control.reload import InForce
from strangler.control.sole_ledger import SoleLedger
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
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.core.ledger_settings import LedgerSettings
from strangler.core.settings import Settings
from strangler.ipc.messages import LedgerBatch
from strangler.ledger.actions import RowChange
from strangler.ledger.ledger_queries import (
    Filters,
    Progress,
    document_steps,
    endpoint_document,
    history_document,
    ledger_document,
    progress,
)
from strangler.ledger.ledger_state import LedgerState
from strangler.ledger.placements import PlacementsState
from strangler.ledger.steps import with_pauses
from strangler.store.evidence import reading
from strangler.store.evidence.queries import endpoint_evidence
from strangler.store.store import Store, StoreError
from strangler.times import utc_day

SAVE_EVERY_S = 1.0
COUNT_STATES_EVERY_S = 5.0
"""How old the states in metrics and in the status, and the calls of all endpoints by day, may be: 5,000 take 0.1 s."""


class LedgerKeeper:
    """Keeps the ledger of this node, or its part in that of a fleet: `home`. `wall_clock` returns Unix time."""

    def __init__(
        self,
        store: Store,
        workers: LedgerSender,
        settings: Settings,
        wall_clock: Callable[[], float] = time.time,
        home: LedgerHome | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._now = wall_clock
        self._home: LedgerHome = SoleLedger(store, workers, settings, wall_clock) if home is None else home
        self._placements: PlacementsState | None = None
        self._progress: tuple[float, Progress] | None = None
        self._history: tuple[float, LedgerHistoryDocument] | None = None

    # From start to end

    async def restore(self) -> None:
        """Continue the ledger that is stored. It is tried again while the store cannot be read."""
        await self._home.restore()

    def adopt(self, in_force: InForce) -> None:
        """Follow new settings."""
        self._settings = in_force.settings
        self._placements = None
        self._forget_computed()
        self._home.adopt(in_force.settings)

    async def run(self) -> None:
        """Save the ledger every second until cancelled."""
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await self._home.step()

    async def close(self) -> None:
        """Save what is left."""
        await self._home.close()

    def watch(self) -> None:
        """Note that calls have been watched since the last time."""
        self._home.watch()

    def take(self, instance: str, batch: LedgerBatch) -> None:
        """Count a worker's batch. It is acknowledged once it is stored; without a ledger it is dropped at once."""
        self._home.take(instance, batch)

    async def save(self) -> None:
        """Store what has changed, and acknowledge the batches in it."""
        await self._home.save()

    @property
    def state(self) -> LedgerState:
        """The ledger, which others only read."""
        return self._home.state

    @property
    def problem(self) -> str | None:
        """Why calls wait to be counted, if not for the store."""
        return self._home.problem if self.is_on else None

    # For the admin listener

    @property
    def is_on(self) -> bool:
        """Whether there is a ledger."""
        return self._ledger is not None

    @property
    def tree(self) -> TemplateTreeState | None:
        """The tree that names endpoints; None if there is no ledger, or it could not be read yet."""
        return self.state.tree if self.is_on and self._home.is_restored else None

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
        return await self._change(RowChange("fold", endpoint))

    async def unfold(self, endpoint: str) -> str:
        """Undo a fold."""
        return await self._change(RowChange("unfold", endpoint))

    async def ignore(self, endpoint: str) -> str:
        """Hide an endpoint, or show it again."""
        return await self._change(RowChange("ignore", endpoint))

    async def own(self, endpoint: str, name: str) -> str:
        """Name who answers for an endpoint."""
        return await self._change(RowChange("own", endpoint, name))

    async def import_file(self, request: LedgerImportRequest) -> LedgerImportedDocument:
        """Take over a list of endpoints, or the calls of a log."""
        self._check_restored()
        try:
            return await self._home.import_file(request)
        finally:
            self._forget_computed()

    async def _change(self, change: RowChange) -> str:
        self._check_restored()
        try:
            return await self._home.change(change)
        finally:
            self._forget_computed()

    def _forget_computed(self) -> None:
        self._progress = self._history = None

    def _check_restored(self) -> None:
        self._check()
        if not self._home.is_restored:
            raise StoreError(self._store.problem or "the ledger was not read yet; try again")

    def _check(self) -> None:
        if self._ledger is None:
            raise LedgerOffError(NO_LEDGER)

    def _placed(self) -> PlacementsState:
        if self._placements is None or self._placements.settings is not self._settings:
            self._placements = PlacementsState(self._settings)
        return self._placements
