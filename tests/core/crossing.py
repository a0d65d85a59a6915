"""The exact probability that a route ever gets a verdict, if it is judged after every pair."""

from collections.abc import Callable

Says = Callable[[int, int], bool]
"""Returns whether a verdict is given for these matches and pairs."""


def probability_to_show(match_share: float, most: int, says: Says) -> float:
    """Return the probability that `says` is ever true within the first pairs of a route with this match share.

    `says` must stay true with further matches, so for each number of mismatches it is true from one number of pairs on.
    """
    starts = [_first(at, most, says) for at in range(_max_mismatches(match_share, most))]
    return _probability(match_share, most, lambda mismatches, pairs: pairs >= starts[mismatches], len(starts))


def probability_to_refute(match_share: float, most: int, says: Says) -> float:
    """Return the same for a verdict that further matches can only end."""
    count = _max_mismatches(match_share, most)
    ends = [_first(at, most, lambda matches, pairs: not says(matches, pairs)) for at in range(count)]
    return _probability(match_share, most, lambda mismatches, pairs: pairs < ends[mismatches], count)


def _max_mismatches(match_share: float, most: int) -> int:
    """Return more mismatches than there will ever be, and not many more."""
    mean = most * (1 - match_share)
    return int(mean + 8 * mean**0.5) + 10


def _first(mismatches: int, most: int, says: Says) -> int:
    low, high = mismatches, most + 1
    while low < high:
        middle = (low + high) // 2
        if says(middle - mismatches, middle):
            high = middle
        else:
            low = middle + 1
    return low


def _probability(match_share: float, most: int, is_given: Says, count: int) -> float:
    """Return the probability that `is_given` ever holds for the mismatches among the first pairs and their number."""
    going, given = [1.0] + [0.0] * (count - 1), 0.0
    for pairs in range(1, most + 1):
        going = [
            match_share * same + (1 - match_share) * fewer
            for same, fewer in zip(going, [0.0, *going[:-1]], strict=True)
        ]
        for mismatches in range(min(count, pairs + 1)):
            if going[mismatches] and is_given(mismatches, pairs):
                given += going[mismatches]
                going[mismatches] = 0.0
    return given
