# Compiled with mypyc: see docs/hot-path.md.
"""The credits for shadows, as control grants them by route."""

from strangler.ipc.messages import CaptureGrant
from strangler.ipc.metrics import Counter, Metrics

AWAY = "link"
"""The reason of drops while there is no control."""


class CaptureCredit:
    """The number of further captures of a route that control takes, and the counter of those beyond."""

    __slots__ = ("dropped", "left", "route")

    def __init__(self, route: str, dropped: Counter) -> None:
        self.route = route
        self.left = 0
        self.dropped = dropped


class ShadowCredits:
    """The credit of each route; it is 0 until control grants some."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._credits: dict[str, CaptureCredit] = {}

    def adopt(self, grants: list[CaptureGrant]) -> None:
        """Adopt the credits that control grants now."""
        for grant in grants:
            credit = self.of(grant.route)
            credit.left = grant.captures
            credit.dropped = self._dropped(grant.route, grant.reason)

    def close(self) -> None:
        """Drop all credits, since control is gone. Captures under way give theirs back to dropped objects."""
        self._credits = {}

    def of(self, route: str) -> CaptureCredit:
        """Return the credit of a route."""
        credit = self._credits.get(route)
        if credit is None:
            credit = self._credits[route] = CaptureCredit(route, self._dropped(route, AWAY))
        return credit

    def give_back(self, credit: CaptureCredit, reason: str) -> None:
        """Count a capture that is not sent to control, and free its credit."""
        credit.left += 1
        self._dropped(credit.route, reason).inc()

    def _dropped(self, route: str, reason: str) -> Counter:
        return self._metrics.counter("strangler_shadow_dropped_total", route, reason)
