"""Is a route ready? The statistics, and the verdict."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil, log
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.claims import Claim, pairs_to_prove
from strangler.core.gate import Evidence, Interval, Latency, Verdict, judge, latency_of
from strangler.core.proportions import shows_match
from strangler.core.settings import GateSettings
from tests.core.crossing import probability_to_refute, probability_to_show

GATE = GateSettings(min_pairs=3000, min_match=0.999, max_breaking=0, max_latency_ratio=1.1, min_age_s=86400)
ENOUGH = 3033
"""The pairs without a mismatch that the default gate takes."""
FAST = Latency(Interval(1.0, 0.98, 1.02), Interval(1.3, 1.2, 1.4))
GOOD = Evidence(
    pairs=ENOUGH,
    matches=ENOUGH,
    breaking_open=0,
    age_s=86400,
    latency=FAST,
    endpoints={"GET /a": ENOUGH},
    timeable=ENOUGH,
)
ID = "0123456789abcdef"
PROVEN, OPEN = Claim(ID, "GET /a", 60, 60), Claim(ID, "GET /b", 60, 15)


def timed(count: int, factor: float, seed: int = 1) -> list[tuple[float, float]]:
    random = Random(seed)
    legacy = [random.lognormvariate(-4, 0.5) for _ in range(count)]
    return [(time, time * factor * random.lognormvariate(0, 0.2)) for time in legacy]


def test_latency_ratio_is_paired() -> None:
    latency = latency_of([(1.0, 2.0), (100.0, 50.0), (3.0, 3.0)], Random(1))
    assert latency is not None
    assert (latency.median.value, latency.p95.value) == (1.0, 2.0)


def test_latency_interval_holds_the_truth_and_shrinks() -> None:
    few, many = latency_of(timed(50, 1.2), Random(1)), latency_of(timed(5000, 1.2), Random(1))
    assert few is not None
    assert many is not None
    assert few.median.low < 1.2 < few.median.high
    assert many.median.low < 1.2 < many.median.high
    assert many.median.high - many.median.low < (few.median.high - few.median.low) / 4


def test_latency_interval_covers_as_often_as_it_says() -> None:
    """95 % intervals of 60 samples hold the true median about 57 times of 60 (standard deviation 1.7)."""
    intervals = [latency_of(timed(200, 1.0, seed), Random(seed)) for seed in range(60)]
    covered = sum(1 for latency in intervals if latency and latency.median.low <= 1.0 <= latency.median.high)
    assert 50 <= covered <= 60


def test_latency_is_the_same_for_the_same_seed() -> None:
    pairs = timed(100, 1.0)
    assert latency_of(pairs, Random(7)) == latency_of(pairs, Random(7))
    assert latency_of(pairs, Random(7)) != latency_of(pairs, Random(8))


@pytest.mark.parametrize("pairs", [[], [(0.0, 1.0)], [(1.0, 0.0)]])
def test_no_latency_without_times(pairs: list[tuple[float, float]]) -> None:
    assert latency_of(pairs, Random(1)) is None


def test_default_gate_opens_at_about_3000_pairs_without_a_mismatch() -> None:
    assert judge(GOOD, GATE).verdict is Verdict.READY
    before = judge(replace(GOOD, pairs=ENOUGH - 1, matches=ENOUGH - 1), GATE)
    assert (before.verdict, before.pairs_needed) == (Verdict.NOT_ENOUGH_EVIDENCE, 1)


def test_min_pairs_are_required_where_the_share_is_shown_by_fewer() -> None:
    gate = replace(GATE, min_match=0.99)
    assert judge(replace(GOOD, pairs=3000, matches=3000), gate).verdict is Verdict.READY
    assert judge(replace(GOOD, pairs=2999, matches=2999), gate).pairs_needed == 1


def says(verdict: Verdict) -> Callable[[int, int], bool]:
    """Return whether the gate, with no other condition than the match share, gives a verdict."""
    gate = replace(GATE, min_pairs=0)
    return lambda matches, pairs: judge(replace(GOOD, pairs=pairs, matches=matches), gate).verdict is verdict


@pytest.mark.parametrize("share", [0.999, 0.9985])
def test_a_route_at_or_below_the_limit_is_seldom_ever_called_ready(share: float) -> None:
    """It is judged after each of 20,000 pairs. The probability is computed, not simulated."""
    assert probability_to_show(share, 20_000, says(Verdict.READY)) <= 0.05


@pytest.mark.parametrize("share", [0.999, 0.9991, 0.9995])
def test_a_route_at_or_above_the_limit_is_hardly_ever_called_not_ready(share: float) -> None:
    assert probability_to_refute(share, 20_000, says(Verdict.NOT_READY)) <= 0.01


def mismatches_of(random: Random, share: float, most: int) -> list[int]:
    """Return the places of the mismatches among pairs, counted from 1."""
    found, at = [], 0
    while (at := at + 1 + int(log(1 - random.random()) / log(share))) <= most:
        found.append(at)
    return found


@pytest.mark.parametrize(("share", "verdict", "limit"), [(0.999, Verdict.READY, 20), (0.9991, Verdict.NOT_READY, 6)])
def test_simulated_routes_agree_with_what_is_computed(share: float, verdict: Verdict, limit: int) -> None:
    """At most 5 % (1 %) of 200 routes are expected to be judged wrongly, ever; the limit is three deviations above.

    Between two mismatches, evidence for a route grows with each pair, and evidence against it falls. So a verdict that
    is given at any time is given at the last pair before a mismatch, or at a mismatch.
    """
    random, is_given, most, wrong = Random(1), says(verdict), 20_000, 0
    for _ in range(200):
        found = mismatches_of(random, share, most)
        looks = [(number, at) for number, at in enumerate(found, 1)]
        looks += [(number, at - 1) for number, at in enumerate([*found, most + 1])]
        wrong += any(is_given(pairs - number, pairs) for number, pairs in looks)
    assert wrong <= limit


SLOW = Latency(Interval(1.3, 1.25, 1.35), Interval(2, 1.9, 2.1))
UNSURE = Latency(Interval(1.05, 0.9, 1.2), Interval(2, 1.9, 2.1))
VERDICTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "breaking open": ({"breaking_open": 1}, "not ready", "1 breaking differences are open, 0 are allowed"),
    "surely too many mismatches": ({"matches": 2900}, "not ready", "133 of 3033 pairs differ"),
    "about as many mismatches as are allowed": (
        {"pairs": 3000, "matches": 2997},
        "not enough evidence",
        "11036 more pairs are needed at least, if none of them differs: 3 of 3000 pairs differ; 99.532% shown so far",
    ),
    "one mismatch in 3000 needs more pairs": (
        {"pairs": 3000, "matches": 2999},
        "not enough evidence",
        "19795 more pairs are needed, 3000 were compared; 99.690% shown so far, 99.900% required",
    ),
    "few pairs": ({"pairs": 100, "matches": 100}, "not enough evidence", "2933 more pairs are needed"),
    "few pairs, some differ": ({"pairs": 100, "matches": 99}, "not enough evidence", "1 of 100 pairs differ"),
    "few pairs, too many differ": ({"pairs": 100, "matches": 80}, "not ready", "20 of 100 pairs differ"),
    "no pairs": ({"pairs": 0, "matches": 0}, "not enough evidence", "3033 more pairs are needed"),
    "surely slow": ({"latency": SLOW}, "not ready", "1.30 times legacy's (1.25 to 1.35), 1.10 is allowed"),
    "perhaps slow": ({"latency": UNSURE}, "not enough evidence", "not certain enough"),
    "no times": ({"latency": None}, "not enough evidence", "no request was timed"),
    "no times, few that could be": (
        {"latency": None, "timeable": 2},
        "not enough evidence",
        "no request was timed at both arms; 2 of 3033 could have been",
    ),
    "no times, nothing is known yet": (
        {"latency": None, "timeable": 0, "pairs": 0, "matches": 0},
        "not enough evidence",
        "no request was timed",
    ),
    "a fix without proof": (
        {"claims": (PROVEN, OPEN)},
        "not enough evidence",
        "GET /b: 01234567 is marked as fixed; 45 more pairs without it are needed, 15 of 60 were compared since",
    ),
    "a fix with little age": (
        {"age_s": 1800, "is_age_since_fix": True},
        "not enough evidence",
        "observed for 0.5 h since the last fix, 23.5 h more are needed",
    ),
    "young": ({"age_s": 3600}, "not enough evidence", "23.0 h more are needed"),
    "what speaks against wins": ({"age_s": 0, "breaking_open": 2}, "not ready", "2 breaking"),
}


@pytest.mark.parametrize(("change", "verdict", "reason"), VERDICTS.values(), ids=VERDICTS)
def test_verdict(change: dict[str, Any], verdict: str, reason: str) -> None:
    readiness = judge(replace(GOOD, **change), GATE)
    assert readiness.verdict == verdict
    assert any(reason in text for text in readiness.reasons)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        pytest.param({"timeable": 0}, "none of the 3033 pairs could be timed", id="no pair could be"),
        pytest.param({"is_timed": False}, "shadow.baseline is 0", id="nothing is timed"),
        pytest.param({"is_timed": False, "timeable": 0}, "shadow.baseline is 0", id="both"),
    ],
)
def test_times_that_cannot_be_taken_are_left_out_and_said(change: dict[str, Any], note: str) -> None:
    readiness = judge(replace(GOOD, latency=None, **change), GATE)
    assert readiness.verdict is Verdict.READY
    assert [note in text for text in readiness.notes] == [True]


@pytest.mark.parametrize("change", [{}, {"timeable": 0}, {"is_timed": False}], ids=repr)
def test_times_that_were_taken_are_judged(change: dict[str, Any]) -> None:
    readiness = judge(replace(GOOD, latency=SLOW, **change), GATE)
    assert readiness.verdict is Verdict.NOT_READY
    assert readiness.notes == ()


def test_a_fix_is_proven_by_the_pairs_that_it_asks_for() -> None:
    assert judge(replace(GOOD, claims=(PROVEN,)), GATE).verdict is Verdict.READY
    waiting = judge(replace(GOOD, claims=(PROVEN, replace(PROVEN, pairs=59))), GATE)
    assert (waiting.verdict, waiting.pairs_needed) == (Verdict.NOT_ENOUGH_EVIDENCE, 1)


def test_many_fixes_without_proof_are_told_in_few_lines() -> None:
    readiness = judge(replace(GOOD, claims=(OPEN,) * 500), GATE)
    assert len(readiness.reasons) == 13
    assert "488 more" in readiness.reasons[-1]


@pytest.mark.parametrize(
    ("seen", "pairs", "needed"),
    [
        pytest.param(60, 60, 60, id="all differed"),
        pytest.param(5, 5, 30, id="few, all differed"),
        pytest.param(5000, 5000, 300, id="very many"),
        pytest.param(60, 120, 60, id="half"),
        pytest.param(3, 10, 30, id="three of ten"),
        pytest.param(1, 100, 299, id="one of a hundred"),
        pytest.param(1, 10_000, 29_956, id="one of ten thousand"),
        pytest.param(0, 0, 30, id="nothing is known"),
        pytest.param(0, 50, 30, id="never seen"),
        pytest.param(7, 3, 30, id="more often than there are pairs"),
    ],
)
def test_pairs_that_prove_a_fix(seen: int, pairs: int, needed: int) -> None:
    assert pairs_to_prove(seen, pairs) == needed


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_a_fix_that_is_none_passes_one_time_of_twenty_at_most(seen: int, pairs: int) -> None:
    share = min(1.0, seen / pairs)
    assert (1 - share) ** pairs_to_prove(seen, pairs) <= 0.05 + 1e-9


@pytest.mark.parametrize("mismatches", [0, 1, 2])
def test_pairs_that_are_needed_are_enough_at_the_present_rate(mismatches: int) -> None:
    """Both are taken so many times that the rate is the same and the pairs are at least what was asked for."""
    pairs = 6000
    needed = judge(replace(GOOD, pairs=pairs, matches=pairs - mismatches), GATE).pairs_needed
    times = ceil(1 + needed / pairs)
    later = replace(GOOD, pairs=times * pairs, matches=times * (pairs - mismatches))
    assert judge(later, GATE).verdict is Verdict.READY


@pytest.mark.parametrize(("matches", "pairs"), [(99, 100), (2997, 3000), (2995, 3000)])
def test_pairs_that_are_needed_are_enough_without_a_mismatch_if_the_rate_is_too_low(matches: int, pairs: int) -> None:
    further = judge(replace(GOOD, pairs=pairs, matches=matches), GATE).pairs_needed
    assert judge(replace(GOOD, pairs=pairs + further, matches=matches + further), GATE).verdict is Verdict.READY
    before = judge(replace(GOOD, pairs=pairs + further - 1, matches=matches + further - 1), GATE)
    assert before.verdict is Verdict.NOT_ENOUGH_EVIDENCE


def test_a_gate_of_100_percent_asks_for_no_mismatch() -> None:
    gate = replace(GATE, min_match=1.0)
    assert judge(replace(GOOD, pairs=3000, matches=3000), gate).verdict is Verdict.READY
    assert judge(replace(GOOD, pairs=2999, matches=2999), gate).pairs_needed == 1
    assert judge(replace(GOOD, pairs=100, matches=99), gate).verdict is Verdict.NOT_READY


def test_a_gate_of_0_percent_asks_for_pairs_only() -> None:
    gate = replace(GATE, min_match=0.0)
    assert judge(replace(GOOD, pairs=3000, matches=0), gate).verdict is Verdict.READY
    assert judge(replace(GOOD, pairs=2999, matches=0), gate).pairs_needed == 1


def test_a_share_is_never_rounded_up() -> None:
    refused = judge(replace(GOOD, pairs=10**7, matches=10**7 - 1), replace(GATE, min_match=1.0))
    assert refused.reasons == ("1 of 10000000 pairs differ: 99.999% match, 100.000% are required",)


@pytest.mark.parametrize("pairs", [10**3, 10**6, 10**9])
def test_the_lower_bound_is_shown_by_the_same_bets(pairs: int) -> None:
    for mismatches in (0, pairs // 10_000, pairs // 100):
        found = judge(replace(GOOD, pairs=pairs, matches=pairs - mismatches), replace(GATE, min_match=0.9))
        assert found.match_low is not None
        assert found.match_low <= 1 - mismatches / pairs
        assert shows_match(pairs - mismatches, pairs, found.match_low)


def test_endpoints_with_too_few_pairs_are_named() -> None:
    readiness = judge(replace(GOOD, endpoints={"GET /a": 2999, "GET /a/{}": 29, "HEAD /a": 5, "GET /b": 0}), GATE)
    assert readiness.thin_endpoints == ("GET /b", "HEAD /a", "GET /a/{}")


@pytest.mark.parametrize(
    ("pairs", "lags", "is_reported"),
    [(1000, 0, False), (1000, 4, False), (1000, 9, False), (1000, 11, True), (0, 5, True), (400, 5, True)],
)
def test_many_lags_are_told_since_a_fault_by_chance_looks_like_one(pairs: int, lags: int, is_reported: bool) -> None:
    notes = judge(replace(GOOD, pairs=pairs, matches=pairs, lags=lags), GATE).notes
    assert any(f"{lags} pairs differed at first but not at the second look" in note for note in notes) is is_reported
