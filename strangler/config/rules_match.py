"""Checks of the conditions of a route."""

from strangler.config import patterns
from strangler.config.document import Loc
from strangler.config.notes import Notes
from strangler.config.rules_context import RouteContext
from strangler.config.schema_routes import Route
from strangler.core.routing.arm import LEGACY


def check_path(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """The match has one path, and it is written in our syntax."""
    match, here = route.match, (*loc, "match")
    if match.prefix is not None and match.path is not None:
        notes.error(
            (*here, "path"),
            "match.prefix and match.path are both there",
            "keep one: prefix for all below it, path for exactly it",
            key=True,
        )
    for key, path in (("prefix", match.prefix), ("path", match.path)):
        if path is not None:
            notes.complaints((*here, key), patterns.pattern(path))
            notes.complaints((*here, key), patterns.other_syntax(path), "warning")
    if match.prefix is match.path is None and not any(notes.is_written((*here, key)) for key in ("prefix", "path")):
        notes.error(
            here,
            "match.prefix is missing",
            "add `prefix: /api/orders` or `path: /api/orders/{id}`; `prefix: /` is everything",
            key=True,
        )


def check_part(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """A route that takes the whole monolith is probably not meant."""
    match = route.match
    has_conditions = match.host or match.methods or match.headers or match.query
    if match.prefix == "/" and not has_conditions and route.candidate != LEGACY and not notes.has_lost((*loc, "match")):
        notes.warning(
            (*loc, "match", "prefix"),
            "match.prefix is '/', which is the whole monolith",
            "all of it would move at once, with one verdict; name what the candidate serves, such as /api/orders",
        )


def check_host(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """The host is one that a client can ask for."""
    if route.match.host is not None:
        notes.complaints((*loc, "match", "host"), patterns.host(route.match.host))


def check_header_names(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """No condition names a header twice, and the host has a key of its own."""
    for section, pairs in (("match", route.match.headers), ("split", route.split.headers)):
        seen: set[str] = set()
        for name, _ in pairs:
            place: Loc = (*loc, section, "headers", name)
            if name.lower() in seen:
                notes.error(
                    place,
                    f"{section}.headers has '{name}' twice",
                    "case is ignored in header names; keep one",
                    key=True,
                )
            if section == "match" and name.lower() == "host":
                notes.error(place, f"match.headers has '{name}'", "write match.host", key=True)
            seen.add(name.lower())
