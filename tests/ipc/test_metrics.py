"""Cells: what is touched is reported, once, as its value since the start."""

import pytest

from strangler.ipc.messages import HistogramCell, Report, ValueCell
from strangler.ipc.metrics import BOUNDS_S, Metrics

ATTEMPTS = "strangler_attempts_total"
DURATION = "strangler_request_duration_seconds"
IN_FLIGHT = "strangler_in_flight"


def test_a_report_holds_only_what_changed_since_the_last() -> None:
    metrics = Metrics()
    for route in range(1000):
        metrics.counter(ATTEMPTS, f"upstream-{route}", "2xx").inc()
    metrics.report()
    metrics.counter(ATTEMPTS, "upstream-7", "2xx").inc(2)
    assert metrics.report().counters == [ValueCell(ATTEMPTS, ("upstream-7", "2xx"), 3)]


def test_after_a_report_nothing_is_touched() -> None:
    metrics = Metrics()
    metrics.counter(ATTEMPTS, "legacy", "2xx").inc()
    assert metrics.is_touched
    metrics.report()
    assert not metrics.is_touched


def test_a_full_report_holds_what_was_reported_before() -> None:
    metrics = Metrics()
    metrics.counter(ATTEMPTS, "legacy", "2xx").inc()
    metrics.histogram(DURATION, "orders", "legacy").observe(0.2)
    first = metrics.report()
    [full] = metrics.report_all()
    assert full.counters == first.counters
    assert full.histograms == first.histograms


def test_ten_thousand_cells_are_told_in_parts_and_what_changes_in_between_is_not_lost() -> None:
    metrics = Metrics()
    counters = [metrics.counter(ATTEMPTS, f"upstream-{index}", "2xx") for index in range(10_000)]
    for counter in counters:
        counter.inc()
    parts = metrics.report_all()
    values = {cell.labels: cell.value for cell in next(parts).counters}
    assert len(values) <= 1000
    counters[0].inc()
    counters[-1].inc()
    for part in parts:
        assert len(part.counters) <= 1000
        values |= {cell.labels: cell.value for cell in part.counters}
    values |= {cell.labels: cell.value for cell in metrics.report().counters}
    assert len(values) == 10_000
    assert values["upstream-0", "2xx"] == values["upstream-9999", "2xx"] == 2


def test_cells_bound_but_never_touched_are_in_no_report() -> None:
    metrics = Metrics()
    metrics.counter(ATTEMPTS, "legacy", "2xx")
    metrics.histogram(DURATION, "orders", "legacy")
    [full] = metrics.report_all()
    assert full == Report([], [], [])


def test_a_gauge_of_zero_is_reported() -> None:
    metrics = Metrics()
    metrics.gauge(IN_FLIGHT, "legacy")
    assert metrics.report().gauges == [ValueCell(IN_FLIGHT, ("legacy",), 0)]


def test_a_gauge_set_to_what_it_is_makes_no_report() -> None:
    metrics = Metrics()
    gauge = metrics.gauge(IN_FLIGHT, "legacy")
    gauge.set(3)
    metrics.report()
    gauge.set(3)
    assert not metrics.is_touched
    gauge.dec()
    assert metrics.report().gauges == [ValueCell(IN_FLIGHT, ("legacy",), 2)]


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
    metrics = Metrics()
    metrics.histogram(DURATION, "orders", "legacy").observe(seconds)
    expected = [0] * (len(BOUNDS_S) + 1)
    expected[bucket] = 1
    assert metrics.report().histograms == [HistogramCell(DURATION, ("orders", "legacy"), expected, seconds)]


def test_the_same_name_and_labels_give_the_same_cell() -> None:
    metrics = Metrics()
    assert metrics.counter(ATTEMPTS, "legacy", "2xx") is metrics.counter(ATTEMPTS, "legacy", "2xx")


def test_a_reported_histogram_does_not_change_with_later_observations() -> None:
    metrics = Metrics()
    histogram = metrics.histogram(DURATION, "orders", "legacy")
    histogram.observe(0.001)
    report = metrics.report()
    histogram.observe(0.001)
    assert report.histograms[0].buckets[0] == 1


def test_wrong_use_is_an_error_and_not_a_metric() -> None:
    metrics = Metrics()
    with pytest.raises(KeyError):
        metrics.counter("strangler_nonsense_total")
    with pytest.raises(ValueError, match="labels"):
        metrics.counter(ATTEMPTS, "legacy")
    with pytest.raises(ValueError, match="counter, not a gauge"):
        metrics.gauge(ATTEMPTS, "legacy", "2xx")
