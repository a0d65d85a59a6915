"""Where a rollout stands: its state, its percent, and the evidence since the step began. Plain data, to be stored."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from strangler.core.rollout.evidence import ArmCounts, StepCounts
from strangler.core.rollout.judgement import WHOLE, LookRecord
from strangler.core.rollout.machine import RolloutEvent, RolloutState, next_rollout_state
from strangler.core.rollout_settings import RolloutSettings

MAX_LOOKS = 20
"""The last looks that a position remembers."""


class WaitsFor(StrEnum):
    START = "start"
    RESUME = "resume"
    EVIDENCE = "evidence"
    HOLD = "hold"
    GATE = "gate"
    APPROVAL = "approve"
    WINDOW = "within"
    KILL_SWITCH = "kill_switch"


@dataclass(frozen=True, slots=True)
class Fall:
    """How often a rollout has failed at a percent since a person last started or resumed it."""

    percent: float
    times: int


@dataclass(frozen=True, slots=True)
class Position:
    state: RolloutState = RolloutState.WAITING
    percent: float = 0.0
    since: float = 0.0  # when the evidence began: the step, or the last resumption on it
    counts: StepCounts = field(default_factory=StepCounts)
    reference: ArmCounts = field(default_factory=ArmCounts)  # legacy's counts of the steps before, summed
    reference_from: float = 0.0  # the percent that the sum begins with; 0: before the first step
    failed_looks: int = 0  # in a row
    falls: tuple[Fall, ...] = ()
    looks: tuple[LookRecord, ...] = ()  # the last ones, in order
    looked_at: float | None = None  # None: not on this step yet
    approved: float | None = None  # the percent that a person has allowed to enter
    announced: float | None = None  # the percent whose missing approval was announced
    announced_at: float | None = None  # when it was
    is_overridden: bool = False  # by the kill switch, or a route that is disabled
    waits_for: WaitsFor | None = WaitsFor.START
    until: float | None = None  # when what it waits for will be there, if that is a matter of time
    moves: int = 0  # how often its percent has changed

    def after(self, event: RolloutEvent) -> "Position":
        """Return the position in the state that follows."""
        return replace(self, state=next_rollout_state(self.state, event))

    def afresh(self, now: float) -> "Position":
        """Return the position with evidence that begins now."""
        return replace(self, since=now, counts=StepCounts(), failed_looks=0, looked_at=None)

    def at_percent(self, percent: float, now: float) -> "Position":
        """Return the position on another step, whose evidence begins now."""
        after = replace(
            self.afresh(now),
            percent=percent,
            approved=None,
            announced=None,
            announced_at=None,
            moves=self.moves + (percent != self.percent),
        )
        legacy = self.counts.legacy
        if not legacy.requests or self.percent >= WHOLE:
            return after
        if self.reference_from:
            legacy = self.reference.plus(legacy) if self.percent else legacy
        return replace(after, reference=legacy, reference_from=self.percent and (self.reference_from or self.percent))

    def fallen(self) -> "Position":
        """Return the position with one more fall from its percent."""
        others = tuple(fall for fall in self.falls if fall.percent != self.percent)
        return replace(self, falls=(*others, Fall(self.percent, self.falls_here + 1)))

    @property
    def falls_here(self) -> int:
        return next((fall.times for fall in self.falls if fall.percent == self.percent), 0)


def step_above(settings: RolloutSettings, percent: float) -> float | None:
    """Return the next percent on the way up; None on the last step."""
    return next((step for step in settings.steps if step > percent), None)


def step_below(settings: RolloutSettings, percent: float) -> float:
    """Return the next percent on the way down, which ends at 0."""
    return max((step for step in settings.steps if step < percent), default=0.0)


def step_number(settings: RolloutSettings, percent: float) -> int:
    """Return the number of the step that is reached at a percent: 0 before the first."""
    return sum(step <= percent for step in settings.steps)


def awaits(position: Position, percent: float | None, announced_at: float) -> bool:
    """Return whether exactly this announcement of a missing approval still waits for it: its percent, and its time."""
    return (
        position.announced == percent
        and position.announced_at == announced_at
        and position.approved != position.announced
    )
