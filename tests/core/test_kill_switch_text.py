"""The kill switch in words."""

import msgspec
import pytest

from strangler.core.documents import KillSwitchRequest, KillSwitchStatus, RouteKillSwitch
from strangler.core.kill_switch_text import route_turned_text, turned_text


def status(on: bool, *routes: str) -> KillSwitchStatus:
    return KillSwitchStatus(on, "", None, {route: RouteKillSwitch("", None) for route in routes})


MANY = [f"r{number}" for number in range(12)]


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (status(True), "kill switch on: all traffic goes to legacy"),
        (status(True, "orders"), "kill switch on: all traffic goes to legacy"),
        (status(False), "kill switch off: the routes decide"),
        (
            status(False, "orders"),
            "kill switch off, but it stays on for route 'orders': turn it off with --route orders, or for all of them"
            " with --all",
        ),
        (
            status(False, "a b", "orders"),
            "kill switch off, but it stays on for routes 'a b', 'orders': turn it off with --route 'a b', or for all"
            " of them with --all",
        ),
    ],
    ids=["on", "on for all and one", "off", "on for one", "on for two"],
)
def test_it_says_what_holds_now(state: KillSwitchStatus, text: str) -> None:
    assert turned_text(state) == text


def test_of_many_routes_some_are_named() -> None:
    assert "'r8', 'r9' and 2 more: turn" in turned_text(status(False, *MANY))
    assert "'r8', 'r9': turn" in turned_text(status(False, *MANY[:10]))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (status(False, "orders"), "kill switch on for route 'orders': all its requests go to legacy"),
        (status(True, "orders"), "kill switch on for route 'orders': all its requests go to legacy"),
        (status(False, "users"), "kill switch off for route 'orders': the route decides"),
        (
            status(True),
            "kill switch off for route 'orders', but it is on for all routes: all traffic goes to legacy",
        ),
    ],
    ids=["on", "on, and for all", "off", "off, but on for all"],
)
def test_it_says_what_holds_for_a_route(state: KillSwitchStatus, text: str) -> None:
    assert route_turned_text("orders", state) == text


def test_a_turn_for_all_routes_is_understood_by_a_proxy_of_the_version_before() -> None:
    assert msgspec.json.encode(KillSwitchRequest(True, "why", "ana")) == b'{"on":true,"reason":"why","who":"ana"}'
    assert b'"route":"orders"' in msgspec.json.encode(KillSwitchRequest(True, route="orders"))
