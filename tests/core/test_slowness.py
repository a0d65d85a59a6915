"""Which endpoints are told as slow: by the median of enough pairs, with a margin before they are well again."""

import random

import pytest

from strangler.core.documents import SlowEndpoint
from strangler.core.slowness import (
    MAX_ENDPOINTS,
    MAX_PAIRS,
    MIN_PAIRS,
    WINDOW_S,
    Slowness,
    SlownessChange,
    SlownessState,
    slow_text,
)

ONE = ("orders", "GET /api/orders/{}")
NOW = 1_790_000_000.0


def fed(
    ratio: float,
    count: int = MIN_PAIRS,
    at: float = NOW,
    state: SlownessState | None = None,
    key: tuple[str, str] = ONE,
) -> SlownessState:
    """A state that has seen so many pairs of one ratio."""
    made = state or SlownessState()
    for number in range(count):
        legacy_s = 0.010 + number * 0.001
        made.observe(*key, at, legacy_s, legacy_s * ratio)
    return made


def changes_of(changes: list[SlownessChange]) -> list[tuple[str, bool]]:
    return [(change.endpoint, change.is_slow) for change in changes]


@pytest.mark.parametrize(
    ("ratio", "count", "is_reported"),
    [
        pytest.param(3.0, MIN_PAIRS, True, id="three times"),
        pytest.param(2.999, MIN_PAIRS, False, id="not quite"),
        pytest.param(50.0, MIN_PAIRS - 1, False, id="too few pairs"),
        pytest.param(0.5, MIN_PAIRS, False, id="quicker"),
    ],
)
def test_three_times_as_slow_over_enough_pairs_is_told_once(ratio: float, count: int, is_reported: bool) -> None:
    state = fed(ratio, count)
    assert changes_of(state.judge(NOW)) == ([(ONE[1], True)] if is_reported else [])
    assert state.judge(NOW + 60) == []
    assert (ONE in state.slow) == is_reported


def test_it_is_over_below_twice_and_stays_in_between() -> None:
    state = fed(4.0)
    state.judge(NOW)
    fed(2.2, MAX_PAIRS, NOW + 60, state)
    assert state.judge(NOW + 60) == []
    assert state.slow[ONE].ratio == pytest.approx(2.2)
    fed(1.9, MAX_PAIRS, NOW + 120, state)
    (change,) = state.judge(NOW + 120)
    assert not change.is_slow
    assert change.found is not None
    assert change.found.ratio == pytest.approx(1.9)
    fed(2.9, MAX_PAIRS, NOW + 180, state)
    assert state.judge(NOW + 180) == []


def test_the_median_counts_and_not_the_mean() -> None:
    state = fed(1.0, 30)
    fed(1000.0, 10, NOW, state)
    assert state.judge(NOW) == []


def test_a_pair_is_compared_with_itself() -> None:
    """A mix of light and heavy requests is not slow for having both."""
    state, rng = SlownessState(), random.Random(1)
    for _ in range(100):
        legacy_s = rng.choice((0.001, 1.0))
        state.observe(*ONE, NOW, legacy_s, legacy_s * 1.1)
    assert state.judge(NOW) == []


def test_only_the_last_hour_counts() -> None:
    state = fed(5.0)
    assert state.judge(NOW + WINDOW_S + 1) == []
    fed(5.0, MIN_PAIRS - 1, NOW + WINDOW_S + 2, state)
    assert state.judge(NOW + WINDOW_S + 2) == []


def test_what_is_not_timed_for_an_hour_is_over() -> None:
    state = fed(5.0)
    state.judge(NOW)
    assert state.judge(NOW + WINDOW_S) == []
    assert state.judge(NOW + WINDOW_S + 1) == [SlownessChange(*ONE, is_slow=False, found=None)]
    assert not state.slow


def test_another_release_is_judged_by_its_own_times() -> None:
    state = fed(5.0)
    state.judge(NOW)
    state.forget("orders")
    fed(1.0, MIN_PAIRS - 1, NOW + 60, state)
    assert state.judge(NOW + 60) == [], "it has to be shown well"
    fed(1.0, 1, NOW + 61, state)
    assert changes_of(state.judge(NOW + 61)) == [(ONE[1], False)]


def test_a_route_that_is_not_timed_any_more_is_let_go() -> None:
    state = fed(5.0)
    fed(5.0, state=state, key=("users", "GET /users"))
    state.judge(NOW)
    assert changes_of(state.keep_only(frozenset({"users"}))) == [(ONE[1], False)]
    assert set(state.slow) == {("users", "GET /users")}


def test_endpoints_and_pairs_are_bounded_and_what_is_slow_stays() -> None:
    state = fed(5.0)
    state.judge(NOW)
    for number in range(MAX_ENDPOINTS + 50):
        state.observe("orders", f"GET /{number}", NOW + number, 0.1, 0.1)
    fed(5.0, MAX_PAIRS * 2, NOW + 10, state)
    assert len(state._times) == MAX_ENDPOINTS
    assert len(state._times[ONE].pairs) == MAX_PAIRS
    assert ONE in state.slow
    assert ("orders", "GET /0") not in state._times


def test_what_was_slow_before_a_restart_is_not_told_anew_and_ends_in_time() -> None:
    before = Slowness(*ONE, ratio=4.0, legacy_s=0.01, candidate_s=0.04, pairs=40)
    state = SlownessState()
    state.restore([before], NOW)
    assert state.judge(NOW + 60) == []
    fed(4.0, at=NOW + 120, state=state)
    assert state.judge(NOW + 120) == []
    other = SlownessState()
    other.restore([before], NOW)
    assert changes_of(other.judge(NOW + WINDOW_S + 1)) == [(ONE[1], False)]


def test_a_time_of_nothing_does_not_divide_by_it() -> None:
    state = SlownessState()
    for _ in range(MIN_PAIRS):
        state.observe(*ONE, NOW, 0.0, 0.0)
    assert state.judge(NOW) == []


def test_the_words() -> None:
    slow_endpoint = SlowEndpoint("x", "GET /x", ratio=3.41, legacy_ms=61.6, candidate_ms=210.04, pairs=20)
    assert slow_text(slow_endpoint) == "GET /x takes 3.4 times as long as at legacy (210 ms, 61.6 ms)"
