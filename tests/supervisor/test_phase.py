"""The phases of a supervisor's life: the table, and the picture of it."""

import re
from itertools import pairwise, product

import pytest

from strangler.supervisor import phase as phases
from strangler.supervisor.phase import TRANSITIONS, LifecycleState, Phase, TransitionError

ALLOWED = {(before, after) for before, afters in TRANSITIONS.items() for after in afters}


@pytest.mark.parametrize(("before", "after"), [(before, after) for before in Phase for after in Phase])
def test_a_phase_follows_another_only_if_the_table_says_so(before: Phase, after: Phase) -> None:
    life = LifecycleState(before)
    if (before, after) in ALLOWED:
        life.enter(after, deadline=7.0)
        assert (life.phase, life.deadline) == (after, 7.0)
        return
    with pytest.raises(TransitionError, match=f"{after.name} cannot follow {before.name}"):
        life.enter(after)
    assert life.phase is before


def test_every_phase_leads_to_the_end() -> None:
    reached = {Phase.ENDED}
    while before := {phase for phase, other in ALLOWED if other in reached} - reached:
        reached |= before
    assert reached == set(Phase)


def test_the_picture_shows_the_table() -> None:
    drawn = set[tuple[Phase, Phase]]()
    for line in re.findall(r"^    (\S.*)$", phases.__doc__ or "", re.MULTILINE):
        steps = [[Phase[name] for name in step.split(", ")] for step in re.split(r" ?--.+?--> ?", line)]
        for befores, afters in pairwise(steps):
            drawn |= set(product(befores, afters))
    assert drawn == ALLOWED - {(Phase.ENDED, Phase.ENDED)}


@pytest.mark.parametrize(("now", "expected"), [(9.9, False), (10.0, True), (11.0, True)])
def test_a_phase_is_late_from_its_deadline_on(now: float, expected: bool) -> None:
    assert LifecycleState(Phase.ANNOUNCING, deadline=10.0).is_late(now) is expected
