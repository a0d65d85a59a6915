"""Checks of each route, and of the routes among themselves."""

from collections.abc import Callable
from datetime import date

from strangler.config import (
    rules_accept,
    rules_destination,
    rules_match,
    rules_reach,
    rules_retire,
    rules_rollout,
    rules_shadow,
    rules_split,
)
from strangler.config.document import Loc
from strangler.config.notes import Notes
from strangler.config.rules_context import RouteContext
from strangler.config.rules_upstreams import is_name
from strangler.config.schema import File
from strangler.config.schema_routes import Route


def check(file: File, notes: Notes, today: date, now: float) -> None:
    """Note everything that is wrong with the routes."""
    known = notes.names(("upstreams",)) | set(file.upstreams.by_name)
    context = RouteContext(file, frozenset(known), today, now)
    for index, route in enumerate(file.routes):
        loc: Loc = ("routes", index)
        for check_route in _CHECKS:
            check_route(route, loc, notes, context)
    _check_names_differ(file, notes)
    rules_reach.check_reachable(file, notes)
    rules_split.check_groups(file, notes)
    rules_rollout.check_groups(file, notes)


def _check_name(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    if not is_name(route.name):
        notes.value(
            (*loc, "name"),
            "it is a metric label and a word on the command line; write only letters, digits, '.', '_' and '-'",
        )


_CHECKS: tuple[Callable[[Route, Loc, Notes, RouteContext], None], ...] = (
    _check_name,
    rules_match.check_path,
    rules_match.check_part,
    rules_match.check_host,
    rules_match.check_header_names,
    rules_destination.check_destination,
    rules_destination.check_aggregate,
    rules_destination.check_rewrite,
    rules_shadow.check_shadow,
    rules_accept.check_accept,
    rules_accept.check_own_paths,
    rules_shadow.check_latency,
    rules_shadow.check_sources,
    rules_shadow.check_gate,
    rules_split.check_percent,
    rules_destination.check_release,
    rules_retire.check_retire,
    rules_split.check_split,
    rules_rollout.check_plan,
    rules_rollout.check_evidence,
    rules_rollout.check_shadow,
    rules_rollout.check_gate,
    rules_rollout.check_end,
)
"""The checks of one route, in the order in which their problems are listed."""


def _check_names_differ(file: File, notes: Notes) -> None:
    first: dict[str, int] = {}
    for index, route in enumerate(file.routes):
        other = first.setdefault(route.name.lower(), index)
        if other != index:
            line = notes.line(("routes", other, "name"))
            notes.error(
                ("routes", index, "name"),
                f"the name is taken by the route on {line}",
                "give each its own; case is ignored",
            )
