"""A difference that somebody marked as fixed: a claim, which new pairs of its endpoint have to prove."""

from dataclasses import dataclass
from math import ceil, log

MIN_PAIRS = 30
"""Fewest new pairs that prove anything."""
MAX_FOR_PAIRS = 300
"""As many new pairs are asked for as were set aside, up to this."""
_DOUBT = 0.05


@dataclass(frozen=True, slots=True)
class Claim:
    """One difference on one endpoint: new pairs without it that are `needed`, and those that were compared."""

    signature: str
    endpoint: str
    needed: int
    pairs: int

    @property
    def lacking(self) -> int:
        """Return how many more pairs prove it; 0 if it is proven."""
        return max(0, self.needed - self.pairs)


def pairs_to_prove(seen: int, pairs: int) -> int:
    """Return how many pairs without a difference prove that it is gone, if it was in `seen` of `pairs` before.

    Were its share still the same, so many pairs would be without it with a chance of 5 % at most.
    """
    share = min(1.0, seen / pairs) if pairs > 0 else 1.0
    bounding = 1 if share >= 1 else ceil(log(_DOUBT) / log(1 - share)) if share > 0 else 1
    return max(MIN_PAIRS, min(MAX_FOR_PAIRS, seen), bounding)
