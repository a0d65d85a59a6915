# Compiled with mypyc: see docs/hot-path.md.
"""Counting in a worker: cells bound once per snapshot, touched in the hot path, reported to control.

A cell that is touched enters a list: a report costs by what changed, not by how many routes there are.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from strangler.ipc.messages import HistogramCell, Labels, Report, ValueCell

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds of the buckets, inclusive: OpenTelemetry's advice for `http.server.request.duration`."""


MOST_CELLS = 1000
"""The cells in one report of all metrics: 1 ms to make."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `merge` says what one figure of several workers is: their sum, or their highest."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    labels: Labels
    help: str
    merge: Literal["sum", "max"] = "sum"


FAMILIES = {
    family.name: family
    for family in (
        Family("strangler_requests_total", "counter", ("route", "arm", "upstream", "code_class"),
               "Requests answered. route is empty where none matched; code_class is 2xx to 5xx, or gone."),
        Family("strangler_request_duration_seconds", "histogram", ("route", "arm"),
               "From the request's head to the last byte of its answer."),
        Family("strangler_attempts_total", "counter", ("upstream", "result"),
               "Tries at upstreams. result is a class of statuses or a fault."),
        Family("strangler_fallbacks_total", "counter", ("route", "fault"),
               "Requests that legacy answered after the candidate failed."),
        Family("strangler_fallbacks_withheld_total", "counter", ("route", "reason"),
               "Requests whose failure is listed in fallback.when, and that legacy must not answer all the same."),
        Family("strangler_failed_parts_total", "counter", ("route", "part", "reason"),
               "Parts of aggregates that have no place in the answer."),
        Family("strangler_retries_total", "counter", ("upstream", "decision"),
               "Failures listed in retry.when: tried again (retry), or why not."),
        Family("strangler_refused_total", "counter", ("reason",),
               "What limits and framing rules turned away or ended: requests, and connections."),
        Family("strangler_breaker_state", "gauge", ("upstream",),
               "0 closed, 1 half open, 2 open: the worst of all workers.", merge="max"),
        Family("strangler_endpoint_state", "gauge", ("upstream", "endpoint"),
               "0 in use, 1 put aside after failures, 2 unhealthy by its checks: the worst of its addresses and of all "
               "workers.", merge="max"),
        Family("strangler_in_flight", "gauge", ("upstream",), "Requests at the upstream now."),
        Family("strangler_streams", "gauge", ("upstream",),
               "Tunnels and responses without an end at the upstream now; they are not in flight."),
        Family("strangler_waiting", "gauge", ("upstream",), "Requests that wait for a place at the upstream."),
        Family("strangler_connections", "gauge", (), "Client connections that are open now."),
        Family("strangler_shadow_comparisons_total", "counter", ("route", "outcome"),
               "Shadows compared, as judged then: match, accepted, mismatch, not_comparable."),
        Family("strangler_shadow_dropped_total", "counter", ("route", "reason"),
               "Shadows given up before they were compared."),
        Family("strangler_shadow_stopped", "gauge", ("route",),
               "1 while the shadowing of a route has stopped by itself: `strangler shadow resume` starts it again.",
               merge="max"),
        Family("strangler_candidate_slow", "gauge", ("route",),
               "Endpoints of a route that its candidate answers three times as slowly as legacy, or slower.",
               merge="max"),
        Family("strangler_events_total", "counter", ("type",), "Events, by what happened."),
        Family("strangler_events_lost_total", "counter", (), "Events that could not be stored: only the log has them."),
        Family("strangler_events_backlog", "gauge", ("sink",), "Events that a sink has not taken yet."),
        Family("strangler_events_dead", "gauge", ("sink",), "Events that a sink refused for good, and that are kept."),
        Family("strangler_comparisons_sent_total", "counter", ("result",),
               "Comparisons for the topic of comparisons: delivered, or dropped."),
        Family("strangler_link_dropped_total", "counter", (),
               "Messages to control that were given up because it was away or slow."),
        Family("strangler_log_dropped_total", "counter", (),
               "Log lines given up because standard output was slow."),
    )
}  # fmt: skip


class Counter:
    """Only goes up. `inc` costs 0.05 µs."""

    __slots__ = ("_clean", "_labels", "_name", "_touched", "value")

    def __init__(self, name: str, labels: Labels, touched: "list[Counter]") -> None:
        self._name = name
        self._labels = labels
        self._touched = touched
        self._clean = True
        self.value = 0.0

    def inc(self, by: float = 1) -> None:
        self.value += by
        if self._clean:
            self._clean = False
            self._touched.append(self)

    def cell(self) -> ValueCell:
        """Return the cell of the report; from then on it counts as reported."""
        self._clean = True
        return ValueCell(self._name, self._labels, self.value)


class Gauge(Counter):
    """Goes up and down."""

    __slots__ = ()

    def dec(self, by: float = 1) -> None:
        self.inc(-by)

    def set(self, value: float) -> None:
        if value != self.value:
            self.inc(value - self.value)


class Histogram:
    """Counts durations by bucket."""

    __slots__ = ("_clean", "_labels", "_name", "_sum_s", "_touched", "buckets")

    def __init__(self, name: str, labels: Labels, touched: "list[Histogram]") -> None:
        self._name = name
        self._labels = labels
        self._touched = touched
        self._clean = True
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        self.buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self._sum_s += seconds
        if self._clean:
            self._clean = False
            self._touched.append(self)

    def cell(self) -> HistogramCell:
        """Return the cell of the report; from then on it counts as reported."""
        self._clean = True
        return HistogramCell(self._name, self._labels, self.buckets.copy(), self._sum_s)


class Metrics:
    """All cells of one process. Asking twice for the same name and labels gives the same cell."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, Labels], Counter] = {}
        self._gauges: dict[tuple[str, Labels], Gauge] = {}
        self._histograms: dict[tuple[str, Labels], Histogram] = {}
        self._touched_counters: list[Counter] = []
        self._touched_gauges: list[Counter] = []
        self._touched_histograms: list[Histogram] = []

    def counter(self, name: str, *labels: str) -> Counter:
        """Raises KeyError for a name that is not in FAMILIES, ValueError for the wrong number of labels."""
        key = (name, labels)
        cell = self._counters.get(key)
        if cell is None:
            _check(name, labels, "counter")
            cell = self._counters[key] = Counter(name, labels, self._touched_counters)
        return cell

    def gauge(self, name: str, *labels: str) -> Gauge:
        """Raises like `counter`."""
        key = (name, labels)
        cell = self._gauges.get(key)
        if cell is None:
            _check(name, labels, "gauge")
            cell = self._gauges[key] = Gauge(name, labels, self._touched_gauges)
            cell.inc(0)  # a gauge is reported from the start: 0 is a figure, not the lack of one
        return cell

    def histogram(self, name: str, *labels: str) -> Histogram:
        """Raises like `counter`."""
        key = (name, labels)
        cell = self._histograms.get(key)
        if cell is None:
            _check(name, labels, "histogram")
            cell = self._histograms[key] = Histogram(name, labels, self._touched_histograms)
        return cell

    @property
    def is_touched(self) -> bool:
        """Whether anything changed since the last report."""
        return bool(self._touched_counters or self._touched_histograms or self._touched_gauges)

    def report(self) -> Report:
        """Return what changed since the last report."""
        report = Report(
            [cell.cell() for cell in self._touched_counters],
            [cell.cell() for cell in self._touched_histograms],
            [cell.cell() for cell in self._touched_gauges],
        )
        self._clear_touched()
        return report

    def report_all(self) -> Iterator[Report]:
        """Every number that was ever touched, in reports of bounded size: for a reader who knows nothing yet.

        What changes before its turn comes is told as it is then; what changes later, by the next `report`.
        """
        self._clear_touched()
        cells = [*self._counters.values(), *self._gauges.values(), *self._histograms.values()]
        for start in range(0, max(1, len(cells)), MOST_CELLS):
            some = cells[start : start + MOST_CELLS]
            yield Report(
                [cell.cell() for cell in some if type(cell) is Counter and cell.value],
                [cell.cell() for cell in some if isinstance(cell, Histogram) and any(cell.buckets)],
                [cell.cell() for cell in some if isinstance(cell, Gauge)],
            )

    def _clear_touched(self) -> None:
        self._touched_counters.clear()
        self._touched_histograms.clear()
        self._touched_gauges.clear()


def _check(name: str, labels: Labels, kind: str) -> None:
    family = FAMILIES[name]
    if family.kind != kind:
        raise ValueError(f"{name} is a {family.kind}, not a {kind}")
    if len(labels) != len(family.labels):
        raise ValueError(f"{name} has the labels {', '.join(family.labels)}; got {labels}")
