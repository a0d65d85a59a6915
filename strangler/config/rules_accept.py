"""Checks of the differences that a route allows, and of the endpoints that it names."""

from datetime import date

from strangler.config.document import Loc
from strangler.config.notes import Notes
from strangler.config.rules_context import RouteContext
from strangler.config.schema_compare import Accept
from strangler.config.schema_routes import Route
from strangler.core.compare.accept_rules.accept import is_xml_path
from strangler.core.compare.accept_rules.compile import read_value
from strangler.core.compare.model.templates import can_meet


def check_accept(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """Each accept rule has one subject, and the keys that go with it."""
    for index, rule in enumerate(route.compare.accept):
        here: Loc = (*loc, "compare", "accept", index)
        name = notes.key(here)
        subjects = [key for key in _SUBJECTS if notes.is_written((*here, key))]
        if len(subjects) > 1:
            notes.error(here, f"{name} has {' and '.join(subjects)}", f"split it into {len(subjects)} rules")
        if not subjects:
            notes.error(
                here,
                f"{name} has neither path, css, header nor status",
                "add `path: $.field`, `css: main > .price`, `header: name` or `status: [302, 303]`",
            )
        if (rule.from_ is None) is not (rule.to is None) and not notes.has_lost(here):
            has, lacks = ("from", "to") if rule.to is None else ("to", "from")
            notes.error((*here, has), f"{name} has {has} without {lacks}", "write both, or neither", key=True)
        _check_status(rule, here, notes)
        _check_pair(rule, here, notes, is_typed=route.compare.numbers == "typed")
        limits = [key for key in ("abs", "rel") if getattr(rule, key) is not None]
        if limits and (rule.path is None or rule.from_ is not None or rule.kind not in {None, "value"}):
            notes.error(
                (*here, limits[0]),
                f"{name} has {limits[0]}",
                "it compares two numbers of a body; use it with path alone",
                key=True,
            )
        if rule.until is not None and date.fromisoformat(rule.until) < context.today:
            notes.warning(
                (*here, "until"),
                f"{name} ended on {rule.until}",
                "it no longer applies; take it out, or agree on a later day",
            )


_SUBJECTS = ("path", "css", "header", "status")


def check_own_paths(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """A path in `fold` or `endpoint` that the route does not match has no effect."""
    named = [((*loc, "fold", index), fold) for index, fold in enumerate(route.fold)]
    for index, rule in enumerate(route.compare.accept):
        path = (rule.endpoint or "").partition(" ")[2]
        named += [((*loc, "compare", "accept", index, "endpoint"), path)] if path else []
    for here, path in named:
        if not can_meet(route.match.prefix, route.match.path, path):
            notes.value(
                here, "the route does not match such a path, so it has no effect; correct it, or take it out", "warning"
            )


def _check_pair(rule: Accept, here: Loc, notes: Notes, *, is_typed: bool) -> None:
    if rule.from_ is None or rule.to is None or rule.status is not None:
        return
    if rule.kind not in {None, "value", "type"}:
        notes.error(
            (*here, "kind"),
            f"{notes.key(here)} has from, to and kind {rule.kind}",
            "from and to are for two values that are both present; take kind out",
            key=True,
        )
    is_json = rule.path is not None and not is_xml_path(rule.path)
    values = [read_value(text, is_typed=is_typed) if is_json else text for text in (rule.from_, rule.to)]
    if values[0] == values[1]:
        notes.value((*here, "to"), "it equals from, so there is no difference to accept")


def _check_status(rule: Accept, here: Loc, notes: Notes) -> None:
    if rule.status is None:
        return
    for key, value in (("kind", rule.kind), ("from", rule.from_), ("to", rule.to)):
        if value is not None:
            notes.error((*here, key), f"{notes.key(here)} has status and {key}", f"take {key} out", key=True)
    legacy, candidate = rule.status
    if legacy == candidate:
        notes.value((*here, "status"), "both are the same, so there is no difference to accept")
    elif candidate >= 500 or legacy >= 500:
        notes.value((*here, "status"), "a 5xx is a failure and cannot be accepted; fix the service")
