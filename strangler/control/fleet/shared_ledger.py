"""The ledger of nodes that share a store. The one that leads owns it; the others add to it, and read it.

Batches of this node's workers are held until they are stored: in the ledger by the leader, beside it by the others. So
a node that begins or ends to lead loses none, and the number of a batch tells the leader whether it was counted.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from strangler.control.fleet.following_ledger import FollowingLedger
from strangler.control.fleet.leadership import Leadership
from strangler.control.fleet.leading_ledger import LeadingLedger, OutdatedError
from strangler.control.fleet.ledger_requests import CHANGE_WAIT_S, IMPORT_WAIT_S, LedgerOrder, LedgerRequests
from strangler.control.fleet.store_clock import StoreClock
from strangler.control.ledger_counting import HeldBatches
from strangler.control.ledger_home import LedgerSender
from strangler.core.documents import LedgerImportedDocument, LedgerImportRequest
from strangler.core.ledger.states import SHORT_GAP_S
from strangler.core.settings import Settings
from strangler.ipc.messages import LedgerBatch
from strangler.ledger.actions import RowChange
from strangler.ledger.ledger_state import LedgerState
from strangler.store.errors import DatabaseError
from strangler.store.ledger_batches import MAX_TAKEN_BYTES, WatchedSpan
from strangler.store.ledger_changes import load_changes
from strangler.store.store import Store, StoreError

MIN_TAKEN_BYTES: Final = 8 << 10

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FleetNode:
    """This node among those of its store. `run` is chosen anew by each process."""

    name: str
    run: str
    store: Store
    leadership: Leadership
    clock: StoreClock


class SharedLedger:
    """The part of this node in the ledger of all: a `LedgerHome`."""

    def __init__(self, node: FleetNode, workers: LedgerSender, settings: Settings) -> None:
        self._node = node
        self._workers = workers
        self._settings = settings
        self._held = HeldBatches()
        self._empty = LedgerState()
        self._leading: LeadingLedger | None = None
        self._following = FollowingLedger(node.store, node.clock, node.name)
        self._requests = LedgerRequests(node.store, node.clock, node.name, node.run, self._hurry)
        self._span: WatchedSpan | None = None
        """The time up to now in which this node has watched all calls."""
        self._read_problem: str | None = None
        self._most_bytes = MAX_TAKEN_BYTES
        """How much of what waits is counted at once: less after a transaction that has failed, as by a slow server."""
        self._stepping: asyncio.Future[None] | None = None
        self._lock = asyncio.Lock()

    @property
    def state(self) -> LedgerState:
        if self._leading is not None:
            return self._leading.state
        return self._following.state or self._empty

    @property
    def is_restored(self) -> bool:
        return self._leading is not None or self._following.state is not None

    @property
    def problem(self) -> str | None:
        return self._read_problem or (self._following.problem if self._leading is None else None)

    async def restore(self) -> None:
        """Load the ledger, if the store is there."""
        await self.step()

    def adopt(self, settings: Settings) -> None:
        """Follow new settings. The leader's are those that name endpoints."""
        self._settings = settings
        if settings.ledger is None:
            self._span = None
            for instance, batch in self._held.all():
                self._workers.ledger_stored(instance, batch.number)
            self._held.clear()
        elif self._leading is not None:
            self._leading.state.adopt(settings, self._node.clock.now())

    def take(self, instance: str, batch: LedgerBatch) -> None:
        """Hold a worker's batch until it is stored; without a ledger it is dropped at once."""
        if self._settings.ledger is None:
            self._workers.ledger_stored(instance, batch.number)
        else:
            self._held.add(instance, batch)

    def watch(self) -> None:
        """Note that this node has watched calls since the last time, by the store's clock, once that is known."""
        clock = self._node.clock
        if self._settings.ledger is None or not clock.is_set:
            return
        now, span = clock.now(), self._span
        goes_on = span is not None and 0 <= now - span.ended <= SHORT_GAP_S
        self._span = WatchedSpan(self._node.name, span.begun if span is not None and goes_on else now, now)

    def follow(self) -> None:
        """Read in the next step what another node has changed."""
        self._following.hurry()

    async def step(self) -> None:
        """Do what is due each second."""
        await self.save()

    async def save(self, *, is_last: bool = False) -> None:
        """Store what has changed, and acknowledge the batches in it. It is not cut short: a transaction is committed,
        or not, but never in doubt."""
        self._stepping = asyncio.ensure_future(self._step(is_last=is_last))
        await asyncio.shield(self._stepping)

    async def close(self) -> None:
        """Store what is left, as long as that goes on."""
        left = None
        while left is None or 0 < len(self._held) < left:
            left = len(self._held)
            await self.save(is_last=True)

    async def change(self, change: RowChange) -> str:
        """Have the leader make a change."""
        response = await self._requests.response_to(LedgerOrder(CHANGE_WAIT_S, change=change), self._leader)
        await self._read_again()
        return response.done

    async def import_file(self, request: LedgerImportRequest) -> LedgerImportedDocument:
        """Have the leader take over a file."""
        response = await self._requests.response_to(LedgerOrder(IMPORT_WAIT_S, file=request), self._leader)
        await self._read_again()
        assert response.imported is not None
        return response.imported

    async def _read_again(self) -> None:
        """Read a change that was just made, so that whoever made it sees it."""
        if not self._node.leadership.holds:
            self.follow()
            await self.step()

    def _leader(self) -> str | None:
        return self._node.leadership.leader

    async def _hurry(self) -> None:
        """Let this node take requests now, if it leads."""
        if self._node.leadership.holds:
            await self.step()

    async def _step(self, *, is_last: bool = False) -> None:
        async with self._lock:
            self.watch()
            try:
                if self._node.leadership.holds:
                    await self._lead(is_last)
                else:
                    await self._follow_leader(is_last)
                self._read_problem = None
            except StoreError:  # in the status already, or another node leads
                pass
            except OutdatedError as error:
                log.warning("ledger.read_again", reason=str(error))
                self._end_leading()
                self._most_bytes = max(MIN_TAKEN_BYTES, self._most_bytes // 2)
            except DatabaseError as error:
                if self._read_problem != str(error):
                    log.warning("ledger.unread", reason=str(error))
                self._read_problem = f"the ledger cannot be read: {error}"

    async def _lead(self, is_last: bool) -> None:
        node = self._node
        if self._leading is None or self._leading.epoch != node.leadership.epoch:
            self._leading = await self._begin_to_lead()
        stored = await self._leading.step(
            self._settings.ledger, self._held, self._span, most_bytes=self._most_bytes, is_last=is_last
        )
        self._most_bytes = min(MAX_TAKEN_BYTES, 2 * self._most_bytes)
        self._acknowledge(stored)

    async def _begin_to_lead(self) -> LeadingLedger:
        """Read the ledger as the leader before this one has left it. What this node has read before may be older."""
        node = self._node
        epoch = node.leadership.epoch
        saves, state = await node.store.read(lambda connection: load_changes(connection, None))
        assert isinstance(state, LedgerState)
        if self._settings.ledger is not None:
            state.adopt(self._settings, node.clock.now())
        return LeadingLedger(node.store, node.leadership, node.clock, node.name, epoch, state, saves)

    async def _follow_leader(self, is_last: bool) -> None:
        node = self._node
        self._end_leading()
        if node.clock.is_set:
            self._acknowledge(await self._following.put(self._held, self._span, is_last=is_last))
        if self._settings.ledger is not None:
            await self._following.load()

    def _end_leading(self) -> None:
        """Own the ledger no longer. It is read until the stored one is there: what it has not stored does not count."""
        if self._leading is not None:
            node = self._node
            self._following = FollowingLedger(node.store, node.clock, node.name, self._leading.state)
            self._leading = None

    def _acknowledge(self, stored: list[tuple[str, int]]) -> None:
        for instance, number in stored:
            self._held.remove(instance, number)
            self._workers.ledger_stored(instance, number)
