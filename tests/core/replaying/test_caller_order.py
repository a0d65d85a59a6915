"""The order of a replay: each caller's requests one by one, callers side by side, at the pace that was chosen."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.replaying.caller_order import MAX_SKEW_S, CallerOrderState, Speed, SpeedError, parse_speed

RECORDED = Speed(factor=1.0)


def order(speed: Speed, requests: Iterable[tuple[float, str]], **limits: float) -> CallerOrderState[int]:
    state: CallerOrderState[int] = CallerOrderState(speed, 100.0, **limits)  # type: ignore[arg-type]
    for number, (at, caller) in enumerate(requests):
        state.add(at, caller, number)
    return state


def run(state: CallerOrderState[int], takes_s: float = 0.0) -> list[tuple[float, int]]:
    """Return when each request begins, if each takes as long; `begin` is called when it should be, and no sooner."""
    now, running, begun = 100.0, list[tuple[float, str]](), list[tuple[float, int]]()
    while not state.is_idle:
        for caller, number in state.begin(now):
            begun.append((round(now, 6), number))
            running.append((now + takes_s, caller))
        times = [time for time, _ in running] + [time for time in (state.next_at(),) if time is not None]
        if not times:
            break
        now = max(now, min(times))
        for ended in [item for item in running if item[0] <= now]:
            running.remove(ended)
            state.end(ended[1])
    return begun


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("recorded", Speed(factor=1.0)), ("x2", Speed(factor=2.0)), ("x0.5", Speed(factor=0.5)),
        ("50/s", Speed(rate=50.0)), ("0.1/s", Speed(rate=0.1)), ("max", Speed()),
    ],
)  # fmt: skip
def test_speeds(text: str, expected: Speed) -> None:
    assert parse_speed(text) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "x0", "0/s", "2x", "50", "-1/s", "x1e9", "inf/s", "x" + "9" * 400, "MAX", "x٣"]
)
def test_other_speeds_are_named(text: str) -> None:
    with pytest.raises(SpeedError, match="write recorded, x2, 50/s or max"):
        parse_speed(text)


def test_requests_begin_as_recorded() -> None:
    requests = [(5.0, "a"), (5.0, "b"), (6.5, "a"), (9.0, "b")]
    assert run(order(RECORDED, requests)) == [(100.0, 0), (100.0, 1), (101.5, 2), (104.0, 3)]
    assert run(order(Speed(factor=2.0), requests)) == [(100.0, 0), (100.0, 1), (100.75, 2), (102.0, 3)]
    assert run(order(Speed(), requests)) == [(100.0, 0), (100.0, 1), (100.0, 2), (100.0, 3)]
    assert run(order(Speed(rate=2.0), requests)) == [(100.0, 0), (100.5, 1), (101.0, 2), (101.5, 3)]


def test_a_callers_next_request_waits_for_the_end_of_the_one_before() -> None:
    requests = [(0.0, "a"), (0.1, "a"), (0.2, "b"), (0.3, "a")]
    assert run(order(RECORDED, requests), takes_s=1.0) == [(100.0, 0), (100.2, 2), (101.0, 1), (102.0, 3)]
    assert run(order(Speed(), requests), takes_s=1.0) == [(100.0, 0), (100.0, 2), (101.0, 1), (102.0, 3)]


def test_a_clock_that_goes_back_a_little_does_not_stretch_the_time() -> None:
    requests = [(10.0, "a"), (12.0, "b"), (11.0, "c"), (13.0, "d"), (12.5, "e"), (14.0, "f")]
    assert [time for time, _ in run(order(RECORDED, requests))] == [100.0, 102.0, 102.0, 103.0, 103.0, 104.0]


def test_a_clock_that_leaps_back_goes_on_from_there() -> None:
    requests = [(1000.0, "a"), (1001.0, "b"), (1000.0 - MAX_SKEW_S, "c"), (1001.0 - MAX_SKEW_S, "d")]
    assert [time for time, _ in run(order(RECORDED, requests))] == [100.0, 101.0, 101.0, 102.0]


def test_a_gap_is_cut_only_if_asked() -> None:
    requests = [(0.0, "a"), (3600.0, "b"), (3601.0, "c")]
    assert [time for time, _ in run(order(RECORDED, requests))] == [100.0, 3700.0, 3701.0]
    assert [time for time, _ in run(order(RECORDED, requests, max_gap_s=10.0))] == [100.0, 110.0, 111.0]


def test_no_more_run_at_once_than_may() -> None:
    state = order(Speed(), [(0.0, name) for name in "abcd"], max_running=2)
    assert [caller for caller, _ in state.begin(100.0)] == ["a", "b"]
    assert state.next_at() is None, "only the end of a request changes anything"
    state.end("a")
    assert [caller for caller, _ in state.begin(100.0)] == ["c"]


def test_a_rate_makes_up_for_a_second_at_most_and_for_no_idle_time() -> None:
    state = order(Speed(rate=10.0), [(0.0, str(number)) for number in range(100)])
    assert len(state.begin(100.0)) == 1
    assert len(state.begin(100.55)) == 5
    assert len(state.begin(200.0)) == 11
    empty = order(Speed(rate=10.0), [])
    assert empty.begin(150.0) == []
    for number in range(20):
        empty.add(0.0, str(number), number)
    assert len(empty.begin(150.0)) == 1


def test_what_waits_is_bounded() -> None:
    state: CallerOrderState[int] = CallerOrderState(Speed(), 0.0, max_waiting=2, max_waiting_bytes=100)
    state.add(0.0, "a", 1, size=1000)
    assert not state.wants_more, "a request over the limit is taken by itself"
    state.begin(0.0)
    assert state.wants_more
    state.add(0.0, "a", 2)
    state.add(0.0, "a", 3)
    assert not state.wants_more
    state.end("a")
    state.begin(0.0)
    assert state.wants_more


def test_it_is_known_how_late_the_replay_is() -> None:
    state = order(RECORDED, [(0.0, "a"), (1.0, "a")])
    state.begin(100.0)
    assert state.behind_s(105.0) == 0.0
    state.end("a")
    assert state.behind_s(105.0) == 4.0
    assert order(Speed(), [(0.0, "a")]).behind_s(200.0) == 0.0


_REQUESTS = st.lists(st.tuples(st.floats(0, 1000), st.sampled_from("abc")), max_size=30)
_SPEEDS = st.sampled_from([RECORDED, Speed(factor=3.0), Speed(rate=7.0), Speed()])


@given(_REQUESTS, _SPEEDS, st.sampled_from([0.0, 0.5, 20.0]), st.integers(1, 3))
def test_every_request_begins_once_and_a_callers_in_order(
    requests: list[tuple[float, str]], speed: Speed, takes_s: float, running: int
) -> None:
    begun = run(order(speed, requests, max_running=running), takes_s)
    assert sorted(number for _, number in begun) == list(range(len(requests)))
    for caller in "abc":
        times = [(time, number) for time, number in begun if requests[number][1] == caller]
        assert times == sorted(times, key=lambda item: item[1])
        assert all(later[0] - earlier[0] >= takes_s - 1e-5 for earlier, later in itertools.pairwise(times))
