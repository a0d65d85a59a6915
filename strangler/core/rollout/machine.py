"""The states of a rollout, and what moves it from one to another. A pair that is not in the table does not exist."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class RolloutState(StrEnum):
    WAITING = "waiting"
    """It was never started."""
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    """The last step held for its time."""
    BACKING = "backing"
    """It goes down by steps."""


class RolloutEvent(StrEnum):
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    APPROVE = "approve"
    BACK = "back"
    LOOK = "a look, or a step"
    FINISHED = "the last step has held"
    FAILED_TO_PAUSE = "failed, then pause"
    FAILED_TO_ZERO = "failed, then zero"
    FELL_TWICE = "a second fall from one percent"
    EMPTIED = "down to 0 %"
    BREAKER_OPENED = "breaker opened"
    KILL_SWITCH_ON = "kill switch on"
    KILL_SWITCH_OFF = "kill switch off"
    PLAN_CHANGED = "plan changed, percent kept"
    PLAN_LOST_PERCENT = "plan changed, percent gone"
    WINDOW_OPENED = "window opens"


COMMANDS: Final = (
    RolloutEvent.START,
    RolloutEvent.PAUSE,
    RolloutEvent.RESUME,
    RolloutEvent.APPROVE,
    RolloutEvent.BACK,
)

_W, _R, _P, _D, _B = (
    RolloutState.WAITING, RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.DONE, RolloutState.BACKING,
)  # fmt: skip
_STAYING: Final = (
    RolloutEvent.LOOK,
    RolloutEvent.KILL_SWITCH_ON,
    RolloutEvent.KILL_SWITCH_OFF,
    RolloutEvent.PLAN_CHANGED,
    RolloutEvent.WINDOW_OPENED,
)
"""The events that happen in any state, and leave it as it is."""

TRANSITIONS: Final[Mapping[tuple[RolloutState, RolloutEvent], RolloutState]] = {
    (_W, RolloutEvent.START): _R,
    (_W, RolloutEvent.BREAKER_OPENED): _W,
    (_R, RolloutEvent.PAUSE): _P,
    (_R, RolloutEvent.APPROVE): _R,
    (_R, RolloutEvent.BACK): _B,
    (_R, RolloutEvent.FINISHED): _D,
    (_R, RolloutEvent.FAILED_TO_PAUSE): _P,
    (_R, RolloutEvent.FAILED_TO_ZERO): _B,
    (_R, RolloutEvent.FELL_TWICE): _P,
    (_R, RolloutEvent.BREAKER_OPENED): _P,
    (_R, RolloutEvent.PLAN_LOST_PERCENT): _P,
    (_P, RolloutEvent.RESUME): _R,
    (_P, RolloutEvent.BACK): _B,
    (_P, RolloutEvent.BREAKER_OPENED): _P,
    (_P, RolloutEvent.PLAN_LOST_PERCENT): _P,
    (_D, RolloutEvent.BACK): _B,
    (_D, RolloutEvent.BREAKER_OPENED): _P,
    (_D, RolloutEvent.PLAN_LOST_PERCENT): _P,
    (_B, RolloutEvent.PAUSE): _P,
    (_B, RolloutEvent.EMPTIED): _P,
    (_B, RolloutEvent.BREAKER_OPENED): _P,
    (_B, RolloutEvent.PLAN_LOST_PERCENT): _P,
} | {(state, event): state for state in RolloutState for event in _STAYING}


class NoTransitionError(ValueError):
    """A command that a rollout cannot follow now; the message says which ones it can."""


def next_rollout_state(state: RolloutState, event: RolloutEvent) -> RolloutState:
    """Return the state after an event. Raise `NoTransitionError` for a pair that is not in the table."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        possible = ", ".join(possible_commands(state))
        raise NoTransitionError(f"the rollout is {state}: {event} is not possible now, but {possible}") from None


def possible_commands(state: RolloutState) -> tuple[str, ...]:
    """Return the commands that a state allows."""
    return tuple(command for command in COMMANDS if (state, command) in TRANSITIONS)
