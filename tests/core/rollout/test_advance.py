"""How a rollout moves: one table of cases, and laws that hold whatever happens."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.gate import Verdict, worst
from strangler.core.opening_windows import opening_windows
from strangler.core.rollout.advance import Change, ChangeKind, advance, happen, needs_gate
from strangler.core.rollout.evidence import Numbers, StepCounts
from strangler.core.rollout.judgement import LookVerdict
from strangler.core.rollout.machine import COMMANDS, NoTransitionError, RolloutEvent, RolloutState
from strangler.core.rollout.position import MAX_LOOKS, Position, WaitsFor, step_above, step_below, step_number
from strangler.core.rollout_settings import RolloutSettings
from tests.core.rollout.draws import BAD, BOUNDS_S, GOOD, NOTHING, TOO_FEW

MINUTE = 60.0
PLAN = RolloutSettings(hold_s=600, gate="never")
E = RolloutEvent


class Climb:
    """A rollout with its clock: what happened, and the changes so far."""

    def __init__(self, plan: RolloutSettings = PLAN, now: float = 0.0) -> None:
        self.plan, self.now, self.position = plan, now, Position()
        self.changes: list[Change] = []

    def on(self, *events: RolloutEvent) -> "Climb":
        for event in events:
            self.position, changes = happen(self.position, self.plan, event, self.now)
            self.changes += changes
        return self

    def look(self, found: Numbers, times: int = 1, every_s: float = MINUTE) -> "Climb":
        for _ in range(times):
            self.now += every_s
            self.position, changes = advance(self.position, self.plan, self.now, found)
            self.changes += changes
        return self

    def to(self, percent: float) -> "Climb":
        """Climb with good looks."""
        self.on(E.START)
        for _ in range(100):
            if self.position.percent >= percent:
                return self
            self.look(GOOD)
        raise AssertionError(f"it stays at {self.position}")

    @property
    def at(self) -> tuple[str, float]:
        return self.position.state.value, self.position.percent

    @property
    def percents(self) -> list[float]:
        return [change.to_percent for change in self.changes if change.from_percent != change.to_percent]


def test_a_written_plan_waits_for_a_start() -> None:
    climb = Climb().look(GOOD, times=100)
    assert climb.at == ("waiting", 0.0)
    assert climb.position.waits_for is WaitsFor.START
    assert climb.on(E.START).look(NOTHING).at == ("running", 1.0)


def test_good_looks_climb_all_steps_and_end() -> None:
    climb = Climb().to(100).look(GOOD, times=10)
    assert climb.percents == [1, 5, 25, 50, 100]
    assert climb.at == ("done", 100.0)
    assert climb.changes[-1].kind is ChangeKind.DONE
    assert climb.position.waits_for is None
    assert climb.now == MINUTE + 5 * 600, "no step is shorter or longer than its hold"
    steps = [change for change in climb.changes if change.kind is ChangeKind.STEPPED]
    assert steps[0].look is None
    assert all(change.look is not None and change.look.verdict is LookVerdict.GOOD for change in steps[1:])


def test_a_plan_may_end_below_100_percent() -> None:
    climb = Climb(replace(PLAN, steps=(1.0, 25.0))).to(25).look(GOOD, times=10)
    assert climb.at == ("done", 25.0)


@pytest.mark.parametrize("found", [NOTHING, TOO_FEW], ids=["nothing", "too few"])
def test_not_enough_moves_nothing_for_weeks(found: Numbers) -> None:
    climb = Climb().to(1)
    for _ in range(2000):
        climb.look(NOTHING)
    assert climb.look(found).at == ("running", 1.0)
    assert climb.position.waits_for is WaitsFor.EVIDENCE
    assert len(climb.position.looks) == MAX_LOOKS


def test_the_first_step_is_held_like_any_other() -> None:
    climb = Climb().on(E.START).look(NOTHING)
    assert (climb.position.percent, climb.position.until) == (1.0, climb.now + PLAN.hold_s)


def test_good_evidence_waits_for_the_hold() -> None:
    climb = Climb().to(5).look(GOOD)
    assert climb.position.waits_for is WaitsFor.HOLD
    assert climb.position.until == climb.position.since + 600


def test_evidence_begins_anew_with_each_step() -> None:
    climb = Climb().to(5)
    assert climb.position.counts == StepCounts()
    assert climb.position.reference.requests > 0
    climb.look(NOTHING, times=30)
    assert climb.at == ("running", 5.0)
    assert climb.position.looks[-1].candidate.requests == 0


def test_looks_are_no_more_frequent_than_they_should_be() -> None:
    climb = Climb(replace(PLAN, look_s=300)).to(1)
    looks = len(climb.position.looks)
    climb.look(BAD, times=40, every_s=10)
    assert len(climb.position.looks) - looks == 1


@pytest.mark.parametrize(
    ("then", "after", "percents"),
    [
        ("step_back", ("running", 5.0), [1, 5, 25, 5]),
        ("zero", ("backing", 5.0), [1, 5, 25, 5]),
        ("pause", ("paused", 25.0), [1, 5, 25]),
    ],
)
def test_bad_looks_in_a_row_do_what_the_plan_says(then: str, after: tuple[str, float], percents: list[float]) -> None:
    climb = Climb(replace(PLAN, then=then)).to(25)  # type: ignore[arg-type]
    climb.look(BAD, times=2)
    assert climb.at == ("running", 25.0)
    climb.look(BAD)
    assert climb.at == after
    assert climb.percents == percents
    failed = next(change for change in climb.changes if change.kind is ChangeKind.FAILED)
    assert failed.look is not None
    assert failed.look.verdict is LookVerdict.BAD


@pytest.mark.parametrize("is_back", [False, True], ids=["up", "down"])
def test_a_clock_that_was_set_back_by_a_day_holds_nothing_up(is_back: bool) -> None:
    climb = Climb().to(25)
    climb.on(*[E.BACK] if is_back else [])
    before, climb.now = climb.position, climb.now - 24 * 60 * MINUTE
    assert climb.look(NOTHING).position.percent == before.percent
    assert climb.position.until == climb.now + (PLAN.back_hold_s if is_back else PLAN.hold_s)
    climb.look(GOOD, times=12)
    assert climb.position.percent == (0 if is_back else 50)


def test_a_clock_that_was_set_forward_by_a_day_steps_once() -> None:
    climb = Climb().to(25)
    climb.now += 24 * 60 * MINUTE
    climb.look(GOOD)
    assert climb.position.percent == 50
    climb.look(GOOD, times=9)
    assert climb.position.percent == 50, "each step is held for its own time"


def test_a_good_look_ends_a_row_of_bad_ones_and_not_enough_does_not() -> None:
    climb = Climb().to(5).look(BAD)
    assert climb.position.failed_looks == 1
    climb.position = replace(climb.position, counts=StepCounts())
    climb.look(NOTHING)
    assert climb.position.failed_looks == 1
    climb.look(GOOD)
    assert climb.position.failed_looks == 0


def test_zero_goes_down_by_steps_and_is_paused() -> None:
    climb = Climb(replace(PLAN, then="zero")).to(25).look(BAD, times=3)
    began = climb.now
    climb.look(NOTHING, times=10)
    assert climb.percents == [1, 5, 25, 5, 1, 0]
    assert climb.at == ("paused", 0.0)
    assert [change.at - began for change in climb.changes[-2:]] == [120, 240]


def test_the_second_fall_from_one_percent_pauses() -> None:
    climb = Climb().to(5).look(BAD, times=3)
    assert climb.at == ("running", 1.0)
    climb.look(GOOD, times=10)
    assert climb.at == ("running", 5.0)
    climb.look(BAD, times=3)
    assert climb.at == ("paused", 1.0)
    assert climb.changes[-1].kind is ChangeKind.WAITING
    assert climb.on(E.RESUME).look(GOOD, times=10).look(BAD, times=3).at == ("running", 1.0), "a person began anew"


def test_a_fall_from_the_first_step_holds_before_it_begins_again() -> None:
    climb = Climb().to(1).look(BAD, times=3)
    fell = climb.now
    assert climb.at == ("running", 0.0)
    climb.look(NOTHING, times=10)
    assert climb.at == ("running", 1.0)
    assert climb.position.since - fell == 600
    assert climb.look(BAD, times=3).at == ("paused", 0.0)


def test_an_open_breaker_is_zero_at_once() -> None:
    climb = Climb().to(50).on(E.BREAKER_OPENED)
    assert climb.at == ("paused", 0.0)
    assert climb.position.waits_for is WaitsFor.RESUME
    assert climb.changes[-1] == Change(ChangeKind.FAILED, climb.now, 50, 0, "the candidate's breaker opened")
    assert climb.on(E.RESUME).look(NOTHING).at == ("running", 1.0)


def test_the_kill_switch_keeps_the_position_and_begins_evidence_anew() -> None:
    climb = Climb().to(25).look(GOOD).on(E.KILL_SWITCH_ON)
    climb.look(GOOD, times=100).look(BAD, times=100)
    assert climb.at == ("running", 25.0)
    assert climb.position.waits_for is WaitsFor.KILL_SWITCH
    freed = climb.now
    climb.on(E.KILL_SWITCH_OFF)
    assert climb.position.counts == StepCounts()
    climb.look(GOOD, times=10)
    assert climb.at == ("running", 50.0)
    assert climb.position.since - freed == 600, "it holds again"


def test_commands_while_the_kill_switch_is_on_change_what_is_done_after_it() -> None:
    climb = Climb().to(25).on(E.KILL_SWITCH_ON, E.PAUSE)
    assert climb.position.waits_for is WaitsFor.KILL_SWITCH
    assert climb.on(E.KILL_SWITCH_OFF).position.waits_for is WaitsFor.RESUME
    assert climb.look(GOOD, times=20).at == ("paused", 25.0)


def test_legacy_before_the_cut_over_is_remembered() -> None:
    """On the last step legacy serves nobody; after a fall and another climb its counts of before still stand in."""
    climb = Climb().to(100)
    known = climb.position.reference
    assert known.requests > 0
    alone = Numbers(replace(BAD.counts, legacy=NOTHING.counts.legacy), BOUNDS_S, Verdict.READY)
    assert climb.look(alone, times=3).at == ("running", 50.0)
    assert climb.position.reference == known


def test_legacy_is_remembered_over_all_steps_and_not_from_before_the_first() -> None:
    """A step that is short, as after a night, leaves few counts of legacy: too few to clear a candidate at 100 %."""
    climb = Climb().look(GOOD, times=50).on(E.START).look(NOTHING)
    waited = climb.position.reference.requests
    assert (waited, climb.position.reference_from) == (50 * 200_000, 0.0)
    climb.look(GOOD, times=10)
    first = climb.position.reference.requests
    assert (first, climb.position.reference_from) == (10 * 200_000, 1.0)
    climb.look(GOOD, times=10)
    assert (climb.position.reference.requests, climb.position.reference_from) == (2 * first, 1.0)
    climb.on(E.BREAKER_OPENED, E.RESUME).look(GOOD)
    assert (climb.position.reference.requests, climb.position.reference_from) == (200_000, 0.0)


def test_back_goes_down_by_steps() -> None:
    climb = Climb().to(100).look(GOOD, times=10).on(E.BACK)
    assert climb.at == ("backing", 50.0)
    climb.look(BAD, times=20)
    assert climb.percents == [1, 5, 25, 50, 100, 50, 25, 5, 1, 0]
    assert climb.at == ("paused", 0.0)


def test_back_may_be_paused_and_resumed_upwards() -> None:
    climb = Climb().to(50).on(E.BACK, E.PAUSE)
    assert climb.look(GOOD, times=20).at == ("paused", 25.0)
    assert climb.on(E.RESUME).look(GOOD, times=10).at == ("running", 50.0)


def test_an_approval_is_needed_before_a_percent_is_entered() -> None:
    climb = Climb(replace(PLAN, approve=(25.0,))).to(5).look(GOOD, times=30).look(BAD).look(GOOD, times=30)
    assert climb.at == ("running", 5.0)
    assert climb.position.waits_for is WaitsFor.APPROVAL
    assert [change.kind for change in climb.changes].count(ChangeKind.WAITING) == 1, "it is said once"
    assert climb.on(E.APPROVE).look(GOOD).at == ("running", 25.0)
    assert climb.position.approved is None


def test_what_is_approved_waits_for_the_next_look_and_for_no_person() -> None:
    climb = Climb(replace(PLAN, approve=(25.0,))).to(5).look(GOOD, times=30)
    assert climb.position.waits_for is WaitsFor.APPROVAL
    assert climb.on(E.APPROVE).position.waits_for is WaitsFor.EVIDENCE
    early = Climb(replace(PLAN, approve=(25.0,))).to(5)
    before = early.position.waits_for
    assert early.on(E.APPROVE).position.waits_for is before, "an approval in advance changes nothing else"


def test_an_approval_is_spent_by_a_fall() -> None:
    climb = Climb(replace(PLAN, approve=(25.0,))).to(5).on(E.APPROVE).look(BAD, times=3)
    assert climb.at == ("running", 1.0)
    assert climb.look(GOOD, times=30).at == ("running", 5.0)
    assert climb.on(E.APPROVE).position.approved == 25.0


def test_a_percent_is_approved_once() -> None:
    climb = Climb(replace(PLAN, approve=(25.0,))).to(5).on(E.APPROVE)
    approved = climb.position
    with pytest.raises(NoTransitionError, match="25 % is approved already"):
        climb.on(E.APPROVE)
    assert climb.position == approved


@pytest.mark.parametrize(
    ("percent", "message"),
    [
        (1.0, "5 %, the next step, needs no approval; the next that does is 25 %"),
        (25.0, "50 %, the next step, needs no approval; no later step does"),
        (100.0, "the last step is reached"),
    ],
)
def test_nothing_is_approved_that_waits_for_no_approval(percent: float, message: str) -> None:
    climb = Climb(replace(PLAN, approve=(25.0,)))
    climb.position = replace(climb.position, state=RolloutState.RUNNING, percent=percent)
    with pytest.raises(NoTransitionError, match=message):
        climb.on(E.APPROVE)


@pytest.mark.parametrize(
    ("gate", "blocked_at"), [("never", None), ("first", 0.0), ("every", 0.0)], ids=["never", "first", "every"]
)
def test_the_gate_must_hold_before_a_step_up(gate: str, blocked_at: float | None) -> None:
    closed = Numbers(GOOD.counts, BOUNDS_S, Verdict.NOT_ENOUGH_EVIDENCE)
    climb = Climb(replace(PLAN, gate=gate)).on(E.START).look(closed, times=30)  # type: ignore[arg-type]
    assert (climb.position.percent == 0.0) is (blocked_at == 0.0)
    climb = Climb(replace(PLAN, gate=gate)).to(1).look(closed, times=30)  # type: ignore[arg-type]
    assert (climb.position.percent == 1.0) is (gate == "every")
    assert (climb.position.waits_for is WaitsFor.GATE) is (gate == "every")
    assert climb.position.percent <= 1.0 or climb.look(BAD, times=3).changes, "downwards no gate is asked"


def test_steps_up_wait_for_a_window_and_steps_down_do_not() -> None:
    friday = datetime(2026, 11, 27, 16, 55, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    climb = Climb(replace(PLAN, within="mon-fri 09:00-17:00 Europe/Berlin"), friday).to(1).look(GOOD, times=60)
    assert climb.at == ("running", 1.0)
    assert climb.position.waits_for is WaitsFor.WINDOW
    monday = datetime(2026, 11, 30, 9, 0, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    assert climb.position.until == monday
    climb.now = monday - MINUTE
    assert climb.look(GOOD).at == ("running", 5.0)
    climb.now = monday + 11 * 3600
    assert climb.look(BAD, times=3).at == ("running", 1.0)


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        pytest.param((5.0, 25.0, 80.0), "running", id="kept, with other steps around"),
        pytest.param((5.0, 30.0, 100.0), "paused", id="gone"),
    ],
)
def test_a_changed_plan_keeps_its_percent_if_that_is_still_a_step(steps: tuple[float, ...], state: str) -> None:
    climb = Climb().to(25)
    climb.plan = replace(PLAN, steps=steps)
    assert climb.on(E.PLAN_CHANGED).at == (state, 25.0)
    following = step_above(climb.plan, 25.0)
    if state == "paused":
        assert climb.changes[-1].kind is ChangeKind.WAITING
        climb.on(E.RESUME)
    assert climb.look(GOOD, times=10).at == ("running", following)


def test_a_start_goes_on_from_the_percent_that_was_in_force() -> None:
    climb = Climb()
    climb.position = Position(percent=25.0)
    climb.look(GOOD, times=10)
    assert climb.at == ("waiting", 25.0)
    assert climb.on(E.START).at == ("running", 25.0)
    assert climb.position.counts == StepCounts()
    assert climb.position.waits_for is WaitsFor.EVIDENCE
    assert climb.look(GOOD, times=10).at == ("running", 50.0)
    assert climb.percents == [50]


def test_a_start_may_go_on_from_a_percent_that_is_no_step() -> None:
    climb = Climb()
    climb.position = Position(percent=30.0)
    assert climb.on(E.START).look(BAD, times=3).at == ("running", 25.0)
    climb = Climb()
    climb.position = Position(percent=30.0)
    assert climb.on(E.START).look(GOOD, times=10).at == ("running", 50.0)


def test_a_rollout_that_was_never_started_waits_on_whatever_its_plan_becomes() -> None:
    climb = Climb(replace(PLAN, steps=(10.0, 60.0)))
    climb.position = Position(percent=25.0)
    assert climb.on(E.PLAN_CHANGED).at == ("waiting", 25.0)
    assert climb.changes == []
    assert climb.on(E.BREAKER_OPENED).at == ("waiting", 0.0)
    assert climb.position.waits_for is WaitsFor.START


def test_an_announcement_has_its_time_until_the_next_move() -> None:
    climb = Climb(replace(PLAN, approve=(5.0,))).to(1).look(GOOD, times=20)
    announced = next(change for change in climb.changes if change.kind is ChangeKind.WAITING)
    assert climb.position.announced_at == announced.at
    after = climb.on(E.APPROVE).look(GOOD).position
    assert after.percent == 5.0
    assert after.announced_at is None


def test_moves_are_counted_by_the_percent_alone() -> None:
    climb = Climb().to(25)
    assert climb.position.moves == 3
    climb.on(E.PAUSE, E.RESUME, E.KILL_SWITCH_ON, E.KILL_SWITCH_OFF)
    assert climb.position.moves == 3
    assert climb.on(E.BACK).position.moves == 4


@pytest.mark.parametrize("gate", ["never", "first", "every"])
def test_the_gate_is_found_only_where_it_may_decide(gate: str) -> None:
    """Wherever it is not needed, no verdict changes what happens."""
    climb = Climb(replace(PLAN, gate=gate))  # type: ignore[arg-type]
    climb.on(E.START)
    needed = []
    for _ in range(60):
        climb.now += MINUTE
        is_needed = needs_gate(climb.position, climb.plan, climb.now)
        results = {
            verdict: advance(climb.position, climb.plan, climb.now, replace(GOOD, gate=verdict)) for verdict in Verdict
        }
        if not is_needed:
            assert results[Verdict.READY] == results[Verdict.NOT_READY]
        elif results[Verdict.READY] != results[Verdict.NOT_READY]:
            needed.append(climb.position.percent)
        climb.position, _ = results[Verdict.READY]
    assert needed == {"never": [], "first": [0], "every": [0, 1, 5, 25, 50]}[gate]
    assert not needs_gate(replace(climb.position, is_overridden=True), climb.plan, climb.now)


def test_a_done_rollout_with_new_steps_waits_for_a_person() -> None:
    climb = Climb(replace(PLAN, steps=(1.0, 5.0))).to(5).look(GOOD, times=10)
    climb.plan = PLAN
    assert climb.on(E.PLAN_CHANGED).at == ("paused", 5.0)


def test_the_evidence_of_a_paused_rollout_is_forgotten_when_it_is_resumed() -> None:
    climb = Climb().to(5).on(E.PAUSE).look(BAD, times=50)
    assert climb.at == ("paused", 5.0)
    assert climb.position.looks[-1].verdict is LookVerdict.BAD, "looks go on, and move nothing"
    assert climb.on(E.RESUME).look(GOOD, times=10).at == ("running", 25.0)


@pytest.mark.parametrize("event", [E.RESUME, E.PAUSE, E.BACK, E.APPROVE])
def test_a_command_that_is_not_possible_changes_nothing_and_says_so(event: RolloutEvent) -> None:
    climb = Climb()
    with pytest.raises(NoTransitionError, match=r"the rollout is waiting: .* not possible now, but start"):
        climb.on(event)
    assert climb.position == Position()


def test_there_is_no_way_back_from_0_percent() -> None:
    climb = Climb().to(25).on(E.BREAKER_OPENED)
    with pytest.raises(NoTransitionError, match="at 0 % already"):
        climb.on(E.BACK)


def test_routes_of_a_group_climb_by_the_sum_of_their_evidence() -> None:
    both = GOOD.counts.plus(BAD.counts)
    assert both.candidate.requests == 22_000
    assert both.legacy.failed == 800
    assert worst([Verdict.READY, Verdict.NOT_ENOUGH_EVIDENCE]) is Verdict.NOT_ENOUGH_EVIDENCE
    assert worst([Verdict.NOT_ENOUGH_EVIDENCE, Verdict.NOT_READY]) is Verdict.NOT_READY
    assert worst([Verdict.READY]) is Verdict.READY


def test_steps_are_found_also_for_a_percent_between_them() -> None:
    assert (step_above(PLAN, 30.0), step_below(PLAN, 30.0), step_number(PLAN, 30.0)) == (50.0, 25.0, 3)
    assert (step_above(PLAN, 100.0), step_below(PLAN, 1.0), step_number(PLAN, 0.0)) == (None, 0.0, 0)


def test_a_position_is_stored_and_goes_on_as_it_was() -> None:
    climb = Climb(replace(PLAN, approve=(25.0,))).to(5).look(GOOD, times=4).look(BAD, times=1).on(E.APPROVE)
    stored = msgspec.json.encode(climb.position)
    assert len(stored) < 30_000
    restored = msgspec.json.decode(stored, type=Position)
    assert restored == climb.position
    now = climb.now + MINUTE
    assert advance(restored, climb.plan, now, GOOD) == advance(climb.position, climb.plan, now, GOOD)


NUMBERS = {"good": GOOD, "bad": BAD, "nothing": NOTHING, "too few": TOO_FEW}
NUMBERS["gate closed"] = Numbers(GOOD.counts, BOUNDS_S, Verdict.NOT_READY)
OUTSIDE = [
    *COMMANDS,
    E.BREAKER_OPENED,
    E.KILL_SWITCH_ON,
    E.KILL_SWITCH_OFF,
    E.PLAN_CHANGED,
    E.WINDOW_OPENED,
]
plans = st.builds(
    RolloutSettings,
    steps=st.sampled_from([(1.0, 5.0, 25.0, 50.0, 100.0), (10.0, 100.0), (100.0,), (0.5, 2.0)]),
    hold_s=st.sampled_from([0.0, 120.0]),
    look_s=st.sampled_from([60.0, 180.0]),
    gate=st.sampled_from(["never", "first", "every"]),
    failed_looks=st.integers(1, 3),
    then=st.sampled_from(["step_back", "zero", "pause"]),
    back_hold_s=st.sampled_from([0.0, 120.0]),
    approve=st.sampled_from([(), (100.0,)]),
    within=st.sampled_from([None, "00:00-00:20 UTC", "thu 00:10-01:00 UTC"]),
)
happenings = st.lists(st.one_of(st.sampled_from(sorted(NUMBERS)), st.sampled_from(OUTSIDE)), max_size=40)


def replayed(plan: RolloutSettings, what: Iterable[str]) -> Iterable[tuple[str, float, Position, Position, int]]:
    """Yield each happening with its time, the position before and after it, and the number of changes."""
    climb = Climb(plan)
    climb.on(E.START)
    for item in what:
        before, changes = climb.position, len(climb.changes)
        if isinstance(item, RolloutEvent):
            try:
                climb.on(item)
            except NoTransitionError:
                assert climb.position == before
        else:
            climb.look(NUMBERS[item])
        yield item, climb.now, before, climb.position, len(climb.changes) - changes


@settings(max_examples=60, deadline=None)
@given(plans, happenings)
def test_laws_of_every_rollout(plan: RolloutSettings, what: list[str]) -> None:
    """Whatever happens: the percent is a step; at most one step at a time; up by a good look alone, in a window, with a
    gate, with an approval, after the hold, and not under the kill switch; down by what is bad, or asked for."""
    ladder = (0.0, *plan.steps)
    windows = None if plan.within is None else opening_windows(plan.within)
    for item, now, before, after, changes in replayed(plan, what):
        assert after.percent in ladder
        assert len(after.looks) <= MAX_LOOKS
        move = ladder.index(after.percent) - ladder.index(before.percent)
        assert move <= 1
        assert move >= -1 or item is E.BREAKER_OPENED
        assert not move or changes, "nothing moves without a change that is announced"
        if move:
            assert after.counts == StepCounts()
            assert after.since == now
        if move > 0:
            assert before.state is RolloutState.RUNNING
            assert not before.is_overridden
            assert windows is None or windows.is_open(now)
            assert plan.gate != "every" or item != "gate closed"
            assert not before.percent or after.looks[-1].verdict is LookVerdict.GOOD
            assert not before.percent or now - before.since >= plan.hold_s
            assert after.percent not in plan.approve or before.approved == after.percent
        if move < 0 and item in NUMBERS and before.state is RolloutState.RUNNING:
            assert after.looks[-1].verdict is LookVerdict.BAD
        if len(after.looks) and after.looks != before.looks and after.looks[-1].verdict is LookVerdict.NOT_ENOUGH:
            assert (after.percent, after.state) == (before.percent, before.state)
        if before.is_overridden and item in NUMBERS:
            assert (after.percent, after.state, after.counts) == (before.percent, before.state, before.counts)
