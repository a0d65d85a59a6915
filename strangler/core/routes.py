"""The routing table: from a request's head to the most specific route, at a cost that more routes do not raise.

```
host ──> trie of decoded segments ──> node ──> its routes, most specific first ──> the first whose conditions hold
```

A node stands for a path and holds the routes that end there: `exact` ones and prefixes. Precedence is Gateway API's:
host (exact, then the longest wildcard, then any), exact path, longest prefix with literal segments before `{name}`,
method, number of headers, number of query parameters, first in the file. All of it is settled when the table is built.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

from strangler.core.aggregate import Part
from strangler.core.head import RequestHead
from strangler.core.match import Conditions, encode_fields
from strangler.core.methods import SAFE
from strangler.core.path import (
    LONGEST_UNUSUAL,
    Oddity,
    Segments,
    decode_segments,
    has_one_reading,
    is_clean,
    malformed,
    readings,
    split,
)
from strangler.core.plan import AGGREGATE, CANDIDATE_ARM, LEGACY, Arm, Plan, Reason
from strangler.core.rewrite import Rewrite
from strangler.core.settings import RouteSettings
from strangler.core.split import Split

_LONGEST_HOST = 255  # RFC 1035 section 2.3.4; a longer one is no host that a route could name


class ShadowShare:
    """Of which requests a copy goes to the other arm: by the arm that serves them, the methods."""

    __slots__ = ("of_candidate", "of_legacy", "percent")

    def __init__(self, percent: float, methods: Iterable[str], of: str) -> None:
        self.percent = percent
        named = frozenset(method.encode() for method in methods)
        self.of_legacy: frozenset[bytes] = frozenset() if of == "candidate" else named
        self.of_candidate: frozenset[bytes] = frozenset() if of == "legacy" else named & SAFE
        """Legacy never runs a write that the candidate ran."""


class Route:
    """One route of a snapshot, with all that can be known before a request comes. Nobody writes to it once made."""

    __slots__ = (
        "conditions",
        "disabled",
        "index",
        "is_moved",
        "methods",
        "name",
        "override",
        "parts",
        "rewrite",
        "settings",
        "shadow",
        "split",
        "split_headers",
        "upstream",
    )

    def __init__(self, settings: RouteSettings, index: int, is_moved: bool = False) -> None:
        match, split_settings, shadow = settings.match, settings.split, settings.shadow
        self.name = settings.name
        self.settings = settings
        self.index = index  # place in the file
        self.upstream = settings.candidate or AGGREGATE
        self.methods = frozenset(method.encode() for method in match.methods) or None
        self.conditions = Conditions.of(match)
        self.override = split_settings.override.lower().encode() if split_settings.override else None
        self.split_headers = encode_fields(split_settings.headers)
        self.split = Split(split_settings)
        self.shadow = ShadowShare(shadow.percent, shadow.methods, shadow.of) if shadow and shadow.percent else None
        self.rewrite = _rewrite(settings)
        self.parts = tuple(Part(part, match) for part in settings.aggregate or ())
        self.is_moved = is_moved or self.rewrite is not None  # the candidate sees another path than the client

    def __repr__(self) -> str:
        return f"<Route {self.name!r}>"

    def plan(self, arm: Arm, reason: Reason) -> Plan:
        """The plan without bucket and shadow.

        Made anew, for 0.3 µs: kept, it would close a cycle, and the routes of a replaced snapshot would stay until a
        full garbage collection, which a worker hardly ever has.
        """
        return Plan(self, arm, self.upstream if arm is CANDIDATE_ARM else LEGACY, reason)

    def accepts(self, head: RequestHead) -> bool:
        """True if method, headers and query are as the route wants them; host and path are the table's part."""
        if self.methods is not None and head.method not in self.methods:
            return False
        return self.conditions is None or self.conditions.hold(head)

    def precedence(self) -> tuple[bool, int, int, int]:
        """Sorts routes of the same host and path: the most specific first."""
        match = self.settings.match
        return (not match.methods, -len(match.headers), -len(match.query), self.index)


def _rewrite(settings: RouteSettings) -> Rewrite | None:
    if settings.rewrite_prefix is None:
        return None
    return Rewrite.between(settings.match.prefix or settings.match.path or "/", settings.rewrite_prefix)


class RoutingTable:
    """All routes, by host and path."""

    __slots__ = ("_any_host", "_exact_hosts", "_wildcard_hosts")

    def __init__(self, routes: Iterable[Route]) -> None:
        by_host: dict[bytes, list[Route]] = {}
        for route in routes:
            by_host.setdefault((route.settings.match.host or "").lower().encode(), []).append(route)
        self._any_host = _Trie(by_host.pop(b"", []))
        # `*.example.com` is kept as `.example.com`, which is what a host under it ends with
        self._wildcard_hosts = {host[1:]: _Trie(of) for host, of in by_host.items() if host.startswith(b"*.")}
        self._exact_hosts = {host: _Trie(of) for host, of in by_host.items() if not host.startswith(b"*.")}

    def lookup(self, head: RequestHead) -> Route | Oddity | None:
        """The most specific route; None if there is none; an `Oddity` if the path or target has no one meaning."""
        if head.target.find(b"#") >= 0:
            return Oddity.FRAGMENT
        if is_clean(head.path):
            return self.find(head, split(head.path))
        return self._lookup_unusual(head)

    def find(self, head: RequestHead, segments: Segments) -> Route | None:
        """The most specific route for one reading of the path."""
        if not self._exact_hosts and not self._wildcard_hosts:
            return self._any_host.find(head, segments)
        for trie in self._tries(head.host):
            route = trie.find(head, segments)
            if route is not None:
                return route
        return None

    def _lookup_unusual(self, head: RequestHead) -> Route | Oddity | None:
        path = head.path or b"/"  # an absolute URL without a path (RFC 9110 section 4.2.3)
        if path == b"*":
            return None
        wrong = malformed(path)
        if wrong is not None:
            return wrong
        if len(path) > LONGEST_UNUSUAL:
            return Oddity.TANGLED
        route = self.find(head, decode_segments(path))
        if has_one_reading(path):
            return route
        for reading in readings(path):
            if isinstance(reading, Oddity):
                if route is not None or reading is Oddity.TANGLED:
                    return reading
            elif self.find(head, reading) is not route:
                return Oddity.READINGS_DIFFER
        if route is not None and route.parts:
            return Oddity.READINGS_DIFFER  # its names are put into other paths: they must mean one thing
        if route is not None and route.is_moved and not (route.rewrite or _AS_IS).is_safe(path):
            return Oddity.CLIMBS
        return route

    def _tries(self, host: bytes) -> Iterator["_Trie"]:
        host = host.removesuffix(b".")
        if len(host) <= _LONGEST_HOST:
            if host in self._exact_hosts:
                yield self._exact_hosts[host]
            dot = host.find(b".", 1)
            while dot > 0:
                if host[dot:] in self._wildcard_hosts:
                    yield self._wildcard_hosts[host[dot:]]
                dot = host.find(b".", dot + 1)
        yield self._any_host


_AS_IS = Rewrite((), ())


class _Node:
    """A path in the trie: where it goes on, and the routes that end here."""

    __slots__ = ("at_end", "exact", "literals", "named", "on_the_way", "prefixes")

    def __init__(self) -> None:
        self.literals: dict[bytes, _Node] = {}
        self.named: _Node | None = None  # any one segment that is not empty
        self.exact: tuple[Route, ...] = ()
        self.prefixes: tuple[Route, ...] = ()
        # Ready answers for a trie without names: the routes to try, in order, if the path ends here, and if it goes on
        self.at_end: tuple[Route, ...] = ()
        self.on_the_way: tuple[Route, ...] = ()

    def grow(self, segment: bytes) -> "_Node":
        """The node below; a new one if there is none yet."""
        if not _is_name(segment):
            return self.literals.setdefault(unquote_to_bytes(segment), _Node())
        self.named = self.named or _Node()
        return self.named

    def settle(self, shorter: tuple[Route, ...]) -> None:
        """Order the routes here and below; `shorter` are the prefixes above, longest first."""
        self.exact = tuple(sorted(self.exact, key=Route.precedence))
        self.prefixes = tuple(sorted(self.prefixes, key=Route.precedence))
        self.on_the_way = self.prefixes + shorter
        self.at_end = self.exact + self.on_the_way
        for below in (*self.literals.values(), *([self.named] if self.named else [])):
            below.settle(self.on_the_way)


class _Trie:
    """The routes of one host."""

    __slots__ = ("_has_names", "_root")

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        self._has_names = False
        for route in routes:
            self._add(route)
        self._root.settle(())

    def _add(self, route: Route) -> None:
        match = route.settings.match
        node = self._root
        for segment in _pattern(match.prefix, match.path):
            self._has_names |= _is_name(segment)
            node = node.grow(segment)
        if match.path is not None:
            node.exact += (route,)
        else:
            node.prefixes += (route,)

    def find(self, head: RequestHead, segments: Segments) -> Route | None:
        if self._has_names:
            return self._find_named(head, segments)
        node = self._root
        for segment in segments:
            below = node.literals.get(segment)
            if below is None:
                routes = node.on_the_way
                break
            node = below
        else:
            routes = node.at_end
        for route in routes:
            if route.accepts(head):
                return route
        return None

    def _find_named(self, head: RequestHead, segments: Segments) -> Route | None:
        """As `find`, along all branches at once: the nodes of each level in order, literal ones first."""
        level = [self._root]
        levels = [level]
        for segment in segments:
            level = _below(level, segment)
            if not level:
                break
            levels.append(level)
        for node in level:
            for route in node.exact:
                if route.accepts(head):
                    return route
        while levels:
            for node in levels.pop():
                for route in node.prefixes:
                    if route.accepts(head):
                        return route
        return None


def _below(level: list[_Node], segment: bytes) -> list[_Node]:
    below = []
    for node in level:
        literal = node.literals.get(segment)
        if literal is not None:
            below.append(literal)
        if node.named is not None and segment:
            below.append(node.named)
    return below


def _pattern(prefix: str | None, path: str | None) -> Segments:
    """The segments of a match: a prefix's trailing slash does not count, an exact path's does."""
    text = (path if path is not None else (prefix or "").rstrip("/")).encode()
    return split(text) if text else []


def _is_name(segment: bytes) -> bool:
    return segment.startswith(b"{") and segment.endswith(b"}")
