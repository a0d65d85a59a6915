"""A year of rollouts in about a second: what each does, day by day, with nights, weekends, faults and people."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from strangler.core.gate import Verdict
from strangler.core.rollout.advance import Change, ChangeKind, advance, happen
from strangler.core.rollout.evidence import ArmCounts, Numbers, StepCounts
from strangler.core.rollout.machine import RolloutEvent
from strangler.core.rollout.position import Position
from strangler.core.rollout_settings import RolloutSettings
from tests.core.rollout.draws import BOUNDS_S, even_callers, times

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_S = 3600.0
PLAN = RolloutSettings(
    hold_s=4 * HOUR_S, look_s=4 * HOUR_S, approve=(50.0,), within="mon-fri 09:00-17:00 Europe/Berlin"
)
FIRST = datetime(2026, 1, 5, 0, 0, tzinfo=BERLIN).timestamp()
FAULTY_DAYS = (1, 2)
"""On these days of a rollout, Tuesday and Wednesday, the candidate fails 3 % of its requests at 25 %."""


def served(now: float, percent: float, is_faulty: bool) -> Numbers:
    """Return the counts of four hours: 200,000 requests by day, none at night."""
    hour = datetime.fromtimestamp(now, BERLIN).hour
    total = 200_000 if 7 <= hour < 22 else 0
    own = int(total * percent / 100)
    fails = 0.03 if is_faulty and percent == 25 else 0.002
    arms = [
        ArmCounts(requests, int(requests * share), times(requests))
        for requests, share in ((total - own, 0.002), (own, fails))
    ]
    callers = even_callers(own) if own else StepCounts().callers
    return Numbers(StepCounts(arms[0], arms[1], callers), BOUNDS_S, Verdict.READY)


def test_a_year_of_rollouts() -> None:
    """Four weeks each, thirteen in a row; all of them are stored and restored once a day."""
    position, changes = Position(), list[Change]()
    for hour in range(0, 13 * 4 * 7 * 24, 4):
        now, day = FIRST + hour * HOUR_S, hour // 24 % (4 * 7)
        if not hour % (4 * 7 * 24):
            position = Position()
            position, _ = happen(position, PLAN, RolloutEvent.START, now)
        if not hour % 24:
            position = msgspec.json.decode(msgspec.json.encode(position), type=Position)
            if position.waits_for == "approve" and datetime.fromtimestamp(now, BERLIN).weekday() == 3:
                position, _ = happen(position, PLAN, RolloutEvent.APPROVE, now)
            if position.state == "paused":
                position, _ = happen(position, PLAN, RolloutEvent.RESUME, now)
        found = served(now, position.percent, day in FAULTY_DAYS)
        position, more = advance(position, PLAN, now, found)
        changes += more
    ups = [
        change for change in changes if change.to_percent > change.from_percent and change.kind is ChangeKind.STEPPED
    ]
    downs = [change for change in changes if change.to_percent < change.from_percent]
    assert [change.kind for change in changes].count(ChangeKind.DONE) == 13
    for change in ups:
        local = datetime.fromtimestamp(change.at, BERLIN)
        assert local.weekday() < 5
        assert 9 <= local.hour < 17, "also after clocks have changed"
    assert {change.kind for change in downs} == {ChangeKind.FAILED}
    assert {(change.from_percent, change.to_percent) for change in downs} == {(25, 5)}
    assert len(downs) >= 13
    approved = [datetime.fromtimestamp(change.at, BERLIN) for change in ups if change.to_percent == 50]
    assert len(approved) == 13


def test_a_year_without_enough_traffic_moves_nothing() -> None:
    settings = replace(PLAN, within=None, hold_s=0)
    position, _ = happen(Position(), settings, RolloutEvent.START, FIRST)
    position, _ = advance(position, settings, FIRST, served(FIRST, 0, is_faulty=False))
    for day in range(365):
        few = StepCounts(ArmCounts(100, 0, times(100)), ArmCounts(1, 0, (0, 0, 1, *[0] * 12)), even_callers(1, 1))
        position, changes = advance(
            position, settings, FIRST + (day + 1) * 86_400, Numbers(few, BOUNDS_S, Verdict.READY)
        )
        assert not changes
    assert position.percent == 1.0
    assert position.counts.candidate.requests == 365
