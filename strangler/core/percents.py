"""The share of callers that each candidate gets, and its gate: which routes a change of routes.yaml raises."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from strangler.core.settings import GateSettings, MatchSettings, RouteSettings, Settings
from strangler.core.source import Source


@dataclass(frozen=True, slots=True)
class RouteRollout:
    """All that decides how many callers the candidate of a route gets."""

    percent: float  # in effect: 0 for a route that is disabled
    target: str  # the candidate, or the parts of an aggregate with their paths
    match: str  # the requests that the route takes
    gate: GateSettings | None  # None: the file has no `gate` for the route
    has_rollout: bool = False
    """Whether the percent is that of a rollout's position, which no edit raises. In a file alone it is 0."""


@dataclass(frozen=True, slots=True)
class Raise:
    """A route whose candidate gets more callers than before, or, if it is another candidate, its first callers."""

    route: str
    from_percent: float
    to_percent: float
    gate: GateSettings | None  # the stricter of before and after; None: neither file has one


Rollouts = Mapping[str, RouteRollout]
"""By the name of the route."""


def rollouts_of(settings: Settings) -> dict[str, RouteRollout]:
    """Return what these settings put in force."""
    return {route.name: _rollout(route) for route in settings.routes}


def _rollout(route: RouteSettings) -> RouteRollout:
    return RouteRollout(
        percent=route.split.percent if route.enabled else 0.0,
        target=_target(route),
        match=_match(route.match),
        gate=route.gate if route.is_gated else None,
        has_rollout=route.rollout is not None,
    )


def _target(route: RouteSettings) -> str:
    if route.candidate is not None:
        return route.candidate
    return json.dumps([[part.name, part.upstream, part.path] for part in route.aggregate or ()])


def _match(match: MatchSettings) -> str:
    parts = (match.prefix, match.path, sorted(match.methods), match.host, sorted(match.headers), sorted(match.query))
    return json.dumps(parts)


def raises(before: Rollouts, after: Rollouts) -> list[Raise]:
    """Return the routes whose percent rises, in the order of the file.

    A new route counts from 0, and so does one that goes to another candidate. A route that was only renamed keeps the
    gate of its former name. A rollout that moves its percent raises nothing: it has its own rules for that.
    """
    renamed = {route.match: route for name, route in before.items() if name not in after}
    found = []
    for name, now in after.items():
        was = before.get(name)
        is_same = was is not None and was.target == now.target
        start = was.percent if was is not None and is_same else 0.0
        percent = _after_edit(was, now)
        if percent > start and not (now.has_rollout and (is_same or was is None)):
            former = was if was is not None else renamed.get(now.match)
            gates = [route.gate for route in (former, now) if route is not None and route.gate is not None]
            found.append(Raise(name, start, percent, _strictest(gates)))
    return found


def _after_edit(was: RouteRollout | None, now: RouteRollout) -> float:
    """Return the percent after an edit: a rollout goes on from the percent in force, which its file does not have."""
    return was.percent if now.has_rollout and was is not None and not now.percent else now.percent


def _strictest(gates: list[GateSettings]) -> GateSettings | None:
    """Return the strictest limits of all: a gate that the same edit loosens or removes still holds."""
    if not gates:
        return None
    return GateSettings(
        min_pairs=max(gate.min_pairs for gate in gates),
        min_match=max(gate.min_match for gate in gates),
        max_breaking=min(gate.max_breaking for gate in gates),
        max_latency_ratio=min(gate.max_latency_ratio for gate in gates),
        min_age_s=max(gate.min_age_s for gate in gates),
        sources=_common_sources(gates),
    )


def _common_sources(gates: list[GateSettings]) -> tuple[Source, ...]:
    """Return the sources that all gates count, else those of the first, which is that of before the edit."""
    first, *others = gates
    return tuple(source for source in first.sources if all(source in gate.sources for gate in others)) or first.sources
