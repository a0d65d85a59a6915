"""Bets on shares: what they need to be convinced, and how seldom they are convinced of what is not so."""

from functools import partial
from math import exp, inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.proportions import (
    LOG_ENOUGH,
    Bets,
    further_matches,
    further_pairs,
    log_evidence,
    log_match_evidence,
    match_low,
    refutes_match,
    shows_match,
)
from tests.core.crossing import probability_to_refute, probability_to_show

LOWER = Bets((0.0, 0.3, 1.0), (0.5, 0.3, 0.2))
HIGHER = Bets((1.5, 4.0, 1.0), (0.5, 0.3, 0.2))


def clean_pairs(wanted: float) -> int:
    """Return the first number of pairs without a mismatch that shows a share."""
    return next(pairs for pairs in range(1, 100_000) if shows_match(pairs, pairs, wanted))


@pytest.mark.parametrize(("wanted", "least", "most"), [(0.99, 300, 310), (0.999, 3000, 3100), (0.9999, 30_000, 31_000)])
def test_clean_pairs_open_a_gate_at_about_three_divided_by_the_share_of_mismatches(
    wanted: float, least: int, most: int
) -> None:
    assert least <= clean_pairs(wanted) <= most
    assert further_pairs(0, 0, wanted) == clean_pairs(wanted)


@pytest.mark.parametrize(
    ("matches", "pairs", "passes"),
    [
        pytest.param(19_998, 20_000, True, id="a share of 99.99 % passes, too"),
        pytest.param(2_999, 3_000, False, id="a single mismatch takes more pairs"),
        pytest.param(99_900, 100_000, False, id="the share itself is not above the share"),
        pytest.param(0, 0, False, id="nothing"),
    ],
)
def test_mismatches_are_allowed_if_they_are_few_enough(matches: int, pairs: int, passes: bool) -> None:
    assert shows_match(matches, pairs, 0.999) is passes


@pytest.mark.parametrize(("share", "wanted", "most"), [(0.9, 0.9, 1500), (0.99, 0.99, 5000), (0.985, 0.99, 5000)])
def test_a_route_that_does_not_meet_its_share_seldom_passes_however_often_it_is_looked_at(
    share: float, wanted: float, most: int
) -> None:
    """Every pair is a look. The probability is computed, not simulated; that of the first case is not small either."""
    assert probability_to_show(share, most, partial(shows_match, min_match=wanted)) <= 0.05


@pytest.mark.parametrize(("share", "wanted", "most"), [(0.9, 0.9, 1500), (0.99, 0.99, 5000), (0.995, 0.99, 5000)])
def test_a_route_that_meets_its_share_is_seldom_refuted_however_often_it_is_looked_at(
    share: float, wanted: float, most: int
) -> None:
    assert probability_to_refute(share, most, partial(refutes_match, min_match=wanted)) <= 0.01


def test_a_route_that_meets_its_share_passes() -> None:
    assert probability_to_show(0.9999, 15_000, partial(shows_match, min_match=0.999)) > 0.9
    near_the_limit = probability_to_show(0.9, 1500, partial(shows_match, min_match=0.9))
    assert near_the_limit > 0.01, "the bets are not wasted on caution"


def test_a_route_that_does_not_meet_its_share_is_refuted() -> None:
    assert probability_to_refute(0.98, 1500, partial(refutes_match, min_match=0.99)) > 0.5
    assert probability_to_refute(0.9, 200, partial(refutes_match, min_match=0.99)) > 0.99


@pytest.mark.parametrize("share", [0.9999, 0.9995, 0.9992])
def test_every_route_above_the_limit_passes_in_the_end(share: float) -> None:
    pairs = 600_000
    assert shows_match(round(share * pairs), pairs, 0.999)


@given(st.integers(0, 50), st.integers(0, 3000), st.sampled_from([0.0, 0.5, 0.95, 0.999, 1.0]))
def test_no_evidence_shows_and_refutes_a_share(mismatches: int, matches: int, wanted: float) -> None:
    pairs = matches + mismatches
    assert not (shows_match(matches, pairs, wanted) and refutes_match(matches, pairs, wanted))


@given(st.integers(0, 50), st.integers(0, 30_000), st.sampled_from([0.5, 0.95, 0.999]))
def test_further_matches_are_as_few_as_are_enough(mismatches: int, matches: int, wanted: float) -> None:
    pairs = matches + mismatches
    further = further_matches(matches, pairs, wanted)
    assert shows_match(matches + further, pairs + further, wanted)
    assert not further or not shows_match(matches + further - 1, pairs + further - 1, wanted)


def test_no_number_of_pairs_shows_a_share_of_1() -> None:
    assert shows_match(10, 10, 1.0)
    assert not shows_match(10**6, 10**6 + 1, 1.0)
    assert further_pairs(10**6, 10**6 + 1, 1.0) is None


@given(st.integers(0, 5), st.integers(1, 3000), st.sampled_from([0.95, 0.99, 0.999]))
def test_the_further_pairs_at_the_present_rate_are_enough(mismatches: int, pairs: int, wanted: float) -> None:
    matches = max(0, pairs - mismatches)
    further = further_pairs(matches, pairs, wanted)
    if further is None:
        assert matches / pairs < 1 - 0.9 * (1 - wanted)
        return
    rate, total = matches / pairs, pairs + further
    assert log_match_evidence(rate * total, total, wanted) >= LOG_ENOUGH
    assert not further or log_match_evidence(rate * (total - 1), total - 1, wanted) < LOG_ENOUGH


@given(st.integers(0, 20), st.integers(0, 5000))
def test_the_lower_bound_is_the_highest_share_that_passes(mismatches: int, matches: int) -> None:
    low = match_low(matches, matches + mismatches)
    assert not low or shows_match(matches, matches + mismatches, low)
    assert not shows_match(matches, matches + mismatches, low + 2e-6)


@given(st.floats(0.001, 0.999), st.sampled_from([LOWER, HIGHER]))
def test_a_bet_gains_nothing_on_average_if_the_hypothesis_holds(share: float, bets: Bets) -> None:
    mean = share * exp(log_evidence(1, 1, share, bets)) + (1 - share) * exp(log_evidence(0, 1, share, bets))
    assert mean == pytest.approx(1)


@given(st.integers(0, 50), st.integers(0, 200), st.floats(0.001, 0.9), st.floats(0.0001, 0.09))
def test_evidence_of_a_lower_share_grows_with_the_share_under_test(
    failed: int, more: int, share: float, step: float
) -> None:
    total = failed + more
    assert log_evidence(failed, total, share, LOWER) <= log_evidence(failed, total, share + step, LOWER) + 1e-9
    assert log_evidence(failed, total, share, HIGHER) >= log_evidence(failed, total, share + step, HIGHER) - 1e-9


def test_a_fraction_of_a_failure_gains_nothing_on_average_either() -> None:
    """A failure of a half is worth less than half of the time a whole one."""
    half = exp(log_evidence(0.5, 1, 0.2, HIGHER))
    assert half <= (exp(log_evidence(1, 1, 0.2, HIGHER)) + exp(log_evidence(0, 1, 0.2, HIGHER))) / 2


def test_a_bet_on_no_failure_is_lost_with_the_first() -> None:
    assert log_evidence(1, 100, 0.1, Bets((0.0,), (1.0,))) == -inf
    assert log_evidence(0, 100, 0.1, Bets((0.0,), (1.0,))) == pytest.approx(-100 * log(0.9))


@pytest.mark.parametrize(
    ("odds", "stakes", "message"),
    [((0.5,), (0.9,), "1 together"), ((0.5, 2.0), (0.5, 0.5), "all on"), ((0.5, 0.6), (1.0, 0.0), "above 0")],
)
def test_bets_validate_themselves(odds: tuple[float, ...], stakes: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bets(odds, stakes)
