from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.fault import Fault
from strangler.core.resilience.breaker import (
    CLOSED,
    HALF_OPEN,
    OPEN,
    TRANSITIONS,
    Breaker,
    BreakerChanged,
    BreakerOpening,
    BreakerState,
    Trigger,
)
from strangler.core.result import Result
from strangler.core.settings import BreakerSettings
from strangler.core.transitions import diagram, next_state
from tests.core.resilience.breakers import (
    ERROR,
    GONE,
    NOT_FOUND,
    OK,
    RATE_ONLY,
    REFUSED,
    ROW_ONLY,
    SETTINGS,
    half_opened,
    no_jitter,
    opened,
    send,
)


def never() -> float:
    raise AssertionError("chance was asked for nothing")


# The table.


@pytest.mark.parametrize(
    ("state", "trigger"), [pair for pair in product(BreakerState, Trigger) if pair not in TRANSITIONS]
)
def test_a_missing_pair_is_an_error_that_names_both(state: BreakerState, trigger: Trigger) -> None:
    with pytest.raises(ValueError, match=f"{state.name}.*{trigger.name}"):
        next_state(TRANSITIONS, state, trigger)


def test_every_state_is_reached_and_left() -> None:
    moves = {(before, after) for (before, _), after in TRANSITIONS.items() if before is not after}
    assert {before for before, _ in moves} == {after for _, after in moves} == set(BreakerState)


def test_the_diagram_in_the_docs_is_the_table() -> None:
    page = Path(__file__).parents[3] / "docs" / "resilience.md"
    assert f"```mermaid\n{diagram(TRANSITIONS, CLOSED)}\n```\n" in page.read_text()


# What counts.


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(OK, id="200"),
        pytest.param(NOT_FOUND, id="404"),
        pytest.param(Result(None, 429, 0.01), id="429"),
        pytest.param(Result(None, 501, 0.01), id="a status that is not listed"),
        pytest.param(Result(None, 200, 3600.0), id="slow, with slow_call off"),
        *(pytest.param(Result(fault, None, 0.01), id=fault) for fault in Fault if not fault.is_upstream),
        pytest.param(Result(Fault.CLIENT_GONE, 503, 0.01), id="client_gone after a listed status"),
    ],
)
def test_what_is_no_failure_never_opens(result: Result) -> None:
    breaker = Breaker("orders", SETTINGS)
    for _ in range(100):
        assert send(breaker, result, 1.0) is None
    assert breaker.state is CLOSED


def test_a_fault_of_the_client_never_counts_even_if_it_is_listed() -> None:
    breaker = Breaker("orders", replace(SETTINGS, counts=("client_gone", "full", "connect")))
    for _ in range(100):
        send(breaker, GONE, 1.0)
    assert breaker.state is CLOSED


@pytest.mark.parametrize(
    ("result", "cause"),
    [
        pytest.param(REFUSED, "connect", id="connect"),
        pytest.param(Result(Fault.RESET, None, 0.01), "reset", id="reset"),
        pytest.param(Result(Fault.RESET, 200, 0.01), "reset", id="reset after a good head"),
        pytest.param(Result(Fault.TIMEOUT, None, 60.0), "timeout", id="timeout"),
        pytest.param(Result(Fault.BAD_RESPONSE, None, 0.01), "bad_response", id="bad_response"),
        pytest.param(ERROR, "503", id="503"),
    ],
)
def test_a_listed_result_opens_and_the_reason_says_it(result: Result, cause: str) -> None:
    breaker = Breaker("orders", ROW_ONLY)
    changes = [send(breaker, result, 7.0) for _ in range(5)]
    reason = f"5 failures in a row, the last: {cause}"
    assert changes == [None] * 4 + [BreakerChanged("orders", CLOSED, OPEN, reason, 7.0)]
    assert breaker.last_change == changes[-1]


def test_a_listed_4xx_counts() -> None:
    breaker = Breaker("orders", replace(ROW_ONLY, consecutive=1, counts=(404,)))
    assert send(breaker, NOT_FOUND, 0.0) is not None


def test_legacy_counts_let_one_broken_page_not_cut_off_all_others() -> None:
    breaker = Breaker("legacy", replace(SETTINGS, counts=("connect", "timeout")))
    for _ in range(100):
        send(breaker, Result(None, 500, 0.01), 1.0)
        send(breaker, Result(Fault.RESET, None, 0.01), 1.0)
    assert breaker.state is CLOSED


def test_a_slow_call_counts_as_a_failure_whatever_it_answered() -> None:
    breaker = Breaker("orders", replace(ROW_ONLY, slow_call_s=2.0))
    for _ in range(4):
        assert send(breaker, Result(None, 404, 2.5), 1.0) is None
    change = send(breaker, Result(None, 200, 2.5), 1.0)
    assert change is not None
    assert change.reason == "5 failures in a row, the last: a response after 2.5 s"


def test_a_call_as_long_as_slow_call_is_not_slow() -> None:
    breaker = Breaker("orders", replace(ROW_ONLY, slow_call_s=2.0, consecutive=1))
    assert send(breaker, Result(None, 200, 2.0), 1.0) is None


# When it opens.


def test_a_success_ends_the_row() -> None:
    breaker = Breaker("orders", ROW_ONLY)
    for _ in range(20):
        for _ in range(4):
            send(breaker, ERROR, 1.0)
        send(breaker, OK, 1.0)
    assert breaker.state is CLOSED


def test_a_client_that_went_away_does_not_end_the_row() -> None:
    breaker = Breaker("orders", ROW_ONLY)
    for _ in range(4):
        send(breaker, ERROR, 1.0)
    send(breaker, GONE, 1.0)
    assert send(breaker, ERROR, 1.0) is not None


def test_the_failure_rate_opens_once_there_are_enough_requests() -> None:
    breaker = Breaker("orders", RATE_ONLY)
    for _ in range(9):
        send(breaker, OK, 100.0)
    changes = [send(breaker, ERROR, 101.0) for _ in range(11)]
    assert changes[:-1] == [None] * 10
    assert changes[-1] is not None
    assert changes[-1].reason == "11 of 20 requests failed in 30 s, the last: 503"


def test_the_rate_itself_is_enough() -> None:
    breaker = Breaker("orders", RATE_ONLY)
    for _ in range(10):
        send(breaker, OK, 1.0)
    changes = [send(breaker, ERROR, 1.0) for _ in range(10)]
    assert changes[-1] is not None


def test_failures_that_left_the_window_do_not_count() -> None:
    breaker = Breaker("orders", RATE_ONLY)
    for _ in range(19):
        send(breaker, ERROR, 0.0)
    for _ in range(19):
        assert send(breaker, ERROR, 31.0) is None
    assert send(breaker, ERROR, 32.0) is not None


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(None, id="breaker: false"),
        pytest.param(replace(SETTINGS, consecutive=None, failure_rate=None), id="both rules none"),
        pytest.param(replace(SETTINGS, consecutive=0, failure_rate=0.0), id="both rules 0"),
        pytest.param(replace(SETTINGS, consecutive=None, window_s=0.0), id="window 0"),
    ],
)
def test_a_rule_that_is_off_never_opens(part: BreakerSettings | None) -> None:
    breaker = Breaker("orders", part)
    for _ in range(100):
        send(breaker, REFUSED, 1.0)
    assert breaker.state is CLOSED


def test_chance_is_only_asked_when_it_opens() -> None:
    breaker = Breaker("orders", ROW_ONLY)
    for result in (OK, NOT_FOUND, GONE, ERROR):
        permit = breaker.try_acquire(1.0)
        assert permit is not None
        breaker.report(permit, result, 1.0, never)


def test_a_healthy_breaker_hands_out_one_and_the_same_permit() -> None:
    breaker = Breaker("orders", SETTINGS)
    first = breaker.try_acquire(1.0)
    send(breaker, OK, 1.0)
    assert breaker.try_acquire(2.0) is first


# Open.


def test_open_refuses_until_the_cooldown_is_over() -> None:
    breaker = opened(at=100.0)
    assert breaker.try_acquire(109.9) is None
    assert breaker.retry_after_s(104.0) == 6.0
    permit = breaker.try_acquire(110.5)
    assert permit is not None
    assert permit.change == BreakerChanged("orders", OPEN, HALF_OPEN, "cooled down for 10.5 s", 110.5)


def test_asking_whether_it_refuses_changes_nothing() -> None:
    breaker = opened()
    assert breaker.refuses(9.0)
    assert not breaker.refuses(11.0)
    assert breaker.state is OPEN


@pytest.mark.parametrize(
    ("draw", "cooldown_s"), [pytest.param(0.0, 10.0, id="none"), pytest.param(0.999999, 8.0, id="most")]
)
def test_jitter_takes_up_to_a_fifth_off_the_cooldown(draw: float, cooldown_s: float) -> None:
    breaker = Breaker("orders", replace(ROW_ONLY, consecutive=1))
    permit = breaker.try_acquire(0.0)
    assert permit is not None
    breaker.report(permit, ERROR, 0.0, lambda: draw)
    assert breaker.retry_after_s(0.0) == pytest.approx(cooldown_s, abs=1e-4)


def test_the_cooldown_doubles_to_its_maximum_and_starts_over_after_closing() -> None:
    breaker = opened()
    cooldowns: list[float] = []
    now = 0.0
    for _ in range(6):
        cooldowns.append(breaker.retry_after_s(now))
        now += cooldowns[-1]
        send(breaker, ERROR, now)
    assert cooldowns == [10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    now += 60.0
    send(breaker, OK, now)
    send(breaker, OK, now)
    assert breaker.state is CLOSED
    for _ in range(5):
        send(breaker, ERROR, now)
    assert breaker.retry_after_s(now) == 10.0


def test_a_streak_of_any_length_keeps_the_maximum() -> None:
    breaker = Breaker("orders", ROW_ONLY)
    breaker.force_open(BreakerOpening(1.0, 5000, "told"), 0.0)
    send(breaker, ERROR, 1.0)
    assert breaker.retry_after_s(1.0) == 60.0


# Half open.


def test_half_open_lets_trials_at_a_time_through_and_refuses_the_rest() -> None:
    breaker, first = half_opened()
    assert breaker.try_acquire(10.0) is not None
    assert breaker.try_acquire(10.0) is None
    assert breaker.retry_after_s(10.0) == 1.0
    breaker.report(first, OK, 10.1, never)
    assert breaker.try_acquire(10.2) is not None
    assert breaker.try_acquire(10.2) is None


def test_only_the_first_trial_tells_of_the_change() -> None:
    breaker, first = half_opened()
    second = breaker.try_acquire(10.0)
    assert first.change is not None
    assert second is not None
    assert second.change is None


def test_as_many_successes_as_trials_close_it() -> None:
    breaker, first = half_opened()
    assert breaker.report(first, OK, 10.1, never) is None
    change = send(breaker, NOT_FOUND, 10.2)
    assert change == BreakerChanged("orders", HALF_OPEN, CLOSED, "2 trials succeeded", 10.2)


def test_one_failed_trial_opens_it_again() -> None:
    breaker, first = half_opened()
    send(breaker, OK, 10.1)
    change = breaker.report(first, REFUSED, 10.2, no_jitter)
    assert change == BreakerChanged("orders", HALF_OPEN, OPEN, "a trial failed: connect", 10.2)
    assert breaker.retry_after_s(10.2) == 20.0


@pytest.mark.parametrize("way", ["cancelled", "client gone"])
def test_a_trial_without_a_result_is_free_again(way: str) -> None:
    breaker, first = half_opened(replace(ROW_ONLY, trials=1))
    assert breaker.try_acquire(11.0) is None
    if way == "cancelled":
        breaker.give_back(first)
    else:
        breaker.report(first, GONE, 11.0, never)
    assert breaker.try_acquire(11.0) is not None
    assert breaker.state is HALF_OPEN


def test_trials_that_do_not_come_back_for_a_minute_are_written_off() -> None:
    breaker, lost = half_opened(replace(ROW_ONLY, trials=1))
    assert breaker.try_acquire(69.0) is None
    fresh = breaker.try_acquire(70.0)
    assert fresh is not None
    assert breaker.report(lost, ERROR, 71.0, never) is None
    assert breaker.in_trial == 1
    assert breaker.report(fresh, OK, 71.0, never) is not None


@pytest.mark.parametrize("result", [OK, ERROR], ids=["success", "failure"])
def test_reports_from_before_a_change_are_ignored(result: Result) -> None:
    breaker = Breaker("orders", ROW_ONLY)
    old = breaker.try_acquire(0.0)
    assert old is not None
    for _ in range(5):
        send(breaker, ERROR, 0.0)
    assert breaker.report(old, result, 5.0, never) is None
    assert breaker.state is OPEN
    assert breaker.try_acquire(10.0) is not None
    breaker.report(old, result, 10.0, never)
    breaker.give_back(old)
    assert (breaker.state, breaker.in_trial) == (HALF_OPEN, 1)


@pytest.mark.parametrize("part", [ROW_ONLY, replace(ROW_ONLY, failure_rate=0.5, min_requests=5)], ids=["row", "rate"])
def test_closing_forgets_what_was_counted_before(part: BreakerSettings) -> None:
    breaker = opened(part)
    send(breaker, OK, 10.0)
    send(breaker, OK, 10.0)
    for _ in range(4):
        assert send(breaker, ERROR, 10.0) is None


# Reload.


def test_new_settings_start_over() -> None:
    breaker = opened()
    change = breaker.adopt(replace(ROW_ONLY, consecutive=2), 3.0)
    assert change == BreakerChanged("orders", OPEN, CLOSED, "settings changed", 3.0)
    assert send(breaker, ERROR, 3.0) is None
    assert send(breaker, ERROR, 3.0) is not None


def test_reports_from_before_a_reload_are_ignored() -> None:
    breaker = Breaker("orders", ROW_ONLY)
    old = breaker.try_acquire(0.0)
    assert old is not None
    assert breaker.adopt(replace(ROW_ONLY, consecutive=1), 1.0) is None
    assert breaker.report(old, ERROR, 2.0, never) is None
    assert breaker.state is CLOSED


# Several workers.


def test_an_opening_is_followed_with_the_same_end_and_reason() -> None:
    opening = opened(at=100.0).export()
    assert opening == BreakerOpening(110.0, 1, "5 failures in a row, the last: 503")
    other = Breaker("orders", ROW_ONLY)
    change = other.force_open(opening, 100.5)
    reason = "in another worker: 5 failures in a row, the last: 503"
    assert change == BreakerChanged("orders", CLOSED, OPEN, reason, 100.5)
    assert other.export() == opening


def test_being_told_twice_or_back_again_changes_nothing() -> None:
    breaker, other = opened(), Breaker("orders", ROW_ONLY)
    opening = breaker.export()
    assert opening is not None
    assert other.force_open(opening, 1.0) is not None
    assert other.force_open(opening, 2.0) is None
    assert breaker.force_open(opening, 2.0) is None
    assert breaker.export() == opening


def test_an_opening_whose_end_has_passed_is_ignored() -> None:
    breaker = Breaker("orders", ROW_ONLY)
    assert breaker.force_open(BreakerOpening(10.0, 1, "told"), 10.0) is None
    assert breaker.state is CLOSED


def test_the_later_end_wins() -> None:
    breaker = opened()
    assert breaker.force_open(BreakerOpening(8.0, 1, "sooner"), 1.0) is None
    assert breaker.retry_after_s(1.0) == 9.0
    assert breaker.force_open(BreakerOpening(15.0, 1, "later"), 1.0) is None
    assert breaker.retry_after_s(1.0) == 14.0


def test_another_workers_failed_trial_reopens_and_the_doubling_goes_on() -> None:
    breaker, trial = half_opened()
    change = breaker.force_open(BreakerOpening(30.0, 2, "a trial failed: 503"), 10.2)
    assert change is not None
    assert (change.before, change.after) == (HALF_OPEN, OPEN)
    assert breaker.report(trial, OK, 10.3, never) is None
    send(breaker, ERROR, 30.0)
    assert breaker.retry_after_s(30.0) == 40.0


def test_a_breaker_that_is_off_follows_nobody() -> None:
    breaker = Breaker("orders", None)
    assert breaker.force_open(BreakerOpening(10.0, 1, "told"), 0.0) is None
    assert breaker.state is CLOSED


def test_only_an_open_breaker_exports() -> None:
    assert Breaker("orders", ROW_ONLY).export() is None
    assert half_opened()[0].export() is None


def exports(workers: list[Breaker]) -> list[BreakerOpening]:
    return [opening for opening in (worker.export() for worker in workers) if opening is not None]


@given(
    st.lists(
        st.tuples(st.sampled_from(["fail", "pass", "hear"]), st.integers(0, 2), st.integers(0, 40), st.integers(0, 99)),
        max_size=120,
    ),
    st.permutations(range(6)),
)
def test_workers_agree_whatever_they_hear_in_whatever_order(
    script: list[tuple[str, int, int, int]], order: list[int]
) -> None:
    """Facts come late, twice, in any order. No fact is made by hearing one, none opens a breaker twice."""
    workers = [Breaker("orders", replace(ROW_ONLY, consecutive=2, trials=1)) for _ in range(3)]
    openings: list[BreakerOpening] = []
    own_ends: set[float] = set()
    heard_ends: list[list[float]] = [[], [], []]
    now = 0.0
    for action, index, quarter_seconds, which in script:
        now += quarter_seconds / 4
        worker = workers[index]
        if action == "hear":
            if openings:
                opening = openings[which % len(openings)]
                if worker.force_open(opening, now) is not None:
                    heard_ends[index].append(opening.until)
        elif (permit := worker.try_acquire(now)) is not None:
            change = worker.report(permit, ERROR if action == "fail" else OK, now, no_jitter)
            if change is not None and change.after is OPEN:
                own_ends.add(now + worker.retry_after_s(now))
        openings += exports(workers)

    assert {opening.until for opening in openings} <= own_ends
    for ends in heard_ends:
        assert all(earlier < later for earlier, later in pairwise(ends))
    latest = exports(workers) * 2
    for position in order:
        for worker in workers:
            if position < len(latest):
                worker.force_open(latest[position], now)
    if any(opening.until > now for opening in latest):
        assert len({opening.until for opening in exports(workers)}) == 1
        assert {worker.state for worker in workers} == {OPEN}
