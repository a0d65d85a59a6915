"""The check that every route can be reached."""

import re

from strangler.config.notes import Notes
from strangler.config.rules_context import sorted_text
from strangler.config.schema import File
from strangler.config.schema_routes import Match, Route

_Group = tuple[object, ...]


def check_reachable(file: File, notes: Notes) -> None:
    """A route is never reached if earlier routes take everything that it matches.

    Precedence is by host, path, having methods, number of headers, number of query parameters, and place in the file.
    So a route that comes first and requires no more has the same host, path, headers and query, has methods if the
    other does, and is earlier in the file. It is enough to compare the routes of such a group.
    """
    groups: dict[_Group, list[int]] = {}
    for index, route in enumerate(file.routes):
        groups.setdefault(_group(route, index, notes), []).append(index)
    for indices in groups.values():
        taken: dict[str, int] = {}
        for index in indices:
            methods = file.routes[index].methods
            wanted = methods or ("",)
            if all(method in taken for method in wanted):
                _unreachable(file, index, sorted({taken[method] for method in wanted}), notes)
            for method in wanted:
                taken.setdefault(method, index)


def _group(route: Route, index: int, notes: Notes) -> _Group:
    match = route.match
    if notes.has_lost(("routes", index, "match")):
        return (index,)
    return (
        (match.host or "").lower(),
        _canonical(match),
        frozenset((name.lower(), value) for name, value in match.headers),
        frozenset(match.query),
        bool(route.methods),
    )


def _canonical(match: Match) -> tuple[bool, str]:
    text = match.path if match.path is not None else (match.prefix or "").rstrip("/")
    return match.path is not None, re.sub(r"\{[^/]*\}", "{}", text)


def _unreachable(file: File, index: int, others: list[int], notes: Notes) -> None:
    names = " and ".join(f"route '{file.routes[other].name}' ({notes.line(('routes', other))})" for other in others)
    own, loc = set(file.routes[index].methods), ("routes", index, "match")
    if len(others) == 1 and set(file.routes[others[0]].methods) == own:
        notes.error(
            loc, f"it matches exactly what {names} matches", "take one of them out, or add a condition", key=True
        )
        return
    takes = "takes" if len(others) == 1 else "take"
    notes.error(
        loc,
        f"it can never be reached: {names} {takes} {sorted_text(own)} first",
        "take it out, or add a condition",
        key=True,
    )
