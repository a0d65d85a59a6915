"""The documents of the ledger: which rows, in which state, in which order."""

from dataclasses import replace
from typing import Any

import pytest

from strangler.core.settings import Settings
from strangler.ledger.ledger_queries import (
    Filters,
    endpoint_document,
    filters_problem,
    history_document,
    ledger_document,
    progress,
)
from strangler.ledger.ledger_state import LedgerState
from strangler.ledger.placements import PlacementsState
from tests import factories as f
from tests.ledger.ledgers import DAY, NOW, QUIET, called


def shop() -> Settings:
    orders = f.route("orders", prefix="/orders", percent=100)
    users = f.route("users", prefix="/users", percent=25, candidate="users")
    carts = f.route("carts", path="/carts/{cart}", percent=0, shadow=f.shadow(), methods=["GET"])
    chat = f.route("chat", prefix="/chat", candidate="chat", percent=100, is_passthrough=True)
    return f.settings([orders, users, carts, chat])


def ledger() -> LedgerState:
    state = LedgerState()
    state.adopt(shop(), NOW)
    state.watch.add(NOW - 2 * DAY, NOW)
    called(state, "GET /orders/7", arm="candidate", calls=6, route="orders")
    called(state, "GET /users/9", calls=2, route="users", caller="okhttp/4")
    called(state, "POST /pay", NOW - DAY, calls=1, caller="curl/8")
    called(state, "GET /chat/4", arm="candidate", calls=50, route="chat")
    called(state, "GET /wp-login.php", status=404)
    return state


def endpoints(**filters: Any) -> list[str]:
    document = ledger_document(ledger(), shop(), NOW, Filters(**filters))
    return [row.endpoint for row in document.rows]


def test_each_row_has_its_route_and_its_state() -> None:
    document = ledger_document(ledger(), shop(), NOW, Filters(with_hidden=True))
    assert {row.endpoint: (row.route, row.state, row.source) for row in document.rows} == {
        "GET /orders/{}": ("orders", "cut_over", "traffic"),
        "GET /users/{}": ("users", "splitting", "traffic"),
        "GET /carts/{}": ("carts", "shadowed", "route"),
        "POST /pay": (None, "legacy", "traffic"),
        "GET /chat/{}": ("chat", "cut_over", "traffic"),
        "GET /wp-login.php": (None, "probed", "traffic"),
    }
    states = {name: count for name, count in document.states.items() if count}
    assert states == {"legacy": 1, "shadowed": 1, "splitting": 1, "cut_over": 2, "probed": 1}
    assert document.share == round(6 / 9, 6)
    assert (document.watched_s, document.quiet_s) == (2 * DAY, 30 * DAY)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["GET /chat/{}", "GET /orders/{}", "GET /users/{}", "POST /pay", "GET /carts/{}"]),
        ({"states": frozenset({"probed"})}, ["GET /wp-login.php"]),
        ({"states": frozenset({"legacy", "shadowed"})}, ["POST /pay", "GET /carts/{}"]),
        ({"route": "users"}, ["GET /users/{}"]),
        ({"text": "OKHTTP"}, ["GET /users/{}"]),
        ({"text": "post"}, ["POST /pay"]),
        ({"sort": "endpoint"}, ["GET /carts/{}", "GET /chat/{}", "GET /orders/{}", "POST /pay", "GET /users/{}"]),
        ({"sort": "state"}, ["POST /pay", "GET /carts/{}", "GET /users/{}", "GET /chat/{}", "GET /orders/{}"]),
        ({"sort": "last_legacy"}, ["GET /users/{}", "POST /pay", "GET /carts/{}", "GET /chat/{}", "GET /orders/{}"]),
        ({"sort": "last_seen"}, ["GET /chat/{}", "GET /orders/{}", "GET /users/{}", "POST /pay", "GET /carts/{}"]),
        ({"sort": "p95"}, ["GET /chat/{}", "GET /orders/{}", "GET /users/{}", "POST /pay", "GET /carts/{}"]),
    ],
)
def test_rows_are_filtered_and_sorted(filters: dict[str, Any], expected: list[str]) -> None:
    assert endpoints(**filters) == expected


def test_calls_are_counted_from_a_day_on() -> None:
    document = ledger_document(ledger(), shop(), NOW, Filters(since="2024-10-04", text="pay"))
    assert [(row.calls.legacy, row.last_legacy) for row in document.rows] == [(0, "2024-10-03T01:00:00.000Z")]
    assert document.since == "2024-10-04T00:00:00.000Z"


def test_ignored_rows_are_hidden_and_count_for_nothing() -> None:
    state = ledger()
    state.rows.rows["GET /orders/{}"].is_ignored = True
    document = ledger_document(state, shop(), NOW, Filters())
    assert "GET /orders/{}" not in [row.endpoint for row in document.rows]
    assert (document.share, document.states["cut_over"]) == (0.0, 1)
    hidden = ledger_document(state, shop(), NOW, Filters(with_hidden=True))
    assert "GET /orders/{}" in [row.endpoint for row in hidden.rows]


@pytest.mark.parametrize(
    ("filters", "part"),
    [
        (Filters(states=frozenset({"gone"})), "write one of legacy, shadowed"),
        (Filters(sort="size"), "write one of calls"),
        (Filters(since="yesterday"), "write a day such as 2027-02-01"),
        (Filters(since="20270201"), "write a day such as 2027-02-01"),
    ],
)
def test_filters_that_mean_nothing_name_the_way_out(filters: Filters, part: str) -> None:
    assert part in (filters_problem(filters) or "")
    assert filters_problem(Filters()) is None


@pytest.mark.parametrize(
    "endpoint", ["GET /users/{}", "GET /users/{id}", "get /users/{id}", "GET /users/12", " GET  /users/{} "]
)
def test_an_endpoint_is_found_by_its_names_and_by_a_call_of_it(endpoint: str) -> None:
    document = endpoint_document(ledger(), shop(), NOW, endpoint, None)
    assert document is not None
    assert document.row.endpoint == "GET /users/{}"
    assert [(day.day, day.legacy) for day in document.days] == [("2024-10-04", 2)]
    assert document.next.command == "strangler shift users 50"
    assert endpoint_document(ledger(), shop(), NOW, "GET /nobody", None) is None


def test_the_route_that_last_served_it_decides_where_conditions_do() -> None:
    both = f.settings(
        [
            f.route("beta", prefix="/orders", percent=100, headers={"x-beta": "1"}),
            f.route("rest", prefix="/orders", percent=0, shadow=f.shadow()),
        ]
    )
    state = LedgerState()
    called(state, "GET /orders/1", route="beta", arm="candidate")
    called(state, "GET /orders", route="rest")
    rows = {row.endpoint: row.route for row in ledger_document(state, both, NOW, Filters()).rows}
    assert rows == {"GET /orders/{}": "beta", "GET /orders": "rest"}
    without = f.settings([f.route("rest", prefix="/orders", percent=0)])
    rows = {row.endpoint: row.route for row in ledger_document(state, without, NOW, Filters()).rows}
    assert rows == {"GET /orders/{}": "rest", "GET /orders": "rest"}


def test_a_route_of_one_host_covers_an_endpoint_that_was_never_called() -> None:
    settings = f.settings([f.route("orders", prefix="/orders", host="shop.example", percent=100)])
    state = LedgerState()
    state.rows.row_of("GET", "/orders", "import", NOW)
    assert [row.route for row in ledger_document(state, settings, NOW, Filters()).rows] == ["orders"]


def test_a_disabled_route_leaves_its_endpoints_to_legacy() -> None:
    routes = [replace(route, enabled=False) for route in shop().routes]
    document = ledger_document(ledger(), replace(shop(), routes=tuple(routes)), NOW, Filters(route="orders"))
    assert [row.state for row in document.rows] == ["legacy"]


def test_passthrough_is_never_deletable() -> None:
    state = LedgerState()
    called(state, "GET /chat/4", arm="candidate", route="chat")
    state.watch.add(NOW, NOW + 40 * DAY)
    called(state, "GET /chat/4", NOW + 40 * DAY, arm="candidate", route="chat")
    assert progress(state, shop(), NOW + 40 * DAY).states["cut_over"] == 1
    assert progress(state, shop(), NOW + 40 * DAY).share == 0.0
    assert progress(state, shop(), NOW + 40 * DAY + QUIET).states["quiet"] == 1


def test_the_history_is_that_of_all_endpoints() -> None:
    document = history_document(ledger())
    assert [(day.day, day.legacy, day.candidate, day.probes) for day in document.days] == [
        ("2024-10-03", 1, 0, 0),
        ("2024-10-04", 2, 56, 1),
    ]


def test_the_history_leaves_passthrough_out_as_the_share_does() -> None:
    document = history_document(ledger(), PlacementsState(shop()))
    assert [(day.day, day.legacy, day.candidate) for day in document.days] == [
        ("2024-10-03", 1, 0),
        ("2024-10-04", 2, 6),
    ]


def test_callers_that_a_brownout_refused_are_told_apart() -> None:
    state = ledger()
    called(state, "GET /users/9", NOW + 60, arm="", status=503, calls=3, route="users", caller="okhttp/4")
    called(state, "GET /users/9", NOW + 90, arm="", status=503, calls=1, route="users", caller="cron")
    (row,) = ledger_document(state, shop(), NOW, Filters(text="/users")).rows
    assert [
        (caller.name, caller.calls, caller.legacy, caller.refused, caller.last_refused) for caller in row.callers
    ] == [
        ("okhttp/4", 5, 2, 3, "2024-10-04T01:01:00.000Z"),
        ("cron", 1, 0, 1, "2024-10-04T01:01:30.000Z"),
    ]
    assert (row.calls.legacy, row.last_legacy) == (2, "2024-10-04T01:00:00.000Z")


def test_rows_come_without_callers_if_nobody_needs_them() -> None:
    document = ledger_document(ledger(), shop(), NOW, Filters(text="okhttp", with_callers=False))
    assert [(row.endpoint, row.callers) for row in document.rows] == [("GET /users/{}", [])]
