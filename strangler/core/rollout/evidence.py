"""The evidence of a rollout: what both arms served since the step began. Counts alone, which can be kept and summed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from strangler.core.gate import Verdict
from strangler.core.ledger.counts import summed_buckets
from strangler.core.rollout.caller_sketch import CallerSketch
from strangler.core.rollout.latency import PairedTimes


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """The requests that an arm served. A request failed if its response was a 5xx, or if there was none (a fault)."""

    requests: int = 0
    failed: int = 0
    buckets: tuple[int, ...] = ()  # by time; empty before the first

    def plus(self, other: "ArmCounts") -> "ArmCounts":
        buckets = tuple(summed_buckets(self.buckets, other.buckets))
        return ArmCounts(self.requests + other.requests, self.failed + other.failed, buckets)


@dataclass(frozen=True, slots=True)
class StepCounts:
    """The counts of both arms, the callers of the candidate, and times of the same requests at both arms."""

    legacy: ArmCounts = ArmCounts()
    candidate: ArmCounts = ArmCounts()
    callers: CallerSketch = field(default_factory=CallerSketch)
    paired: PairedTimes = field(default_factory=PairedTimes)

    def plus(self, other: "StepCounts") -> "StepCounts":
        own, more = self.paired, other.paired
        return StepCounts(
            self.legacy.plus(other.legacy),
            self.candidate.plus(other.candidate),
            self.callers.merged(other.callers),
            PairedTimes(own.slower + more.slower, own.faster + more.faster, own.pairs + more.pairs),
        )


@dataclass(frozen=True, slots=True)
class Numbers:
    """All that a rollout is moved by: the counts since it was last moved or looked at, and the route's gate now."""

    counts: StepCounts
    bounds_s: Sequence[float]
    """The upper bounds of the buckets of times, of which there is one more."""
    gate: Verdict = Verdict.NOT_ENOUGH_EVIDENCE
