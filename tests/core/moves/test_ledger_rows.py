"""A plan against what the ledger has counted: templates in place of paths, and neither queries nor header fields."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from strangler.core.moves.calls import CallCountsState
from strangler.core.moves.changes import Moves, moves_of
from strangler.core.settings import RouteSettings
from tests.factories import route, settings

NOW = 1_800_000_000.0
Row = tuple[str, str, int, Mapping[str, int]]


def row(endpoint: str, calls: int = 10, callers: Mapping[str, int] | None = None) -> Row:
    method, _, template = endpoint.partition(" ")
    return method, template, calls, callers or {"Firefox": calls}


def moved(before: Sequence[RouteSettings], after: Sequence[RouteSettings], *rows: Row, host: str = "") -> Moves:
    new = settings(after)
    state = CallCountsState(settings(before), new, NOW, host, has_rows_alone=True)
    state.count_rows(rows)
    return moves_of(state, new)


def listed(found: Moves) -> list[tuple[Any, ...]]:
    return [(each.endpoint, each.after.text, each.affected, each.needs) for each in found.changes]


def test_an_endpoint_moves_with_all_its_calls_and_callers() -> None:
    found = moved([], [route("orders")], row("GET /orders/{}", 12, {"Firefox": 7, "curl/8": 5}), row("GET /users/{}"))
    assert listed(found) == [("GET /orders/{}", "orders", 12, ())]
    assert found.changes[0].callers == (("Firefox", 7), ("curl/8", 5))
    assert (found.calls, found.endpoints, found.unmatched) == (22, 2, ())


def test_a_percent_moves_a_share() -> None:
    found = moved([route("orders", percent=10)], [route("orders", percent=25)], row("GET /orders/{}", 100))
    assert listed(found) == [("GET /orders/{}", "orders 25 %", 15, ())]


CONDITIONS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"query": {"draft": "1"}}, ("query draft",)),
    ({"headers": {"X-Beta": "1"}}, ("header x-beta",)),
    ({"headers": {"User-Agent": "okhttp"}}, ("header user-agent",)),
    ({"host": "shop.example"}, ("host shop.example",)),
    ({"headers": {"X-Beta": "1"}, "query": {"draft": "1"}}, ("header x-beta", "query draft")),
]


@pytest.mark.parametrize(("conditions", "needs"), CONDITIONS, ids=lambda value: str(value))
def test_what_the_ledger_does_not_have_is_a_condition(conditions: dict[str, Any], needs: tuple[str, ...]) -> None:
    found = moved([], [route("orders", **conditions)], row("GET /orders/{}"))
    assert listed(found) == [("GET /orders/{}", "orders", 10, needs)]
    assert (found.possible, found.unmatched, found.certain) == (("orders",), (), ())


def test_a_host_that_is_given_is_known() -> None:
    found = moved([], [route("orders", host="shop.example")], row("GET /orders/{}"), host="shop.example")
    assert listed(found) == [("GET /orders/{}", "orders", 10, ())]
    other = moved([], [route("orders", host="shop.example")], row("GET /orders/{}"), host="other.example")
    assert (listed(other), other.unmatched) == ([], ("orders",))


def test_a_value_that_splits_an_endpoint_is_known() -> None:
    rows = (row("GET /index.php?action=list"), row("GET /index.php?action=edit"))
    found = moved([], [route("list", path="/index.php", query={"action": "list"}, candidate="orders")], *rows)
    assert listed(found) == [("GET /index.php?action=list", "orders", 10, ())]


def test_a_split_by_the_user_agent_gives_shares() -> None:
    found = moved([], [route("orders", percent=25, sticky=["header:user-agent"])], row("GET /orders/{}", 100))
    assert listed(found) == [("GET /orders/{}", "orders 25 %", 25, ())]
    assert found.changes[0].after.unknown_keys == ("header:user-agent",)


def test_a_route_for_a_part_of_an_endpoint_may_get_its_calls() -> None:
    found = moved([], [route("me", path="/users/me", candidate="orders")], row("GET /users/{}"))
    assert listed(found) == [("GET /users/{}", "orders", 10, ("path /users/me",))]
    assert found.possible == ("me",)


def test_a_part_that_is_an_endpoint_of_its_own_is_no_part_of_the_other() -> None:
    found = moved(
        [], [route("me", path="/users/me", candidate="orders")], row("GET /users/{}"), row("GET /users/me", 3)
    )
    assert listed(found) == [("GET /users/me", "orders", 3, ())]
    assert (found.possible, found.unmatched) == ((), ())


def test_a_part_that_both_files_serve_alike_is_no_change() -> None:
    me = route("me", path="/users/me", candidate="orders")
    found = moved([me], [me, route("orders")], row("GET /users/{}"), row("GET /orders/{}"))
    assert listed(found) == [("GET /orders/{}", "orders", 10, ())]


def test_conditions_on_a_part_are_named_together() -> None:
    beta = route("me", path="/users/me", candidate="orders", headers={"X-Beta": "1"})
    found = moved([], [beta], row("GET /users/{}"))
    assert listed(found) == [("GET /users/{}", "orders", 10, ("path /users/me", "header x-beta"))]
