"""The route configuration: the virtual hosts, each with the guard and the tree of its routes' entries."""

from typing import Final

import msgspec

from strangler.core.routing.arm import Reason
from strangler.core.settings import RouteSettings, Settings
from strangler.envoy import route_tree
from strangler.envoy.header_values import header_value
from strangler.envoy.hosts import HostRoutes, by_host
from strangler.envoy.matching import EVERYTHING, literal_head, precedence
from strangler.envoy.path_guard import ODD_QUERY
from strangler.envoy.request_choices import by_kind, choice, unclean
from strangler.envoy.request_kinds import RequestKind
from strangler.envoy.resources import ROUTES_NAME, Resource
from strangler.envoy.retiring import longest_page
from strangler.envoy.route_entries import RouteEntries
from strangler.envoy.route_tree import route_list

_encode = msgspec.json.Encoder().encode

_ARM_HEADER: Final = "X-Strangler-Arm"
_LONG_HOST: Final = ".{256,}"
_CLUSTERS_HOST: Final = "clusters.strangler.invalid"
_NEVER: Final[Resource] = {"prefix": "", "runtime_fraction": {"default_value": {"numerator": 0}}}


def route_configuration(settings: Settings, generation: int, now: float) -> Resource:
    """Return the route configuration. `now`: Unix time, for routes that end."""
    made = _VirtualHosts(settings, RouteEntries(settings, generation, now))
    hosts = [made.host(host) for host in by_host(settings.routes)]
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTES_NAME,
        "validate_clusters": True,
        "ignore_port_in_host_matching": True,
        "max_direct_response_body_size_bytes": max(4096, longest_page(settings, now)),
        **_arm_header(settings),
        "virtual_hosts": [*hosts, made.clusters()],
    }


def _arm_header(settings: Settings) -> Resource:
    """Return what is done about the arm's header: that of an upstream never passes."""
    if not settings.expose_arm:
        return {"response_headers_to_remove": [_ARM_HEADER.lower()]}
    return {"response_headers_to_add": [header_value(_ARM_HEADER, "%UPSTREAM_METADATA(strangler:arm)%")]}


class _VirtualHosts:
    """Makes the virtual hosts of a configuration from entries that are made once."""

    def __init__(self, settings: Settings, made: RouteEntries) -> None:
        self._routes = settings.routes
        self._made = made
        self._entries = [self._encoded(route) for route in settings.routes]
        self._precedence = [precedence(route.match, index) for index, route in enumerate(settings.routes)]
        self._heads = [literal_head(route.match) for route in settings.routes]

    def _encoded(self, route: RouteSettings) -> dict[RequestKind, bytes]:
        """Return the entries of a route for each kind, encoded: so many small dicts would cost more than all else."""
        return {kind: b",".join(map(_encode, entries)) for kind, entries in self._made.of(route).items()}

    def _unrouted(self, kind: RequestKind, reason: Reason, match: Resource = EVERYTHING) -> bytes:
        return _encode(self._made.unrouted(kind, reason, match))

    def host(self, host: HostRoutes) -> Resource:
        """Return a virtual host. Its trees are only entered with a clean path."""
        placed = [
            route_tree.Placed(self._heads[index], (place, *self._precedence[index]), index)
            for place, tier in enumerate(host.tiers)
            for index in tier
        ]
        found = route_tree.lists(placed)
        trees = {kind: self._tree(host, found, kind) for kind in RequestKind}
        guards = {kind: route_list([self._unrouted(kind, Reason.AMBIGUOUS_PATH)]) for kind in RequestKind}
        guarded = choice([(unclean(), choice(*by_kind(guards)))], choice(*by_kind(trees)))
        return {"name": host.host, "domains": host.domains, **guarded}

    def _tree(self, host: HostRoutes, found: dict[route_tree.Head, list[int]], kind: RequestKind) -> Resource:
        unrouted = self._unrouted(kind, Reason.NO_ROUTE)
        odd_query = self._unrouted(kind, Reason.AMBIGUOUS_PATH, _with_field(":path", ODD_QUERY))
        long_host = self._unrouted(kind, Reason.NO_ROUTE, _with_field(":authority", _LONG_HOST))

        def entries(routes: list[int]) -> list[bytes]:
            """Return the entries of a list. Only where a route looks at the query, an odd query is legacy's."""
            has_query = any(self._routes[index].match.query for index in routes)
            first = [*([long_host] if host.is_wildcard else ()), *([odd_query] if has_query else ())]
            return [*first, *(of for index in routes if (of := self._entries[index].get(kind))), unrouted]

        return route_tree.tree(found, entries)

    def clusters(self) -> Resource:
        """Return a host with an entry that never matches and names all clusters: Envoy checks that the clusters of
        entries exist, but not those within matchers, and would respond with 503."""
        clusters = [{"name": name, "weight": 1} for name in sorted(self._made.clusters)]
        action: Resource = {"weighted_clusters": {"clusters": clusters}}
        unrouted = self._made.unrouted(RequestKind.WRITE, Reason.NO_ROUTE)
        return {
            "name": _CLUSTERS_HOST,
            "domains": [_CLUSTERS_HOST],
            "routes": [{"match": _NEVER, "route": action}, unrouted],
        }


def _with_field(name: str, expression: str) -> Resource:
    return {**EVERYTHING, "headers": [{"name": name, "string_match": {"safe_regex": {"regex": expression}}}]}
