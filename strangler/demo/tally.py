"""The counts of what the demo's visitors saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

HEADER = "    time  requests  /api/orders by      errors     p50      p95"
_COLUMNS = "{time:>8}  {requests:>8}  {arms:<18}  {errors:>6}  {p50:>6}  {p95:>7}"


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as its visitor saw it.

    on_route: it was for the route that moves. arm: X-Strangler-Arm of the response, None without one.
    duration_s: None for streams, whose length says nothing.
    """

    on_route: bool
    arm: str | None
    failed: bool
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of some requests. candidate_share: of the responses on the route, 0.0 to 1.0; None without any."""

    requests: int
    errors: int
    candidate_share: float | None
    p50_ms: float | None
    p95_ms: float | None

    def line(self, elapsed_s: float) -> str:
        """Return one row under `HEADER`."""
        return _COLUMNS.format(
            time=f"{int(elapsed_s) // 60:02}:{int(elapsed_s) % 60:02}",
            requests=self.requests,
            arms=self._arms(),
            errors=self.errors,
            p50=_milliseconds(self.p50_ms),
            p95=_milliseconds(self.p95_ms),
        ).rstrip()

    def _arms(self) -> str:
        if self.candidate_share is None:
            return "-"
        return f"candidate {self.candidate_share:>4.0%}"


class TallyState:
    """The numbers since the last `take`, and in all.

    visits_made: requests that visitors sent with a session. visits_counted: requests that the shop counted for the same
    sessions; it cannot recognise shadows, so any that carry a visitor's session are included.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.visits_made = 0
        self.visits_counted = 0
        self._seen: list[SeenRequest] = []

    def record(self, seen: SeenRequest) -> None:
        self.requests += 1
        self.errors += seen.failed
        self._seen.append(seen)

    def settle(self, made: int, counted: int) -> None:
        """Enter the visits of one session, as its visitor and as the shop counted them."""
        self.visits_made += made
        self.visits_counted += counted

    def visits(self) -> str:
        """Return the line that shows whether shadows have changed the visitors' sessions."""
        what = "nothing" if self.visits_counted == self.visits_made else "something"
        return f"Shadows changed {what}: {self.visits_counted} visits counted, {self.visits_made} made."

    def take(self) -> Summary:
        """Return what was seen since the last call."""
        seen, self._seen = self._seen, []
        return summarise(seen)


def summarise(seen: Sequence[SeenRequest]) -> Summary:
    on_route = [visit.arm for visit in seen if visit.on_route and visit.arm]
    p50, p95 = _percentiles([visit.duration_s * 1000 for visit in seen if visit.duration_s is not None])
    return Summary(
        requests=len(seen),
        errors=sum(visit.failed for visit in seen),
        candidate_share=on_route.count("candidate") / len(on_route) if on_route else None,
        p50_ms=p50,
        p95_ms=p95,
    )


def _percentiles(values: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    if not values:
        return None, None
    if len(values) == 1:
        return values[0], values[0]
    cuts = quantiles(values, n=20, method="inclusive")
    return cuts[9], cuts[18]


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"
