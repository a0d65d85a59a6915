"""The gauges of a worker's upstreams."""

from strangler.clock import now
from strangler.core.resilience.breaker import OPEN
from strangler.ipc.metrics import Metrics
from strangler.worker.upstreams import Upstream, Upstreams

_STATE_FIGURES = {"closed": 0, "half_open": 1, "open": 2}


class UpstreamGauges:
    """Measures the requests in flight, and the states of breakers and endpoints."""

    def __init__(self, metrics: Metrics, upstreams: Upstreams) -> None:
        self._numbers = metrics
        self._upstreams = upstreams
        self._measured: set[tuple[str, str]] = set()

    def measure(self) -> None:
        """Bring the gauges up to date; called before each report."""
        at = now()
        measured = set()
        for upstream in self._upstreams:
            name = upstream.settings.name
            self._measure_admission(name, upstream, at)
            for url, figure in upstream.endpoint_figures(at).items():
                measured.add((name, url))
                self._numbers.gauge("strangler_endpoint_state", name, url).set(figure)
        for gone in self._measured - measured:
            self._numbers.gauge("strangler_endpoint_state", *gone).set(0)
        self._measured = measured

    def _measure_admission(self, name: str, upstream: Upstream, at: float) -> None:
        bulkhead, breaker = upstream.admission.bulkhead, upstream.admission.breaker
        self._numbers.gauge("strangler_in_flight", name).set(bulkhead.in_flight)
        self._numbers.gauge("strangler_waiting", name).set(bulkhead.waiting)
        self._numbers.gauge("strangler_streams", name).set(bulkhead.streams)
        is_cool = breaker.state is OPEN and not breaker.refuses(at)  # the next request is its first trial
        figure = 1 if is_cool else _STATE_FIGURES[breaker.state.value]
        self._numbers.gauge("strangler_breaker_state", name).set(figure)
