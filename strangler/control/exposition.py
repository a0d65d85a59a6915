"""The metrics in Prometheus' text formats."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from strangler.control.totals import Key, Vector
from strangler.ipc.metrics import BOUNDS_S, FAMILIES, Family

_OWN = {
    "strangler_config_last_reload_successful": "1 if the current routes.yaml is in force, 0 if it was rejected.",
    "strangler_config_generation": "Goes up with every routes.yaml that is put in force.",
    "strangler_legacy_reachable": "1 if legacy accepts a connection.",
    "strangler_workers": "Connected workers.",
    "strangler_kill_switch": "1 while the kill switch sends all traffic to legacy.",
    "strangler_store_working": "0 while the database cannot be written, or is corrupt: nothing is compared then.",
    "strangler_store_up": "0 while the store, which nodes may share, cannot be reached or written.",
    "strangler_leader": "1 if this node leads those that share its store, or has the store alone.",
    "strangler_nodes": "Nodes that share the store and were heard in the last 10 seconds.",
    "strangler_store_log_bytes": "Size of the write-ahead log of the database.",
}
_BOUND_TEXTS = (*map(str, BOUNDS_S), "+Inf")


@dataclass(frozen=True, slots=True)
class ExposedMetrics:
    """All metrics at one moment. `own`: control's gauges by name."""

    totals: Mapping[Key, Vector]
    gauges: Mapping[Key, float]
    own: Mapping[str, float]


def expose(exposed: ExposedMetrics, accept: str) -> tuple[bytes, str]:
    """Return the text and its content type, in the format that the Accept header prefers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(exposed))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Once(Collector):
    def __init__(self, exposed: ExposedMetrics) -> None:
        self._numbers = exposed

    def collect(self) -> Iterable[Metric]:
        families = {name: _family(family) for name, family in FAMILIES.items()}
        for (name, labels), vector in self._numbers.totals.items():
            _add(families[name], labels, vector)
        for (name, labels), value in self._numbers.gauges.items():
            _add(families[name], labels, (value,))
        yield from families.values()
        for name, help_text in _OWN.items():
            yield GaugeMetricFamily(name, help_text, value=self._numbers.own[name])


def _family(family: Family) -> Metric:
    match family.kind:
        case "counter":
            return CounterMetricFamily(family.name, family.help, labels=family.labels)
        case "gauge":
            return GaugeMetricFamily(family.name, family.help, labels=family.labels)
        case "histogram":
            return HistogramMetricFamily(family.name, family.help, labels=family.labels)


def _add(metric: Metric, labels: tuple[str, ...], vector: Vector) -> None:
    if isinstance(metric, HistogramMetricFamily):
        *buckets, sum_s = vector
        metric.add_metric(labels, list(zip(_BOUND_TEXTS, accumulate(buckets), strict=True)), sum_s)
    elif isinstance(metric, CounterMetricFamily | GaugeMetricFamily):
        metric.add_metric(labels, vector[0])
