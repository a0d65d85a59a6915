# Compiled with mypyc: see docs/hot-path.md.
"""The metrics of a worker: cells bound once per snapshot, changed in the hot path, reported to control.

A changed cell enters a list, so that a report costs by what changed, not by how many routes there are.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from strangler.core.time_buckets import BOUNDS_S as BOUNDS_S
from strangler.ipc.messages import HistogramCell, Labels, Report, ValueCell

MOST_CELLS = 1000
"""The most cells in one report of all metrics, which takes 1 ms to make."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `merge` says how the values of several workers become one: by their sum, or their maximum."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    labels: Labels
    help: str
    merge: Literal["sum", "max"] = "sum"


FAMILIES = {
    family.name: family
    for family in (
        Family("strangler_requests_total", "counter", ("route", "arm", "upstream", "code_class"),
               "Requests served. route is empty where none matched; code_class is 2xx to 5xx, or gone."),
        Family("strangler_request_duration_seconds", "histogram", ("route", "arm"),
               "Time from the request's head to the last byte of its response."),
        Family("strangler_attempts_total", "counter", ("upstream", "result"),
               "Attempts at upstreams. result is a class of statuses or a fault."),
        Family("strangler_fallbacks_total", "counter", ("route", "fault"),
               "Requests that legacy served after the candidate failed."),
        Family("strangler_fallbacks_withheld_total", "counter", ("route", "reason"),
               "Requests whose failure is listed in fallback.when, but that legacy must not serve."),
        Family("strangler_failed_parts_total", "counter", ("route", "part", "reason"),
               "Parts of aggregates that are missing from the response."),
        Family("strangler_retries_total", "counter", ("upstream", "decision"),
               "Failures listed in retry.when. decision is retry, or the reason why there was none."),
        Family("strangler_refused_total", "counter", ("reason",),
               "Requests and connections that limits and framing rules refused or ended."),
        Family("strangler_breaker_state", "gauge", ("upstream",),
               "0 closed, 1 half open, 2 open: the worst of all workers.", merge="max"),
        Family("strangler_endpoint_state", "gauge", ("upstream", "endpoint"),
               "0 in use, 1 put aside after failures, 2 unhealthy by its checks: the worst of its addresses and of all "
               "workers.", merge="max"),
        Family("strangler_in_flight", "gauge", ("upstream",), "Requests at the upstream now."),
        Family("strangler_streams", "gauge", ("upstream",),
               "Tunnels and endless responses at the upstream now; they are not in flight."),
        Family("strangler_waiting", "gauge", ("upstream",), "Requests that wait for a place at the upstream."),
        Family("strangler_connections", "gauge", (), "Open client connections."),
        Family("strangler_shadow_comparisons_total", "counter", ("route", "outcome"),
               "Shadows compared, by their outcome at that time: match, accepted, mismatch, not_comparable."),
        Family("strangler_shadow_dropped_total", "counter", ("route", "reason"),
               "Shadows dropped before they were compared."),
        Family("strangler_recorded_total", "counter", (),
               "Requests that were sent to the client of a recording."),
        Family("strangler_recording_dropped_total", "counter", ("reason",),
               "Requests that a recording wanted and lost: credit, memory, link, unfinished, uncleared, too_long, "
               "failed."),
        Family("strangler_received_total", "counter", ("result",),
               "Mirrored requests that came to the receiver. result is compared, unmatched, unsafe, unsampled, shadow, "
               "dropped or malformed."),
        Family("strangler_kill_switch_route", "gauge", ("route",),
               "1 while the kill switch sends the traffic of this route to legacy by itself; absent while it is off.",
               merge="max"),
        Family("strangler_shadow_stopped", "gauge", ("route",),
               "1 while the shadowing of a route has stopped itself: `strangler shadow resume` starts it again.",
               merge="max"),
        Family("strangler_candidate_slow", "gauge", ("route",),
               "Endpoints of a route at which the candidate takes at least three times as long as legacy.",
               merge="max"),
        Family("strangler_certificate_expiry_seconds", "gauge", ("listener", "name"),
               "Seconds until a listener's certificate expires; negative once it has.", merge="max"),
        Family("strangler_migration_share", "gauge", (),
               "Share of the requests of the last 7 days that candidates served, 0 to 1, by the ledger."),
        Family("strangler_endpoints", "gauge", ("state",),
               "Endpoints of the ledger, by the state of their migration; ignored ones are left out."),
        Family("strangler_rollout_percent", "gauge", ("route",),
               "Percent of callers that a rollout gives to the candidate."),
        Family("strangler_rollout_state", "gauge", ("route", "state"),
               "1 for the state that a rollout is in: waiting, running, paused, backing or done; 0 for the others."),
        Family("strangler_rollout_waits_for_person", "gauge", ("route",),
               "1 while a rollout waits to be approved or resumed."),
        Family("strangler_rollout_looks_total", "counter", ("route", "verdict"),
               "Looks at the steps of a rollout. verdict is good, bad or not_enough."),
        Family("strangler_events_total", "counter", ("type",), "Events, by type."),
        Family("strangler_events_lost_total", "counter", (), "Events that could not be stored: only the log has them."),
        Family("strangler_events_backlog", "gauge", ("sink",), "Events that a sink has not accepted yet."),
        Family("strangler_events_dead", "gauge", ("sink",), "Events that a sink refused for good; they are kept."),
        Family("strangler_comparisons_sent_total", "counter", ("result",),
               "Comparisons for the topic of comparisons. result is delivered or dropped."),
        Family("strangler_link_dropped_total", "counter", (),
               "Messages to control dropped because it was away or slow."),
        Family("strangler_log_dropped_total", "counter", (),
               "Log lines dropped because standard output was slow."),
        Family("strangler_records_lost_total", "counter", ("kind",),
               "Records of Envoy that the engine's process never got. kind is request (in no metric, access line or "
               "ledger then) or attempt."),
    )
}  # fmt: skip


class Counter:
    """A number that only goes up. `inc` costs 0.05 µs."""

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
    """A number that goes up and down."""

    __slots__ = ()

    def dec(self, by: float = 1) -> None:
        self.inc(-by)

    def set(self, value: float) -> None:
        if value != self.value:
            self.inc(value - self.value)


class Histogram:
    """The count of durations per bucket."""

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
    """The cells of one process. The same name and labels always give the same cell."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, Labels], Counter] = {}
        self._gauges: dict[tuple[str, Labels], Gauge] = {}
        self._histograms: dict[tuple[str, Labels], Histogram] = {}
        self._touched_counters: list[Counter] = []
        self._touched_gauges: list[Counter] = []
        self._touched_histograms: list[Histogram] = []

    def counter(self, name: str, *labels: str) -> Counter:
        """Return a cell. Raises KeyError for a name not in FAMILIES, ValueError for the wrong number of labels."""
        key = (name, labels)
        cell = self._counters.get(key)
        if cell is None:
            _check(name, labels, "counter")
            cell = self._counters[key] = Counter(name, labels, self._touched_counters)
        return cell

    def gauge(self, name: str, *labels: str) -> Gauge:
        """Return a cell; raises like `counter`."""
        key = (name, labels)
        cell = self._gauges.get(key)
        if cell is None:
            _check(name, labels, "gauge")
            cell = self._gauges[key] = Gauge(name, labels, self._touched_gauges)
            cell.inc(0)  # a gauge is reported from the start: 0 is a value, not a missing one
        return cell

    def histogram(self, name: str, *labels: str) -> Histogram:
        """Return a cell; raises like `counter`."""
        key = (name, labels)
        cell = self._histograms.get(key)
        if cell is None:
            _check(name, labels, "histogram")
            cell = self._histograms[key] = Histogram(name, labels, self._touched_histograms)
        return cell

    @property
    def is_touched(self) -> bool:
        """True if anything changed since the last report."""
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
        """Yield every number that was ever changed, in reports of bounded size, for a reader that knows nothing yet.

        A cell has the value of the moment at which it is yielded; what changes later is in the next `report`.
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
