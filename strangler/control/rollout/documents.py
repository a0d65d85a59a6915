"""The documents of a rollout: all of it, its short form in the status, and its gauges."""

from strangler.control.rollout.climb import ClimbState
from strangler.control.rollout.reports import COLD_LEGACY, goes_cold
from strangler.control.rollout.why import why
from strangler.control.totals import Key
from strangler.core.documents import RolloutShort, RolloutStatus
from strangler.core.rollout.machine import RolloutEvent, RolloutState, possible_commands
from strangler.core.rollout.position import step_above, step_number
from strangler.core.rollout_text import WAITS_FOR_PERSON
from strangler.store.evidence.rollout_documents import look_document, move_document
from strangler.times import rfc3339


def status(climb: ClimbState, route: str, problem: str | None) -> RolloutStatus:
    """Return the document of a route's rollout. `problem`: why nothing can be stored."""
    position, plan = climb.position, climb.plan
    is_begun = position.state is not RolloutState.WAITING
    return RolloutStatus(
        route=route,
        group=climb.group,
        state=position.state.value,
        percent=climb.percent,
        step=step_number(plan, climb.percent),
        steps=list(plan.steps),
        since=rfc3339(position.since) if is_begun else None,
        until=None if position.until is None else rfc3339(position.until),
        waits_for=None if position.waits_for is None else position.waits_for.value,
        why=why(climb, route, problem),
        commands=_commands(climb),
        callers=position.counts.callers.callers,
        failed_looks=position.failed_looks,
        looks=[look_document(look) for look in position.looks],
        moves=[move_document(move) for move in climb.moves],
        notes=_notes(climb, problem),
    )


def short(climb: ClimbState) -> RolloutShort:
    """Return a rollout as the status of its route shows it."""
    position = climb.position
    waits_for = None if position.waits_for is None else position.waits_for.value
    step, steps = step_number(climb.plan, climb.percent), list(climb.plan.steps)
    return RolloutShort(position.state.value, step, steps, waits_for, climb.group)


def gauges(climb: ClimbState, route: str) -> dict[Key, float]:
    """Return the gauges of a route's rollout."""
    position = climb.position
    found: dict[Key, float] = {
        ("strangler_rollout_percent", (route,)): climb.percent,
        ("strangler_rollout_waits_for_person", (route,)): float(position.waits_for in WAITS_FOR_PERSON),
    }
    for state in RolloutState:
        found["strangler_rollout_state", (route, state.value)] = float(state is position.state)
    return found


def _commands(climb: ClimbState) -> list[str]:
    position, plan = climb.position, climb.plan
    step = step_above(plan, position.percent)
    is_approvable = step in plan.approve and step != position.approved
    impossible = set() if position.percent else {RolloutEvent.BACK}
    impossible |= set() if is_approvable else {RolloutEvent.APPROVE}
    return [str(command) for command in possible_commands(position.state) if command not in impossible]


def _notes(climb: ClimbState, problem: str | None) -> list[str]:
    notes = list(climb.notes)
    if problem is not None:
        notes.append(f"nothing can be stored, so nothing climbs: {problem}")
    if goes_cold(climb.routes, climb.percent):
        notes.append(COLD_LEGACY)
    if climb.position.state is RolloutState.WAITING and climb.percent:
        notes.append(f"it begins with the {climb.percent:g} % that were in force before it had a rollout")
    return notes
