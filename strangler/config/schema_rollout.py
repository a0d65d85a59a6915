"""The keys of `rollout`: the steps of a route's percent, and what it takes to climb them or to come down."""

from typing import Annotated, Literal

from strangler.config import quantities, scalars
from strangler.config import types as t
from strangler.config.leaf import leaf
from strangler.config.section import Section, key
from strangler.config.types import LIST, whole, word
from strangler.core.rollout_rules import MAX_CALLERS
from strangler.core.rollout_settings import LatencySettings, RolloutSettings

MAX_FAILED_LOOKS = 1000
_MAX_RATIO = 1000.0
_MAX_REQUESTS = 1_000_000_000
_USUAL = RolloutSettings()
_EXAMPLE = "mon-fri 09:00-17:00 Europe/Berlin"
_WRITE = f'write days, hours and a time zone such as "{_EXAMPLE}"'

Ratio = Annotated[
    float,
    *leaf(
        quantities.decimal_number(1, _MAX_RATIO),
        "number, 1 to 1000",
        "write a number such as 1.5",
        {"type": "number", "minimum": 1, "maximum": _MAX_RATIO},
        {"type": "string", "pattern": quantities.NUMBER_PATTERN},
    ),
]
MaybeWindows = Annotated[
    str | None, *leaf(scalars.line, "days, hours and time zone, or null", _WRITE, {"type": "string"}, nullable=True)
]


class RolloutEvidence(Section):
    requests: Annotated[int, *whole(1, _MAX_REQUESTS)] = key(
        _USUAL.evidence.requests, "Fewest requests that the candidate must have served on a step.", "2000"
    )
    callers: Annotated[int, *whole(1, MAX_CALLERS)] = key(
        _USUAL.evidence.callers,
        "Fewest callers that they must come from, told apart by `split.sticky`. With 1 a single caller may decide.",
        "50",
    )


class RolloutErrors(Section):
    ratio: Ratio = key(
        _USUAL.errors.ratio, "The candidate's share of 5xx and faults may be so many times legacy's.", "2"
    )
    floor: t.Share = key(_USUAL.errors.floor, "What may come on top of that.", "1%")


class RolloutLatency(Section):
    ratio: Ratio = key(
        LatencySettings().ratio, "The candidate's 95th percentile may be so many times legacy's; above 1.", "1.5"
    )


class RolloutBack(Section):
    hold: t.Duration = key(_USUAL.back_hold_s, "Least time on a step on the way down.", "10m")


class Rollout(Section):
    steps: Annotated[tuple[t.Percent, ...], LIST] = key(
        _USUAL.steps, "The percents, one after the other.", "[1, 5, 25, 50, 100]"
    )
    hold: t.Duration = key(_USUAL.hold_s, "Least time on a step.", "2h")
    evidence: RolloutEvidence = key(
        RolloutEvidence, "What the candidate must have served on a step before it is judged.", "{requests: 2000}"
    )
    look: t.LongerDuration = key(_USUAL.look_s, "How often the step is judged.", "5m")
    errors: RolloutErrors = key(RolloutErrors, "How often the candidate may fail.", "{floor: 1%}")
    latency: RolloutLatency | None = key(
        RolloutLatency, "How much longer the candidate may take; null: not looked at.", "{ratio: 1.5}"
    )
    gate: Annotated[Literal["never", "first", "every"], *word("never", "first", "every")] = key(
        _USUAL.gate, "The steps up before which the route's gate must hold.", "first"
    )
    failed_looks: Annotated[int, *whole(1, MAX_FAILED_LOOKS)] = key(
        _USUAL.failed_looks, "Bad looks in a row after which `then` happens.", "5"
    )
    then: Annotated[Literal["step_back", "zero", "pause"], *word("step_back", "zero", "pause")] = key(
        _USUAL.then, "One step down, down to 0 % by steps, or no step at all and a pause.", "zero"
    )
    back: RolloutBack = key(RolloutBack, "The way down.", "{hold: 10m}")
    approve: Annotated[tuple[t.Percent, ...], LIST] = key(
        _USUAL.approve, "Steps that are entered only after `strangler rollout approve`.", "[50, 100]"
    )
    within: MaybeWindows = key(
        _USUAL.within,
        "When steps up may happen, by the wall clock of a zone; several with commas; null: at any time.",
        f'"{_EXAMPLE}"',
    )
