"""A look at a step: whether the candidate does well, badly, or whether that cannot be said yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from strangler.core.ledger.counts import p95_ms
from strangler.core.rollout.caller_sketch import CallerCounts
from strangler.core.rollout.evidence import ArmCounts, StepCounts
from strangler.core.rollout.latency import (
    MIN_PAIRS,
    PairedTimes,
    paired_are_above,
    paired_are_below,
    times_are_above,
    times_are_below,
    times_ratio,
)
from strangler.core.rollout.two_shares import Share, is_above, is_below
from strangler.core.rollout_settings import RolloutSettings

WHOLE = 100.0


class LookVerdict(StrEnum):
    GOOD = "good"
    BAD = "bad"
    NOT_ENOUGH = "not_enough"


@dataclass(frozen=True, slots=True)
class ArmNumbers:
    requests: int
    failed: int
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class LookRecord:
    """One look, with all numbers that it was decided by: those since the step began."""

    at: float
    percent: float  # that of the step
    verdict: LookVerdict
    reasons: tuple[str, ...]
    legacy: ArmNumbers
    candidate: ArmNumbers
    callers: int


@dataclass(frozen=True, slots=True)
class _Finding:
    verdict: LookVerdict
    reason: str = ""


_GOOD = _Finding(LookVerdict.GOOD)


def look_at(
    counts: StepCounts,
    reference: ArmCounts,
    percent: float,
    settings: RolloutSettings,
    now: float,
    bounds_s: Sequence[float],
) -> LookRecord:
    """Judge a step by the counts since it began.

    At 100 % legacy serves nobody, so `reference` stands in: its counts of the steps before. One caller is no evidence,
    however many requests it makes, unless the settings say so (`evidence.callers: 1`): a look is bad if it is so
    without the busiest caller, and good if it is so with it and without it.
    """
    legacy = reference if percent >= WHOLE else counts.legacy
    candidate, busiest = counts.candidate, counts.callers.busiest_caller
    if settings.evidence.callers > 1:
        verdict, reasons = _verdict(_without(candidate, busiest), legacy, counts, settings, bounds_s)
        if verdict is LookVerdict.GOOD:
            verdict, reasons = _verdict(candidate, legacy, counts, settings, bounds_s)
            if verdict is not LookVerdict.GOOD:
                share = f"{busiest.requests} of the candidate's {candidate.requests} requests"
                reasons = (f"all is well but for one caller, which made {share}", *reasons)
                verdict = LookVerdict.NOT_ENOUGH
    else:
        verdict, reasons = _verdict(candidate, legacy, counts, settings, bounds_s)
    return LookRecord(
        at=now,
        percent=percent,
        verdict=verdict,
        reasons=reasons,
        legacy=_numbers(legacy, bounds_s),
        candidate=_numbers(counts.candidate, bounds_s),
        callers=counts.callers.callers,
    )


def _verdict(
    candidate: ArmCounts, legacy: ArmCounts, counts: StepCounts, settings: RolloutSettings, bounds_s: Sequence[float]
) -> tuple[LookVerdict, tuple[str, ...]]:
    findings = (
        _served(candidate, counts, settings),
        _errors(candidate, legacy, settings),
        _times(candidate, legacy, counts.paired, settings, bounds_s),
    )
    verdicts = {finding.verdict for finding in findings}
    verdict = next(each for each in (LookVerdict.BAD, LookVerdict.NOT_ENOUGH, LookVerdict.GOOD) if each in verdicts)
    return verdict, tuple(finding.reason for finding in findings if finding.verdict is verdict and finding.reason)


def _numbers(arm: ArmCounts, bounds_s: Sequence[float]) -> ArmNumbers:
    return ArmNumbers(arm.requests, arm.failed, p95_ms(arm.buckets, bounds_s))


def _without(candidate: ArmCounts, caller: CallerCounts) -> ArmCounts:
    """Return the candidate's counts without those of a caller."""
    buckets = (
        tuple(max(0, own - its) for own, its in zip(candidate.buckets, caller.buckets, strict=True))
        if caller.buckets
        else candidate.buckets
    )
    requests = max(0, candidate.requests - caller.requests)
    return ArmCounts(requests, min(requests, max(0, candidate.failed - caller.failed)), buckets)


def _served(candidate: ArmCounts, counts: StepCounts, settings: RolloutSettings) -> _Finding:
    needed, callers = settings.evidence, counts.callers.callers
    lacking = []
    if candidate.requests < needed.requests:
        lacking.append(f"{candidate.requests} of {needed.requests} requests")
    if callers < needed.callers:
        lacking.append(f"{callers} of {needed.callers} callers")
    if not lacking:
        return _GOOD
    return _Finding(LookVerdict.NOT_ENOUGH, f"the candidate has served {' and '.join(lacking)} on this step")


def _errors(candidate: ArmCounts, legacy: ArmCounts, settings: RolloutSettings) -> _Finding:
    ratio, floor = settings.errors.ratio, settings.errors.floor
    own, others = Share(candidate.failed, candidate.requests), Share(legacy.failed, legacy.requests)
    text = (
        f"the candidate failed {candidate.failed} of {candidate.requests} requests, legacy {legacy.failed} of"
        f" {legacy.requests}; allowed are {ratio:g} times legacy's share and {100 * floor:.3g} %"
    )
    if is_above(own, others, ratio, floor):
        return _Finding(LookVerdict.BAD, text)
    if is_below(own, others, ratio, floor):
        return _GOOD
    return _Finding(LookVerdict.NOT_ENOUGH, f"failures are not certain enough: {text}")


def _times(
    candidate: ArmCounts, legacy: ArmCounts, paired: PairedTimes, settings: RolloutSettings, bounds_s: Sequence[float]
) -> _Finding:
    if settings.latency is None:
        return _GOOD
    ratio = settings.latency.ratio
    own, others = p95_ms(candidate.buckets, bounds_s), p95_ms(legacy.buckets, bounds_s)
    if own is None or others is None:
        return _Finding(LookVerdict.NOT_ENOUGH, "times of both arms are needed")
    if paired.pairs >= MIN_PAIRS:
        above, below = paired_are_above(paired), paired_are_below(paired)
    else:
        above = times_are_above(legacy.buckets, candidate.buckets, bounds_s, ratio)
        below = not above and times_are_below(legacy.buckets, candidate.buckets, bounds_s, ratio)
    if below and not above:
        return _GOOD
    text = (
        f"the candidate's 95th percentile is {own:.4g} ms, legacy's {others:.4g} ms"
        f"{_interval(candidate, legacy, bounds_s)}; allowed is {ratio:g} times"
    )
    if above:
        return _Finding(LookVerdict.BAD, text)
    return _Finding(LookVerdict.NOT_ENOUGH, f"times are not certain enough: {text}")


def _interval(candidate: ArmCounts, legacy: ArmCounts, bounds_s: Sequence[float]) -> str:
    """Return the ratio of the percentiles with its interval, as text; nothing where there is none."""
    found = times_ratio(legacy.buckets, candidate.buckets, bounds_s)
    if found is None:
        return ""
    low = "0" if found.low is None else f"{found.low:.3g}"
    high = "any number" if found.high is None else f"{found.high:.3g}"
    return f", {found.value:.2f} times that (buckets tell: {low} to {high})"
