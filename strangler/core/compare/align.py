"""Aligning two sequences by equality: what stayed, what moved, what was left over between.

A minimal edit script (Myers, "An O(ND) Difference Algorithm", 1986) within a budget of steps; beyond it, and where all
common elements are unique, the longest increasing run of their places. So the cost is O(n log n) whatever comes.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence, Set
from dataclasses import dataclass, field
from itertools import repeat

_BUDGET = 20_000
_MAX_EDITS = 400
"""The trace of a Myers run is quadratic in these."""

Pairs = list[tuple[int, int]]


@dataclass(slots=True)
class Gap:
    """Places left over on both sides between two elements that stayed."""

    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Alignment:
    kept: Pairs
    """Equal elements in the same order, as places left and right; rising on both sides."""
    moved: Pairs
    """Equal elements in another order."""
    gaps: list[Gap]
    """What has no equal on the other side, first gap first; empty ones left out."""


def align(left: Sequence[Hashable], right: Sequence[Hashable]) -> Alignment:
    """Elements are compared by `==` and hash. The same pair of sequences always gives the same answer."""
    # common ends first: most arrays differ in one place
    start = _common_start(left, right)
    end = _common_end(left, right, start)
    tail = range(len(left) - end, len(left)), range(len(right) - end, len(right))
    inner_left, inner_right = left[start : len(left) - end], right[start : len(right) - end]
    outer = [(at, at) for at in range(start)], list(zip(*tail, strict=True))
    in_left, in_right = Counter(inner_left), Counter(inner_right)
    if in_left == in_right:
        moved = [(i + start, j + start) for i, j in occurrences(inner_left, inner_right)]
        return Alignment(outer[0] + outer[1], moved, [])
    inner = [(i + start, j + start) for i, j in _kept(inner_left, inner_right, in_left.keys() & in_right.keys())]
    kept = outer[0] + inner + outer[1]
    spare_left = _without(range(start, len(left) - end), {i for i, _ in inner})
    spare_right = _without(range(start, len(right) - end), {j for _, j in inner})
    if _is_in_place(inner_left, inner_right, len(spare_left) + len(spare_right)):
        return _in_place(left, right)
    met = occurrences([left[i] for i in spare_left], [right[j] for j in spare_right])
    moved = [(spare_left[i], spare_right[j]) for i, j in met]
    gaps = _gaps(_without(spare_left, {i for i, _ in moved}), _without(spare_right, {j for _, j in moved}), inner)
    return Alignment(kept, moved, gaps)


def _common_start(left: Sequence[Hashable], right: Sequence[Hashable]) -> int:
    at = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        at += 1
    return at


def _common_end(left: Sequence[Hashable], right: Sequence[Hashable], start: int) -> int:
    at = 0
    for a, b in zip(reversed(left), reversed(right), strict=False):
        if a != b or at == min(len(left), len(right)) - start:
            break
        at += 1
    return at


def _kept(left: Sequence[Hashable], right: Sequence[Hashable], common: Set[Hashable]) -> Pairs:
    """A longest common subsequence, or a good one if that would cost too much."""
    places_left = [i for i, value in enumerate(left) if value in common]
    places_right = [j for j, value in enumerate(right) if value in common]
    common_left, common_right = [left[i] for i in places_left], [right[j] for j in places_right]
    is_unique = len(set(common_left)) == len(common_left) and len(set(common_right)) == len(common_right)
    pairs = None if is_unique else _shortest_edit(common_left, common_right)
    if pairs is None:
        pairs = _rising(occurrences(common_left, common_right))
    return [(places_left[i], places_right[j]) for i, j in pairs]


def occurrences(left: Sequence[Hashable], right: Sequence[Hashable]) -> Pairs:
    """Pairs the first of each value with the first of its equals, the second with the second, and so on."""
    places: defaultdict[Hashable, list[int]] = defaultdict(list)
    for j, value in enumerate(right):
        places[value].append(j)
    upcoming = {value: iter(found) for value, found in places.items()}
    nothing: repeat[int] = repeat(-1, 0)
    pairs = ((i, next(upcoming.get(value, nothing), -1)) for i, value in enumerate(left))
    return [(i, j) for i, j in pairs if j >= 0]


def _rising(pairs: Pairs) -> Pairs:
    """The longest part whose right places rise, by patience sorting; the left ones rise already."""
    tops: list[int] = []
    holders: list[int] = []
    before: list[int] = []
    for at, (_, j) in enumerate(pairs):
        pile = bisect_left(tops, j)
        before.append(holders[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [j]
        holders[pile : pile + 1] = [at]
    rising: Pairs = []
    at = holders[-1] if holders else -1
    while at >= 0:
        rising.append(pairs[at])
        at = before[at]
    return rising[::-1]


def _shortest_edit(left: Sequence[Hashable], right: Sequence[Hashable]) -> Pairs | None:
    """Myers' greedy walk: `reach[k]` is how far the best path with `edits` edits gets on diagonal k = i - j."""
    budget = _BUDGET + len(left) + len(right)
    reach = {1: 0}
    trace: list[dict[int, int]] = []
    for edits in range(min(len(left) + len(right), _MAX_EDITS) + 1):
        trace.append(dict(reach))
        for k in range(-edits, edits + 1, 2):
            i = _entry(reach, k, edits)
            begin, j = i, i - k
            while i < len(left) and j < len(right) and left[i] == right[j]:
                i, j = i + 1, j + 1
            reach[k] = i
            budget -= i - begin + 1
            if i >= len(left) and j >= len(right):
                return _walk_back(trace, len(left), len(right))
        if budget < 0:
            return None
    return None


def _entry(reach: dict[int, int], k: int, edits: int) -> int:
    """Where a path enters diagonal k: down from k + 1 (an insertion) or across from k - 1 (a removal)."""
    if k == -edits or (k != edits and reach[k - 1] < reach[k + 1]):
        return reach[k + 1]
    return reach[k - 1] + 1


def _walk_back(trace: list[dict[int, int]], i: int, j: int) -> Pairs:
    pairs: Pairs = []
    for edits in range(len(trace) - 1, -1, -1):
        reach, k = trace[edits], i - j
        entry = _entry(reach, k, edits)
        while i > entry:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        came_down = k == -edits or (k != edits and reach[k - 1] < reach[k + 1])
        i, j = (i, j - 1) if came_down else (i - 1, j)
    return pairs[::-1]


def _is_in_place(left: Sequence[Hashable], right: Sequence[Hashable], spare: int) -> bool:
    """True if changing elements where they stand explains the two at least as well as moving them about."""
    if len(left) != len(right) or not spare:
        return False
    changed = sum(1 for a, b in zip(left, right, strict=True) if a != b)
    return 2 * changed <= spare


def _in_place(left: Sequence[Hashable], right: Sequence[Hashable]) -> Alignment:
    kept: Pairs = []
    gaps: list[Gap] = []
    for at, (a, b) in enumerate(zip(left, right, strict=True)):
        if a == b:
            kept.append((at, at))
        else:
            gaps.append(Gap([at], [at]))
    return Alignment(kept, [], gaps)


def _without(places: Sequence[int], taken: set[int]) -> list[int]:
    return [place for place in places if place not in taken]


def _gaps(left: list[int], right: list[int], kept: Pairs) -> list[Gap]:
    """Group what is left over by the kept pair that it stands before."""
    gaps: defaultdict[int, Gap] = defaultdict(Gap)
    kept_left, kept_right = [i for i, _ in kept], [j for _, j in kept]
    for i in left:
        gaps[bisect_left(kept_left, i)].left.append(i)
    for j in right:
        gaps[bisect_left(kept_right, j)].right.append(j)
    return [gaps[at] for at in sorted(gaps)]
