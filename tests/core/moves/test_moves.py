"""The calls that a new routes.yaml sends elsewhere: what changes, for how many calls, and what the log cannot tell."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.moves.calls import CallCountsState
from strangler.core.moves.changes import Change, Moves, moves_of
from strangler.core.retire_settings import RetireSettings
from strangler.core.settings import AggregatePart, RouteSettings, Settings
from tests.factories import route, settings, shadow, upstream

NOW = 1_800_000_000.0
Call = tuple[Any, ...]
"""Method, path, query, host, User-Agent, status; the last ones may be left out."""


def moved(before: Settings | None, after: Settings, calls: Sequence[Call], host: str = "") -> Moves:
    state = CallCountsState(before, after, NOW, host)
    for call in calls:
        state.count(*call)
    return moves_of(state, after)


def change_of(
    before: Sequence[RouteSettings], after: Sequence[RouteSettings], *call: Any, **changes: Any
) -> Change | None:
    """The change of ten calls that are all alike; None if there is none."""
    found = moved(settings(before), settings(after, **changes), [call or ("GET", b"/orders/7")] * 10)
    assert len(found.changes) <= 1
    return found.changes[0] if found.changes else None


def retire(sunset: float) -> RetireSettings:
    return RetireSettings(int(sunset), None, None, 410, ())


PARTS = (AggregatePart("order", "orders", "/v2/orders/{id}", True, None),)
AT_ZERO = [route("orders", percent=0)]
ALL = [route("orders")]
CASES = [
    pytest.param(AT_ZERO, [route("orders", percent=25)], "legacy", "orders 25 %", ("arm",), 2.5, id="0 to 25"),
    pytest.param(
        [route("orders", percent=25)],
        [route("orders", percent=40)],
        "orders 25 %",
        "orders 40 %",
        ("arm",),
        1.5,
        id="25 to 40",
    ),
    pytest.param(
        [route("orders", percent=40)],
        [route("orders", percent=25)],
        "orders 40 %",
        "orders 25 %",
        ("arm",),
        1.5,
        id="40 to 25",
    ),
    pytest.param([], ALL, "legacy", "orders", ("arm",), 10, id="a new route"),
    pytest.param(ALL, [], "orders", "legacy", ("arm",), 10, id="a removed route"),
    pytest.param(
        ALL, [route("orders", candidate="payments")], "orders", "payments", ("upstream",), 10, id="another candidate"
    ),
    pytest.param(
        [route("orders", percent=20)],
        [route("orders", candidate="payments", percent=30)],
        "orders 20 %",
        "payments 30 %",
        ("arm", "upstream"),
        3,
        id="another candidate and percent",
    ),
    pytest.param(
        [route("orders", percent=20)],
        [route("orders", percent=20, group="other")],
        "orders 20 %",
        "orders 20 %",
        ("arm",),
        3.2,
        id="another group",
    ),
    pytest.param(ALL, [route("orders", rewrite="/v2")], "orders", "orders", ("rewrite",), 10, id="a rewrite"),
    pytest.param(ALL, [route("orders", enabled=False)], "orders", "legacy", ("arm",), 10, id="disabled"),
    pytest.param(
        [],
        [route("orders", percent=100, is_passthrough=True, fallback=None)],
        "legacy",
        "orders",
        ("arm",),
        10,
        id="passthrough",
    ),
    pytest.param(
        [],
        [route("r", path="/orders/{id}", candidate=None, aggregate=PARTS)],
        "legacy",
        "orders",
        ("arm",),
        10,
        id="an aggregate",
    ),
    pytest.param(
        ALL, [route("orders", retire=retire(NOW))], "orders", "refused with 410", ("refusal",), 10, id="a sunset now"
    ),
    pytest.param(
        ALL,
        [route("orders", retire=retire(NOW - 1))],
        "orders",
        "refused with 410",
        ("refusal",),
        10,
        id="a sunset in the past",
    ),
    pytest.param(
        ALL, [route("orders", retire=retire(NOW + 1))], "orders", "orders", ("end",), 10, id="a sunset to come"
    ),
    pytest.param(
        AT_ZERO, [route("orders", percent=0, shadow=shadow(10))], "legacy", "legacy", ("shadow",), 1, id="shadows"
    ),
]


@pytest.mark.parametrize(("before", "after", "first", "second", "kinds", "affected"), CASES)
def test_a_change_is_found_with_its_calls(
    before: list[RouteSettings],
    after: list[RouteSettings],
    first: str,
    second: str,
    kinds: tuple[str, ...],
    affected: float,
) -> None:
    change = change_of(before, after)
    assert change is not None
    assert (change.before.text, change.after.text, change.kinds) == (first, second, kinds)
    assert change.calls == 10
    assert math.isclose(change.affected, affected)


@pytest.mark.parametrize(
    ("before", "after", "call"),
    [
        pytest.param([], AT_ZERO, ("GET", b"/orders/7"), id="a new route at 0"),
        pytest.param(ALL, [route("renamed", prefix="/orders")], ("GET", b"/orders/7"), id="another name"),
        pytest.param([], ALL, ("GET", b"/users/7"), id="a path of no route"),
        pytest.param([], [route("orders", methods=["POST"])], ("GET", b"/orders/7"), id="another method"),
        pytest.param([], ALL, ("GET", b"/orders/../x"), id="an ambiguous path"),
        pytest.param([], [route("orders", query={"a": "1"})], ("GET", b"/orders/7", b"a=2"), id="another query"),
        pytest.param([], [route("orders", host="b.example")], ("GET", b"/orders", b"", "a.example"), id="another host"),
        pytest.param(
            AT_ZERO, [route("orders", percent=0, shadow=shadow(10))], ("POST", b"/orders"), id="shadows of others"
        ),
        pytest.param([], [route("orders", candidate="legacy", percent=0)], ("GET", b"/orders"), id="an exception"),
    ],
)
def test_no_change_is_reported(before: list[RouteSettings], after: list[RouteSettings], call: Call) -> None:
    assert change_of(before, after, *call) is None


def test_a_query_and_a_host_of_the_log_decide() -> None:
    after = [route("orders", query={"a": "1"}, host="*.example")]
    change = change_of([], after, "GET", b"/orders/7", b"b=2&a=1", "shop.example")
    assert change is not None
    assert (change.after.text, change.needs) == ("orders", ())


def test_an_ambiguous_path_may_be_refused() -> None:
    change = change_of(ALL, ALL, "GET", b"/orders/../x", ambiguous_paths="reject")
    assert change is not None
    assert (change.before.text, change.after.text) == ("legacy", "refused with 400")


def test_another_timeout_of_the_candidate_is_a_change() -> None:
    slow = upstream("orders")
    quick = replace(slow, timeouts=replace(slow.timeouts, response_s=1.0))
    before, after = settings(ALL), settings(ALL)
    after = replace(after, upstreams={**after.upstreams, "orders": quick})
    (change,) = moved(before, after, [("GET", b"/orders/7")]).changes
    assert change.kinds == ("timeout",)
    assert change.after.timeouts_s == (1.0,)


def test_without_a_proxy_today_the_timeouts_of_legacy_are_no_change() -> None:
    found = moved(None, settings([]), [("GET", b"/orders/7")])
    assert found.changes == ()


def test_a_split_by_keys_that_the_log_lacks_gives_shares() -> None:
    after = [route("orders", percent=25, sticky=["cookie:sid", "client_ip"])]
    change = change_of([], after)
    assert change is not None
    assert change.after.unknown_keys == ("cookie:sid", "client_ip")
    assert change.affected == 2.5


def test_a_split_by_user_agent_is_decided_for_each_caller() -> None:
    after = [route("orders", percent=50, sticky=["header:user-agent"])]
    calls = [("GET", b"/orders/7", b"", "", f"client{n}/1", 200) for n in range(200)]
    found = moved(settings([]), settings(after), calls)
    assert {change.after.text for change in found.changes} == {"orders"}
    assert 60 < sum(change.affected for change in found.changes) < 140
    assert all(change.after.unknown_keys == () for change in found.changes)


@pytest.mark.parametrize(
    ("sticky", "agent", "unknown"),
    [
        (["header:user-agent"], "", ("header:user-agent",)),
        (["cookie:sid", "header:user-agent"], "curl/8", ("cookie:sid",)),
        ([], "curl/8", ()),
    ],
    ids=["no User-Agent in the log", "an unknown key comes first", "by chance"],
)
def test_a_split_that_the_log_cannot_decide_is_a_share(sticky: list[str], agent: str, unknown: tuple[str, ...]) -> None:
    change = change_of([], [route("orders", percent=30, sticky=sticky)], "GET", b"/orders", b"", "", agent)
    assert change is not None
    assert (change.after.text, change.after.unknown_keys) == ("orders 30 %", unknown)


def test_a_header_that_the_log_lacks_makes_a_change_possible() -> None:
    after = [route("beta", prefix="/orders", headers={"X-Beta": "1"})]
    found = moved(settings([]), settings(after), [("GET", b"/orders/7"), ("GET", b"/users/7")])
    assert found.certain == ()
    (change,) = found.changes
    assert (change.template, change.needs, change.after.text) == ("/orders/{}", ("header x-beta",), "orders")
    assert (found.unmatched, found.possible) == ((), ("beta",))


def test_a_host_that_the_log_lacks_makes_a_change_possible() -> None:
    after = settings([route("orders", host="shop.example")])
    found = moved(settings([]), after, [("GET", b"/orders/7")])
    assert [change.needs for change in found.changes] == [("host shop.example",)]
    known = moved(settings([]), after, [("GET", b"/orders/7")], host="shop.example")
    assert [change.needs for change in known.changes] == [()]


def test_fields_that_may_decide_otherwise_are_named() -> None:
    change = change_of(AT_ZERO, [route("orders", percent=25, split_headers={"X-Beta": "1"}, override="X-Arm")])
    assert change is not None
    assert change.after.unknown_fields == ("x-arm", "x-beta")


def test_routes_without_a_call_are_named() -> None:
    after = settings([route("orders"), route("reports"), route("exact", path="/orders/7/x")])
    assert moved(settings([]), after, [("GET", b"/orders/7")]).unmatched == ("reports", "exact")


def test_paths_that_nothing_serves_are_apart() -> None:
    calls = [("GET", b"/orders/wp.php", b"", "", "", 404), ("GET", b"/orders", b"", "", "", 200)]
    found = moved(settings([]), settings(ALL), calls)
    assert [change.template for change in found.changes] == ["/orders"]
    assert [change.template for change in found.missed] == ["/orders/wp.php"]
    assert found.endpoints == 1


def test_callers_are_families() -> None:
    agents = ["okhttp/4.12.0", "okhttp/4.9.1", "Mozilla/5.0 (X11) Firefox/130.0"]
    found = moved(settings([]), settings(ALL), [("GET", b"/orders", b"", "", agent) for agent in agents])
    assert found.changes[0].callers == (("okhttp/4", 2), ("Firefox", 1))


def test_a_write_is_known_by_its_method() -> None:
    found = moved(settings([]), settings(ALL), [("POST", b"/orders"), ("GET", b"/orders")])
    assert [change.method for change in found.writes] == ["POST"]


def test_memory_is_bounded_whatever_the_log() -> None:
    after = settings(ALL)
    state = CallCountsState(settings([]), after, NOW)
    for n in range(60_000):
        word = "".join(chr(97 + (n >> shift) % 16) for shift in (0, 4, 8, 12))
        state.count(f"M{n % 500}", f"/orders/{word}/x{word[::-1]}".encode(), b"", "", f"agent{word}/1")
    found = moves_of(state, after)
    assert len(state.rows) <= 10_060
    assert sum(change.calls for change in (*found.changes, *found.missed)) == 60_000
    assert all(len(change.callers) <= 50 for change in found.changes)


def test_scanners_leave_room_for_endpoints() -> None:
    after = settings(ALL)
    state = CallCountsState(settings([]), after, NOW)
    words = ["".join(chr(97 + (n >> shift) % 16) for shift in (0, 4, 8, 12)) for n in range(30_000)]
    for word in words:
        state.count("GET", f"/orders/{word}.php".encode(), status=404)
    for n in range(100):
        state.count("GET", f"/orders/list/{'abcdefghij'[n % 10]}x/items".encode(), status=200)
    found = moves_of(state, after)
    assert sum(change.calls for change in found.missed) == 30_000
    assert sum(change.calls for change in found.changes) == 100
    assert all("…" not in change.template for change in found.changes)


ROUTES = st.lists(
    st.builds(
        lambda name, percent, prefix, sticky, methods, enabled: route(
            name, prefix=prefix, percent=percent, sticky=sticky, methods=methods, enabled=enabled
        ),
        st.sampled_from("abcdef"),
        st.sampled_from([0, 0.01, 25, 50, 100]),
        st.sampled_from(["/", "/orders", "/orders/x", "/users"]),
        st.sampled_from([["cookie:sid"], ["client_ip"], ["header:user-agent"], []]),
        st.sampled_from([[], ["GET"], ["POST"]]),
        st.booleans(),
    ),
    max_size=5,
    unique_by=lambda made: made.name,
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["GET", "POST"]),
        st.sampled_from([b"/", b"/orders", b"/orders/x/1", b"/users/ana", b"/orders/../users", b"/%zz", b"*"]),
        st.just(b""),
        st.just(""),
        st.sampled_from(["", "okhttp/4", "curl/8"]),
        st.sampled_from([None, 200, 404]),
    ),
    min_size=1,
    max_size=30,
)


@given(ROUTES, CALLS)
def test_a_file_changes_nothing_against_itself(routes: list[RouteSettings], calls: list[Call]) -> None:
    found = moved(settings(routes), settings(routes), calls)
    assert (found.changes, found.missed) == ((), ())


@given(ROUTES, ROUTES, CALLS)
def test_expected_calls_are_all_calls(
    first: list[RouteSettings], second: list[RouteSettings], calls: list[Call]
) -> None:
    found = moved(settings(first), settings(second), calls)
    assert math.isclose(sum(found.served_before.values()), len(calls))
    assert math.isclose(sum(found.served_after.values()), len(calls))
    assert all(0 < change.affected <= change.calls for change in found.changes)
