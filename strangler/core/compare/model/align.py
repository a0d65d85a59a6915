"""Aligning two sequences by equality: the elements that stayed, moved, or have no equal.

A minimal edit script (Myers, "An O(ND) Difference Algorithm", 1986) within a budget of steps; beyond it, and where all
common elements are unique, the longest increasing run of their places. So the cost is always O(n log n).
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence, Set
from dataclasses import dataclass, field
from operator import ne

from strangler.core.compare.model.common_ends import common_ends

_BUDGET = 20_000
_MAX_EDITS = 400
"""The most edits of a Myers run, whose trace is quadratic in them."""

Pairs = list[tuple[int, int]]


@dataclass(slots=True)
class Gap:
    """The places without an equal on both sides between two elements that stayed."""

    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)

    def shifted(self, by: int) -> "Gap":
        return Gap([i + by for i in self.left], [j + by for j in self.right]) if by else self


@dataclass(frozen=True, slots=True)
class Alignment:
    is_reordered: bool
    """Whether some equal elements are in another order."""
    alike: Pairs
    """The places of equal elements, left and right; empty unless requested."""
    gaps: list[Gap]
    """The elements without an equal on the other side, first gap first, without empty gaps."""


def align(left: Sequence[Hashable], right: Sequence[Hashable], *, wants_alike: bool = False) -> Alignment:
    """Align two sequences by `==` and hash. The same two sequences always give the same result."""
    start, end = common_ends(left, right)
    inner = _align_inner(left[start : len(left) - end], right[start : len(right) - end], wants_alike)
    gaps = [gap.shifted(start) for gap in inner.gaps]
    if not wants_alike:
        return Alignment(inner.is_reordered, [], gaps)
    alike = [(at, at) for at in range(start)] + [(i + start, j + start) for i, j in inner.alike]
    alike += [(len(left) - at, len(right) - at) for at in range(end, 0, -1)]
    return Alignment(inner.is_reordered, alike, gaps)


def _align_inner(left: Sequence[Hashable], right: Sequence[Hashable], wants_alike: bool) -> Alignment:
    """Align two sequences whose first elements differ, and whose last elements differ."""
    common = set(left).intersection(right)
    if not common:
        return Alignment(False, [], [Gap([*range(len(left))], [*range(len(right))])] if left or right else [])
    if len(left) == len(right) and Counter(left) == Counter(right):
        return Alignment(True, occurrences(left, right) if wants_alike else [], [])
    kept = _kept(left, right, common)
    spare_left = without(range(len(left)), {i for i, _ in kept})
    spare_right = without(range(len(right)), {j for _, j in kept})
    if _is_in_place(left, right, len(spare_left) + len(spare_right)):
        return _in_place(left, right)
    met = occurrences([left[i] for i in spare_left], [right[j] for j in spare_right])
    moved = [(spare_left[i], spare_right[j]) for i, j in met]
    gaps = _gaps(without(spare_left, {i for i, _ in moved}), without(spare_right, {j for _, j in moved}), kept)
    return Alignment(bool(moved), kept + moved, gaps)


def _kept(left: Sequence[Hashable], right: Sequence[Hashable], common: Set[Hashable]) -> Pairs:
    """Return a longest common subsequence, or a good one if that would cost too much."""
    places_left = [i for i, value in enumerate(left) if value in common]
    places_right = [j for j, value in enumerate(right) if value in common]
    common_left, common_right = [left[i] for i in places_left], [right[j] for j in places_right]
    pairs = _contained(common_left, common_right)
    if pairs is None and not len(common) == len(common_left) == len(common_right):
        pairs = _shortest_edit(common_left, common_right)
    if pairs is None:
        pairs = rising(occurrences(common_left, common_right))
    return [(places_left[i], places_right[j]) for i, j in pairs]


def _contained(left: Sequence[Hashable], right: Sequence[Hashable]) -> Pairs | None:
    """Return the pairs of the shorter sequence, if it is a subsequence of the longer one; else None."""
    if len(left) > len(right):
        turned = _contained(right, left)
        return None if turned is None else [(j, i) for i, j in turned]
    rest = iter(enumerate(right))
    places = [next((j for j, value in rest if value == wanted), -1) for wanted in left]
    return None if places and places[-1] < 0 else list(enumerate(places))


def occurrences(left: Sequence[Hashable], right: Sequence[Hashable]) -> Pairs:
    """Pair the first occurrence of each value with the first on the other side, the second with the second, etc."""
    upcoming: dict[Hashable, int] = {}
    after = [-1] * len(right)
    for j in range(len(right) - 1, -1, -1):
        after[j] = upcoming.get(right[j], -1)
        upcoming[right[j]] = j
    pairs: Pairs = []
    for i, value in enumerate(left):
        j = upcoming.get(value, -1)
        if j >= 0:
            pairs.append((i, j))
            upcoming[value] = after[j]
    return pairs


def rising(pairs: Pairs) -> Pairs:
    """Return the longest subsequence whose right places rise, by patience sorting. The left ones must rise already."""
    tops: list[int] = []
    holders: list[int] = []
    before: list[int] = []
    for at, (_, j) in enumerate(pairs):
        pile = bisect_left(tops, j)
        before.append(holders[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [j]
        holders[pile : pile + 1] = [at]
    found: Pairs = []
    at = holders[-1] if holders else -1
    while at >= 0:
        found.append(pairs[at])
        at = before[at]
    return found[::-1]


def _shortest_edit(left: Sequence[Hashable], right: Sequence[Hashable]) -> Pairs | None:
    """Return Myers' greedy walk; `reach[k]` is how far the best path with `edits` edits gets on diagonal k = i - j."""
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
    """Return where a path enters diagonal k: down from k + 1 (an insertion) or across from k - 1 (a removal)."""
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
    """Return True if changing elements in place explains the two sequences at least as well as moving them."""
    if len(left) != len(right) or not spare:
        return False
    changed: int = sum(map(ne, left, right))
    return 2 * changed <= spare


def _in_place(left: Sequence[Hashable], right: Sequence[Hashable]) -> Alignment:
    changed = [at for at, is_changed in enumerate(map(ne, left, right)) if is_changed]
    kept = [(at, at) for at in without(range(len(left)), set(changed))]
    return Alignment(False, kept, _gaps(changed, changed, kept))


def without(places: Sequence[int], taken: set[int]) -> list[int]:
    """Return the places that are not taken."""
    return [place for place in places if place not in taken]


def _gaps(left: list[int], right: list[int], kept: Pairs) -> list[Gap]:
    """Group the remaining places by the kept pair that they come before."""
    gaps: defaultdict[int, Gap] = defaultdict(Gap)
    kept_left, kept_right = [i for i, _ in kept], [j for _, j in kept]
    for i in left:
        gaps[bisect_left(kept_left, i)].left.append(i)
    for j in right:
        gaps[bisect_left(kept_right, j)].right.append(j)
    return [gaps[at] for at in sorted(gaps)]
