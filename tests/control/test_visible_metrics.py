"""Numbers of what routes.yaml no longer names go away, and never go back."""

import pytest

from strangler.control.totals import Key
from strangler.control.visible_metrics import LINGER_S, VisibleMetrics
from strangler.core.settings import Settings
from tests.factories import route, settings, upstream

REQUESTS: Key = ("strangler_requests_total", ("orders", "candidate", "shop", "2xx"))
BREAKER: Key = ("strangler_breaker_state", ("shop",))
ENDPOINT: Key = ("strangler_endpoint_state", ("shop", "http://127.0.0.1:1"))
NUMBERS = dict.fromkeys((REQUESTS, BREAKER, ENDPOINT), 7.0)


def with_shop(*urls: str) -> Settings:
    return settings([route(candidate="shop")], upstreams=[upstream("shop", *urls)])


WITHOUT = settings()


def visible(*reloads: tuple[float, Settings], at: float) -> set[Key]:
    state = VisibleMetrics()
    for now, each in reloads:
        state.adopt(each, now)
    return set(state.visible(NUMBERS, at))


def test_what_is_in_force_is_shown() -> None:
    assert visible((0, with_shop("http://127.0.0.1:1")), at=1e6) == set(NUMBERS)


def test_counters_linger_and_gauges_do_not() -> None:
    reloads = (0, with_shop("http://127.0.0.1:1")), (10, WITHOUT)
    assert visible(*reloads, at=10) == {REQUESTS}
    assert visible(*reloads, at=10 + LINGER_S - 1) == {REQUESTS}
    assert visible(*reloads, at=10 + LINGER_S) == set()


def test_other_reloads_do_not_make_it_linger_longer() -> None:
    reloads = (0, with_shop()), (10, WITHOUT), (20, settings()), (10 + LINGER_S - 1, WITHOUT)
    assert visible(*reloads, at=10 + LINGER_S) == set()


def test_what_comes_back_is_shown_again() -> None:
    this_settings = with_shop("http://127.0.0.1:1")
    assert visible((0, this_settings), (10, WITHOUT), (20 + LINGER_S, this_settings), at=30 + LINGER_S) == set(NUMBERS)


def test_a_url_that_is_gone_goes_alone() -> None:
    reloads = (0, with_shop("http://127.0.0.1:1")), (10, with_shop("http://127.0.0.1:2"))
    assert visible(*reloads, at=10) == {REQUESTS, BREAKER}


def test_what_was_never_in_force_here_is_not_shown() -> None:
    """A control that is new has the totals of the old one, and routes.yaml as it is now."""
    assert visible((0, WITHOUT), at=0) == set()


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(("strangler_requests_total", ("", "legacy", "legacy", "2xx")), id="no route matched"),
        pytest.param(("strangler_requests_total", ("", "", "", "4xx")), id="it went nowhere"),
        pytest.param(("strangler_requests_total", ("", "candidate", "aggregate", "2xx")), id="it is put together"),
        pytest.param(("strangler_refused_total", ("limit",)), id="it names nothing"),
        pytest.param(("strangler_connections", ()), id="it has no labels"),
    ],
)
def test_what_names_nothing_of_routes_yaml_is_always_shown(key: Key) -> None:
    state = VisibleMetrics()
    state.adopt(WITHOUT, 0)
    assert state.visible({key: 1.0}, 1e6) == {key: 1.0}
