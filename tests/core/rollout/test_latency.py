"""Times against legacy's: from buckets, and from pairs of the same request."""

from random import Random

import pytest

from strangler.core.rollout.latency import (
    PairedTimes,
    p95_s,
    paired_are_above,
    paired_are_below,
    paired_times,
    times_are_above,
    times_are_below,
    times_ratio,
)
from tests.core.rollout.draws import BOUNDS_S, buckets

RATIO = 1.3


@pytest.mark.parametrize("median_s", [0.004, 0.05, 0.6], ids=["4 ms", "50 ms", "600 ms"])
@pytest.mark.parametrize(
    ("times", "above", "below"), [(1.0, False, True), (2.5, True, False)], ids=["equal", "2.5 times"]
)
def test_equal_times_are_cleared_and_slower_ones_found(median_s: float, times: float, above: bool, below: bool) -> None:
    chance = Random(1)
    legacy, candidate = buckets(chance, 30_000, median_s, 0.7), buckets(chance, 3_000, median_s * times, 0.7)
    assert times_are_above(legacy, candidate, BOUNDS_S, RATIO) is above
    assert times_are_below(legacy, candidate, BOUNDS_S, RATIO) is below


@pytest.mark.parametrize("spread", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("median_s", [0.003, 0.02, 0.15, 0.4])
def test_equal_times_give_no_false_alarm_however_often_one_looks(median_s: float, spread: float) -> None:
    """None of 12 x 10 runs of 40 looks; the limit would allow six."""
    for seed in range(10):
        chance = Random(seed)
        legacy, candidate = [0] * 15, [0] * 15
        for _ in range(40):
            legacy = [a + b for a, b in zip(legacy, buckets(chance, 100, median_s, spread), strict=True)]
            candidate = [a + b for a, b in zip(candidate, buckets(chance, 20, median_s, spread), strict=True)]
            assert not times_are_above(legacy, candidate, BOUNDS_S, RATIO)


def test_a_tail_that_grows_alone_is_found() -> None:
    """8 % of the requests take ten times as long; the median stays."""
    chance = Random(3)
    legacy = buckets(chance, 30_000, 0.05, 0.7)
    quick, slow = buckets(chance, 4_600, 0.05, 0.7), buckets(chance, 400, 0.5, 0.7)
    candidate = [a + b for a, b in zip(quick, slow, strict=True)]
    assert times_are_above(legacy, candidate, BOUNDS_S, RATIO)


def test_times_with_a_gap_are_cleared_and_found_too() -> None:
    """96 % are those of a cache, 4 % those of a disk, of which nothing is between 10 ms and a quarter of a second."""
    cache, disk = [4000, 5600], [0, 0, 0, 0, 0, 400]
    equal = [*cache, *disk, *[0] * 7]
    legacy = [10 * each for each in equal]
    assert times_are_below(legacy, equal, BOUNDS_S, RATIO)
    assert not times_are_above(legacy, equal, BOUNDS_S, RATIO)
    assert times_are_above(legacy, [4000, 5000, 0, 0, 0, 0, 0, 1000, *[0] * 7], BOUNDS_S, RATIO)


def test_few_slow_requests_show_nothing() -> None:
    """Legacy has 4 % beyond 250 ms: 4 of 30 are more than that, and may be chance."""
    legacy = [0, 96_000, 0, 0, 0, 0, 0, 4000, *[0] * 7]
    assert not times_are_above(legacy, [0, 26, 0, 0, 0, 0, 0, 4, *[0] * 7], BOUNDS_S, RATIO)
    assert times_are_above(legacy, [0, 260, 0, 0, 0, 0, 0, 40, *[0] * 7], BOUNDS_S, RATIO)


@pytest.mark.parametrize(
    ("legacy", "candidate"),
    [([], [0] * 14 + [5]), ([0] * 14 + [5], []), ([0] * 15, [0] * 15)],
    ids=["no legacy", "no candidate", "zeros"],
)
def test_without_times_nothing_is_shown(legacy: list[int], candidate: list[int]) -> None:
    assert not times_are_above(legacy, candidate, BOUNDS_S, RATIO)
    assert not times_are_below(legacy, candidate, BOUNDS_S, RATIO)
    assert times_ratio(legacy, candidate, BOUNDS_S) is None


def test_the_interval_of_the_ratio_is_as_wide_as_the_buckets() -> None:
    """Legacy's percentile is 82 ms, between 75 and 100; the candidate's is twice that, between 100 and 250."""
    chance = Random(1)
    found = times_ratio(buckets(chance, 30_000, 0.026, 0.7), buckets(chance, 5_000, 0.052, 0.7), BOUNDS_S)
    assert found is not None
    assert found.low == pytest.approx(1.0)
    assert found.high == pytest.approx(250 / 75)
    assert 1.0 < found.value < 250 / 75


def test_few_times_bound_nothing() -> None:
    found = times_ratio(buckets(Random(1), 5, 0.05, 0.7), buckets(Random(2), 5, 0.05, 0.7), BOUNDS_S)
    assert found is not None
    assert (found.low, found.high) == (None, None)


def pairs(chance: Random, count: int, times: float) -> list[tuple[float, float]]:
    """Return times of the same requests: what a request asks for makes both slow, and each has noise of its own."""
    found = []
    for _ in range(count):
        size = chance.lognormvariate(-3, 0.8)
        found.append((size * chance.lognormvariate(0, 0.1), times * size * chance.lognormvariate(0, 0.1)))
    return found


@pytest.mark.parametrize(
    ("times", "above", "below"), [(1.0, False, True), (1.2, False, True), (1.45, True, False), (2.0, True, False)]
)
def test_pairs_tell_ratios_apart_that_buckets_do_not(times: float, above: bool, below: bool) -> None:
    chance = Random(1)
    limit = p95_s(legacy for legacy, _ in pairs(chance, 2000, 1.0))
    assert limit is not None
    found = paired_times(pairs(chance, 4000, times), limit, RATIO)
    assert found.pairs == 4000
    assert paired_are_above(found) is above
    assert paired_are_below(found) is below


def test_pairs_are_counted_where_they_disagree() -> None:
    four = [(1.0, 1.0), (1.0, 2.0), (2.0, 1.0), (2.0, 2.0)]
    assert paired_times(four, p95_s=1.5, ratio=1.3) == PairedTimes(slower=1, faster=1, pairs=4)
    assert p95_s([]) is None
    assert p95_s(range(1, 101)) == 95
