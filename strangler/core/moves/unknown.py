"""Conditions of routes that an access log does not answer: header fields, and hosts where it names none.

The ledger knows less: neither header fields nor hosts nor queries, but for what `ledger.by` names.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from strangler.core.http.head import RequestHead
from strangler.core.moves.serving import LOG_FIELDS
from strangler.core.routing.match import parse_query
from strangler.core.routing.route import Route
from strangler.core.routing.table import RoutingTable
from strangler.core.settings import RouteSettings


@dataclass(frozen=True, slots=True)
class Assumption:
    """Fields, a host and parameters that a request may have had, so that a route's conditions hold."""

    fields: tuple[tuple[str, str], ...] = ()
    host: str = ""
    """Empty if no route asks for one, or if it is known."""
    query: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return `header x-beta`, `host shop.example`, `query draft`: no values of fields and parameters."""
        hosts = (f"host {self.host}",) if self.host else ()
        queries = (f"query {name}" for name, _ in self.query)
        return (*(f"header {name}" for name, _ in self.fields), *hosts, *queries)

    def applied(self, head: RequestHead) -> RequestHead:
        """Return the request as it was if the assumption is right."""
        fields = head.fields | {name.encode(): value.encode() for name, value in self.fields}
        host, query = head.host, head.query
        if self.host:
            host = self.host.replace("*.", "any.", 1).lower().encode()
            fields[b"host"] = host
        if self.query:
            query = b"&".join(filter(None, (query, urlencode(self.query).encode())))
        assumed = {name.encode() for name, _ in self.fields}
        repeated = {name: values for name, values in head.repeated.items() if name not in assumed}
        return RequestHead(head.method, head.target, head.path, query, host, fields, head.client_ip, repeated)

    def fits(self, head: RequestHead) -> bool:
        """Return False if the request is known to have another value of a parameter."""
        if not self.query:
            return True
        known = parse_query(head.query)
        return all(known.get(name.encode()) in (None, value.encode()) for name, value in self.query)


class Assumptions:
    """All assumptions that the routes of some files give reason for, and the paths for which they matter.

    `known_fields`: the header fields that requests are known by; `has_queries`: whether their queries are known.
    """

    def __init__(
        self, routes: Iterable[RouteSettings], known_fields: frozenset[str] = LOG_FIELDS, has_queries: bool = True
    ) -> None:
        asking: dict[Assumption, RouteSettings] = {}
        open_routes = list[Route]()
        for route in routes:
            match = route.match
            unknown = tuple(pair for pair in match.headers if pair[0] not in known_fields)
            query = () if has_queries else match.query
            if unknown or match.host or query:
                asking.setdefault(Assumption(unknown, match.host or "", query), route)
                known = tuple(pair for pair in match.headers if pair[0] in known_fields)
                open_match = replace(match, headers=known, host=None, query=match.query if has_queries else ())
                open_routes.append(Route(replace(route, match=open_match), len(open_routes)))
        self._all = tuple(asking)
        self._table = RoutingTable(open_routes) if open_routes else None

    def of(self, head: RequestHead) -> tuple[Assumption, ...]:
        """Return what to assume of a request, beside that it had nothing but what is known."""
        if self._table is None or self._table.lookup(head) is None:
            return ()
        fitting = [each for each in self._all if each.fits(head)]
        if not head.host:
            return tuple(fitting)
        return tuple(dict.fromkeys(replace(each, host="") for each in fitting if each.fields or each.query))
