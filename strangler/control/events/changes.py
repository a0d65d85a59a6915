"""The changes of the proxy as events: settings, the kill switch, breakers."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from strangler.control.events.publisher import EventPublisher
from strangler.control.fleet.leadership import Leadership, SoleLeadership
from strangler.control.reload import InForce
from strangler.core.settings import RouteSettings, Settings
from strangler.ipc.messages import BreakerChanged
from strangler.store.events import outbox
from strangler.store.events.event import Event, Kind, event
from strangler.store.store import Store


class ChangeEvents:
    """Publishes each change once. Keeps the previous settings, and which breakers are open."""

    def __init__(
        self,
        publisher: EventPublisher,
        store: Store,
        run: str,
        settings: Settings,
        leadership: Leadership | None = None,
    ) -> None:
        """`leadership`: None if no other node has the store."""
        self._leadership: Leadership = leadership or SoleLeadership(store)
        self._publisher = publisher
        self._store = store
        self._run = run
        self._settings = settings
        self._open_breakers: set[str] = set()

    async def restore(self) -> None:
        """Read which breakers an earlier control of this run left open. Raises StoreError."""
        self._open_breakers = await self._store.call(partial(outbox.open_breakers, run=self._run))

    def adopt(self, in_force: InForce) -> None:
        """Publish that new settings are in force, and what they change. A move of a rollout shifts without a reload.

        A move is made by the node that leads, which publishes it for all; an edit is each node's own.
        """
        before, self._settings = self._settings, in_force.settings
        old = {route.name: route for route in before.routes}
        self._open_breakers.intersection_update(in_force.settings.upstreams)
        new = {route.name: route for route in in_force.settings.routes}
        if not in_force.is_move:
            self._publisher.publish(Kind.ROUTES_RELOADED, "routes.yaml", _reloaded(old, new, in_force.generation))
        for name in sorted(new.keys() | old.keys()):
            first, second = _percent(old.get(name)), _percent(new.get(name))
            if first != second and (self._leadership.holds or not in_force.is_move):
                data = {"route": name, "from": first, "to": second, "generation": in_force.generation}
                self._publisher.publish(Kind.ROUTE_SHIFTED, name, data)

    def rejected(self, in_force: InForce) -> None:
        """Publish that a routes.yaml was not put in force."""
        data = {"generation": in_force.generation, "problems": list(in_force.problems)[:100]}
        self._publisher.publish(Kind.ROUTES_REJECTED, "routes.yaml", data)

    def breaker_changed(self, change: BreakerChanged) -> None:
        """Publish that a breaker has opened or closed. The workers share openings: there is one event for all of
        them. The first worker whose trials succeed reports the closing."""
        upstream, is_open = change.upstream, change.upstream in self._open_breakers
        data = {"upstream": upstream, "reason": change.reason}
        if change.after == "open" and not is_open:
            self._open_breakers.add(upstream)
            self._publisher.publish(Kind.BREAKER_OPENED, upstream, data)
        elif change.after == "closed" and is_open:
            self._open_breakers.discard(upstream)
            self._publisher.publish(Kind.BREAKER_CLOSED, upstream, data)


def turn_event(on: bool, reason: str, route: str | None, at: float | None = None) -> Event:
    """Return the event of a turn of the kill switch for a route, or for all (None), of now unless `at` gives a Unix
    time."""
    data = {"on": on, "reason": reason} | ({} if route is None else {"route": route})
    return event(Kind.KILL_SWITCH, "kill_switch", data, at)


def _reloaded(old: Mapping[str, RouteSettings], new: Mapping[str, RouteSettings], generation: int) -> dict[str, object]:
    """Return what the event of a reload says. A rollout that has moved meanwhile is no change of its route."""
    return {
        "generation": generation,
        "routes": len(new),
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in new.keys() & old.keys() if _written(new[name]) != _written(old[name])),
    }


def _written(route: RouteSettings) -> RouteSettings:
    """Return a route as its file has it."""
    return route if route.rollout is None else replace(route, split=replace(route.split, percent=0.0))


def _percent(route: RouteSettings | None) -> float:
    """Return the percent that the candidate gets: 0 if the route is disabled or missing."""
    return route.split.percent if route is not None and route.enabled else 0.0
