"""The rows of the ledger: what counts as a probe, what is bounded, and how rows follow a fold."""

import msgspec
import pytest

from strangler.core.ledger.rows import (
    MAX_CALLERS,
    MAX_ROWS,
    CallerCounts,
    CallSum,
    EndpointRow,
    LedgerRowsState,
    is_refusal,
)
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.core.ledger.word_classes import OVERFLOW

DAY = 86_400.0
NOW = 20_000 * DAY
QUIET = 30 * DAY


def calls(
    at: float = NOW, status: int = 200, count: int = 1, candidate: bool = False, caller: str = "curl/8"
) -> CallSum:
    return CallSum(at, "candidate" if candidate else "legacy", status, caller, count, (count,) + (0,) * 14)


@pytest.mark.parametrize(
    ("method", "status", "is_one"),
    [
        ("GET", 200, False), ("GET", 304, False), ("GET", 302, True), ("POST", 303, False), ("GET", 404, True),
        ("GET", 500, False), ("POST", 401, True), ("GET", 429, False), ("GET", 410, False), ("DELETE", 405, True),
    ],
)  # fmt: skip
def test_refusals_are_what_probes_get(method: str, status: int, is_one: bool) -> None:
    assert is_refusal(method, status) is is_one


def test_probes_count_apart_and_keep_nothing_alive() -> None:
    ledger = LedgerRowsState()
    assert not ledger.record("GET", "/wp-login.php", calls(status=404, count=9), QUIET)
    row = ledger.rows["GET /wp-login.php"]
    assert (row.probes, row.first_seen, row.last_legacy, row.callers) == (9, None, None, {})
    assert row.activity.has_probes_alone


def test_a_refusal_on_a_living_endpoint_is_a_call() -> None:
    row = EndpointRow("GET", "/orders/{}", "traffic", NOW)
    assert row.record(calls(), QUIET)
    assert row.record(calls(NOW + 29 * DAY, 404), QUIET)
    assert not row.record(calls(NOW + 30 * DAY, 404), QUIET)
    assert row.last_legacy == NOW + 29 * DAY
    assert (row.history.total().legacy, row.probes) == (2, 1)


def test_an_imported_row_that_gets_probes_alone_is_not_hidden() -> None:
    row = EndpointRow("GET", "/orders", "import", NOW)
    row.record(calls(status=404), QUIET)
    assert not row.activity.has_probes_alone


def test_calls_count_by_arm_status_day_and_caller() -> None:
    row = EndpointRow("GET", "/orders", "traffic", NOW)
    row.record(calls(count=3), QUIET)
    row.record(calls(NOW + DAY, 503, 2, candidate=True, caller="Firefox"), QUIET)
    total = row.history.total()
    assert (total.legacy, total.candidate, total.statuses) == (3, 2, {"2xx": 3, "5xx": 2})
    assert list(row.history.days) == ["2024-10-04", "2024-10-05"]
    assert row.callers == {"curl/8": CallerCounts(3, 3, NOW), "Firefox": CallerCounts(2)}
    assert (row.first_seen, row.last_seen, row.last_legacy) == (NOW, NOW + DAY, NOW)
    assert (sum(row.legacy_buckets), sum(row.candidate_buckets)) == (3, 2)


def test_callers_are_bounded() -> None:
    row = EndpointRow("GET", "/orders", "traffic", NOW)
    for number in range(200):
        row.record(calls(caller=f"app/{number}"), QUIET)
    assert len(row.callers) == MAX_CALLERS
    assert sum(counts.calls for counts in row.callers.values()) == 200
    assert row.callers[OVERFLOW].calls == 200 - MAX_CALLERS + 1


def test_rows_are_bounded_and_probes_make_room() -> None:
    ledger = LedgerRowsState()
    for number in range(MAX_ROWS):
        ledger.record("GET", f"/p{number}", calls(status=404), QUIET)
    for number in range(MAX_ROWS + 500):
        ledger.record("GET", f"/w{number}", calls(), QUIET)
    assert len(ledger.rows) == MAX_ROWS
    assert ledger.left_out == ledger.rows[OVERFLOW].history.total().calls == 501
    assert not any(row.activity.has_probes_alone for row in ledger.rows.values())


def test_rows_follow_a_fold() -> None:
    tree, ledger = TemplateTreeState(), LedgerRowsState()
    names = [first + second for first in "abcdefgh" for second in ("lice", "run", "osa", "ella", "enno", "aim", "udy")]
    for at, name in enumerate(names):
        template = tree.learn(f"/users/{name}".encode())
        ledger.record("GET", template, calls(NOW + at, caller=f"app/{at % 3}"), QUIET)
        ledger.carry_over(tree.template_of_first)
    assert list(ledger.rows) == ["GET /users/{}"]
    row = ledger.rows["GET /users/{}"]
    assert row.history.total().legacy == len(names)
    assert (row.first_seen, row.last_seen) == (NOW, NOW + len(names) - 1)
    assert sum(counts.calls for counts in row.callers.values()) == len(names)


def test_the_rows_are_plain_data() -> None:
    ledger = LedgerRowsState()
    ledger.record("GET", "/orders", calls(), QUIET, "/orders")
    assert msgspec.json.decode(msgspec.json.encode(ledger), type=LedgerRowsState) == ledger
