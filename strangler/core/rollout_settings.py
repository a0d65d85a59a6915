"""The settings of a rollout: the percents that it climbs, and what it takes to climb or to come down.

Durations are in seconds, shares from 0 to 1, percents from 0 to 100.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """The least that the candidate must have served on a step before the step can be good."""

    requests: int = 500
    callers: int = 20


@dataclass(frozen=True, slots=True)
class ErrorSettings:
    """The candidate's share of failures may be `ratio` times legacy's in the same time, and `floor` more."""

    ratio: float = 1.5
    floor: float = 0.001


@dataclass(frozen=True, slots=True)
class LatencySettings:
    """The candidate's 95th percentile may be `ratio` times legacy's."""

    ratio: float = 1.3


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    steps: tuple[float, ...] = (1.0, 5.0, 25.0, 50.0, 100.0)
    hold_s: float = 1800.0  # least time on a step
    evidence: EvidenceSettings = EvidenceSettings()
    look_s: float = 60.0
    errors: ErrorSettings = ErrorSettings()
    latency: LatencySettings | None = LatencySettings()  # None: not looked at
    gate: Literal["never", "first", "every"] = "every"
    failed_looks: int = 3  # in a row
    then: Literal["step_back", "zero", "pause"] = "step_back"
    back_hold_s: float = 120.0  # least time on a step on the way down
    approve: tuple[float, ...] = ()  # percents that a person allows before they are entered
    within: str | None = None  # steps up happen then only
