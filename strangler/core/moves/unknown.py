"""Conditions of routes that an access log does not answer: header fields, and hosts where it names none."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from strangler.core.http.head import RequestHead
from strangler.core.moves.serving import KNOWN_FIELDS
from strangler.core.routing.route import Route
from strangler.core.routing.table import RoutingTable
from strangler.core.settings import RouteSettings


@dataclass(frozen=True, slots=True)
class Assumption:
    """Fields, and a host, that a request may have had, so that a route's conditions hold."""

    fields: tuple[tuple[str, str], ...]
    host: str = ""
    """Empty if no route asks for one, or if the log names it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return `header x-beta`, `host shop.example`: no values of header fields."""
        hosts = (f"host {self.host}",) if self.host else ()
        return (*(f"header {name}" for name, _ in self.fields), *hosts)

    def applied(self, head: RequestHead) -> RequestHead:
        """Return the request as it was if the assumption is right."""
        fields = head.fields | {name.encode(): value.encode() for name, value in self.fields}
        host = head.host
        if self.host:
            host = self.host.replace("*.", "any.", 1).lower().encode()
            fields[b"host"] = host
        return RequestHead(head.method, head.target, head.path, head.query, host, fields, head.client_ip)


class Assumptions:
    """All assumptions that the routes of some files give reason for, and the paths for which they matter."""

    def __init__(self, routes: Iterable[RouteSettings]) -> None:
        asking: dict[Assumption, RouteSettings] = {}
        open_routes = list[Route]()
        for route in routes:
            match = route.match
            unknown = tuple(pair for pair in match.headers if pair[0] not in KNOWN_FIELDS)
            if unknown or match.host:
                asking.setdefault(Assumption(unknown, match.host or ""), route)
                known = tuple(pair for pair in match.headers if pair[0] in KNOWN_FIELDS)
                open_match = replace(match, headers=known, host=None)
                open_routes.append(Route(replace(route, match=open_match), len(open_routes)))
        self._all = tuple(asking)
        self._table = RoutingTable(open_routes) if open_routes else None

    def of(self, head: RequestHead) -> tuple[Assumption, ...]:
        """Return what to assume of a request, beside that it had nothing but what the log has."""
        if self._table is None or self._table.lookup(head) is None:
            return ()
        if not head.host:
            return self._all
        return tuple(dict.fromkeys(Assumption(each.fields) for each in self._all if each.fields))
