"""Checks of where a route leads: a candidate, a passthrough or an aggregate, and how the target is rewritten."""

from collections.abc import Iterable

from strangler.config import patterns
from strangler.config.defaults import OF_A_MIGRATION, OF_TWO_ARMS
from strangler.config.document import Loc
from strangler.config.notes import Notes
from strangler.config.rules_context import RouteContext, sorted_text
from strangler.config.schema_routes import Route
from strangler.core.routing.aggregate import METHODS as AGGREGATED
from strangler.core.routing.arm import LEGACY


def check_destination(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """A route has one destination: a candidate, a passthrough or an aggregate. What only ends needs none."""
    ways = [key for key in _WAYS if getattr(route, key) is not None or notes.is_written((*loc, key))]
    if len(ways) > 1:
        notes.error((*loc, ways[1]), f"{' and '.join(ways)} are both there", "keep one of them", key=True)
    if not ways and (route.retire is not None or notes.is_written((*loc, "retire"))):
        _check_one_arm(OF_TWO_ARMS, "retire and no candidate", "take it out, or name a candidate", loc, notes)
    elif not ways:
        notes.error(
            loc, "candidate is missing", "add `candidate: UPSTREAM`, or `aggregate:` for several services", key=True
        )
    if route.passthrough is not None:
        _check_passthrough(route.passthrough, loc, notes, context)
    if route.candidate == LEGACY:
        _check_one_arm(OF_TWO_ARMS, "candidate 'legacy'", "take it out, or name a new service", loc, notes)
    elif route.candidate is not None:
        context.check_upstream(route.candidate, (*loc, "candidate"), notes)


_WAYS = ("candidate", "passthrough", "aggregate")


def _check_passthrough(upstream: str, loc: Loc, notes: Notes, context: RouteContext) -> None:
    if upstream == LEGACY:
        notes.value(
            (*loc, "passthrough"), "a passthrough cannot lead to legacy; for an exception write `candidate: legacy`"
        )
        return
    context.check_upstream(upstream, (*loc, "passthrough"), notes)
    way_out = "take it out, or write `candidate` if legacy serves this too"
    _check_one_arm(OF_A_MIGRATION, "passthrough", way_out, loc, notes)


def _check_one_arm(keys: Iterable[str], beside: str, way_out: str, loc: Loc, notes: Notes) -> None:
    """A route of one arm has nothing to split and nothing to compare."""
    for key in keys:
        if notes.is_written((*loc, key)):
            notes.error((*loc, key), f"{key} has no meaning with {beside}", way_out, key=True)


def check_aggregate(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """An aggregate has parts, and each of them an upstream and a path."""
    if route.aggregate is None:
        return
    here = (*loc, "aggregate")
    if not route.aggregate and not notes.has_lost(here):
        notes.error(here, "aggregate has no parts", "add `field: {upstream: …, path: …}` for each service", key=True)
    others = [method for method in route.match.methods if method not in AGGREGATED]
    if others:
        notes.error(
            (*loc, "match", "methods"),
            f"match.methods has {sorted_text(others)}, and an aggregate serves only {sorted_text(AGGREGATED)}",
            "take it out; what the route does not match goes to legacy",
        )
    known = patterns.names(route.match.path or route.match.prefix or "")
    for name, part in route.aggregate.items():
        context.check_upstream(part.upstream, (*here, name, "upstream"), notes)
        notes.complaints((*here, name, "path"), patterns.target(part.path, known, "the match"))
    for key, way_out in (
        ("rewrite", "each part has its own path; take rewrite out"),
        ("timeouts", "give each part its own timeout"),
    ):
        if notes.is_written((*loc, key)):
            notes.error((*loc, key), f"{key} has no meaning with aggregate", way_out, key=True)


def check_rewrite(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """A rewrite replaces the prefix of the match."""
    if route.rewrite is None:
        return
    if route.match.path is not None and route.match.prefix is None:
        notes.error(
            (*loc, "rewrite"),
            "rewrite needs match.prefix",
            "it puts one prefix in another's place; write `match: {prefix: …}`",
            key=True,
        )
        return
    known = patterns.names(route.match.prefix or "")
    place = (*loc, "rewrite", "prefix")
    if "?" in route.rewrite.prefix:
        notes.value(place, "a prefix has no '?'")
    notes.complaints(place, patterns.target(route.rewrite.prefix, known, "match.prefix"))


def check_release(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """A release is read from one response; an aggregate has several."""
    if route.release is not None and route.aggregate is not None:
        notes.error(
            (*loc, "release"),
            "release.header has no meaning with aggregate, which has several services",
            "take it out, and name releases with `strangler release`",
            key=True,
        )
