"""The changes that an operator makes, and what is refused with which way out."""

from dataclasses import replace
from typing import Any

import pytest

from strangler.core.documents import ImportedSum, LedgerImportRequest
from strangler.ledger.actions import MAX_FOLDS, LedgerError, apply_import, fold, ignore, own, unfold
from strangler.ledger.ledger_state import LedgerState
from tests import factories as f
from tests.ledger.ledgers import DAY, NOW, QUIET, called, sum_of


def words(state: LedgerState, *paths: str) -> None:
    for path in paths:
        called(state, f"GET {path}")


def rows(state: LedgerState) -> dict[str, int]:
    return {name: row.history.total().calls for name, row in state.rows.rows.items()}


def imported(**changes: Any) -> LedgerImportRequest:
    made: dict[str, Any] = {
        "digest": "d1",
        "name": "routes.txt",
        "format": "list",
        "endpoints": [],
        "sums": [],
        "began": None,
        "ended": None,
    }
    return LedgerImportRequest(**(made | changes))


def log_sum(endpoint: str, at: float = NOW, **changes: Any) -> ImportedSum:
    method, _, template = endpoint.partition(" ")
    made: dict[str, Any] = {"status": 200, "caller": "curl/8", "calls": 3, "buckets": [], "example": template}
    return ImportedSum(method, template, at=at, **(made | changes))


def test_a_fold_joins_the_endpoints_of_each_method_and_can_be_undone() -> None:
    state = LedgerState()
    words(state, "/acme/menu", "/apex/menu", "/about")
    called(state, "POST /acme/menu")
    assert fold(state, "GET /{shop}/menu") == "/{}/menu is one endpoint now, which 2 were before"
    assert rows(state) == {"GET /{}/menu": 2, "GET /about": 1, "POST /{}/menu": 1}
    with pytest.raises(LedgerError, match="one endpoint already"):
        fold(state, "/{}/menu")
    unfold(state, "GET /{}/menu")
    words(state, "/beta/menu")
    assert rows(state)["GET /beta/menu"] == 1
    assert rows(state)["GET /{}/menu"] == 2, "what was counted stays"


def test_a_learned_fold_is_undone_by_its_template() -> None:
    state = LedgerState()
    names = [first + second for first in "abcdefgh" for second in ("lice", "run", "osa", "ella", "enno", "aim", "udy")]
    words(state, *(f"/users/{name}" for name in names))
    assert rows(state) == {"GET /users/{}": len(names)}
    unfold(state, "GET /users/{}")
    words(state, "/users/alice")
    assert rows(state) == {"GET /users/{}": len(names), "GET /users/alice": 1}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda state: fold(state, "/about"), "has no {}"),
        (lambda state: fold(state, "about"), "write a method and a path"),
        (lambda state: fold(state, "/carts/{cart}"), "one endpoint already"),
        (lambda state: unfold(state, "/carts/{}"), "stands in routes.yaml"),
        (lambda state: unfold(state, "/orders/{}"), "the form of its values tells"),
        (lambda state: ignore(state, "GET /nobody"), "`strangler ledger` lists them"),
        (lambda state: own(state, "GET /about", "x" * 101), "at most 100 characters"),
    ],
)
def test_what_cannot_be_changed_names_the_way_out(change: Any, part: str) -> None:
    state = LedgerState()
    state.adopt(f.settings([f.route("carts", path="/carts/{cart}")]), NOW)
    words(state, "/about", "/orders/7")
    before = rows(state)
    with pytest.raises(LedgerError) as refused:
        change(state)
    assert part in str(refused.value)
    assert rows(state) == before


def test_folds_are_bounded() -> None:
    state = LedgerState()
    state.names.folded = [f"/a{number}/{{}}" for number in range(MAX_FOLDS)]
    with pytest.raises(LedgerError, match="`strangler ledger unfold` undoes one"):
        fold(state, "/b/{}")


def test_owners_are_named_and_forgotten_and_rows_hidden_and_shown() -> None:
    state = LedgerState()
    words(state, "/about")
    assert own(state, "GET /about", " ana ") == "GET /about belongs to ana"
    assert state.rows.rows["GET /about"].owner == "ana"
    assert own(state, "GET /about", "") == "GET /about belongs to nobody"
    ignore(state, "GET /about")
    assert state.ignored == {"GET /about"}
    assert ignore(state, "GET /about") == "GET /about is shown and counted again"
    assert state.ignored == frozenset()


def test_a_list_makes_rows_and_names() -> None:
    state = LedgerState()
    words(state, "/shops/acme/menu", "/about")
    called(state, "GET /login", status=404)
    listed = [("GET", "/shops/{shop}/menu"), ("POST", "/pay"), ("*", "/about"), ("*", "/jobs/<b>"), ("get", "/login")]
    found = apply_import(state, imported(endpoints=listed), QUIET, NOW)
    assert (found.new_endpoints, found.endpoints, found.calls) == (3, 5, 0)
    sources = {name: row.source for name, row in state.rows.rows.items()}
    assert sources == {
        "GET /shops/{}/menu": "traffic",
        "GET /about": "traffic",
        "GET /login": "import",
        "POST /pay": "import",
        "* /jobs/<b>": "import",
    }
    assert not state.rows.rows["GET /login"].activity.has_probes_alone
    words(state, "/shops/apex/menu")
    assert rows(state)["GET /shops/{}/menu"] == 2


def test_the_first_call_of_an_endpoint_that_was_listed_without_a_method_gives_it_its_method() -> None:
    state = LedgerState()
    apply_import(state, imported(endpoints=[("*", "/jobs")]), QUIET, NOW - DAY)
    called(state, "POST /jobs")
    called(state, "GET /jobs")
    assert {name: (row.source, row.known_since) for name, row in state.rows.rows.items()} == {
        "POST /jobs": ("import", NOW - DAY),
        "GET /jobs": ("traffic", NOW),
    }


def test_the_calls_of_a_log_are_those_of_legacy_and_its_time_was_watched() -> None:
    state = LedgerState()
    words(state, "/about")
    sums = [log_sum("GET /about", NOW - 5 * DAY), log_sum("GET /old/{}", NOW - 9 * DAY, status=301, calls=2)]
    sums.append(log_sum("GET /news", NOW - 9 * DAY, buckets=[3, *[0] * 14]))
    found = apply_import(state, imported(sums=sums, began=NOW - 10 * DAY, ended=NOW - DAY), QUIET, NOW)
    assert (found.new_endpoints, found.calls) == (2, 8)
    assert {name: row.source for name, row in state.rows.rows.items()} == {
        "GET /about": "traffic",
        "GET /old/{}": "traffic",  # only refused: what may not exist is `probed`, as in traffic
        "GET /news": "import",
    }
    assert state.rows.rows["GET /about"].callers["curl/8"].legacy == 3
    assert state.watch.watched_s(0, NOW) == 9 * DAY


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"sums": [log_sum("GET /a", calls=0)]}, "its calls are no counts"),
        ({"sums": [log_sum("GET /a", buckets=[1, 2])]}, "its calls are no counts"),
        ({"sums": [log_sum("GET /a", buckets=[-1] * 15)]}, "its calls are no counts"),
        ({"sums": [log_sum("GET /b"), log_sum("GET /a", NOW + DAY)]}, "later than now; correct its clock"),
        ({"sums": [log_sum("GET /a", float("nan"))]}, "later than now; correct its clock"),
        ({"sums": [log_sum("GET /" + "a" * 3000)]}, "correct the file"),
        ({"endpoints": [("G" * 50, "/a")]}, "correct the file"),
        ({"began": NOW, "ended": NOW - 1}, "correct its times"),
        ({"began": NOW, "ended": NOW + DAY}, "correct its times"),
        ({"endpoints": [("GET", "about")]}, "write a method and a path"),
    ],
)
def test_an_import_that_means_nothing_changes_nothing(changes: dict[str, Any], part: str) -> None:
    state = LedgerState()
    with pytest.raises(LedgerError) as refused:
        apply_import(state, imported(**changes), QUIET, NOW)
    assert part in str(refused.value)
    assert (rows(state), state.imports, state.watch.spans) == ({}, {}, [])


def test_a_file_is_imported_once() -> None:
    state = LedgerState()
    apply_import(state, imported(sums=[log_sum("GET /a")]), QUIET, NOW)
    with pytest.raises(LedgerError, match=r"imported already, as routes\.txt"):
        apply_import(state, imported(sums=[log_sum("GET /a")], name="again.txt"), QUIET, NOW)
    assert rows(state) == {"GET /a": 3}


def test_a_batch_is_counted_once_and_folds_within_it_are_followed() -> None:
    state = LedgerState()
    names = [first + second for first in "abcdefgh" for second in ("lice", "run", "osa", "ella", "enno", "aim", "udy")]
    batch = [sum_of(f"GET /users/{name}") for name in names]
    assert state.take("w0", 1, batch, 5, QUIET, NOW)
    assert not state.take("w0", 1, batch, 5, QUIET, NOW)
    assert state.take("w1", 1, batch, 0, QUIET, NOW)
    assert rows(state) == {"GET /users/{}": 2 * len(names)}
    assert state.sampled == 5


def test_what_a_worker_had_no_room_for_counts_under_the_rest() -> None:
    state = LedgerState()
    each = sum_of("GET /a", calls=4)
    state.count([replace(each, template="…")], QUIET)
    assert (rows(state), state.left_out) == ({"…": 4}, 4)
    assert state.tree.nodes == 0


def test_workers_that_are_gone_for_long_are_forgotten() -> None:
    state = LedgerState()
    for number in range(1500):
        state.take(f"w{number}", 1, [], 0, QUIET, NOW + number)
    state.forget_instances(NOW + 1500)
    assert len(state.batches) == 1000
    state.forget_instances(NOW + DAY + 1400)
    assert list(state.batches) == [f"w{number}" for number in range(1401, 1500)]


def test_routes_that_nobody_calls_leave_room() -> None:
    state = LedgerState()
    state.adopt(f.settings([f.route(f"r{number}", path=f"/g{number % 60}/r{number}") for number in range(3000)]), NOW)
    assert len(state.rows.rows) == 2500
    words(state, *(f"/api/v{number % 60}/x{number}y/list" for number in range(100)))
    state.adopt(f.settings(), NOW)
    assert all(row.source == "traffic" for row in state.rows.rows.values())
