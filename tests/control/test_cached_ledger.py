"""The dashboard's cache of the ledger."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from strangler.control.dashboard.cached_ledger import FRESH_S, MAX_RESULTS, REST, CachedLedgerState
from strangler.core.documents import LedgerDocument, LedgerHistoryDocument, StatusDocument
from strangler.core.ledger_settings import LedgerSettings
from strangler.core.settings import Settings
from strangler.ledger.ledger_queries import Filters
from tests.control.ledger_documents import FixedLedger, document, endpoint, row
from tests.factories import settings


@dataclass(slots=True)
class SlowLedger(FixedLedger):
    """A ledger whose reads take time on a clock."""

    now: list[float] = field(default_factory=lambda: [0.0])
    takes_s: float = 0.0

    def document(self, filters: Filters) -> LedgerDocument:
        self.now[0] += self.takes_s
        self.reads += 1
        return document(row(f"GET /read/{self.reads}"))

    def history(self) -> LedgerHistoryDocument:
        self.reads += 1
        return LedgerHistoryDocument([], [])


@dataclass(slots=True)
class Control:
    ledger: SlowLedger = field(default_factory=SlowLedger)
    settings: Settings = field(default_factory=lambda: replace(settings(), ledger=LedgerSettings()))

    def status(self) -> StatusDocument:
        raise AssertionError("no page needs it here")


def cache_of(control: Control) -> CachedLedgerState:
    return CachedLedgerState(lambda: control.ledger.now[0])


def test_a_result_is_fresh_for_a_moment() -> None:
    control = Control()
    cached = cache_of(control)
    first = cached.document(control)
    control.ledger.now[0] = FRESH_S - 0.1
    assert cached.document(control) is first
    control.ledger.now[0] = FRESH_S
    assert cached.document(control) is not first


def test_a_result_that_took_long_rests_as_many_times_as_long() -> None:
    control = Control()
    control.ledger.takes_s = 0.5
    cached = cache_of(control)
    cached.document(control)
    control.ledger.now[0] = 0.5 + REST * 0.5 - 0.1
    cached.document(control)
    assert control.ledger.reads == 1
    control.ledger.now[0] += 0.2
    cached.document(control)
    assert control.ledger.reads == 2


@pytest.mark.parametrize("change", ["settings", "forget"])
def test_a_change_is_seen_at_once(change: str) -> None:
    control = Control()
    cached = cache_of(control)
    cached.document(control)
    if change == "settings":
        control.settings = replace(control.settings)
    else:
        cached.forget()
    cached.document(control)
    assert control.ledger.reads == 2


async def test_without_a_ledger_nothing_is_read() -> None:
    control = Control()
    control.settings = replace(control.settings, ledger=None)
    cached = cache_of(control)
    found: list[Any] = [cached.document(control), cached.of_route(control, "orders"), cached.history(control)]
    found.append(await cached.endpoint(control, "GET /"))
    assert (found, control.ledger.reads) == ([None] * 4, 0)


async def test_so_many_results_are_kept_and_no_more() -> None:
    control = Control()
    names = [f"GET /{number}" for number in range(MAX_RESULTS + 10)]
    control.ledger.endpoints = {name: endpoint(row(name)) for name in names}
    cached = cache_of(control)
    for name in names:
        assert (found := await cached.endpoint(control, name)) is not None
        assert found.row.endpoint == name
    assert len(cached._results) == MAX_RESULTS
