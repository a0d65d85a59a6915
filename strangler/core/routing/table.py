# Compiled with mypyc: see docs/hot-path.md.
"""The routing table: from a request's head to the most specific route, at a cost that does not grow with the routes.

```
host ──> trie of decoded segments ──> node ──> its routes, most specific first ──> the first whose conditions hold
```

A node stands for a path and holds the routes that end there: `exact` ones and prefixes. Precedence is Gateway API's:
host (exact, then the longest wildcard, then any), exact path, longest prefix with literal segments before `{name}`,
method, number of headers, number of query parameters, first in the file. All of it is sorted when the table is built.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

from strangler.core.http.head import RequestHead
from strangler.core.routing.path import (
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
from strangler.core.routing.rewrite import Rewrite
from strangler.core.routing.route import Route

_LONGEST_HOST = 255  # RFC 1035 section 2.3.4; no route can name a longer host


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
        """Return the most specific route, None if there is none, an `Oddity` if the path has no single meaning."""
        if head.target.find(b"#") >= 0:
            return Oddity.FRAGMENT
        if is_clean(head.path):
            return self.find(head, split(head.path))
        return self._lookup_unusual(head)

    def find(self, head: RequestHead, segments: Segments) -> Route | None:
        """Return the most specific route for one reading of the path."""
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
            return Oddity.READINGS_DIFFER  # its `{name}`s are put into other paths, so they must be unambiguous
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
    """A path in the trie: the nodes below it, and the routes that end here."""

    __slots__ = ("at_end", "exact", "literals", "named", "on_the_way", "prefixes")

    def __init__(self) -> None:
        self.literals: dict[bytes, _Node] = {}
        self.named: _Node | None = None  # any one segment that is not empty
        self.exact: tuple[Route, ...] = ()
        self.prefixes: tuple[Route, ...] = ()
        # For a trie without names: the routes to try, in order, if the path ends here, and if it goes on
        self.at_end: tuple[Route, ...] = ()
        self.on_the_way: tuple[Route, ...] = ()

    def grow(self, segment: bytes) -> "_Node":
        """Return the node below for a segment, a new one if there is none yet."""
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
        """Return what `find` does, along all branches at once: the nodes of each level in order, literal ones first."""
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
    """Return the segments of a match: a prefix's trailing slash does not count, an exact path's does."""
    text = (path if path is not None else (prefix or "").rstrip("/")).encode()
    return split(text) if text else []


def _is_name(segment: bytes) -> bool:
    return segment.startswith(b"{") and segment.endswith(b"}")
