"""Changes of the ledger that are made at any node: each is a request to the leader, which has a response."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec

from strangler.control.fleet.store_clock import StoreClock
from strangler.control.ledger_home import NO_LEDGER, LedgerAwayError, LedgerOffError
from strangler.core.documents import LedgerImportedDocument, LedgerImportRequest
from strangler.ledger.actions import LedgerError, RowChange
from strangler.store import requests
from strangler.store.connection import Connection
from strangler.store.errors import DatabaseError
from strangler.store.store import Store, StoreError

KIND: Final = "ledger"
CHANGE_WAIT_S: Final = 5.0
IMPORT_WAIT_S: Final = 60.0
"""How long the response to an import is waited for: the largest take the leader some seconds."""
LATE_S: Final = 30.0
"""How much later than its node waits a request is dropped, whose node had no way to withdraw it."""
_POLL_S: Final = 0.2


class LedgerOrder(msgspec.Struct, frozen=True):
    """A request to the leader: a change of a row, or a file to import."""

    wait_s: float
    change: RowChange | None = None
    file: LedgerImportRequest | None = None


class LedgerResponse(msgspec.Struct, frozen=True):
    """The outcome of a request: `done` or `imported`, or why nothing was changed."""

    done: str = ""
    imported: LedgerImportedDocument | None = None
    refused: str = ""
    is_off: bool = False
    """Whether the leader has no ledger."""


class LedgerRequests:
    """Makes requests of the leader, which may be this node: `hurry` has it look at them now. `run` is chosen anew by
    each process, so that no two requests have one name."""

    def __init__(
        self, store: Store, clock: StoreClock, node: str, run: str, hurry: Callable[[], Awaitable[object]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._node = node
        self._run = run
        self._hurry = hurry
        self._made = 0

    async def response_to(self, order: LedgerOrder, leader: Callable[[], str | None]) -> LedgerResponse:
        """Return the leader's response. Raises LedgerError, LedgerOffError and StoreError: nothing was changed then,
        unless a LedgerAwayError says something else."""
        self._made += 1
        name = f"{KIND} {self._node} {self._run} {self._made}"
        content = msgspec.json.encode(order)
        await self._add(name, content)
        ends = time.monotonic() + order.wait_s
        while (response := await self._find(name)) is None:
            if time.monotonic() >= ends:
                response = await self._give_up(name, leader())
                break
            await asyncio.sleep(_POLL_S)
        if response.is_off:
            raise LedgerOffError(NO_LEDGER)
        if response.refused:
            raise LedgerError(response.refused)
        return response

    async def _add(self, name: str, content: bytes) -> None:
        add = partial(requests.ask_leader, node=self._node, kind=KIND, name=name, content=content, at=self._clock.now())
        try:
            await self._store.call(add)
        except StoreError as error:
            raise LedgerAwayError(
                f"the store of all nodes is away: {error}. Try again once it is back; look at the ledger first, since"
                " the change may have reached it"
            ) from error

    async def _find(self, name: str) -> LedgerResponse | None:
        """Return the response, if it is there. A store that cannot be read is tried again."""
        await self._hurry()
        try:
            content = await self._store.read(partial(requests.response_to, name=name))
        except DatabaseError:
            return None
        return None if content is None else msgspec.json.decode(content, type=LedgerResponse)

    async def _give_up(self, name: str, leader: str | None) -> LedgerResponse:
        """Withdraw a request; return its response if the leader was quicker. Raises LedgerAwayError."""

        def withdraw(connection: Connection) -> bytes | None:
            return None if requests.withdraw(connection, KIND, name) else requests.response_to(connection, name)

        try:
            content = await self._store.call(withdraw)
        except StoreError as error:
            raise LedgerAwayError(
                f"the store of all nodes is away: {error}. Look at the ledger once it is back: the change is made if a"
                f" leader takes it within {LATE_S:g} s, and not later"
            ) from error
        if content is not None:
            return msgspec.json.decode(content, type=LedgerResponse)
        why = "no node leads" if leader is None else f"node {leader}, which leads, has not taken the change"
        raise LedgerAwayError(f"{why}; nothing was changed. `strangler status` names the nodes; try again")
