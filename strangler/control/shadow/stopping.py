"""The stops in force, of routes whose shadowing has stopped by itself.

A stop is that of some settings of a route. With a store of this node alone it ends with the run of the proxy. Nodes
that share a store share the stops of equal settings: they hold for all of them, and outlast the restart of any.
"""

from collections.abc import Mapping

import structlog

from strangler.control.shadow.route import ShadowRoute
from strangler.store.evidence.stopped_routes import Stop, StopChange, stopped_text

MAX_CHANGES = 1000
"""The most stops, and ends of stops, that wait while the store cannot be written."""

log = structlog.get_logger()


class ShadowStops:
    """Owns the stops, and their changes that are not stored yet. `run`: of the proxy; None: the store is shared."""

    def __init__(self, run: str | None) -> None:
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
        self._change(StopChange(route.name, stop))
        log.error("shadow.stopped", route=route.name, reason=why, message=stopped_text(route.name, why))

    def end(self, name: str, reason: str, *, has_started: bool) -> None:
        """End a stop. `has_started`: the route has shadows, which go on."""
        del self._stops[name]
        self._change(StopChange(name, None, has_started, reason))
        if has_started:
            log.info("shadow.started", route=name, reason=reason)

    def follow(self, stored: Mapping[str, Stop], routes: Mapping[str, ShadowRoute]) -> list[str]:
        """Take over the stops that other nodes have made or ended, with the stored ones. Return the routes concerned.

        Changes of this node that are not stored yet stay. A stop of other settings says nothing about these, neither by
        itself nor in place of one that is in force here.
        """
        unsaved = {change.route for change in self._changes}
        found = []
        for name, route in routes.items():
            stop, known = stored.get(name), self._stops.get(name)
            if name in unsaved or known == stop or (stop is not None and stop.key != self._key(route)):
                continue
            if stop is None:
                del self._stops[name]
                log.info("shadow.started", route=name, reason="on another node")
            else:
                self._stops[name] = stop
                log.error("shadow.stopped", route=name, reason=stop.why, message=stopped_text(name, stop.why))
            found.append(name)
        return found

    def others(self, stored: Mapping[str, Stop], routes: Mapping[str, ShadowRoute]) -> list[StopChange]:
        """Return the ends of stored stops that no route has the settings of."""
        reason = "its settings have changed"
        return [
            StopChange(name, None, name in routes, reason)
            for name, stop in sorted(stored.items())
            if name not in routes or stop.key != self._key(routes[name])
        ]

    def forget(self, name: str) -> None:
        """Leave a stop of other settings to the nodes that have these."""
        del self._stops[name]

    @property
    def is_shared(self) -> bool:
        """Whether other nodes have stops, too."""
        return self._run is None

    def unsaved(self) -> list[StopChange]:
        """Return the changes to store."""
        changes, self._changes = self._changes, []
        return changes

    def _change(self, change: StopChange) -> None:
        self._changes = [*self._changes, change][-MAX_CHANGES:]

    def _key(self, route: ShadowRoute) -> str:
        return route.fingerprint if self._run is None else f"{self._run} {route.fingerprint}"
