"""How many requests beside those of clients the shadows of a route send to each arm."""

from dataclasses import dataclass

from strangler.core.settings import RouteSettings, ShadowSettings
from strangler.core.shadowing.recheck import MAX_RECHECKS


@dataclass(frozen=True, slots=True)
class ExtraRequests:
    """The most that the shadows of a route add, in percent of the requests that the route's `methods` bring."""

    route: str
    candidates: tuple[str, ...]
    """The upstreams that each such request goes to in the candidate's place: several for an aggregate."""
    candidate_percent: float
    legacy_percent: float
    baseline_percent: float
    """The part of both that baselines are."""
    with_credentials: bool
    """Baselines ask for requests with credentials, too."""
    looks: int
    """How often one difference is looked at again, before that is left to chance."""
    looks_at: tuple[str, ...]
    """The arms that second looks ask."""
    asks_before_writes: bool
    """Dry runs: OPTIONS goes out before the first write to an endpoint, and at most once a minute after that."""
    sandbox: str | None
    """The upstream that gets the writes."""


def extra_requests(route: RouteSettings) -> ExtraRequests | None:
    """Return what the shadows of a route cost; None if it has none."""
    shadow = route.shadow
    if shadow is None or not shadow.percent:
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
