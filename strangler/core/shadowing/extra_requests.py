"""How many extra requests the shadows of a route send to each arm."""

from dataclasses import dataclass

from strangler.core.settings import RouteSettings, ShadowSettings
from strangler.core.shadowing.recheck import MAX_RECHECKS


@dataclass(frozen=True, slots=True)
class ExtraRequests:
    """The most requests that the shadows of a route add, in percent of the route's requests with these `methods`."""

    route: str
    candidates: tuple[str, ...]
    """The upstreams that get each request for the candidate: several for an aggregate."""
    candidate_percent: float
    legacy_percent: float
    baseline_percent: float
    """The part of both percentages that comes from baselines."""
    with_credentials: bool
    """Whether baselines repeat requests with credentials, too."""
    looks: int
    """The number of second looks at one difference before they become random."""
    looks_at: tuple[str, ...]
    """The arms that second looks send requests to."""
    asks_before_writes: bool
    """Whether OPTIONS precedes the first write to an endpoint, and is repeated at most once a minute (dry runs)."""
    sandbox: str | None
    """The upstream that gets the writes."""


def extra_requests(route: RouteSettings) -> ExtraRequests | None:
    """Return the extra requests of a route's shadows; None if it has no shadows."""
    shadow = route.shadow
    if shadow is None or not shadow.percent or shadow.is_only_received:
        return None
    baseline = shadow.percent * shadow.baseline.share
    parts = tuple(dict.fromkeys(part.upstream for part in route.aggregate or ()))
    return ExtraRequests(
        route=route.name,
        candidates=parts if route.candidate is None else (route.candidate,),
        candidate_percent=_rounded(baseline + (shadow.percent if shadow.of != "candidate" else 0.0)),
        legacy_percent=_rounded(baseline + (shadow.percent if shadow.of != "legacy" else 0.0)),
        baseline_percent=_rounded(baseline),
        with_credentials=shadow.baseline.credentials,
        looks=MAX_RECHECKS if shadow.recheck_s else 0,
        looks_at=_looks_at(shadow) if shadow.recheck_s else (),
        asks_before_writes=shadow.writes == "dry_run",
        sandbox=shadow.to if shadow.writes == "sandbox" else None,
    )


def _rounded(percent: float) -> float:
    return round(percent, 4)


def _looks_at(shadow: ShadowSettings) -> tuple[str, ...]:
    return {"legacy": ("candidate",), "candidate": ("legacy",)}.get(shadow.of, ("candidate", "legacy"))
