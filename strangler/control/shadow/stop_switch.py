"""The switch that stops one route's shadows after a problem, and starts them again."""

from strangler.control.shadow.credits import CaptureCredits
from strangler.control.shadow.route import ShadowRoute
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.shadow.stopping import ShadowStops
from strangler.control.shadow.writer import FindingWriter


class StopSwitch:
    """Stops and starts the shadows of one route at a time; workers know it at once, and the store soon."""

    def __init__(
        self, table: ShadowRouteTable, stops: ShadowStops, writer: FindingWriter, credits_: CaptureCredits
    ) -> None:
        self._table = table
        self._stops = stops
        self._writer = writer
        self._credits = credits_

    def halt(self, route: ShadowRoute, why: str) -> None:
        """Stop the shadows of a route, unless they have stopped or the route is no longer in force."""
        if route.stopped is not None or not self._table.is_in_force(route):
            return
        self._stops.begin(route, why)
        self._writer.hint()
        self._credits.grant(route.name)

    def resume(self, name: str, reason: str) -> bool:
        """Start a route's shadows again after they stopped by themselves. Return False if they have not."""
        route = self._table.routes.get(name)
        if route is None or route.stopped is None:
            return False
        route.resume()
        self._stops.end(name, reason, has_started=True)
        self._writer.hint()
        self._credits.grant(name)
        return True
