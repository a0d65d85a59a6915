"""The actions of route entries: the cluster of an arm, or the choice between both, with its timeouts and mirrors.

An action is made once for all routes for which it is the same.
"""

from collections.abc import Iterator
from typing import Any

from strangler.core.routing.arm import BUCKETS
from strangler.core.routing.split import hundredths
from strangler.core.settings import RouteSettings, Settings
from strangler.envoy.arm_clusters import candidate_arm, legacy_arm, route_timeouts
from strangler.envoy.mirrors import route_mirrors
from strangler.envoy.request_kinds import RequestKind
from strangler.envoy.resources import Resource
from strangler.envoy.split_entries import division, is_divided
from strangler.envoy.units import limit


class ArmActions:
    """The actions of a configuration."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: dict[Any, Resource] = {}
        self.clusters: set[str] = set()
        """The clusters that actions have led to so far, those of mirrors among them."""
        self._legacy = {kind: legacy_arm(settings, is_read=kind.is_read) for kind in RequestKind}
        self._plain = {kind: self._timed({"cluster": self._legacy[kind]}, None, kind) for kind in RequestKind}

    def unmirrored(self, kind: RequestKind) -> Resource:
        """Return the action that leads to legacy and nowhere else."""
        return self._plain[kind]

    def legacy(self, route: RouteSettings, kind: RequestKind) -> Resource:
        """Return the action of a route's legacy arm, of whose requests the receiver may get copies."""
        return self._mirrored(self._plain[kind], route, kind)

    def candidate(self, route: RouteSettings, kind: RequestKind) -> Resource:
        """Return the action of a route's candidate arm. Legacy serves an aggregate: Envoy cannot join responses."""
        if route.candidate is None:
            return self._plain[kind]
        key = (_arm(route), kind)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = self._timed({"cluster": self._cluster(route, kind)}, route, kind)
        return found

    def share(self, route: RouteSettings, kind: RequestKind) -> Resource:
        """Return the action for requests of a route for which nothing but its percent decides."""
        if not is_divided(route.split):
            is_whole = hundredths(route.split.percent) == BUCKETS
            return self.candidate(route, kind) if is_whole else self.legacy(route, kind)
        if route.candidate is None:
            return self._plain[kind]
        split = route.split
        key = (_arm(route), kind, split.percent, split.group, split.sticky)
        found = self._kept.get(key)
        if found is None:
            candidate = self.candidate(route, kind)["cluster"]
            found = self._timed(division(split, candidate, self._legacy[kind]), route, kind)
            self._kept[key] = found
        return self._mirrored(found, route, kind)

    def _cluster(self, route: RouteSettings, kind: RequestKind) -> str:
        return candidate_arm(self._settings, route, is_read=kind.is_read)

    def _timed(self, action: Resource, route: RouteSettings | None, kind: RequestKind) -> Resource:
        """Return an action with its timeouts. A tunnel may be silent as long as it likes, and counts apart: it is no
        request in flight any more."""
        self.clusters.update(_clusters_of(action))
        head_s, idle_s = route_timeouts(self._settings, route)
        found = {**action, "timeout": "0s", "idle_timeout": limit(idle_s)}
        if head_s is not None:
            found["retry_policy"] = {"per_try_timeout": limit(head_s)}
        if kind is RequestKind.TUNNEL:
            found |= {"idle_timeout": "0s", "priority": "HIGH"}
        return found

    def _mirrored(self, action: Resource, route: RouteSettings, kind: RequestKind) -> Resource:
        if kind is not RequestKind.READ or route.shadow is None:
            return action
        mirrors = route_mirrors(self._settings, route)
        self.clusters.update(each["cluster"] for each in mirrors)
        return {**action, "request_mirror_policies": mirrors} if mirrors else action


def _clusters_of(action: Resource) -> Iterator[str]:
    if "cluster" in action:
        yield action["cluster"]
    for each in action.get("weighted_clusters", {}).get("clusters", ()):
        yield each["name"]


def _arm(route: RouteSettings) -> tuple[Any, ...]:
    """Return all of a route that its candidate's cluster and timeouts depend on."""
    moved = None if route.rewrite_prefix is None else (route.rewrite_prefix, route.match.prefix, route.match.path)
    return route.candidate, route.timeouts, route.fallback, route.shadow, route.is_passthrough, moved
