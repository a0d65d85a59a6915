"""The kill switch of single routes in words, for the dashboard and the commands."""

from collections.abc import Sequence

from strangler.core.documents import RouteStatus


def kill_switch_note(name: str, routes: Sequence[RouteStatus]) -> str | None:
    """Return why the kill switch that is on for a route has no effect at present; None if it has."""
    found = next((route for route in routes if route.name == name), None)
    if found is None:
        return "routes.yaml has no such route now"
    return "no effect on a passthrough route" if found.passthrough else None
