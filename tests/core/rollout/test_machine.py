"""The table of states: every pair of a state and an event is decided here, one way or the other."""

from itertools import product
from pathlib import Path

import pytest

from strangler.core.rollout.machine import (
    COMMANDS,
    TRANSITIONS,
    NoTransitionError,
    RolloutEvent,
    RolloutState,
    next_rollout_state,
    possible_commands,
)
from strangler.core.transitions import diagram

W, R, P, D, B = RolloutState
E = RolloutEvent
STAYS = {E.LOOK, E.KILL_SWITCH_ON, E.KILL_SWITCH_OFF, E.PLAN_CHANGED, E.WINDOW_OPENED}
EXPECTED = {
    W: {E.START: R, E.BREAKER_OPENED: W},
    R: {
        E.PAUSE: P,
        E.APPROVE: R,
        E.BACK: B,
        E.FINISHED: D,
        E.FAILED_TO_PAUSE: P,
        E.FAILED_TO_ZERO: B,
        E.FELL_TWICE: P,
        E.BREAKER_OPENED: P,
        E.PLAN_LOST_PERCENT: P,
    },
    P: {E.RESUME: R, E.BACK: B, E.BREAKER_OPENED: P, E.PLAN_LOST_PERCENT: P},
    D: {E.BACK: B, E.BREAKER_OPENED: P, E.PLAN_LOST_PERCENT: P},
    B: {E.PAUSE: P, E.EMPTIED: P, E.BREAKER_OPENED: P, E.PLAN_LOST_PERCENT: P},
}


@pytest.mark.parametrize(("state", "event"), [*product(RolloutState, RolloutEvent)])
def test_every_pair_leads_where_it_should_or_is_an_error_that_names_both(
    state: RolloutState, event: RolloutEvent
) -> None:
    expected = state if event in STAYS else EXPECTED[state].get(event)
    if expected is not None:
        assert next_rollout_state(state, event) is expected
        return
    with pytest.raises(NoTransitionError, match=f"the rollout is {state}: {event} is not possible now"):
        next_rollout_state(state, event)


@pytest.mark.parametrize(
    ("state", "commands"),
    [
        (W, ("start",)),
        (R, ("pause", "approve", "back")),
        (P, ("resume", "back")),
        (D, ("back",)),
        (B, ("pause",)),
    ],
)
def test_an_error_says_what_is_possible(state: RolloutState, commands: tuple[str, ...]) -> None:
    assert possible_commands(state) == commands
    refused = next(command for command in COMMANDS if command not in commands)
    with pytest.raises(NoTransitionError) as caught:
        next_rollout_state(state, refused)
    assert str(caught.value).endswith(f"not possible now, but {', '.join(commands)}")


def test_the_diagram_in_the_docs_is_the_table() -> None:
    moves = {pair: after for pair, after in TRANSITIONS.items() if pair[0] is not after}
    page = Path(__file__).parents[3] / "docs" / "rollout.md"
    assert f"```mermaid\n{diagram(moves, W)}\n```\n" in page.read_text()


def test_every_state_is_reached_and_left() -> None:
    moves = {(before, after) for (before, _), after in TRANSITIONS.items() if before is not after}
    assert {after for _, after in moves} | {W} == set(RolloutState)
    assert {before for before, _ in moves} == set(RolloutState)
