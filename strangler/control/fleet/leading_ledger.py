"""The ledger at the node that leads: it counts what all nodes have counted, and stores it with each batch's number.

A step reads what waits in the store, counts it in memory, and stores the ledger in one transaction, in which all that
was counted goes from where it waits. After one that fails, the stored ledger is read again, and all is counted anew:
the numbers of batches tell what that ledger has, also where the transaction was committed and nobody knows.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
import structlog

from strangler.control.fleet.following_ledger import at_the_store, worker_name
from strangler.control.fleet.leadership import Leadership
from strangler.control.fleet.ledger_requests import KIND, LATE_S, LedgerOrder, LedgerResponse
from strangler.control.fleet.store_clock import StoreClock
from strangler.control.ledger_counting import HeldBatches, counting_steps
from strangler.control.sole_ledger import SAVE_SLOW_EVERY_S, Housekeeping
from strangler.core.ledger_settings import LedgerSettings
from strangler.ipc.messages import LedgerBatch
from strangler.ledger import actions
from strangler.ledger.actions import LedgerError, apply_change
from strangler.ledger.ledger_state import LedgerState
from strangler.ledger.steps import with_pauses
from strangler.store import ledger_batches, requests, stored_ledger
from strangler.store.connection import Connection
from strangler.store.ledger_batches import MAX_TAKEN_BYTES, StoredBatch, WatchedSpan
from strangler.store.ledger_changes import Saves, lock_saves, note_save
from strangler.store.requests import Request
from strangler.store.store import Store, StoreError
from strangler.store.stored_ledger import Unsaved
from strangler.store.topics import Topic, announce

MAX_SUMS: Final = 5000
"""The sums of its own workers' batches that a step counts, but for a single batch."""
MAX_REQUESTS: Final = 5
KEEP_WATCHED_S: Final = 300.0
"""How long after its end a watched time waits; a node that lives notes it anew every few seconds."""

log = structlog.get_logger()


class OutdatedError(Exception):
    """The ledger in memory is not the stored one, which has to be read again; counting begins anew."""


@dataclass(frozen=True, slots=True)
class _Inbox:
    """The work that waits in the store for the leader."""

    batches: Sequence[StoredBatch]
    is_rest_own: bool
    """Whether more wait of this node's workers, whose later batches must not be counted before."""
    requests: Sequence[Request]
    watched: Sequence[WatchedSpan]


@dataclass(frozen=True, slots=True)
class _Effect:
    """The effect of a step, but for the ledger: what its transaction has to do beside saving that."""

    batches: Sequence[int]
    responses: Sequence[tuple[str, bytes]]
    ended: Sequence[WatchedSpan]
    at: float

    @property
    def is_empty(self) -> bool:
        return not self.batches and not self.responses and not self.ended


class LeadingLedger:
    """Owns the ledger of all nodes in one `epoch`. `saves`: the facts about the saves before it."""

    def __init__(
        self,
        store: Store,
        leadership: Leadership,
        clock: StoreClock,
        node: str,
        epoch: int,
        state: LedgerState,
        saves: Saves,
    ) -> None:
        self.state = state
        self.epoch = epoch
        self._store = store
        self._leadership = leadership
        self._clock = clock
        self._node = node
        self._saves = saves
        self._slow_saved = float("-inf")
        self._house = Housekeeping()

    async def step(
        self,
        ledger: LedgerSettings | None,
        held: HeldBatches,
        span: WatchedSpan | None,
        *,
        most_bytes: int = MAX_TAKEN_BYTES,
        is_last: bool = False,
    ) -> list[tuple[str, int]]:
        """Count what waits, and return the batches of this node's workers that are stored. Without a ledger, what other
        nodes have counted waits on. `most_bytes`: how much of that is taken at once.

        Raises DatabaseError if nothing can be read, and OutdatedError.
        """
        now = self._clock.now()
        is_slow_due = is_last or not 0 <= now - self._slow_saved < SAVE_SLOW_EVERY_S
        inbox = await self._store.read(
            partial(
                _read_inbox,
                node=self._node,
                most_bytes=0 if ledger is None else most_bytes,
                with_watched=is_slow_due,
            )
        )
        counted: list[tuple[str, int]] = []
        if ledger is not None:
            for stored in inbox.batches:
                await self._count_stored(stored, ledger)
            if not inbox.is_rest_own:
                counted = await self._count_held(held, ledger, MAX_SUMS * most_bytes // MAX_TAKEN_BYTES)
            self._house.keep(self.state, ledger, now)
        responses = [(each.name, await self._carried_out(each, ledger)) for each in inbox.requests]
        for each in (*inbox.watched, *(() if span is None else (span,))):
            self.state.watch.add(each.begun, min(each.ended, now))
        ended = [each for each in inbox.watched if each.ended < now - KEEP_WATCHED_S]
        effect = _Effect([each.id for each in inbox.batches], responses, ended, now)
        unsaved = stored_ledger.collect_unsaved(self.state, with_slow=is_slow_due)
        if counted or not effect.is_empty or not unsaved.is_empty:
            await self._save(unsaved, effect)
        self._slow_saved = now if is_slow_due else self._slow_saved
        return counted

    async def _count_stored(self, stored: StoredBatch, ledger: LedgerSettings) -> None:
        try:
            batch = msgspec.msgpack.decode(stored.content, type=LedgerBatch)
        except (msgspec.DecodeError, UnicodeError) as error:
            log.error(
                "ledger.batch_unreadable",
                worker=stored.instance,
                number=stored.number,
                reason=str(error),
                remedy="its calls are not counted; run one version on all nodes",
            )
            return
        await with_pauses(self._counting(stored.instance, batch, ledger))

    async def _count_held(self, held: HeldBatches, ledger: LedgerSettings, most_sums: int) -> list[tuple[str, int]]:
        """Count batches of this node's workers, of so many sums together but one at least, and return which."""
        counted: list[tuple[str, int]] = []
        sums = 0
        for instance, batch in held.all():
            sums += len(batch.sums)
            if counted and sums > most_sums:
                break
            corrected = at_the_store(batch, self._clock.ahead_s)
            await with_pauses(self._counting(worker_name(self._node, instance), corrected, ledger))
            counted.append((instance, batch.number))
        return counted

    def _counting(self, worker: str, batch: LedgerBatch, ledger: LedgerSettings) -> Generator[None, None, None]:
        return counting_steps(self.state, worker, batch, ledger.quiet_s, self._clock.now())

    async def _carried_out(self, request: Request, ledger: LedgerSettings | None) -> bytes:
        """Carry out a request in memory, and return the response to it."""
        return msgspec.json.encode(await self._response(request, ledger))

    async def _response(self, request: Request, ledger: LedgerSettings | None) -> LedgerResponse:
        if ledger is None:
            return LedgerResponse(is_off=True)
        now = self._clock.now()
        try:
            order = msgspec.json.decode(request.content, type=LedgerOrder)
            if now - request.at > order.wait_s + LATE_S:
                return LedgerResponse(refused="the request came too late")
            if order.file is not None:
                done = await with_pauses(actions.import_steps(self.state, order.file, ledger.quiet_s, now))
                return LedgerResponse(imported=done)
            if order.change is not None:
                return LedgerResponse(done=apply_change(self.state, order.change))
        except (LedgerError, msgspec.DecodeError) as error:
            return LedgerResponse(refused=str(error))
        return LedgerResponse(refused="the leader knows no such request; run one version on all nodes")

    async def _save(self, unsaved: Unsaved, effect: _Effect) -> None:
        """Store the ledger. Raises OutdatedError; it may be stored nevertheless, if the connection was lost."""
        if self._leadership.epoch != self.epoch:
            raise OutdatedError("this node led no longer when it had counted")
        try:
            saves = await self._leadership.call(partial(_save, unsaved=unsaved, effect=effect, saves=self._saves))
        except StoreError as error:
            raise OutdatedError(str(error)) from error
        stored_ledger.confirm(self.state, unsaved)
        self._saves = saves


def _read_inbox(connection: Connection, node: str, most_bytes: int, with_watched: bool) -> _Inbox:
    batches = ledger_batches.first_batches(connection, most_bytes) if most_bytes else []
    last = batches[-1].id if batches else 0
    return _Inbox(
        batches,
        most_bytes > 0 and ledger_batches.has_later(connection, node, last),
        requests.waiting_requests(connection, KIND, MAX_REQUESTS),
        ledger_batches.watched(connection) if with_watched else [],
    )


def _save(connection: Connection, unsaved: Unsaved, effect: _Effect, saves: Saves) -> Saves:
    """Store the ledger with the effect of a step, and return the facts about the saves. Raises OutdatedError if a
    request was withdrawn, or a command has saved meanwhile, or the store was replaced; nothing is stored then."""
    if lock_saves(connection).number != saves.number:
        raise OutdatedError("the store has another ledger")
    for name, _ in effect.responses:
        if not requests.withdraw(connection, KIND, name):
            raise OutdatedError(f"{name} was withdrawn")
    stored_ledger.save(connection, unsaved)
    after = note_save(connection, unsaved, saves)
    ledger_batches.drop_batches(connection, effect.batches)
    ledger_batches.drop_watched(connection, effect.ended)
    for name, content in effect.responses:
        requests.respond(connection, name, content, effect.at)
    if effect.responses or unsaved.revision is not None:
        announce(connection, Topic.LEDGER)  # others follow counts every few seconds, and these at once
    return after
