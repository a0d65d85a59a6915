"""The percents that rollouts have reached, put into settings in place of the file's."""

from collections.abc import Mapping
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
