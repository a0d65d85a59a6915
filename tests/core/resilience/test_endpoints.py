from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.fault import Fault
from strangler.core.resilience.endpoints import EndpointChanged, EndpointKey, Endpoints, EndpointState, HealthState
from strangler.core.result import Result
from strangler.core.settings import HealthSettings, Url

A, B, C = (EndpointKey(Url("http", host, 80, ""), host) for host in ("a", "b", "c"))
OK = Result(None, 200, 0.01)
REFUSED = Result(Fault.CONNECT, None, 0.01)


def draws(*values: float) -> Callable[[], float]:
    return iter(values).__next__


def state_of(endpoints: Endpoints, key: EndpointKey) -> EndpointState:
    return next(state for state in endpoints.states if state.key == key)


def fail(endpoints: Endpoints, key: EndpointKey, now: float, times: int = 5) -> list[EndpointChanged | None]:
    """`times` failures of requests that were in flight at one endpoint together."""
    state = state_of(endpoints, key)
    state.in_flight += times
    return [endpoints.report(state, REFUSED, now) for _ in range(times)]


def shares(endpoints: Endpoints, now: float, picks: int = 4000) -> dict[EndpointKey, float]:
    """How requests that end at once spread; by a chance that is always the same."""
    random = Random(4)
    counted: Counter[EndpointKey] = Counter()
    for _ in range(picks):
        state = endpoints.pick(now, random.random)
        counted[state.key] += 1
        endpoints.give_back(state)
    return {key: count / picks for key, count in counted.items()}


# The choice.


def test_one_endpoint_needs_no_chance() -> None:
    endpoints = Endpoints([A])
    assert [endpoints.pick(0.0, draws()).key for _ in range(3)] == [A, A, A]


@pytest.mark.parametrize(
    ("first", "second", "picked"),
    [
        pytest.param(0.0, 0.0, B, id="a and b"),
        pytest.param(0.0, 0.99, C, id="a and c"),
        pytest.param(0.5, 0.0, B, id="b and a"),
        pytest.param(0.99, 0.5, B, id="c and b"),
        pytest.param(0.99, 0.0, C, id="c and a"),
    ],
)
def test_the_one_with_less_in_flight_of_two_picked_by_chance(first: float, second: float, picked: EndpointKey) -> None:
    endpoints = Endpoints([A, B, C])
    for key, in_flight in ((A, 9), (B, 1), (C, 5)):
        state_of(endpoints, key).in_flight = in_flight
    assert endpoints.pick(0.0, draws(first, second)).key == picked


@given(st.integers(2, 6), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_the_two_are_never_the_same(count: int, first: float, second: float) -> None:
    """The busiest endpoint is beaten by any other: if it is picked, it was both."""
    keys = [EndpointKey(Url("http", "h", 80, ""), f"10.0.0.{number}") for number in range(count)]
    endpoints = Endpoints(keys)
    busiest = endpoints.states[int(first * count)]
    busiest.in_flight = 1
    assert endpoints.pick(0.0, draws(first, second)) is not busiest


def test_equal_endpoints_take_equal_shares() -> None:
    assert shares(Endpoints([A, B, C]), 0.0) == pytest.approx({A: 1 / 3, B: 1 / 3, C: 1 / 3}, abs=0.03)


def test_a_pick_is_in_flight_until_it_is_given_back_or_reported() -> None:
    endpoints = Endpoints([A])
    state = endpoints.pick(0.0, draws())
    endpoints.pick(0.0, draws())
    assert state.in_flight == 2
    endpoints.give_back(state)
    endpoints.report(state, OK, 1.0)
    assert state.in_flight == 0


def test_a_retry_avoids_the_endpoint_it_has_just_failed_at() -> None:
    endpoints = Endpoints([A, B])
    failed = state_of(endpoints, A)
    state_of(endpoints, B).in_flight = 50
    assert endpoints.pick(0.0, draws(), avoid=failed).key == B


def test_a_retry_takes_the_same_endpoint_if_there_is_no_other() -> None:
    endpoints = Endpoints([A])
    assert endpoints.pick(0.0, draws(), avoid=state_of(endpoints, A)).key == A


# Put aside.


def test_five_failures_in_a_row_put_an_endpoint_aside() -> None:
    endpoints = Endpoints([A, B])
    changes = fail(endpoints, A, 100.0)
    reason = "5 failures in a row, the last: connect; put aside for 10 s"
    assert changes == [None] * 4 + [EndpointChanged(A, False, reason, 100.0)]
    assert shares(endpoints, 109.9) == {B: 1.0}
    assert set(shares(endpoints, 110.0)) == {A, B}


@pytest.mark.parametrize(
    ("result", "is_failure"),
    [
        *((Result(fault, None, 0.1), True) for fault in Fault if fault.is_upstream),
        *((Result(fault, None, 0.1), False) for fault in Fault if not fault.is_upstream),
        *((Result(None, status, 0.1), True) for status in (502, 503, 504)),
        *((Result(None, status, 0.1), False) for status in (200, 404, 429, 500)),
    ],
    ids=lambda value: str(value.cause) if isinstance(value, Result) else None,
)
def test_faults_of_the_upstream_and_its_gateway_statuses_are_failures(result: Result, is_failure: bool) -> None:
    endpoints = Endpoints([A, B])
    state = state_of(endpoints, A)
    state.in_flight = 5
    changes = [endpoints.report(state, result, 1.0) for _ in range(5)]
    assert (changes[-1] is not None) is is_failure


@pytest.mark.parametrize(
    ("between", "is_put_aside"),
    [
        pytest.param(OK, False, id="a success ends it"),
        pytest.param(Result(None, 500, 0.1), False, id="an answer of 500 ends it"),
        pytest.param(Result(Fault.CLIENT_GONE, None, 0.1), True, id="a client that left says nothing"),
    ],
)
def test_what_ends_a_row_of_failures(between: Result, is_put_aside: bool) -> None:
    endpoints = Endpoints([A, B])
    fail(endpoints, A, 1.0, times=4)
    state = state_of(endpoints, A)
    state.in_flight += 1
    endpoints.report(state, between, 1.0)
    assert (fail(endpoints, A, 1.0, times=1) != [None]) is is_put_aside


def test_the_time_aside_doubles_to_its_maximum() -> None:
    endpoints = Endpoints([A, B])
    now, times = 0.0, []
    for _ in range(7):
        fail(endpoints, A, now)
        until = state_of(endpoints, A).aside_until
        times.append(until - now)
        now = until
    assert times == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]


def test_an_endpoint_that_has_been_well_again_starts_over() -> None:
    endpoints = Endpoints([A, B])
    fail(endpoints, A, 0.0)
    state = state_of(endpoints, A)
    for now in (10.0, 39.9):  # still in its slow start: not yet well again
        state.in_flight += 1
        endpoints.report(state, OK, now)
    assert state.times_aside == 1
    state.in_flight += 1
    endpoints.report(state, OK, 40.0)
    fail(endpoints, A, 50.0)
    assert state.aside_until == 60.0


def test_failures_of_requests_sent_before_do_not_lengthen_the_time_aside() -> None:
    endpoints = Endpoints([A, B])
    fail(endpoints, A, 0.0, times=50)
    assert state_of(endpoints, A).aside_until == 10.0
    assert set(shares(endpoints, 11.0)) == {A, B}


def test_an_endpoint_that_came_back_has_five_failures_again() -> None:
    endpoints = Endpoints([A, B])
    fail(endpoints, A, 0.0)
    assert fail(endpoints, A, 10.0, times=4) == [None] * 4


def test_the_last_endpoint_is_never_put_aside() -> None:
    endpoints = Endpoints([A, B, C])
    for key in (A, B, C):
        fail(endpoints, key, 0.0, times=20)
    assert shares(endpoints, 1.0) == {C: 1.0}


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([OK, REFUSED, REFUSED, REFUSED]), st.sampled_from([0, 0, 0, 3])),
        max_size=150,
    )
)
def test_never_are_all_put_aside_at_once(script: list[tuple[int, Result, int]]) -> None:
    endpoints = Endpoints([A, B, C])
    now = 0.0
    for index, result, seconds in script:
        now += seconds
        state = endpoints.states[index]
        state.in_flight += 1
        endpoints.report(state, result, now)
        usable = {state for state in endpoints.states if state.is_usable(now)}
        assert usable
        picked = endpoints.pick(now, draws(0.0, 0.0, 0.0))
        assert picked in usable
        endpoints.give_back(picked)
    assert all(state.in_flight == 0 for state in endpoints.states)


# Slow start.


@pytest.mark.parametrize(
    ("after_s", "share"),
    [
        pytest.param(0.0, 0.05, id="at first a tenth of its half"),
        pytest.param(15.0, 0.25, id="half way"),
        pytest.param(30.0, 0.5, id="all of it"),
    ],
)
def test_an_endpoint_that_comes_back_is_not_flooded(after_s: float, share: float) -> None:
    endpoints = Endpoints([A, B])
    fail(endpoints, A, 0.0)
    assert shares(endpoints, 10.0 + after_s)[A] == pytest.approx(share, abs=0.03)


def test_a_slow_starter_is_not_flooded_for_having_nothing_in_flight() -> None:
    endpoints = Endpoints([A, B])
    fail(endpoints, A, 0.0)
    state_of(endpoints, B).in_flight = 100
    assert shares(endpoints, 10.0)[A] == pytest.approx(0.1, abs=0.03)


# Health.


def test_an_unhealthy_endpoint_gets_nothing_and_comes_back_slowly() -> None:
    endpoints = Endpoints([A, B])
    assert endpoints.set_health(A, False, "3 checks failed", 1.0) == EndpointChanged(A, False, "3 checks failed", 1.0)
    assert shares(endpoints, 2.0) == {B: 1.0}
    assert endpoints.set_health(A, True, "1 check passed", 3.0) == EndpointChanged(A, True, "1 check passed", 3.0)
    assert shares(endpoints, 3.0)[A] == pytest.approx(0.05, abs=0.03)


def test_what_is_known_already_or_unknown_is_no_change() -> None:
    endpoints = Endpoints([A])
    assert endpoints.set_health(A, True, "still", 1.0) is None
    assert endpoints.set_health(C, False, "who?", 1.0) is None


def test_if_all_are_unhealthy_all_are_used() -> None:
    endpoints = Endpoints([A, B])
    endpoints.set_health(A, False, "down", 1.0)
    endpoints.set_health(B, False, "down", 1.0)
    assert shares(endpoints, 2.0) == pytest.approx({A: 0.5, B: 0.5}, abs=0.03)


def test_a_healthy_endpoint_that_was_put_aside_is_better_than_an_unhealthy_one() -> None:
    endpoints = Endpoints([A, B])
    fail(endpoints, A, 0.0)
    endpoints.set_health(B, False, "down", 1.0)
    assert shares(endpoints, 2.0) == {A: 1.0}


HEALTH = HealthSettings(path="/healthz", interval_s=10.0, timeout_s=1.0, fall=3, rise=2)


@pytest.mark.parametrize(
    ("checks", "changed"),
    [
        pytest.param("--", "..", id="fewer than fall"),
        pytest.param("---", "..!", id="fall in a row"),
        pytest.param("--+--", ".....", id="a good one between"),
        pytest.param("---+-+", "..!...", id="no two good ones in a row"),
        pytest.param("---++", "..!.!", id="rise in a row"),
        pytest.param("---++---", "..!.!..!", id="down again"),
        pytest.param("------", "..!...", id="told once"),
    ],
)
def test_health_falls_and_rises_after_so_many_checks_in_a_row(checks: str, changed: str) -> None:
    health = HealthState(HEALTH)
    assert "".join("!" if health.report(check == "+") else "." for check in checks) == changed


@pytest.mark.parametrize(("draw", "seconds"), [(0.0, 9.0), (0.5, 10.0), (1.0, 11.0)])
def test_checks_have_jitter(draw: float, seconds: float) -> None:
    assert HealthState(HEALTH).next_check_s(lambda: draw) == pytest.approx(seconds)


# Names with several addresses.

URL = Url("http", "orders.internal", 80, "")
FIRST, SECOND, THIRD = (EndpointKey(URL, address) for address in ("192.0.2.1", "192.0.2.2", "2001:db8::3"))


def test_a_refused_connect_goes_to_the_next_address_of_the_name() -> None:
    endpoints = Endpoints([FIRST, A, SECOND, THIRD])
    tried = [state_of(endpoints, SECOND)]
    for expected in (FIRST, THIRD):
        state = endpoints.pick_sibling(tried, 0.0)
        assert state is not None
        assert (state.key, state.in_flight) == (expected, 1)
        tried.append(state)
    assert endpoints.pick_sibling(tried, 0.0) is None
    assert endpoints.pick_sibling([state_of(endpoints, A)], 0.0) is None


def test_an_address_that_is_known_to_be_down_is_not_the_next() -> None:
    endpoints = Endpoints([FIRST, SECOND, THIRD])
    endpoints.set_health(SECOND, False, "3 checks failed", 0.0)
    fail(endpoints, THIRD, 0.0)
    assert endpoints.pick_sibling([state_of(endpoints, FIRST)], 1.0) is None
    assert endpoints.pick_sibling([state_of(endpoints, FIRST)], 11.0) is state_of(endpoints, THIRD)


def test_addresses_of_a_url_are_counted() -> None:
    endpoints = Endpoints([FIRST, A, SECOND])
    assert (endpoints.addresses_of(URL), endpoints.addresses_of(A.url)) == (2, 1)


# Reload, and new answers of DNS.


def test_an_endpoint_that_stays_keeps_its_state() -> None:
    endpoints = Endpoints([A, B])
    fail(endpoints, A, 0.0)
    kept = state_of(endpoints, A)
    endpoints.adopt([A, C])
    assert state_of(endpoints, A) is kept
    assert shares(endpoints, 1.0) == {C: 1.0}


def test_an_endpoint_that_was_removed_still_takes_its_requests_back() -> None:
    endpoints = Endpoints([A, B])
    removed = endpoints.pick(0.0, draws(0.0, 0.0))
    endpoints.adopt([C])
    assert endpoints.report(removed, OK, 1.0) is None
    assert removed.in_flight == 0


def test_an_upstream_without_endpoints_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Endpoints([])


def test_addresses_of_one_name_are_endpoints_of_their_own() -> None:
    url = Url("http", "orders.internal", 8001, "")
    first, second = EndpointKey(url, "10.0.0.1"), EndpointKey(url, "10.0.0.2")
    assert len(Endpoints([first, second, first]).states) == 2
    assert str(first) == "http://orders.internal:8001 (10.0.0.1)"
    assert str(A) == "http://a"


# One endpoint fails and its sibling is well


def simulate(
    bad: Result, good_s: float = 0.05, per_second: int = 200, seconds: int = 20
) -> tuple[Endpoints, dict[EndpointKey, int], list[bool]]:
    """Requests at a steady rate: A answers `bad` after its duration, B well after `good_s`.

    Returns who was picked, and of each failure whether it was A's own.
    """
    endpoints = Endpoints([A, B])
    chance = Random(7)
    under_way: list[tuple[float, int, EndpointState, Result]] = []
    picked: Counter[EndpointKey] = Counter()
    own = []
    for number in range(per_second * seconds):
        now = number / per_second
        while under_way and under_way[0][0] <= now:
            at, _, state, result = heappop(under_way)
            endpoints.report(state, result, at)
            if result is bad:
                own.append(endpoints.is_own_failure(state, result, at))
        state = endpoints.pick(now, chance.random)
        picked[state.key] += 1
        result = bad if state.key == A else Result(None, 200, good_s)
        heappush(under_way, (now + result.duration_s, number, state, result))
    return endpoints, picked, own


FAST = {
    "500": Result(None, 500, 0.001),
    "503": Result(None, 503, 0.001),
    "404": Result(None, 404, 0.001),
    "302 to a login": Result(None, 302, 0.001),
    "reset": Result(Fault.RESET, None, 0.001),
    "connect": Result(Fault.CONNECT, None, 0.0),
}


@pytest.mark.parametrize("bad", FAST.values(), ids=FAST.keys())
def test_an_endpoint_that_fails_at_once_never_draws_more_than_its_share(bad: Result) -> None:
    _, picked, _ = simulate(bad)
    assert picked[A] < 0.2 * picked[B], "it is put aside, again and again"


@pytest.mark.parametrize("bad", FAST.values(), ids=FAST.keys())
def test_before_it_is_put_aside_it_draws_about_its_share(bad: Result) -> None:
    endpoints = Endpoints([A, B])
    state_of(endpoints, B).in_flight += 1
    endpoints.report(state_of(endpoints, B), Result(None, 200, 0.05), 0.0)
    for number in range(4):
        state_of(endpoints, A).in_flight += 1
        endpoints.report(state_of(endpoints, A), bad, number * 0.001)
    assert state_of(endpoints, A).to_do(0.01) == 4
    assert state_of(endpoints, A).to_do(0.06) == 0


@pytest.mark.parametrize("bad", [FAST["500"], FAST["503"], FAST["reset"], FAST["connect"]], ids=repr)
def test_its_failures_are_its_own_and_not_the_upstreams(bad: Result) -> None:
    _, _, own = simulate(bad)
    assert own.count(False) <= 0.6 * len(own)
    assert all(own[2:5]), "the breaker hears of two in a row at most"


def test_where_all_fail_the_upstream_does() -> None:
    endpoints = Endpoints([A, B])
    for _ in range(10):
        for key in (A, B):
            state = state_of(endpoints, key)
            state.in_flight += 1
            endpoints.report(state, FAST["503"], 1.0)
    assert not endpoints.is_own_failure(state_of(endpoints, A), FAST["503"], 1.0)


def test_a_sibling_that_has_not_answered_yet_is_not_blamed() -> None:
    endpoints = Endpoints([A, B])
    state = state_of(endpoints, A)
    for _ in range(4):
        state.in_flight += 1
        endpoints.report(state, FAST["reset"], 1.0)
    assert endpoints.is_own_failure(state, FAST["reset"], 1.0)


@pytest.mark.parametrize("bad", [FAST["404"], FAST["302 to a login"]], ids=repr)
def test_where_all_redirect_or_refuse_nobody_is_put_aside(bad: Result) -> None:
    endpoints = Endpoints([A, B])
    for _ in range(100):
        for key in (A, B):
            state = state_of(endpoints, key)
            state.in_flight += 1
            assert endpoints.report(state, bad, 1.0) is None


def test_one_endpoint_alone_is_judged_as_ever() -> None:
    endpoints = Endpoints([A])
    state = endpoints.pick(0.0, draws())
    assert endpoints.report(state, FAST["404"], 1.0) is None
    assert (state.results, len(state.ghosts)) == (0, 0)
    assert not endpoints.is_own_failure(state, FAST["reset"], 1.0)
