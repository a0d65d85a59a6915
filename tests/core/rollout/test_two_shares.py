"""The candidate's failures against legacy's: what is found, and how seldom what is not there."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.proportions import LOG_ENOUGH, log_evidence
from strangler.core.rollout import two_shares
from strangler.core.rollout.two_shares import Share, is_above, is_below
from tests.core.rollout.draws import binomial

RATIO, FLOOR = 1.5, 0.001


@pytest.mark.parametrize(
    ("candidate", "legacy", "above", "below"),
    [
        pytest.param(Share(0, 0), Share(200, 100_000), False, False, id="nothing is known of the candidate"),
        pytest.param(Share(500, 1000), Share(0, 0), False, False, id="nothing is known of legacy"),
        pytest.param(Share(10, 500), Share(100, 50_000), True, False, id="2 % against 0.2 %"),
        pytest.param(Share(1, 500), Share(100, 50_000), False, False, id="500 requests are too few for 0.2 %"),
        pytest.param(Share(40, 20_000), Share(400, 200_000), False, True, id="the same share"),
        pytest.param(Share(0, 5000), Share(0, 500_000), False, True, id="no failures at all"),
        pytest.param(Share(8000, 20_000), Share(40_000, 100_000), False, True, id="many failures of both"),
        pytest.param(Share(140, 20_000), Share(400, 200_000), True, False, id="0.7 % against 0.2 %"),
        pytest.param(Share(80, 20_000), Share(400, 200_000), False, False, id="at the limit"),
        pytest.param(Share(40, 1000), Share(2, 1000), True, False, id="arms of one size"),
        pytest.param(Share(20, 1000), Share(10, 1000), False, False, id="a ratio of 2 with arms of one size"),
    ],
)
def test_what_counts_show(candidate: Share, legacy: Share, above: bool, below: bool) -> None:
    assert is_above(candidate, legacy, RATIO, FLOOR) is above
    assert is_below(candidate, legacy, RATIO, FLOOR) is below


counts = st.integers(0, 3000)


@given(counts, counts, counts, counts, st.floats(1.0, 3.0), st.floats(0.0001, 0.05))
def test_nothing_is_both_above_and_below(
    failed: int, served: int, legacy_failed: int, legacy_served: int, ratio: float, floor: float
) -> None:
    candidate = Share(failed, failed + served)
    legacy = Share(legacy_failed, legacy_failed + legacy_served)
    assert not (is_above(candidate, legacy, ratio, floor) and is_below(candidate, legacy, ratio, floor))


@given(counts, counts, counts, counts, st.lists(st.floats(0, 1), min_size=20, max_size=20))
def test_what_is_shown_is_shown_for_every_share_of_legacy(
    failed: int, served: int, legacy_failed: int, legacy_served: int, shares: list[float]
) -> None:
    """The search over intervals is held against shares at random: none of them has less evidence than is needed."""
    candidate = Share(failed, failed + served)
    legacy = Share(legacy_failed, legacy_failed + legacy_served)
    if is_above(candidate, legacy, RATIO, FLOOR):
        for share in shares:
            own = log_evidence(
                candidate.failed, candidate.total, RATIO * share + FLOOR, two_shares._CANDIDATE_IS_HIGHER
            )
            others = log_evidence(legacy.failed, legacy.total, share, two_shares._LEGACY_IS_LOWER)
            assert own + others >= LOG_ENOUGH - 1e-9


def alarms(candidate_share: float, legacy_share: float, per_look: tuple[int, int], looks: int, runs: int) -> list[int]:
    """Return how many runs were ever found above, and ever below, when looked at again and again."""
    found = [0, 0]
    for seed in range(runs):
        chance, states = Random(seed), [False, False]
        failed = [0, 0]
        for look in range(1, looks + 1):
            failed[0] += binomial(chance, per_look[0], candidate_share)
            failed[1] += binomial(chance, per_look[1], legacy_share)
            arms = Share(failed[0], per_look[0] * look), Share(failed[1], per_look[1] * look)
            states[0] = states[0] or is_above(*arms, RATIO, FLOOR)
            states[1] = states[1] or is_below(*arms, RATIO, FLOOR)
        found = [found[0] + states[0], found[1] + states[1]]
    return found


@pytest.mark.parametrize("per_look", [(50, 2000), (500, 500)], ids=["a small step", "half"])
def test_false_alarms_are_rare_however_often_one_looks(per_look: tuple[int, int]) -> None:
    """The candidate is at the limit itself: neither finding is right, and each may occur in 5 % of runs."""
    above, below = alarms(RATIO * 0.01 + FLOOR, 0.01, per_look, looks=150, runs=100)
    assert above <= 5
    assert below <= 5


def test_at_equality_the_candidate_is_cleared_and_never_blamed() -> None:
    assert alarms(0.01, 0.01, (200, 4000), looks=100, runs=50) == [0, 50]


def test_one_percent_more_failures_are_found_soon() -> None:
    """Within 4,000 requests of the candidate, in nearly all runs."""
    above, below = alarms(0.012, 0.002, (100, 5000), looks=40, runs=50)
    assert above >= 47
    assert below == 0
