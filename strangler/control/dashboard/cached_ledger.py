"""The ledger, cached for a moment: reads do not grow with the browsers that watch, nor take much of control's time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from strangler.core.documents import (
    LedgerDocument,
    LedgerEndpointDocument,
    LedgerHistoryDocument,
    StatusDocument,
)
from strangler.core.settings import Settings
from strangler.ledger.ledger_queries import Filters

FRESH_S = 2.0
"""How long a result is cached at least."""

REST = 20
"""A result that took long is cached for this many times as long: with 5,000 endpoints, that is seconds."""

MAX_RESULTS = 64

_T = TypeVar("_T")


class Ledger(Protocol):
    """The ledger as pages read and change it."""

    def document(self, filters: Filters) -> LedgerDocument: ...
    def history(self) -> LedgerHistoryDocument: ...
    async def endpoint(self, endpoint: str) -> LedgerEndpointDocument | None: ...
    async def fold(self, endpoint: str) -> str: ...
    async def unfold(self, endpoint: str) -> str: ...
    async def ignore(self, endpoint: str) -> str: ...
    async def own(self, endpoint: str, name: str) -> str: ...


class LedgerControl(Protocol):
    """The parts of control that pages of the ledger need."""

    @property
    def ledger(self) -> Ledger: ...
    @property
    def settings(self) -> Settings: ...
    def status(self) -> StatusDocument: ...


@dataclass(frozen=True, slots=True)
class _Result:
    value: Any
    under: Settings
    until: float


@dataclass(slots=True)
class CachedLedgerState:
    """Owns the results of the last seconds; under new settings they are read again. `clock`: monotonic."""

    clock: Callable[[], float] = time.monotonic
    _results: dict[tuple[str, str], _Result] = field(default_factory=dict, init=False)

    def document(self, state: LedgerControl, text: str = "") -> LedgerDocument | None:
        """Return all endpoints that have a text, hidden ones too, without callers; None with `ledger: false`."""
        ledger, filters = state.ledger, Filters(text=text, with_hidden=True, with_callers=False)
        return self._read(("list", text), state, lambda: ledger.document(filters))

    def of_route(self, state: LedgerControl, route: str) -> LedgerDocument | None:
        """Return the endpoints of a route with their callers; None with `ledger: false`."""
        ledger, filters = state.ledger, Filters(route=route, with_hidden=True)
        return self._read(("route", route), state, lambda: ledger.document(filters))

    def history(self, state: LedgerControl) -> LedgerHistoryDocument | None:
        """Return the calls of all endpoints by day; None with `ledger: false`."""
        return self._read(("history", ""), state, state.ledger.history)

    async def endpoint(self, state: LedgerControl, endpoint: str) -> LedgerEndpointDocument | None:
        """Return all that is known of an endpoint; None if it is unknown, or with `ledger: false`."""
        key = "endpoint", endpoint
        if state.settings.ledger is None:
            return None
        kept = self._kept(key, state.settings)
        if kept is None:
            kept = self._keep(key, state.settings, await state.ledger.endpoint(endpoint))
        found: LedgerEndpointDocument | None = kept.value
        return found

    def forget(self) -> None:
        """Drop all results after a change."""
        self._results.clear()

    def _read(self, key: tuple[str, str], state: LedgerControl, ask: Callable[[], _T]) -> _T | None:
        if state.settings.ledger is None:
            return None
        kept = self._kept(key, state.settings)
        if kept is None:
            began = self.clock()
            value = ask()
            kept = self._keep(key, state.settings, value, self.clock() - began)
        found: _T = kept.value
        return found

    def _kept(self, key: tuple[str, str], settings: Settings) -> _Result | None:
        found = self._results.get(key)
        return found if found is not None and found.under is settings and self.clock() < found.until else None

    def _keep(self, key: tuple[str, str], settings: Settings, value: object, took_s: float = 0.0) -> _Result:
        """Cache a result. `took_s`: how long nothing else could run."""
        while len(self._results) >= MAX_RESULTS:
            del self._results[next(iter(self._results))]
        until = self.clock() + max(FRESH_S, REST * took_s)
        self._results[key] = result = _Result(value, settings, until)
        return result
