"""The kill switch in words, for the dashboard and the commands."""

import shlex
from collections.abc import Sequence
from typing import Final

from msgspec import UnsetType

from strangler.core.documents import KillSwitchStatus, RouteStatus

MAX_NAMES: Final = 10
"""The most routes that one line names."""


def turned_text(state: KillSwitchStatus) -> str:
    """Return what holds now that the switch was turned for all routes."""
    if state.on:
        return "kill switch on: all traffic goes to legacy"
    if not state.routes:
        return "kill switch off: the routes decide"
    names = list(state.routes)
    listed = ", ".join(f"'{name}'" for name in names[:MAX_NAMES])
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return (
        f"kill switch off, but it stays on for {'route' if len(names) == 1 else 'routes'} {listed}{more}:"
        f" turn it off with --route {shlex.quote(names[0])}, or for all of them with --all"
    )


def route_turned_text(route: str, state: KillSwitchStatus) -> str:
    """Return what holds now that the switch was turned for a route."""
    if route in state.routes:
        return f"kill switch on for route '{route}': all its requests go to legacy"
    if state.on:
        return f"kill switch off for route '{route}', but it is on for all routes: all traffic goes to legacy"
    return f"kill switch off for route '{route}': the route decides"


def node_only_text(state: KillSwitchStatus) -> str | None:
    """Return that the last turns hold for one node only, and why; None if they hold for all."""
    if isinstance(state.node_only, UnsetType):
        return None
    return f"this node only: {state.node_only}; the other nodes follow once the store has taken it"


def kill_switch_note(name: str, routes: Sequence[RouteStatus]) -> str | None:
    """Return why the kill switch that is on for a route has no effect at present; None if it has."""
    found = next((route for route in routes if route.name == name), None)
    if found is None:
        return "routes.yaml has no such route now"
    return "no effect on a passthrough route" if found.passthrough else None
