"""The entries of a route: Envoy takes the first that matches, so they stand in the order of our own decisions.

not enabled, switched off, ended, override, split headers, share: as `core.routing.snapshot` and `.plan` decide.
"""

from collections.abc import Callable, Sequence

from strangler.core.routing.arm import Reason
from strangler.core.settings import RouteSettings, Settings
from strangler.envoy.arm_actions import ArmActions
from strangler.envoy.matching import EVERYTHING, conditions, exact_header
from strangler.envoy.request_kinds import RequestKind
from strangler.envoy.resource_names import METADATA
from strangler.envoy.resources import Resource
from strangler.envoy.retiring import announcement, refusal_of, refusals
from strangler.envoy.runtime import has_switch, while_off

_Act = Callable[[RouteSettings, RequestKind], Resource]


class RouteEntries:
    """The entries of all routes of a configuration, for a time."""

    def __init__(self, settings: Settings, generation: int, now: float) -> None:
        self._settings = settings
        self._generation = generation
        self._now = now
        self._actions = ArmActions(settings)

    @property
    def clusters(self) -> set[str]:
        """The clusters that the entries made so far lead to."""
        return self._actions.clusters

    def unrouted(self, kind: RequestKind, reason: Reason, match: Resource = EVERYTHING) -> Resource:
        """Return the entry for requests that are legacy's because no route takes them."""
        return {"match": match, "route": self._actions.unmirrored(kind), "metadata": _metadata({"reason": reason})}

    def of(self, route: RouteSettings) -> dict[RequestKind, list[Resource]]:
        """Return the entries of a route for each kind of requests."""
        match, found = conditions(route.match), dict[RequestKind, list[Resource]]()
        about = _About(route, self._generation)
        for kind in RequestKind:
            more = kind.conditions(route.match.methods)
            if more is not None:
                found[kind] = self._of_kind(route, kind, _with_headers(match, more), about)
        return found

    def _of_kind(self, route: RouteSettings, kind: RequestKind, match: Resource, about: "_About") -> list[Resource]:
        legacy = self._actions.unmirrored(kind)
        if not route.enabled:
            return [about.entry(match, legacy, Reason.DISABLED)]
        found: list[Resource] = []
        if has_switch(route):
            found.append(about.entry({**match, **while_off(route.name)}, legacy, Reason.KILL_SWITCH))
        refusal = refusal_of(route, self._now)
        if refusal is None:
            return [*found, *self._decided(route, kind, match, about)]
        for headers, response in refusals(self._settings, refusal.problem):
            found.append({"match": _with_headers(match, headers), **response, "metadata": about.says(refusal.reason)})
        return found

    def _decided(self, route: RouteSettings, kind: RequestKind, match: Resource, about: "_About") -> list[Resource]:
        """Return the entries of a route that is served: by override, by split headers, and the rest by its share."""
        split, actions, found = route.split, self._actions, list[Resource]()
        if split.override is not None:
            ways: tuple[tuple[str, _Act], ...] = (("legacy", actions.legacy), ("candidate", actions.candidate))
            for value, act in ways:
                named = _with_headers(match, [exact_header(split.override, value)])
                found.append(about.entry(named, act(route, kind), Reason.OVERRIDE))
        for name, value in split.headers:
            named = _with_headers(match, [exact_header(name, value)])
            found.append(about.entry(named, actions.candidate(route, kind), Reason.SPLIT_HEADER))
        return [*found, about.entry(match, actions.share(route, kind), Reason.PERCENT)]


class _About:
    """The parts that all entries of a route have: its name for lines and metrics, and what responses announce."""

    def __init__(self, route: RouteSettings, generation: int) -> None:
        self._values: Resource = {"route": route.name}
        if route.rollout is not None:
            self._values["gen"] = generation
        self._announced = announcement(route)
        self._kept: dict[Reason, Resource] = {}

    def entry(self, match: Resource, action: Resource, reason: Reason) -> Resource:
        return {"match": match, "route": action, "metadata": self.says(reason), **self._announced}

    def says(self, reason: Reason) -> Resource:
        found = self._kept.get(reason)
        if found is None:
            found = self._kept[reason] = _metadata({**self._values, "reason": reason})
        return found


def _with_headers(match: Resource, headers: Sequence[Resource]) -> Resource:
    return {**match, "headers": [*match.get("headers", ()), *headers]} if headers else match


def _metadata(values: Resource) -> Resource:
    return {"filter_metadata": {METADATA: values}}
