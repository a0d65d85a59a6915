"""The stops in force, of routes whose shadowing has stopped by itself."""

from collections.abc import Mapping

import structlog

from strangler.control.shadow.route import ShadowRoute
from strangler.store.evidence.stopped_routes import Stop, StopChange, stopped_text

MAX_CHANGES = 1000
"""The most stops, and ends of stops, that wait while the store cannot be written."""

log = structlog.get_logger()


class ShadowStops:
    """Owns the stops, and their changes that are not stored yet."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._stops: dict[str, Stop] = {}
        self._changes: list[StopChange] = []

    def restore(self, stops: Mapping[str, Stop]) -> None:
        """Take over the stops in the store."""
        self._stops = dict(stops)

    def all(self) -> dict[str, Stop]:
        """Return a copy of the stops, by route."""
        return dict(self._stops)

    def why(self, route: ShadowRoute) -> str | None:
        """Return why the shadowing of a route has stopped; None if it has not, or only for earlier settings."""
        stop = self._stops.get(route.name)
        return stop.why if stop is not None and stop.key == self._key(route) else None

    def begin(self, route: ShadowRoute, why: str) -> None:
        """Stop the shadows of a route until its settings change, an operator resumes it, or the proxy restarts."""
        route.stopped = why
        self._stops[route.name] = stop = Stop(self._key(route), why)
        self._changes.append(StopChange(route.name, stop))
        log.error("shadow.stopped", route=route.name, reason=why, message=stopped_text(route.name, why))

    def end(self, name: str, reason: str, *, has_started: bool) -> None:
        """End a stop. `has_started`: the route has shadows, which go on."""
        del self._stops[name]
        self._changes.append(StopChange(name, None, has_started, reason))
        if has_started:
            log.info("shadow.started", route=name, reason=reason)

    def unsaved(self) -> list[StopChange]:
        """Return the changes to store. Give them back to `not_saved` if they could not be stored."""
        changes, self._changes = self._changes, []
        return changes

    def not_saved(self, changes: list[StopChange]) -> None:
        """Store these changes the next time."""
        self._changes = (changes + self._changes)[-MAX_CHANGES:]

    def _key(self, route: ShadowRoute) -> str:
        return f"{self._run} {route.fingerprint}"
