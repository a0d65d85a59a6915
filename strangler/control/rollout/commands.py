"""The commands of people to rollouts: which is possible, what is audited, and whether it waits for the store."""

from dataclasses import replace
from typing import Final

import structlog

from strangler.control.rollout.climb import Audit, ClimbState, Unsaved
from strangler.control.rollout.moves import RolloutMoves
from strangler.control.rollout.reports import report
from strangler.core.rollout.advance import happen
from strangler.core.rollout.machine import COMMANDS, NoTransitionError, RolloutEvent
from strangler.core.rollout.position import Position, step_above
from strangler.store.evidence.stored_rollouts import StoredMove

GOES_ANYWAY: Final = (RolloutEvent.BACK, RolloutEvent.PAUSE)
"""The commands that are followed although they cannot be stored: they send nobody to the candidate."""

log = structlog.get_logger()


def command_event(command: str) -> RolloutEvent:
    """Return the event of a command by its name. Raises NoTransitionError."""
    event = next((each for each in COMMANDS if each.value == command), None)
    if event is None:
        raise NoTransitionError(f"{command!r} is no command; these are: {', '.join(COMMANDS)}")
    return event


async def follow_command(
    moves: RolloutMoves, climb: ClimbState, event: RolloutEvent, audit: Audit, percent: float | None
) -> bool:
    """Follow a command; return False if it waits for a store that cannot be written, so that nothing has changed.

    `percent`: of an approval for that percent alone. Raises NoTransitionError for a command that is not possible now.
    """
    after, unsaved, whole = commanded(climb, event, audit, percent)
    if event in GOES_ANYWAY:
        moves.follow(climb, after, unsaved)
    elif not await moves.store_first(climb, after, unsaved):
        return False
    log_audit(whole)
    return True


def log_audit(audit: Audit) -> None:
    """Log what a person did, once it is followed."""
    log.info("audit", who=audit.actor, what=audit.what, route=audit.route, why=audit.why, detail=audit.detail)


def commanded(
    climb: ClimbState, event: RolloutEvent, audit: Audit, percent: float | None
) -> tuple[Position, Unsaved, Audit]:
    """Return the position after a command, what is to be stored with it, and its whole audit. Nothing changes here.

    `percent`: of an approval for that percent alone. Raises NoTransitionError for a command that is not possible now.
    """
    before = climb.position
    waits = step_above(climb.plan, before.percent)
    if event is RolloutEvent.APPROVE and percent is not None and percent != waits:
        found = "the last step is reached" if waits is None else f"the next step is {waits:g} %"
        raise NoTransitionError(f"{percent:g} % cannot be approved now: {found}")
    after, changes = happen(before, climb.plan, event, audit.at)
    to = waits if event is RolloutEvent.APPROVE and waits is not None else after.percent
    unsaved = report(climb, changes)
    unsaved.moves.insert(0, StoredMove(audit.at, before.percent, to, event.value, audit.why, audit.actor))
    is_move = to != before.percent and event is not RolloutEvent.APPROVE
    detail = f"{before.percent:g} to {to:g} %" if is_move else f"{to:g} %"
    whole = replace(audit, detail=detail)
    unsaved.audits.append(whole)
    return after, unsaved, whole
