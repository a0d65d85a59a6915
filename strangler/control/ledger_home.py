"""The place where a node's ledger is: its own, or that of a fleet. Both take calls and changes alike."""

from typing import Protocol

from strangler.core.documents import LedgerImportedDocument, LedgerImportRequest
from strangler.core.settings import Settings
from strangler.ipc.messages import LedgerBatch
from strangler.ledger.actions import RowChange
from strangler.ledger.ledger_state import LedgerState
from strangler.store.store import StoreError

NO_LEDGER = "there is no ledger: routes.yaml has `ledger: false`; take that line out, and calls are counted"


class LedgerOffError(Exception):
    """There is no ledger; the text says why, and the way out."""


class LedgerAwayError(StoreError):
    """No node takes a change; the text says why, what became of it, and the way out."""


class LedgerSender(Protocol):
    """The way back to the workers."""

    def ledger_stored(self, instance: str, number: int) -> None: ...


class LedgerHome(Protocol):
    """The ledger of this node, as `LedgerKeeper` uses it."""

    @property
    def state(self) -> LedgerState:
        """The ledger, which others only read."""

    @property
    def is_restored(self) -> bool:
        """Whether the stored ledger was read."""

    @property
    def problem(self) -> str | None:
        """Why calls are not counted now, or wait; None if they are counted. It says what the store does not."""

    async def restore(self) -> None:
        """Read the stored ledger, if it can be read."""

    def adopt(self, settings: Settings) -> None:
        """Follow new settings."""

    def take(self, instance: str, batch: LedgerBatch) -> None:
        """Take a worker's batch, which is acknowledged once it is stored."""

    def watch(self) -> None:
        """Note that calls have been watched since the last time."""

    async def step(self) -> None:
        """Do what is due each second."""

    async def save(self, *, is_last: bool = False) -> None:
        """Store what has changed, and acknowledge the batches in it."""

    async def change(self, change: RowChange) -> str:
        """Make a change and store it. Raises LedgerError, LedgerOffError and StoreError."""

    async def import_file(self, request: LedgerImportRequest) -> LedgerImportedDocument:
        """Take over a list of endpoints, or the calls of a log. Raises the same."""

    async def close(self) -> None:
        """Store what is left."""
