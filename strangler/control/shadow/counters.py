"""The counters of shadows."""

from strangler.control.own_metrics import OwnMetrics

COMPARISONS = "strangler_shadow_comparisons_total"
OUTCOMES = ("match", "accepted", "mismatch", "not_comparable")


class ShadowCounters:
    """Counts the outcomes of captures, by route."""

    def __init__(self, own: OwnMetrics) -> None:
        self._own = own

    def count_dropped(self, route: str, reason: str) -> None:
        """Count a capture that was given up before it was compared."""
        self._own.counter("strangler_shadow_dropped_total", route, reason).inc()

    def count_compared(self, route: str, outcome: str) -> None:
        """Count a comparison whose finding is kept."""
        self._own.counter(COMPARISONS, route, outcome).inc()
