"""The ledger at a node that does not lead: its workers' batches go into the store, from which a copy comes."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
from msgspec.structs import replace

from strangler.control.fleet.store_clock import StoreClock
from strangler.control.ledger_counting import HeldBatches
from strangler.ipc.messages import LedgerBatch
from strangler.ledger.ledger_state import LedgerState
from strangler.store import ledger_batches
from strangler.store.connection import Connection
from strangler.store.ledger_batches import WatchedSpan
from strangler.store.ledger_changes import LedgerChanges, Saves, apply_changes, load_changes
from strangler.store.store import Store

LOAD_EVERY_S: Final = 5.0
LOAD_REST: Final = 20
"""A load that took long is followed by a pause of so many times as long."""
NOTE_WATCHED_EVERY_S: Final = 10.0
MAX_PUT_BYTES: Final = 4 << 20
"""The bytes of batches in one transaction, but for a single batch."""
MIN_AHEAD_S: Final = 0.001

_Put = tuple[str, int, bytes]
"""A batch: the name of its worker in the store, its number and content."""


class FollowingLedger:
    """Puts batches into the store, and keeps a copy of the ledger. `monotonic` returns seconds that nobody sets."""

    def __init__(self, store: Store, clock: StoreClock, node: str, state: LedgerState | None = None) -> None:
        self.state = state
        """The copy; None before it was loaded, or what is shown until then."""
        self.problem: str | None = None
        """Why batches wait in the workers, if the store is there."""
        self._store = store
        self._clock = clock
        self._node = node
        self._saves: Saves | None = None
        self._load_at = float("-inf")
        self._note_at = float("-inf")

    def hurry(self) -> None:
        """Load what has changed in the next step, however short the last load is ago."""
        self._load_at = float("-inf")

    async def put(self, held: HeldBatches, span: WatchedSpan | None, *, is_last: bool = False) -> list[tuple[str, int]]:
        """Put batches that are held into the store, and the time that was watched. Return which batches are stored.
        Raises StoreError; nothing is known then."""
        is_span_due = span is not None and (is_last or time.monotonic() >= self._note_at)
        chosen, puts = _chosen(held.all(), self._node, self._clock.ahead_s)
        if not puts and not is_span_due:
            return []
        work = partial(_put, node=self._node, at=self._clock.now(), puts=puts, span=span if is_span_due else None)
        has_room = await self._store.call(work)
        if is_span_due:
            self._note_at = time.monotonic() + NOTE_WATCHED_EVERY_S
        self.problem = None
        if not has_room:
            self.problem = (
                "calls wait in the workers, since as many as the store may hold wait for a node that leads; "
                "`strangler status` names the nodes"
            )
            return []
        return chosen

    async def load(self) -> None:
        """Bring the copy up to date, if that is due. Raises DatabaseError."""
        if time.monotonic() < self._load_at:
            return
        self._load_at = time.monotonic() + LOAD_EVERY_S
        saves, found, took_s = await self._store.read(partial(_timed_load, since=self._saves))
        self._load_at = time.monotonic() + max(LOAD_EVERY_S, LOAD_REST * took_s)
        if isinstance(found, LedgerState):
            self.state = found
        elif isinstance(found, LedgerChanges) and self.state is not None:
            apply_changes(self.state, found)
        self._saves = saves


def _timed_load(connection: Connection, since: Saves | None) -> tuple[Saves, LedgerState | LedgerChanges | None, float]:
    """Load, and return what the load took of this thread, in seconds."""
    began = time.thread_time()
    saves, found = load_changes(connection, since)
    return saves, found, time.thread_time() - began


def _put(connection: Connection, node: str, at: float, puts: Sequence[_Put], span: WatchedSpan | None) -> bool:
    if span is not None:
        ledger_batches.put_watched(connection, span)
    return not puts or ledger_batches.put_batches(connection, node, at, puts)


def _chosen(
    batches: Sequence[tuple[str, LedgerBatch]], node: str, ahead_s: float
) -> tuple[list[tuple[str, int]], list[_Put]]:
    """Return the batches that one transaction takes: by their workers and numbers, and as they are stored."""
    chosen: list[tuple[str, int]] = []
    puts: list[_Put] = []
    size = 0
    for instance, batch in batches:
        content = msgspec.msgpack.encode(at_the_store(batch, ahead_s))
        size += len(content)
        if puts and size > MAX_PUT_BYTES:
            break
        chosen.append((instance, batch.number))
        puts.append((worker_name(node, instance), batch.number, content))
    return chosen, puts


def worker_name(node: str, instance: str) -> str:
    """Return the name of a worker among those of all nodes."""
    return f"{node}/{instance}"


def at_the_store(batch: LedgerBatch, ahead_s: float) -> LedgerBatch:
    """Return a batch with the times of its calls by the store's clock, which is `ahead_s` ahead of this host's."""
    if abs(ahead_s) < MIN_AHEAD_S:
        return batch
    return replace(batch, sums=[replace(each, at=each.at + ahead_s) for each in batch.sums])
