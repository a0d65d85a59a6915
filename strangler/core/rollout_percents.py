"""The percents that rollouts have reached, put into settings in place of the file's."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from strangler.core.settings import RouteSettings, Settings


def with_percents(settings: Settings, percents: Mapping[str, float]) -> Settings:
    """Return the settings with the percent of each route that has a rollout: that of its group, or 0."""
    if all(route.rollout is None for route in settings.routes):
        return settings
    return replace(settings, routes=tuple(_filled(route, percents) for route in settings.routes))


def rollout_groups(settings: Settings) -> dict[str, tuple[RouteSettings, ...]]:
    """Return the routes that have a rollout, by their group: those of one group climb as one."""
    groups: dict[str, tuple[RouteSettings, ...]] = {}
    for route in settings.routes:
        if route.rollout is not None:
            groups[route.split.group] = (*groups.get(route.split.group, ()), route)
    return groups


def _filled(route: RouteSettings, percents: Mapping[str, float]) -> RouteSettings:
    if route.rollout is None:
        return route
    return replace(route, split=replace(route.split, percent=percents.get(route.split.group, 0.0)))


def percent_before(before: Settings, routes: Sequence[RouteSettings]) -> float:
    """Return the percent that a new rollout of routes begins with: their highest before, so that the candidate keeps
    its share. A route that is only called otherwise has the same requests and the same candidate."""
    enabled = [route for route in before.routes if route.enabled]
    by_name = {route.name: route.split.percent for route in enabled}
    renamed = {(route.match, route.candidate): route.split.percent for route in enabled}
    found = (by_name.get(route.name, renamed.get((route.match, route.candidate), 0.0)) for route in routes)
    return max(found, default=0.0)


def taken_over(before: Settings, after: Settings) -> Settings:
    """Return settings with the percents that their rollouts begin with where others are in force.

    A group that has a rollout already keeps its percent.
    """
    known, groups = rollout_groups(before), rollout_groups(after)
    kept = {group: known[group][0].split.percent for group in groups if group in known}
    begun = {group: percent_before(before, routes) for group, routes in groups.items() if group not in known}
    return with_percents(after, kept | begun)
