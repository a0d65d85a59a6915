"""Checks of how a route ends."""

from strangler.config.document import Loc
from strangler.config.notes import Notes
from strangler.config.rules_context import RouteContext
from strangler.config.schema_retire import Brownout, Retire
from strangler.config.schema_routes import Route
from strangler.core.retire_settings import utc_text

_POINTLESS = ("split", "rollout", "shadow", "gate")


def check_retire(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """The times of an end are in order, and still to come."""
    retire, here = route.retire, (*loc, "retire")
    if retire is None:
        return
    if retire.since is not None and retire.since > retire.sunset:
        notes.value((*here, "since"), "it is after the sunset; a route is deprecated first (RFC 9745 section 4)")
    if retire.sunset <= context.now:
        _check_gone(route, retire, loc, notes)
    for index, brownout in enumerate(retire.brownouts):
        _check_brownout(brownout, retire, (*here, "brownouts", index), notes, context)
    _check_overlaps(retire, here, notes)


def _check_gone(route: Route, retire: Retire, loc: Loc, notes: Notes) -> None:
    way_out = f"the route refuses every request with {retire.status} now"
    if not route.enabled:
        way_out = f"without `enabled: false` the route would refuse every request with {retire.status}"
    notes.warning((*loc, "retire", "sunset"), f"retire.sunset, {utc_text(retire.sunset)}, is past", way_out)
    for key in _POINTLESS:
        if route.enabled and notes.is_written((*loc, key)):
            what = f"{key} has no effect after retire.sunset"
            notes.warning((*loc, key), what, "neither arm is asked any more; take it out", key=True)


def _check_brownout(brownout: Brownout, retire: Retire, here: Loc, notes: Notes, context: RouteContext) -> None:
    name = notes.key(here)
    if brownout.from_ >= brownout.to:
        notes.value((*here, "to"), f"it must be after from, {utc_text(brownout.from_)}")
        return
    if brownout.from_ >= retire.sunset:
        notes.warning(here, f"{name} begins after retire.sunset", "it never takes place; take it out, or correct it")
    elif brownout.to > retire.sunset:
        notes.warning((*here, "to"), f"{name} ends after retire.sunset", "the route is retired before it is over")
    if brownout.to <= context.now < retire.sunset:
        notes.warning(here, f"{name} was over on {utc_text(brownout.to)}", "it has no effect any more; take it out")


def _check_overlaps(retire: Retire, here: Loc, notes: Notes) -> None:
    ordered = sorted(
        (index for index, each in enumerate(retire.brownouts) if each.from_ < each.to),
        key=lambda index: retire.brownouts[index].from_,
    )
    longest: int | None = None
    for index in ordered:
        if longest is not None and retire.brownouts[index].from_ < retire.brownouts[longest].to:
            later, earlier = (notes.key((*here, "brownouts", each)) for each in (index, longest))
            notes.warning(
                (*here, "brownouts", index), f"{later} overlaps {earlier}", "they count as one; write them as one"
            )
        if longest is None or retire.brownouts[index].to > retire.brownouts[longest].to:
            longest = index
