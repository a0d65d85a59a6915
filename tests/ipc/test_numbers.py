"""Cells: what is touched is reported, once, as its value since the start."""

import pytest

from strangler.ipc.messages import HistogramCell, Report, ValueCell
from strangler.ipc.numbers import BOUNDS_S, Numbers

ATTEMPTS = "strangler_attempts_total"
DURATION = "strangler_request_duration_seconds"
IN_FLIGHT = "strangler_in_flight"


def test_a_report_holds_only_what_changed_since_the_last() -> None:
    numbers = Numbers()
    for route in range(1000):
        numbers.counter(ATTEMPTS, f"upstream-{route}", "2xx").inc()
    numbers.report()
    numbers.counter(ATTEMPTS, "upstream-7", "2xx").inc(2)
    assert numbers.report().counters == [ValueCell(ATTEMPTS, ("upstream-7", "2xx"), 3)]


def test_after_a_report_nothing_is_touched() -> None:
    numbers = Numbers()
    numbers.counter(ATTEMPTS, "legacy", "2xx").inc()
    assert numbers.is_touched
    numbers.report()
    assert not numbers.is_touched


def test_a_full_report_holds_what_was_reported_before() -> None:
    numbers = Numbers()
    numbers.counter(ATTEMPTS, "legacy", "2xx").inc()
    numbers.histogram(DURATION, "orders", "legacy").observe(0.2)
    first = numbers.report()
    [full] = numbers.report_all()
    assert full.counters == first.counters
    assert full.histograms == first.histograms


def test_ten_thousand_cells_are_told_in_parts_and_what_changes_in_between_is_not_lost() -> None:
    numbers = Numbers()
    counters = [numbers.counter(ATTEMPTS, f"upstream-{index}", "2xx") for index in range(10_000)]
    for counter in counters:
        counter.inc()
    parts = numbers.report_all()
    told = {cell.labels: cell.value for cell in next(parts).counters}
    assert len(told) <= 1000
    counters[0].inc()
    counters[-1].inc()
    for part in parts:
        assert len(part.counters) <= 1000
        told |= {cell.labels: cell.value for cell in part.counters}
    told |= {cell.labels: cell.value for cell in numbers.report().counters}
    assert len(told) == 10_000
    assert told["upstream-0", "2xx"] == told["upstream-9999", "2xx"] == 2


def test_cells_bound_but_never_touched_are_in_no_report() -> None:
    numbers = Numbers()
    numbers.counter(ATTEMPTS, "legacy", "2xx")
    numbers.histogram(DURATION, "orders", "legacy")
    [full] = numbers.report_all()
    assert full == Report([], [], [])


def test_a_gauge_of_zero_is_reported() -> None:
    numbers = Numbers()
    numbers.gauge(IN_FLIGHT, "legacy")
    assert numbers.report().gauges == [ValueCell(IN_FLIGHT, ("legacy",), 0)]


def test_a_gauge_set_to_what_it_is_makes_no_report() -> None:
    numbers = Numbers()
    gauge = numbers.gauge(IN_FLIGHT, "legacy")
    gauge.set(3)
    numbers.report()
    gauge.set(3)
    assert not numbers.is_touched
    gauge.dec()
    assert numbers.report().gauges == [ValueCell(IN_FLIGHT, ("legacy",), 2)]


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [
        pytest.param(0.0, 0, id="nothing"),
        pytest.param(0.005, 0, id="a bound belongs to its bucket"),
        pytest.param(0.0051, 1, id="above a bound"),
        pytest.param(10.0, len(BOUNDS_S) - 1, id="the last bound"),
        pytest.param(11.0, len(BOUNDS_S), id="above all"),
    ],
)
def test_a_duration_falls_into_the_bucket_whose_bound_it_does_not_exceed(seconds: float, bucket: int) -> None:
    numbers = Numbers()
    numbers.histogram(DURATION, "orders", "legacy").observe(seconds)
    expected = [0] * (len(BOUNDS_S) + 1)
    expected[bucket] = 1
    assert numbers.report().histograms == [HistogramCell(DURATION, ("orders", "legacy"), expected, seconds)]


def test_the_same_name_and_labels_give_the_same_cell() -> None:
    numbers = Numbers()
    assert numbers.counter(ATTEMPTS, "legacy", "2xx") is numbers.counter(ATTEMPTS, "legacy", "2xx")


def test_a_reported_histogram_does_not_change_with_later_observations() -> None:
    numbers = Numbers()
    histogram = numbers.histogram(DURATION, "orders", "legacy")
    histogram.observe(0.001)
    report = numbers.report()
    histogram.observe(0.001)
    assert report.histograms[0].buckets[0] == 1


def test_wrong_use_is_an_error_and_not_a_metric() -> None:
    numbers = Numbers()
    with pytest.raises(KeyError):
        numbers.counter("strangler_nonsense_total")
    with pytest.raises(ValueError, match="labels"):
        numbers.counter(ATTEMPTS, "legacy")
    with pytest.raises(ValueError, match="counter, not a gauge"):
        numbers.gauge(ATTEMPTS, "legacy", "2xx")
