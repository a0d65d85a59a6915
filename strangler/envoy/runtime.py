"""The runtime keys: what is switched without a new configuration."""

from typing import Any, Final

from strangler.core.settings import RouteSettings, Settings
from strangler.envoy.place import Switches
from strangler.envoy.resource_names import KILL_SWITCH_KEY, off_key
from strangler.envoy.resources import Resource

_OFF: Final = 100


def runtime_layer(settings: Settings, switches: Switches) -> dict[str, Any]:
    """Return the keys of our layer: each route that is switched off has its own, also while the kill switch is on for
    all, so that lines and metrics keep its name. A route without a key is on."""
    keys: dict[str, Any] = {KILL_SWITCH_KEY: _OFF if switches.is_killed else 0}
    for route in settings.routes:
        if has_switch(route) and (switches.is_killed or route.name in switches.killed_routes):
            keys[off_key(route.name)] = _OFF
    return keys


def has_switch(route: RouteSettings) -> bool:
    """Return whether the kill switch means anything to a route: legacy has nothing that a passthrough could have, and
    serves a route that is not enabled anyway."""
    return route.enabled and not route.is_passthrough


def while_off(route: str) -> Resource:
    """Return the condition of a route entry that holds while the route's switch is on."""
    never = {"numerator": 0, "denominator": "HUNDRED"}
    return {"runtime_fraction": {"default_value": never, "runtime_key": off_key(route)}}
