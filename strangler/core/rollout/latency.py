"""Whether the candidate's 95th percentile is above or below `ratio` times legacy's, however often one looks.

Workers count times in buckets, and neighbouring bounds are up to 2.5 times apart: two percentiles read from them say
little about a ratio of 1.3. But if all of legacy's times grew by `ratio`, the share above a bound `b` would be legacy's
share above `b / ratio`. So the candidate's share above `b` is compared with that, as shares of failures are, at the
bounds around the percentile, which legacy's times alone choose. `b / ratio` lies within a bucket, in which times are
taken to be spread evenly on a logarithmic scale. With equal times in both arms the comparison errs on the candidate's
side, whatever the spread.

Times of the same requests at both arms are better, where shadows and baselines measure them: see `PairedTimes`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import ceil, inf, log
from typing import Final

from strangler.core.ledger.counts import p95_ms
from strangler.core.proportions import LOG_ENOUGH, Bets, log_evidence
from strangler.core.rollout.two_shares import Share, is_above, is_below

TAIL: Final = 0.05
"""The share of times above the 95th percentile."""
_TAILS: Final = (0.025, 0.25)
"""The shares that are near enough to it to say something of the percentile."""
_LEAST_TAIL: Final = 0.005
_MIN_CONTRAST: Final = 1.2
_LOG_ENOUGH_FOR_FOUR: Final = log(4 / 0.05)
"""The interval of a ratio consists of four bounds, which are all right in 95 % of cases."""
_MANY: Final = Bets((1.2, 1.6, 2.5, 5.0, 12.0), (0.2, 0.2, 0.2, 0.2, 0.2))
_FEW: Final = Bets((0.0, 0.15, 0.4, 0.7, 0.9), (0.2, 0.2, 0.2, 0.2, 0.2))
MIN_PAIRS: Final = 100
"""With fewer pairs of times the buckets are used: a 95th percentile of fewer is a guess."""
_EVEN: Final = 0.5


@dataclass(frozen=True, slots=True)
class TimesRatio:
    """The candidate's 95th percentile divided by legacy's; `low` and `high` bound it, as wide as the buckets are."""

    value: float
    low: float | None  # None: no lower bound but 0
    high: float | None  # None: no upper bound


@dataclass(frozen=True, slots=True)
class PairedTimes:
    """Times of the same requests at both arms. `slower`: the candidate's is above `ratio x p95` and legacy's is not
    above `p95`; `faster`: the reverse. If the ratio is kept, `slower` is at most as probable as `faster`."""

    slower: int = 0
    faster: int = 0
    pairs: int = 0


def paired_times(pairs: Iterable[tuple[float, float]], p95_s: float, ratio: float) -> PairedTimes:
    """Count pairs of (legacy's, candidate's) times. `p95_s` is legacy's, known before the first of these pairs."""
    slower = faster = total = 0
    for legacy_s, candidate_s in pairs:
        total += 1
        is_slow, was_slow = candidate_s > ratio * p95_s, legacy_s > p95_s
        slower += is_slow and not was_slow
        faster += was_slow and not is_slow
    return PairedTimes(slower, faster, total)


def p95_s(times: Iterable[float]) -> float | None:
    """Return the 95th percentile of times; None without any."""
    ordered = sorted(times)
    return ordered[ceil(0.95 * len(ordered)) - 1] if ordered else None


def paired_are_above(times: PairedTimes) -> bool:
    """Return whether pairs show that the candidate's percentile is above the limit."""
    return _reaches(times.slower, times.slower + times.faster, _EVEN, _MANY, LOG_ENOUGH)


def paired_are_below(times: PairedTimes) -> bool:
    """Return whether pairs show that the candidate's percentile is below the limit."""
    return _reaches(times.slower, times.slower + times.faster, _EVEN, _FEW, LOG_ENOUGH)


def _reaches(failed: float, total: float, share: float, bets: Bets, wanted: float) -> bool:
    return log_evidence(failed, total, share, bets) >= wanted


def times_are_above(legacy: Sequence[int], candidate: Sequence[int], bounds_s: Sequence[float], ratio: float) -> bool:
    """Return whether buckets show at one of the bounds that the candidate's times are above `ratio` times legacy's."""
    near = [tail for tail in _tails(legacy, candidate, bounds_s, ratio) if tail.is_near]
    wanted = LOG_ENOUGH + log(max(1, len(near)))
    return any(is_above(tail.candidate, tail.limit, 1.0, 0.0, wanted) for tail in near)


def times_are_below(legacy: Sequence[int], candidate: Sequence[int], bounds_s: Sequence[float], ratio: float) -> bool:
    """Return whether buckets show at all of the bounds that the candidate's times are below `ratio` times legacy's.

    A bound at which legacy's times could grow by `ratio` without being seen, as between those of a cache and those of
    a disk, is left out: equal times would never be below. If none is left, the bound that shows most of it is used.
    """
    tails = _tails(legacy, candidate, bounds_s, ratio)
    telling = [tail for tail in tails if tail.is_near and tail.contrast >= _MIN_CONTRAST]
    if not telling:
        telling = sorted(tails, key=lambda tail: tail.contrast)[-1:]
    return bool(telling) and all(is_below(tail.candidate, tail.limit, 1.0, 0.0) for tail in telling)


@dataclass(frozen=True, slots=True)
class _Tail:
    """The times above a bound: the candidate's, and legacy's above the bound divided by the ratio."""

    candidate: Share
    limit: Share
    contrast: float
    """How many more times of legacy's are above the divided bound than above the bound itself."""
    is_near: bool
    """Whether the bound is near enough to the percentile to say something of it."""


def _tails(legacy: Sequence[int], candidate: Sequence[int], bounds_s: Sequence[float], ratio: float) -> list[_Tail]:
    """Return the tails at all bounds that some of legacy's times would be above.

    Near the percentile are those with legacy's share within `_TAILS`, and always the one with the share nearest to 5 %.
    """
    slow, own_slow = _suffix_sums(legacy), _suffix_sums(candidate)
    if not legacy or not slow[0] or not candidate or not own_slow[0]:
        return []
    total, own_total = slow[0], own_slow[0]
    above = [slow[at + 1] + part * legacy[at] for at, part in _places(tuple(bounds_s), ratio)]
    far = [abs(log(count / total / TAIL)) if count else inf for count in above]
    nearest = min(range(len(bounds_s)), key=far.__getitem__)
    least, most = _TAILS
    return [
        _Tail(
            candidate=Share(own_slow[at + 1], own_total),
            limit=Share(count, total),
            contrast=count / max(slow[at + 1], 1),
            is_near=at == nearest or least <= count / total <= most,
        )
        for at, count in enumerate(above)
        if count / total >= _LEAST_TAIL
    ]


def _suffix_sums(buckets: Sequence[int]) -> list[int]:
    """Return how many times are in each bucket and all later ones."""
    return list(accumulate(reversed(buckets)))[::-1]


@lru_cache(16)
def _places(bounds_s: tuple[float, ...], ratio: float) -> tuple[tuple[int, float], ...]:
    """Return, for each bound divided by `ratio`, the bucket that it lies in and the part of it that is above."""
    return tuple(_place(bounds_s, bound / ratio) for bound in bounds_s)


def _place(bounds_s: Sequence[float], time_s: float) -> tuple[int, float]:
    at = next((at for at, bound in enumerate(bounds_s) if time_s <= bound), len(bounds_s) - 1)
    high = bounds_s[at]
    low = bounds_s[at - 1] if at else high / 10
    return at, min(1.0, log(high / max(time_s, low)) / log(high / low))


def times_ratio(legacy: Sequence[int], candidate: Sequence[int], bounds_s: Sequence[float]) -> TimesRatio | None:
    """Return the ratio of the 95th percentiles with its interval; None if an arm has no times."""
    own, others = p95_ms(candidate, bounds_s), p95_ms(legacy, bounds_s)
    if own is None or not others:
        return None
    own_low, own_high = _p95_bounds(candidate, bounds_s)
    low, high = _p95_bounds(legacy, bounds_s)
    return TimesRatio(
        own / others,
        own_low / high if high is not None and own_low > 0 else None,
        own_high / low if own_high is not None and low > 0 else None,
    )


def _p95_bounds(buckets: Sequence[int], bounds_s: Sequence[float]) -> tuple[float, float | None]:
    """Return the bounds between which the percentile is shown to be; shares fall from bound to bound, so that one
    doubt holds for all of them."""
    total, low = sum(buckets), 0.0
    for slow, bound in zip(_suffix_sums(buckets)[1:], bounds_s, strict=True):
        if slow > TAIL * total:  # a bet on fewer cannot gain here, nor one on more below
            low = bound if _reaches(slow, total, TAIL, _MANY, _LOG_ENOUGH_FOR_FOUR) else low
        elif _reaches(slow, total, TAIL, _FEW, _LOG_ENOUGH_FOR_FOUR):
            return low, bound
    return low, None
