"""Checks of `rollout`: its plan, what it stands beside, and the routes that climb with it."""

import re

from strangler.config.build import rollout_of
from strangler.config.document import Loc
from strangler.config.notes import Notes
from strangler.config.quantities import duration_text
from strangler.config.rules_context import RouteContext, sorted_text
from strangler.config.schema import File
from strangler.config.schema_rollout import Rollout
from strangler.config.schema_routes import Route
from strangler.core.retire_settings import utc_text
from strangler.core.rollout_rules import problem_of_group, problems_of
from strangler.core.routing.arm import LEGACY
from strangler.core.source import REPLAY

_COLD = 50
"""Above this percent, most callers no longer keep legacy warm."""


def check_plan(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """The plan can be followed, and nothing else sets the percent."""
    rollout, here = route.rollout, (*loc, "rollout")
    if rollout is None or not _has_two_arms(route):
        return
    for key, message in problems_of(rollout_of(rollout)):
        place = (*here, *key.split("."))
        if not notes.has_lost((*here, key.split(".", maxsplit=1)[0])):
            what, _, way_out = message.partition("; ")
            notes.error(place, f"{notes.key(place)}: {what}", way_out)
    if notes.is_written((*loc, "split", "percent")):
        notes.error(
            (*loc, "split", "percent"),
            "rollout and split.percent are both there",
            "the rollout moves the percent; take split.percent out, or write `rollout: false`",
            key=True,
        )
    _check_shares(rollout, here, notes)
    if 0 < rollout.hold < rollout.look:
        hold, look = duration_text(rollout.hold), duration_text(rollout.look)
        notes.warning(
            (*here, "hold" if notes.is_written((*here, "hold")) else "look"),
            f"rollout.hold is {hold} and rollout.look {look}",
            f"a step ends after a look, so it lasts at least {look}; look more often, or hold longer",
        )


def _check_shares(rollout: Rollout, here: Loc, notes: Notes) -> None:
    """Steps that end at 1 may be meant as shares: 0.05 for 5 %."""
    if rollout.steps and rollout.steps[-1] == 1 and len(rollout.steps) > 1:
        texts = [notes.text((*here, "steps", index)) for index in range(len(rollout.steps))]
        if any(re.fullmatch(r"0?\.[0-9]+", text) for text in texts):
            notes.warning(
                (*here, "steps"), "rollout.steps end at 1, which means 1 %", "write percents, such as 5 and not 0.05"
            )


def check_evidence(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """Callers can be counted: `split.sticky` tells them apart."""
    rollout, here = route.rollout, (*loc, "rollout", "evidence")
    if rollout is None or not _has_two_arms(route):
        return
    if not route.split.sticky and not notes.has_lost((*loc, "split")):
        notes.error(
            (*loc, "rollout"),
            "rollout counts callers, and split.sticky does not tell them apart",
            "no step would ever have enough callers; write what identifies a caller, such as"
            ' `split: {sticky: ["header:X-User-Id", client_ip]}`',
            key=True,
        )
    requests, callers = rollout.evidence.requests, rollout.evidence.callers
    if callers > requests and not notes.has_lost(here):
        notes.warning(
            (*here, "callers" if notes.is_written((*here, "callers")) else "requests"),
            f"rollout.evidence needs {callers} callers of {requests} requests",
            f"each caller makes at least one, so {callers} requests are needed; write so",
        )


def check_shadow(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """Above half of the callers, something still shows a regression."""
    rollout = route.rollout
    if rollout is None or not _is_moving(route) or notes.has_lost((*loc, "shadow")):
        return
    above = [step for step in rollout.steps if step > _COLD]
    if above and not (_is_compared(route) and route.shadow is not None and route.shadow.of != "legacy"):
        notes.warning(
            (*loc, "rollout", "steps") if notes.is_written((*loc, "rollout", "steps")) else (*loc, "rollout"),
            f"rollout.steps go up to {above[-1]:g} and no response of the candidate gets a shadow",
            "legacy goes cold, and nothing shows a regression; add `shadow: {percent: 1, of: any}`",
        )


def check_gate(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """The gate that a step waits for can hold."""
    rollout, here = route.rollout, (*loc, "rollout")
    if rollout is None or not _is_moving(route) or notes.has_lost((*loc, "shadow")):
        return
    if rollout.gate != "never":
        place = (*here, "gate") if notes.is_written((*here, "gate")) else here
        steps = "no step up" if rollout.gate == "every" else "not even the first step"
        reason = None if context.file.receiver is not None else _why_no_pairs(route)
        if reason:
            notes.warning(
                place,
                f"rollout.gate is {rollout.gate} and {reason[0]}",
                f"the gate never holds, so {steps} happens; {reason[1]}, or write `gate: never` in the rollout",
            )
            return
    is_timed = rollout.latency is not None or (route.shadow is not None and route.shadow.baseline.share)
    if not is_timed and not notes.has_lost((*here, "latency")):
        is_written = notes.is_written((*loc, "gate", "max_latency_ratio"))
        if is_written or rollout.gate != "never":
            notes.warning(
                (*loc, "gate", "max_latency_ratio") if is_written else (*here, "latency"),
                "gate.max_latency_ratio is left out: rollout.latency is null and shadow.baseline is 0",
                "nothing compares how long the arms take; set one of the two",
            )


def _why_no_pairs(route: Route) -> tuple[str, str] | None:
    """Return why no pair is compared before the first step, and the way out; None if pairs are possible."""
    shadow, methods = route.shadow, route.methods
    if REPLAY in route.gate.from_:
        return None
    if shadow is None or not _is_compared(route):
        return "nothing is compared", "add `shadow: {percent: 5, of: any}`"
    if methods and not set(methods) & set(shadow.methods):
        return (
            f"shadow.methods has none of {sorted_text(methods)}, which the route matches",
            "name one of them in shadow.methods",
        )
    if shadow.of == "candidate" and not route.split.headers and route.split.override is None:
        return "shadow.of is candidate, which serves nobody before the first step", "write `of: any`"
    return None


def _is_compared(route: Route) -> bool:
    return route.shadow is not None and route.shadow.percent > 0


def check_end(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """A route that ends moves its callers for nothing."""
    if route.rollout is None or route.retire is None or not _is_moving(route) or route.retire.sunset <= context.now:
        return
    notes.warning(
        (*loc, "rollout"),
        f"rollout moves callers of a route that ends on {utc_text(route.retire.sunset)}",
        "take one of the two out, unless the candidate is to serve the route until then",
        key=True,
    )


def check_groups(file: File, notes: Notes) -> None:
    """Routes of one group climb as one: they have one plan."""
    groups: dict[str, list[int]] = {}
    for index, route in enumerate(file.routes):
        if _has_two_arms(route) and not notes.is_lost(("routes", index, "split")):
            groups.setdefault(route.split.group or route.name, []).append(index)
    for group, members in groups.items():
        first = next((index for index in members if file.routes[index].rollout is not None), None)
        if first is None or any(notes.has_lost(("routes", index, "rollout")) for index in members):
            continue
        for index in members:
            _check_member(file, group, first, index, notes)


def _is_moving(route: Route) -> bool:
    return route.enabled and _has_two_arms(route)


def _has_two_arms(route: Route) -> bool:
    return route.aggregate is not None or route.candidate not in (None, LEGACY)


def _check_member(file: File, group: str, first: int, index: int, notes: Notes) -> None:
    """Note an error if a route of the group has another plan than the first that has one, or none."""
    planned, route = file.routes[first], file.routes[index]
    assert planned.rollout is not None
    line = notes.line(("routes", first, "rollout"))
    if route.rollout is None:
        notes.error(
            ("routes", index, "name"),
            f"group '{group[:60]}': route '{route.name}' moves together with '{planned.name}', whose rollout is on"
            f" {line}, but has none",
            "write the same rollout here, or give the two different groups",
        )
        return
    plans = {planned.name: rollout_of(planned.rollout), route.name: rollout_of(route.rollout)}
    problem = problem_of_group(group[:60], plans)
    if problem is not None:
        what, _, way_out = problem.partition("; ")
        notes.error(("routes", index, "rollout"), f"{what} (that of '{planned.name}' is on {line})", way_out, key=True)
