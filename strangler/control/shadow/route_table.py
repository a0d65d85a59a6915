"""The routes that have shadows, and the upstreams that shadows are sent to, by the settings in force."""

from collections.abc import Callable, Collection, Mapping

from strangler.comparing.client import ArmUpstream
from strangler.control.shadow.route import ShadowRoute, url_named
from strangler.control.shadow.stopping import ShadowStops
from strangler.core.settings import RouteSettings, Settings, Url
from strangler.store.evidence.stopped_routes import Stop


class ShadowRouteTable:
    """Owns the routes and upstreams. Unchanged ones keep their state when settings change."""

    def __init__(self, settings: Settings, is_healthy: Callable[[str, Url], bool], stops: ShadowStops) -> None:
        self.settings = settings
        self.key: bytes | None = None
        """The key of redaction. There are no routes until it is set."""
        self.routes: dict[str, ShadowRoute] = {}
        self.upstreams: dict[str, ArmUpstream] = {}
        self._is_healthy = is_healthy
        self._stops = stops
        self._replaced: list[ArmUpstream] = []

    def adopt(self, settings: Settings) -> list[str]:
        """Follow new settings, and end the stops that no longer apply. Return the names of replaced upstreams."""
        self.settings = settings
        if self.key is None:
            return []
        replaced = self._adopt_upstreams(settings)
        stopped = {name for name, route in self.routes.items() if route.stopped is not None}
        made = [self._route(each_route, self.key, settings) for each_route in settings.routes]
        self.routes = {route.name: route for route in made if route is not None}
        for route in self.routes.values():
            route.stopped = self._stops.why(route)
        self._end_stops(stopped)
        return replaced

    def _adopt_upstreams(self, settings: Settings) -> list[str]:
        replaced = [
            name for name, upstream in self.upstreams.items() if settings.upstreams.get(name) != upstream.settings
        ]
        self._replaced += [self.upstreams.pop(name) for name in replaced]
        for name, wanted in settings.upstreams.items():
            known = self.upstreams.get(name)
            if known is None:
                self.upstreams[name] = ArmUpstream(wanted, self._is_healthy, settings.files)
            else:
                known.tls.adopt(wanted.tls, settings.files)
        return replaced

    def _route(self, wanted: RouteSettings, key: bytes, settings: Settings) -> ShadowRoute | None:
        known, values = self.routes.get(wanted.name), settings.evidence.values
        is_same = known is not None and known.settings == wanted and known.redactor.hides_values == (values == "hashed")
        return known if is_same else ShadowRoute.if_shadowed(wanted, key, values)

    def _end_stops(self, stopped: Collection[str]) -> None:
        """End the stops that no longer apply. One that other nodes share has to have been in force here."""
        for name in self._stops.all():
            if name in self.routes and self.routes[name].stopped is not None:
                continue
            if self._stops.is_shared and name not in stopped:
                self._stops.forget(name)
            else:
                reason = "its settings have changed, or the proxy has been restarted"
                self._stops.end(name, reason, has_started=name in self.routes)

    def follow_stops(self, stops: Mapping[str, Stop]) -> list[str]:
        """Take over stops that other nodes have made or ended. Return the routes concerned."""
        found = self._stops.follow(stops, self.routes)
        for name in found:
            route = self.routes[name]
            route.stopped = self._stops.why(route)
            if route.stopped is None:
                route.resume()
        return found

    def is_in_force(self, route: ShadowRoute) -> bool:
        """Return whether the settings of a route are still those in force."""
        return self.routes.get(route.name) is route

    def has_changed(self, route: ShadowRoute, replaced: Collection[str]) -> bool:
        """Return whether the route, or an upstream that its shadows are sent to, was replaced."""
        return not self.is_in_force(route) or route.uses_any(replaced)

    def served_url(self, text: str, upstream: str) -> Url | None:
        """Return the URL of an upstream that a worker names."""
        return url_named(text, self.settings, upstream)

    async def close_replaced(self) -> None:
        """Close the connections to replaced upstreams."""
        while self._replaced:
            await self._replaced.pop().close()

    async def close(self) -> None:
        """Close all connections."""
        for upstream in (*self.upstreams.values(), *self._replaced):
            await upstream.close()
