"""Rollouts as the rest of control reads them: for the admin listener, the status and the metrics."""

from collections.abc import Callable

from strangler.control.rollout import documents
from strangler.control.rollout.climbs import ClimbsState
from strangler.control.totals import Key
from strangler.core.documents import RolloutsDocument, RolloutShort, RolloutStatus
from strangler.core.rollout.position import Position


class RolloutViews:
    """Reads rollouts, and changes nothing. `problem` returns why nothing can be stored."""

    def __init__(self, climbs: ClimbsState, problem: Callable[[], str | None]) -> None:
        self._climbs = climbs
        self._problem = problem

    def position(self, group: str) -> Position | None:
        """Return where a group stands; None if it has no rollout."""
        climb = self._climbs.in_group(group)
        return None if climb is None else climb.position

    def of(self, route: str) -> RolloutStatus | None:
        """Return a route's rollout; None if it has none."""
        climb = self._climbs.of(route)
        return None if climb is None else documents.status(climb, route, self._problem())

    def find(self, route: str) -> RolloutStatus:
        """Return a route's rollout. Raises UnknownRolloutError."""
        return documents.status(self._climbs.find(route), route, self._problem())

    def document(self) -> RolloutsDocument:
        """Return all rollouts, in the order of routes.yaml."""
        return RolloutsDocument([self.find(route) for route in self._climbs.by_route()])

    def short(self, route: str) -> RolloutShort | None:
        """Return a route's rollout in short; None if it has none."""
        climb = self._climbs.of(route)
        return None if climb is None else documents.short(climb)

    def gauges(self) -> dict[Key, float]:
        """Return the metrics of rollouts, by route."""
        found: dict[Key, float] = {}
        for route, climb in self._climbs.by_route().items():
            found |= documents.gauges(climb, route)
        return found
