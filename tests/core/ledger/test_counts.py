"""Counts by day and month, and times from histograms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.ledger.counts import DAY_S, Counts, History, compacted, day_of, p95_ms, summed_buckets
from strangler.ipc.metrics import BOUNDS_S

NOW = 20_000 * DAY_S + 5000.0


def history(days: dict[int, int]) -> History:
    """A history with calls of legacy so many days ago."""
    found = History()
    for ago, calls in days.items():
        found.on(NOW - ago * DAY_S).add(Counts(legacy=calls, of_2xx=calls))
    return found


def test_earlier_days_are_summed_up_in_months() -> None:
    found = compacted(history({0: 1, 91: 2, 95: 4, 96: 8, 150: 16}), NOW, 400 * DAY_S)
    assert day_of(NOW) == "2024-10-04"
    assert {name: counts.legacy for name, counts in found.days.items()} == {"2024-10-04": 1, "2024-07-05": 2}
    assert {name: counts.legacy for name, counts in found.months.items()} == {"2024-07": 4, "2024-06": 8, "2024-05": 16}


def test_what_is_older_than_keep_goes() -> None:
    found = compacted(history({10: 1, 50: 2, 500: 4}), NOW, 30 * DAY_S)
    assert found.total().legacy == 1
    assert compacted(history({399: 1, 500: 2}), NOW, 400 * DAY_S).total().legacy == 1


days = st.dictionaries(st.integers(-3, 600), st.integers(1, 1000), max_size=40)


@given(days, st.integers(0, 300))
def test_compacting_twice_is_compacting_later(calls: dict[int, int], later: int) -> None:
    keep = 400.0 * DAY_S
    at = NOW + later * DAY_S
    twice = compacted(compacted(history(calls), NOW, keep), at, keep)
    assert twice == compacted(twice, at, keep)
    kept = sum(count for ago, count in calls.items() if ago + later <= 399)
    assert kept <= twice.total().legacy <= sum(calls.values())
    assert len(twice.days) <= 92 + 4
    assert len(twice.months) <= 15


@given(days, days)
def test_merging_adds(first: dict[int, int], second: dict[int, int]) -> None:
    merged = history(first)
    merged.merge(history(second))
    assert merged.total().calls == sum(first.values()) + sum(second.values())


@pytest.mark.parametrize(
    ("buckets", "expected"),
    [
        ([0] * 15, None),
        ([100] + [0] * 14, 4.75),
        ([0, 100] + [0] * 13, 9.75),
        ([90, 0, 10] + [0] * 12, 17.5),
        ([0] * 14 + [3], 10_000.0),
    ],
    ids=["nothing", "the first", "the second", "the tail", "beyond"],
)
def test_p95_lies_within_its_bucket(buckets: list[int], expected: float | None) -> None:
    found = p95_ms(buckets, BOUNDS_S)
    assert found == (None if expected is None else pytest.approx(expected))


@given(st.lists(st.floats(0.0, 20.0), min_size=1, max_size=200))
def test_p95_is_near_the_true_one(times: list[float]) -> None:
    buckets = [0] * (len(BOUNDS_S) + 1)
    for seconds in times:
        buckets[sum(bound < seconds for bound in BOUNDS_S)] += 1
    found = p95_ms(buckets, BOUNDS_S)
    true = sorted(times)[-(-95 * len(times) // 100) - 1]
    place = sum(bound < true for bound in BOUNDS_S)
    assert found is not None
    low = BOUNDS_S[place - 1] if place else 0.0
    assert 1000 * low <= found + 1e-6
    assert found <= 1000 * BOUNDS_S[min(place, len(BOUNDS_S) - 1)] + 1e-6


def test_an_empty_histogram_counts_as_zeros() -> None:
    assert summed_buckets([], [1, 2]) == [1, 2]
    assert summed_buckets([1, 2], [3, 4]) == [4, 6]
