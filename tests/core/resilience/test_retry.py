from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import TypedDict, Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.fault import Fault
from strangler.core.resilience.retry import NoRetry, Retry, RetryBudget, RetryRules, backoff_s, parse_retry_after
from strangler.core.result import Result
from strangler.core.settings import RetrySettings

SETTINGS = RetrySettings(attempts=3, when=("connect", "reset", 503), backoff_s=0.025, max_backoff_s=0.25, budget=0.2)
CONNECT = Result(Fault.CONNECT, None, 0.01)
RESET = Result(Fault.RESET, None, 0.01)
BUSY = Result(None, 503, 0.01)


class Circumstances(TypedDict, total=False):
    is_response_started: bool
    is_body_resendable: bool
    retry_after_s: float | None
    deadline: float | None
    draw: Callable[[], float]


def decide(
    method: bytes,
    *results: Result,
    rules: RetryRules | None = None,
    budget: RetryBudget | None = None,
    **other: Unpack[Circumstances],
) -> Retry | NoRetry:
    """At 100.0, half of the bound as backoff, everything in favour of a retry unless it is said."""
    circumstances: Circumstances = {
        "is_response_started": False,
        "is_body_resendable": True,
        "retry_after_s": None,
        "deadline": None,
        "draw": lambda: 0.5,
        **other,
    }
    rules = rules or RetryRules(SETTINGS)
    return rules.decide(budget or RetryBudget(0.2), method, results, now=100.0, **circumstances)


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"])
@pytest.mark.parametrize("result", [CONNECT, RESET, BUSY], ids=["connect", "reset", "503"])
def test_an_idempotent_method_is_retried(method: bytes, result: Result) -> None:
    assert decide(method, result) == Retry(0.0125)


@pytest.mark.parametrize("method", [b"POST", b"PATCH", b"PROPFIND", b"get"])
@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param([CONNECT], Retry(0.0125), id="unsent"),
        pytest.param([CONNECT, CONNECT], Retry(0.025), id="unsent twice"),
        pytest.param([RESET], NoRetry.METHOD, id="may have run"),
        pytest.param([BUSY], NoRetry.METHOD, id="did run"),
        pytest.param([RESET, CONNECT], NoRetry.METHOD, id="an earlier attempt may have run"),
    ],
)
def test_any_other_method_only_if_no_attempt_can_have_reached_the_upstream(
    method: bytes, results: list[Result], expected: Retry | NoRetry
) -> None:
    assert decide(method, *results) == expected


@pytest.mark.parametrize(
    ("results", "other", "why_not"),
    [
        pytest.param([Result(Fault.TIMEOUT, None, 1.0)], {}, NoRetry.NOT_LISTED, id="fault not in when"),
        pytest.param([Result(None, 500, 1.0)], {}, NoRetry.NOT_LISTED, id="status not in when"),
        pytest.param([Result(Fault.TIMEOUT, 503, 1.0)], {}, NoRetry.NOT_LISTED, id="the fault counts, not the status"),
        pytest.param([Result(None, 200, 1.0)], {}, NoRetry.NOT_LISTED, id="success"),
        pytest.param([Result(Fault.CLIENT_GONE, None, 1.0)], {}, NoRetry.NOT_LISTED, id="client gone"),
        pytest.param([CONNECT] * 3, {}, NoRetry.ATTEMPTS, id="attempts used up, the first included"),
        pytest.param([RESET], {"is_response_started": True}, NoRetry.RESPONSE_STARTED, id="first byte is out"),
        pytest.param([CONNECT], {"is_body_resendable": False}, NoRetry.BODY, id="body is gone"),
        pytest.param([CONNECT], {"deadline": 100.01}, NoRetry.DEADLINE, id="backoff ends after the deadline"),
        pytest.param([BUSY], {"deadline": 105.0, "retry_after_s": 6.0}, NoRetry.DEADLINE, id="Retry-After too long"),
        pytest.param([BUSY], {"retry_after_s": 0.3}, NoRetry.DEADLINE, id="no deadline: up to max_backoff"),
    ],
)
def test_there_is_no_retry(results: list[Result], other: Circumstances, why_not: NoRetry) -> None:
    assert decide(b"GET", *results, **other) is why_not


def test_switched_off_there_is_none() -> None:
    assert decide(b"GET", CONNECT, rules=RetryRules(None)) is NoRetry.OFF


@pytest.mark.parametrize(
    ("requested_s", "deadline", "after_s"),
    [
        pytest.param(3.0, 105.0, 3.0, id="honoured"),
        pytest.param(5.0, 105.0, 5.0, id="up to the deadline"),
        pytest.param(0.0, 105.0, 0.0125, id="never shorter than the backoff"),
        pytest.param(0.2, None, 0.2, id="without a deadline up to max_backoff"),
    ],
)
def test_retry_after_is_honoured(requested_s: float, deadline: float | None, after_s: float) -> None:
    assert decide(b"GET", BUSY, retry_after_s=requested_s, deadline=deadline) == Retry(after_s)


# Backoff.


def test_backoff_doubles_up_to_its_maximum() -> None:
    bounds = [backoff_s(SETTINGS, attempts, lambda: 1.0) for attempts in (1, 2, 3, 4, 5, 5000)]
    assert bounds == [0.025, 0.05, 0.1, 0.2, 0.25, 0.25]


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_full_jitter_takes_any_part_of_the_bound(attempts: int, draw: float) -> None:
    bound = backoff_s(SETTINGS, attempts, lambda: 1.0)
    assert backoff_s(SETTINGS, attempts, lambda: draw) == draw * bound


@pytest.mark.parametrize(
    ("when", "response_s", "deadline"),
    [
        pytest.param(("connect", "reset"), 5.0, 105.0, id="all attempts have the time of one"),
        pytest.param(("connect", "timeout"), 5.0, 115.0, id="each has its own, as a timeout is to be tried again"),
        pytest.param(("connect",), inf, None, id="no limit"),
    ],
)
def test_attempts_share_a_deadline(when: tuple[str, ...], response_s: float, deadline: float | None) -> None:
    assert RetryRules(replace(SETTINGS, when=when, attempts=3)).deadline(100.0, response_s) == deadline


def test_without_retries_there_is_no_deadline_to_share() -> None:
    assert RetryRules(None).deadline(100.0, 5.0) is None


# Budget.


def spend_all(budget: RetryBudget, now: float) -> int:
    spent = 0
    while spent < 10_000 and budget.try_spend(now):
        spent += 1
    return spent


@pytest.mark.parametrize(
    ("share", "attempts", "retries"),
    [
        pytest.param(0.2, 0, 30, id="the floor"),
        pytest.param(0.0, 1000, 30, id="no share: the floor"),
        pytest.param(0.2, 100, 50, id="share beside the floor"),
        pytest.param(1.0, 100, 130, id="everything"),
    ],
)
def test_the_budget_is_a_share_and_a_floor(share: float, attempts: int, retries: int) -> None:
    budget = RetryBudget(share)
    for _ in range(attempts):
        budget.add_attempt(5.0)
    for _ in range(retries):
        assert budget.try_spend(5.0)
        budget.add_attempt(5.0)  # a retry is an attempt too, and does not earn another
    assert not budget.try_spend(5.0)


@pytest.mark.parametrize(("workers", "retries"), [(1, 30), (2, 15), (4, 7), (64, 1)])
def test_workers_share_the_floor(workers: int, retries: int) -> None:
    assert spend_all(RetryBudget(0.2, workers), 100.0) == retries


def test_the_budget_comes_back_after_ten_seconds() -> None:
    budget = RetryBudget(0.2)
    assert spend_all(budget, 3.0) == 30
    assert not budget.try_spend(12.9)
    assert spend_all(budget, 13.0) == 30


def test_a_refused_retry_spends_nothing() -> None:
    budget = RetryBudget(0.0)
    for _ in range(100):
        decide(b"POST", RESET, budget=budget)
        decide(b"GET", CONNECT, budget=budget, deadline=100.0)
    assert spend_all(budget, 100.0) == 30


def test_without_budget_there_is_no_retry() -> None:
    budget = RetryBudget(0.0)
    spend_all(budget, 100.0)
    assert decide(b"GET", CONNECT, budget=budget) is NoRetry.BUDGET


def test_an_outage_multiplies_the_load_by_no_more_than_the_share() -> None:
    """1,000 requests a second that all fail and ask for as many retries as they are given."""
    rules, budget = RetryRules(replace(SETTINGS, attempts=10)), RetryBudget(0.2)
    retries = 0
    for request in range(20_000):
        now = 100.0 + request / 1000
        results = [CONNECT]
        budget.add_attempt(now)
        while isinstance(
            rules.decide(
                budget,
                b"GET",
                results,
                is_response_started=False,
                is_body_resendable=True,
                retry_after_s=None,
                deadline=None,
                now=now,
                draw=lambda: 0.0,
            ),
            Retry,
        ):
            budget.add_attempt(now)
            results.append(CONNECT)
            retries += 1
    assert 0.18 * 20_000 < retries <= 0.2 * 20_000 + 90


# Retry-After.


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param(b"120", 120.0, id="seconds"),
        pytest.param(b" 0 ", 0.0, id="zero, with spaces"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT", 37.0, id="IMF-fixdate"),
        pytest.param(b"Sunday, 06-Nov-94 08:49:37 GMT", 37.0, id="RFC 850 date"),
        pytest.param(b"Sun Nov  6 08:49:37 1994", 37.0, id="asctime date"),
        pytest.param(b"Sun, 06 Nov 1994 08:40:00 GMT", 0.0, id="in the past"),
        pytest.param(b"9" * 400, float("inf"), id="beyond any number"),
        pytest.param(b"-1", None, id="negative"),
        pytest.param(b"1.5", None, id="fraction"),
        pytest.param(b"soon", None, id="word"),
        pytest.param(b"", None, id="empty"),
        pytest.param("٣".encode(), None, id="digits of another script"),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: bytes, seconds: float | None) -> None:
    assert parse_retry_after(value, unix_now=784111740.0) == seconds


@given(st.binary(max_size=40) | st.from_regex(rb"\A[A-Za-z]{3}, ?[0-9]{1,9} [A-Za-z]{3} [0-9: +-]{0,20}\Z"))
def test_no_retry_after_value_raises(value: bytes) -> None:
    seconds = parse_retry_after(value, unix_now=0.0)
    assert seconds is None or seconds >= 0.0
