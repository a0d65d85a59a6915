"""Claims: differences that somebody marked as fixed, which new pairs of their endpoints have to prove."""

from dataclasses import dataclass
from math import ceil, log

MIN_PAIRS = 30
"""The fewest new pairs that prove anything."""
MAX_FOR_PAIRS = 300
"""A claim needs as many new pairs as were set aside, up to this number."""
_DOUBT = 0.05


@dataclass(frozen=True, slots=True)
class Claim:
    """One difference of one endpoint: the new pairs without it that are `needed`, and those compared so far."""

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

    If its share had not changed, that many pairs would be without it with a probability of at most 5 %.
    """
    share = min(1.0, seen / pairs) if pairs > 0 else 1.0
    bounding = 1 if share >= 1 else ceil(log(_DOUBT) / log(1 - share)) if share > 0 else 1
    return max(MIN_PAIRS, min(MAX_FOR_PAIRS, seen), bounding)
