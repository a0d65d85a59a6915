"""The times of requests that shadows send to both arms, as evidence of a rollout."""

from dataclasses import dataclass, field
from typing import Final

from strangler.core.rollout.latency import MIN_PAIRS, PairedTimes, p95_s, paired_times

_MAX_TIMES: Final = 500
"""The last times of legacy that its percentile is taken from."""


@dataclass(slots=True)
class PairsState:
    """Legacy's last times. Its percentile is taken from those before the evidence began, or, if these are too few, from
    the first since then: never from a pair that is counted by it."""

    legacy_times: list[float] = field(default_factory=list)
    p95_s: float | None = None
    """None: not known yet, so that no pair is counted."""

    def begin(self) -> None:
        """Begin new evidence."""
        self.p95_s = p95_s(self.legacy_times) if len(self.legacy_times) >= MIN_PAIRS else None

    def count(self, legacy_s: float, candidate_s: float, ratio: float) -> PairedTimes:
        """Return the counts of one pair, which are none while legacy's percentile is not known."""
        known = self.p95_s
        self.legacy_times = [*self.legacy_times, legacy_s][-_MAX_TIMES:]
        if known is not None:
            return paired_times([(legacy_s, candidate_s)], known, ratio)
        self.begin()
        return PairedTimes()
