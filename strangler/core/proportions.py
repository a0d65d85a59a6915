"""Evidence about a share that stays valid however often it is looked at: bets against a hypothesis.

A bet multiplies its stake with each observation, by a factor whose mean is at most 1 while the hypothesis holds. So the
product exceeds 20 at any time with a probability of at most 5 % (Ville's inequality), and so does a mean of several
such products (Vovk and Wang, 2021). That is an e-value; Waudby-Smith and Ramdas (2024) have the bets for bounded means.

The bet here is at odds `c`: a failure multiplies by `c / (1 + u (c - 1))`, a success by `1 / (1 + u (c - 1))`, where
`u` is the share under test. With `c < 1` it gains if the share is below `u`, with `c > 1` if it is above. Only the two
counts matter, not their order, so the counts are all that has to be kept. A fraction of a failure is allowed: a convex
function lies below its chord, so that the factor's mean does not grow.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from math import exp, inf, log, log1p
from typing import Final

DOUBT: Final = 0.05
"""The probability with which a hypothesis that holds is ever taken to be refuted."""
LOG_ENOUGH: Final = log(1 / DOUBT)
"""From this logarithm of an e-value on, the hypothesis is refuted."""
LOG_SURELY: Final = log(100)
"""From this one on, it is refuted with a doubt of 1 %: a few early mismatches must not look like a verdict."""
_ALMOST_ONE: Final = 1 - 1e-12


@dataclass(frozen=True, slots=True)
class Bets:
    """Odds and the part of the stake on each. Odds 1 are no bet: that part of the stake is kept."""

    odds: tuple[float, ...]
    stakes: tuple[float, ...]
    terms: tuple[tuple[float, float, float], ...] = field(init=False)
    """The logarithm of the odds, the odds less 1, and the logarithm of the stake, of each bet but that on odds 0."""
    log_stake_at_0: float | None = field(init=False)
    """The logarithm of the stake on odds 0, which the first failure loses."""

    def __post_init__(self) -> None:
        if len(self.odds) != len(self.stakes) or abs(sum(self.stakes) - 1) > 1e-9 or min(self.stakes) <= 0:
            raise ValueError(f"every bet has a stake above 0, and all stakes are 1 together, not {self.stakes}")
        if not (all(0 <= odds <= 1 for odds in self.odds) or all(odds >= 1 for odds in self.odds)):
            raise ValueError(f"bets are all on a lower share or all on a higher one, not {self.odds}")
        bets = list(zip(self.odds, self.stakes, strict=True))
        terms = tuple((log(odds), odds - 1, log(stake)) for odds, stake in bets if odds)
        object.__setattr__(self, "terms", terms)
        object.__setattr__(self, "log_stake_at_0", next((log(stake) for odds, stake in bets if not odds), None))


def log_evidence(failed: float, total: float, share: float, bets: Bets) -> float:
    """Return the logarithm of the e-value against the hypothesis that the share is `share`.

    With bets on a lower share it is against every share of at least `share` as well, and grows with `share`; with bets
    on a higher one, against every share of at most `share`, and falls with it.
    """
    share = min(share, _ALMOST_ONE)
    values = [
        log_stake + failed * log_odds - total * log1p(share * odds_less_1)
        for log_odds, odds_less_1, log_stake in bets.terms
    ]
    if not failed and bets.log_stake_at_0 is not None:
        values.append(bets.log_stake_at_0 - total * log1p(-share))
    if not values:
        return -inf
    most = max(values)
    return most + log(sum([exp(value - most) for value in values]))


_ON_A_MATCH: Final = Bets((0.0, 0.05, 0.1, 0.2, 0.4, 0.65, 0.9), (0.92, 0.02, 0.015, 0.015, 0.015, 0.01, 0.005))
"""Most is staked on no mismatch at all; the rest is for routes whose rare mismatches are few enough. The odds near 1
are for those with nearly as many mismatches as are allowed, which would never pass without them."""
_ON_A_MISMATCH: Final = Bets((1.25, 1.6, 2.2, 4.0, 10.0, 30.0), (0.15, 0.2, 0.2, 0.2, 0.15, 0.1))
"""From a few more mismatches than are allowed to many more."""
MAX_PAIRS: Final = 10_000_000


def log_match_evidence(matches: float, pairs: float, min_match: float) -> float:
    """Return the logarithm of the e-value against a match share of at most `min_match`."""
    return log_evidence(pairs - matches, pairs, 1 - min_match, _ON_A_MATCH)


def shows_match(matches: int, pairs: int, min_match: float) -> bool:
    """Return whether these pairs show that at least `min_match` match, in 95 % of cases at whatever time one looks.

    No number of pairs shows 100 %: for that, the absence of mismatches is enough.
    """
    if min_match >= 1:
        return matches == pairs
    return min_match <= 0 or log_match_evidence(matches, pairs, min_match) >= LOG_ENOUGH


def refutes_match(matches: int, pairs: int, min_match: float) -> bool:
    """Return whether these pairs show that fewer than `min_match` match, in 99 % of cases at whatever time one looks.

    A single mismatch refutes 100 %.
    """
    if min_match >= 1:
        return matches < pairs
    return log_evidence(pairs - matches, pairs, 1 - min_match, _ON_A_MISMATCH) >= LOG_SURELY


@lru_cache(4096)
def match_low(matches: int, pairs: int) -> float:
    """Return the highest match share that these pairs show, rounded down to a millionth; 0 if they show none."""
    low, high = 0, 1_000_000
    while high - low > 1:
        middle = (low + high) // 2
        if log_match_evidence(matches, pairs, middle / 1e6) >= LOG_ENOUGH:
            low = middle
        else:
            high = middle
    return low / 1e6


@lru_cache(4096)
def further_pairs(matches: int, pairs: int, min_match: float) -> int | None:
    """Return how many more pairs show `min_match` if they match at the present rate; None if more than `MAX_PAIRS` do.

    At a constant rate the logarithm is convex in the number of pairs and begins at 0: once above, it stays above.
    """
    if shows_match(matches, pairs, min_match):
        return 0
    rate = matches / pairs if pairs else 1.0
    if min_match >= 1 or log_match_evidence(MAX_PAIRS * rate, MAX_PAIRS, min_match) < LOG_ENOUGH:
        return None
    low, high = pairs, MAX_PAIRS
    while high - low > 1:
        middle = (low + high) // 2
        if log_match_evidence(middle * rate, middle, min_match) >= LOG_ENOUGH:
            high = middle
        else:
            low = middle
    return high - pairs


@lru_cache(4096)
def further_matches(matches: int, pairs: int, min_match: float) -> int:
    """Return how many more pairs show `min_match`, below 100 %, if no further one of them is a mismatch."""
    low, high = -1, 1
    while not shows_match(matches + high, pairs + high, min_match):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if shows_match(matches + middle, pairs + middle, min_match):
            high = middle
        else:
            low = middle
    return high
