"""The tree of paths: a request finds the list of entries that can be its own by the literal beginning of its path.

One list of 10,000 routes would cost a request 3.4 ms; the tree costs it some microseconds. The list of a beginning has
all routes whose own literal beginning is among its segments, in the order of their precedence, so it is complete.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from strangler.envoy.resources import Resource

Head = tuple[str, ...]
"""Literal segments that a path begins with."""

_PATH: Final[Resource] = {
    "name": "path",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
        "header_name": ":path",
    },
}
_ROUTE_LIST: Final = "type.googleapis.com/envoy.config.route.v3.RouteList"
_REPEATED: Final = 4
_SPARE: Final = 1000


@dataclass(frozen=True, slots=True)
class Placed:
    """A route in a tree: its literal beginning, what sorts it among all, and its place in the file."""

    head: Head
    precedence: tuple[Any, ...]
    index: int


def lists(routes: Sequence[Placed]) -> dict[Head, list[int]]:
    """Return the places in the file of the routes for each beginning, the most specific first; that of the empty one
    is for all other paths.

    A route whose path begins with a name stands in all lists. If that made too many entries, beginnings are cut.
    """
    ranked = sorted(routes, key=lambda route: route.precedence)
    most = _REPEATED * len(ranked) + _SPARE
    for depth in range(max((len(route.head) for route in ranked), default=0), -1, -1):
        groups = _groups(ranked, depth)
        if depth == 0 or _entries_in(groups) <= most:
            break
    return {head: [ranked[place].index for place in sorted(chain(*_above(groups, head)))] for head in groups}


def _groups(ranked: Sequence[Placed], depth: int) -> dict[Head, list[int]]:
    groups: dict[Head, list[int]] = {(): []}
    for place, route in enumerate(ranked):
        groups.setdefault(route.head[:depth], []).append(place)
    return groups


def _above(groups: dict[Head, list[int]], head: Head) -> list[list[int]]:
    return [found for end in range(len(head) + 1) if (found := groups.get(head[:end])) is not None]


def _entries_in(groups: dict[Head, list[int]]) -> int:
    return sum(len(found) for head in groups for found in _above(groups, head))


def matcher(found: dict[Head, list[int]], entries: Callable[[list[int]], list[Resource]]) -> Resource:
    """Return the matcher that chooses a list by the beginning of the path. `entries` makes the entries of a list."""
    rest = route_list(entries(found[()]))
    beginnings = {f"/{'/'.join(head)}": route_list(entries(routes)) for head, routes in found.items() if head}
    if not beginnings:
        return rest
    tree = {"input": _PATH, "prefix_match_map": {"map": beginnings}}
    return {"matcher": {"matcher_tree": tree, "on_no_match": rest}}


def guarded(expressions: Sequence[tuple[str, bool]], guard: Sequence[Resource], below: Resource) -> Resource:
    """Return a matcher that gives what one of the expressions is true for to the guard's entries, and the rest to the
    matcher below. Each expression comes with whether it has to match a target, or not to."""
    found = [_target(expression, is_wanted=is_wanted) for expression, is_wanted in expressions]
    predicate = found[0] if len(found) == 1 else {"or_matcher": {"predicate": found}}
    return {
        "matcher_list": {"matchers": [{"predicate": predicate, "on_match": route_list(guard)}]},
        "on_no_match": below,
    }


def route_list(entries: Sequence[Resource]) -> Resource:
    """Return what a matcher leads to: entries of which the first that matches counts."""
    return {"action": {"name": "routes", "typed_config": {"@type": _ROUTE_LIST, "routes": list(entries)}}}


def _target(expression: str, *, is_wanted: bool) -> Resource:
    value = {"safe_regex": {"google_re2": {}, "regex": expression}}
    single: Resource = {"single_predicate": {"input": _PATH, "value_match": value}}
    return single if is_wanted else {"not_matcher": single}
