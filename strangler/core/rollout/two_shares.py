"""Whether the candidate's share of failures is above or below a limit made of legacy's, however often one looks.

The limit is `ratio x legacy's share + floor`. Neither share is known. For a supposed share of legacy's there are two
bets: the candidate's counts against the limit that follows from it, and legacy's counts against the supposition itself.
Every observation changes one of the two, so their product is a bet, too. If the product exceeds 20 for *every* supposed
share, the hypothesis is refuted as a whole, at any time and with a doubt of 5 %. Turner, Ly and Grünwald (2024) bet on
blocks of both arms; here the arms may have any sizes, and their counts are enough.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Final

from strangler.core.proportions import LOG_ENOUGH, Bets, log_evidence

_CANDIDATE_IS_LOWER: Final = Bets((0.0, 0.1, 0.25, 0.4, 0.6, 0.8), (0.4, 0.08, 0.12, 0.16, 0.14, 0.1))
_CANDIDATE_IS_HIGHER: Final = Bets((1.15, 1.4, 1.8, 2.5, 4.0, 8.0, 25.0), (0.1, 0.1, 0.15, 0.25, 0.2, 0.12, 0.08))
_LEGACY_IS_LOWER: Final = Bets((1.0, 0.97, 0.9, 0.8, 0.6, 0.4, 0.1, 0.0), (0.5, 0.1, 0.1, 0.1, 0.1, 0.05, 0.03, 0.02))
_LEGACY_IS_HIGHER: Final = Bets(
    (1.0, 1.03, 1.1, 1.25, 1.6, 2.5, 6.0, 25.0), (0.5, 0.1, 0.1, 0.1, 0.1, 0.05, 0.03, 0.02)
)
"""Legacy's bets keep half of the stake: near its true share nothing is to be gained, and nothing must be lost."""
_MAX_HALVINGS: Final = 40


@dataclass(frozen=True, slots=True)
class Share:
    """The failures among observations. Fractions are allowed: a failure that is known in part."""

    failed: float
    total: float

    @property
    def value(self) -> float:
        """The share itself; 0 without observations."""
        return self.failed / self.total if self.total else 0.0


def is_above(candidate: Share, legacy: Share, ratio: float, floor: float, wanted: float = LOG_ENOUGH) -> bool:
    """Return whether it is shown that the candidate's share is above `ratio` times legacy's and `floor`.

    `wanted` is the logarithm of the e-value that shows it.
    """
    if candidate.value <= ratio * legacy.value + floor:
        return False  # at legacy's own share, no bet gains

    def falling(share: float) -> float:
        return log_evidence(candidate.failed, candidate.total, ratio * share + floor, _CANDIDATE_IS_HIGHER)

    def rising(share: float) -> float:
        return log_evidence(legacy.failed, legacy.total, share, _LEGACY_IS_LOWER)

    return _holds_everywhere(falling, rising, legacy, wanted)


def is_below(candidate: Share, legacy: Share, ratio: float, floor: float) -> bool:
    """Return whether it is shown that the candidate's share is below `ratio` times legacy's and `floor`."""
    if candidate.value >= ratio * legacy.value + floor:
        return False

    def falling(share: float) -> float:
        return log_evidence(legacy.failed, legacy.total, share, _LEGACY_IS_HIGHER)

    def rising(share: float) -> float:
        return log_evidence(candidate.failed, candidate.total, ratio * share + floor, _CANDIDATE_IS_LOWER)

    return _holds_everywhere(falling, rising, legacy, LOG_ENOUGH)


Evidence = Callable[[float], float]


def _holds_everywhere(falling: Evidence, rising: Evidence, legacy: Share, wanted: float) -> bool:
    """Return whether the sum of a falling and a rising function reaches `wanted` everywhere from 0 to 1.

    Between two places the sum is at least what the first has at the right end and the second at the left end. Where
    that is not enough the interval is halved, unless the sum is too small at its middle.
    """
    if falling(legacy.value) + rising(legacy.value) < wanted:
        return False
    open_intervals = [(low, high, 0) for low, high in pairwise(_places(legacy))]
    while open_intervals:
        low, high, halvings = open_intervals.pop()
        if falling(high) + rising(low) >= wanted:
            continue
        middle = (low + high) / 2
        if halvings == _MAX_HALVINGS or falling(middle) + rising(middle) < wanted:
            return False
        open_intervals += ((low, middle, halvings + 1), (middle, high, halvings + 1))
    return True


def _places(legacy: Share) -> list[float]:
    """Return places from 0 to 1 of which two are around legacy's share, where the sum is smallest as a rule."""
    spread = 4 * (sqrt(legacy.failed) + 1) / max(legacy.total, 1)
    near = (legacy.value - spread, legacy.value + spread)
    return [0.0, *(place for place in near if 0 < place < 1), 1.0]
