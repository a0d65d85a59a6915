"""When the `retire` of each route was first loaded: the default of the time since which the route is deprecated."""

from collections.abc import Mapping
from dataclasses import replace

from strangler.core.settings import RouteSettings, Settings


def with_first_loads(settings: Settings, known: Mapping[str, int], now: float) -> Settings:
    """Return the settings with the time when each `retire` was first loaded: `now` for routes that are not `known`."""
    if all(route.retire is None for route in settings.routes):
        return settings
    return replace(settings, routes=tuple(_filled(route, known, now) for route in settings.routes))


def first_loads(settings: Settings) -> dict[str, int]:
    """Return, by route, when its `retire` was first loaded."""
    return {
        route.name: route.retire.first_loaded
        for route in settings.routes
        if route.retire is not None and route.retire.first_loaded is not None
    }


def _filled(route: RouteSettings, known: Mapping[str, int], now: float) -> RouteSettings:
    if route.retire is None:
        return route
    return replace(route, retire=replace(route.retire, first_loaded=known.get(route.name, int(now))))
