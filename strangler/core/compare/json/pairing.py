"""The change of an array: which elements to compare with each other, and whether order or length changed."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

from strangler.core.compare.json.ids import DigestState, Id
from strangler.core.compare.model.align import Gap, Pairs, align, occurrences, rising, without
from strangler.core.compare.model.common_ends import common_ends, common_length
from strangler.core.compare.model.numbers import is_finite
from strangler.core.compare.model.values import Node

Ids: TypeAlias = tuple[Sequence[Id], Sequence[Id]]
"""The ids of legacy's and the candidate's elements."""

Whole: TypeAlias = tuple[list[Node], list[Node]]
"""All elements of legacy's and of the candidate's array, including their common ends."""

MAX_SORTED = 4096
"""The most objects and arrays without an equal, of an unordered array, that are sorted to find partners."""

_Field: TypeAlias = tuple[str, ...]
"""The name of a field; two names for a field of an inner object."""

_MAX_NAMES = 32
_LIKELY_NAMES = frozenset(["_id", "code", "guid", "id", "key", "name", "sku", "slug", "uuid"])


@dataclass(frozen=True, slots=True)
class ArrayChange:
    """The change of one array. Places are indices into legacy's and the candidate's array."""

    is_reordered: bool
    alike: Pairs
    """Elements with the same id; empty unless requested."""
    pairs: Pairs
    """Elements that belong together and differ."""
    removed: list[int]
    inserted: list[int]
    by_place: int = 0
    """The number of `pairs` that have nothing in common but their place."""
    is_cut: bool = False
    """Whether it would have taken too long to find out which of those belong together."""

    def shifted(self, by: int) -> "ArrayChange":
        """Return the change of arrays with that many more elements at the start."""
        if not by:
            return self
        alike, pairs = ([(i + by, j + by) for i, j in pairs] for pairs in (self.alike, self.pairs))
        removed, inserted = ([place + by for place in places] for places in (self.removed, self.inserted))
        return replace(self, alike=alike, pairs=pairs, removed=removed, inserted=inserted)


def change_of(
    legacy: list[Node],
    candidate: list[Node],
    ids: Ids,
    digests: DigestState,
    *,
    wants_alike: bool,
    whole: Whole | None = None,
) -> ArrayChange:
    """Align two arrays whose order counts. Swapping the sides mirrors the result.

    `whole`: the complete arrays, if `legacy` and `candidate` are without their common ends.
    """
    if not wants_alike and (change := _simple_change(*ids)):
        return change
    whole = whole or (legacy, candidate)
    if not _is_turned(legacy, candidate, ids, digests):
        return _aligned(legacy, candidate, ids, wants_alike, whole)
    turned = _aligned(candidate, legacy, ids[::-1], wants_alike, whole[::-1])
    alike, pairs = [(j, i) for i, j in turned.alike], [(j, i) for i, j in turned.pairs]
    return ArrayChange(turned.is_reordered, alike, pairs, turned.inserted, turned.removed, turned.by_place)


def simple_change_of(left: int, right: int) -> ArrayChange | None:
    """Return a change that follows from the numbers of elements between the common ends alone; else None."""
    if not left or not right:
        return ArrayChange(False, [], [], [*range(left)], [*range(right)])
    return ArrayChange(False, [], [(0, 0)], [], []) if left == right == 1 else None


def unlike_change_of(legacy: list[Node], candidate: list[Node], ids: Ids) -> ArrayChange | None:
    """Pair by place two arrays of equal length without a common element or an identity; return None for all others."""
    if len(legacy) != len(candidate) or (type(legacy[0]) is dict is type(candidate[0])):
        return None
    if ids[0][0] in ids[1] or not set(ids[0]).isdisjoint(ids[1]):
        return None
    pairs = [*zip(range(len(legacy)), range(len(legacy)), strict=True)]
    return ArrayChange(False, [], pairs, [], [], by_place=len(pairs))


def _simple_change(left: Sequence[Id], right: Sequence[Id]) -> ArrayChange | None:
    """Return a change in one place alone, or of one element: most changes are such, and this halves their cost."""
    start, end = common_ends(left, right)
    stop_left, stop_right = len(left) - end, len(right) - end
    if start in (stop_left, stop_right):
        return ArrayChange(False, [], [], [*range(start, stop_left)], [*range(start, stop_right)])
    is_one_place = stop_left - start == stop_right - start == 1
    return ArrayChange(False, [], [(start, start)], [], []) if is_one_place else None


def multiset_change_of(
    legacy: list[Node], candidate: list[Node], ids: Ids, digests: DigestState, *, is_bounded: bool
) -> ArrayChange:
    """Pair arrays whose order does not count: equal elements, then those of one identity, then the rest in the order of
    their content. With `is_bounded`, more than MAX_SORTED objects and arrays are not sorted: `is_cut`."""
    alike = occurrences(*ids)
    spare = without(range(len(legacy)), {i for i, _ in alike}), without(range(len(candidate)), {j for _, j in alike})
    is_sorted = not is_bounded or all(_is_few(*of) for of in zip((legacy, candidate), spare, strict=True))
    gap = Gap(*spare)
    if is_sorted and spare[0] and spare[1]:
        gap = Gap(_by_content(legacy, spare[0], digests), _by_content(candidate, spare[1], digests))
    rest = _paired(legacy, candidate, [gap], (legacy, candidate), is_ordered=False)
    is_cut = not is_sorted and rest.by_place > 0
    return ArrayChange(False, alike, rest.pairs, rest.removed, rest.inserted, is_cut=is_cut)


def _is_few(array: list[Node], places: list[int]) -> bool:
    """Return True if there are few enough to be sorted by content; only objects and arrays take long."""
    if len(places) <= MAX_SORTED:
        return True
    containers = [1 for place in places if type(array[place]) is dict or type(array[place]) is list]
    return len(containers) <= MAX_SORTED


def keyed_change_of(keys: tuple[Sequence[Hashable], Sequence[Hashable]]) -> ArrayChange:
    """Pair the elements of two arrays by their keys."""
    pairs = occurrences(*keys)
    left, right = {i for i, _ in pairs}, {j for _, j in pairs}
    removed = [i for i in range(len(keys[0])) if i not in left]
    inserted = [j for j in range(len(keys[1])) if j not in right]
    return ArrayChange(False, [], pairs, removed, inserted)


def _is_turned(legacy: list[Node], candidate: list[Node], ids: Ids, digests: DigestState) -> bool:
    """Return True if the sides must be swapped, so that ties break alike whichever side is legacy."""
    if len(legacy) != len(candidate):
        return len(legacy) > len(candidate)
    first = common_length(*ids)
    return first < len(legacy) and digests.of(legacy[first]) > digests.of(candidate[first])


def _by_content(array: list[Node], places: list[int], digests: DigestState) -> list[int]:
    """Sort places by the content of their elements: numbers by value, so that close ones become partners."""

    def content(place: int) -> tuple[str, float, str | bytes]:
        value = array[place]
        if type(value) is bytes:
            return "bytes", float(value) if is_finite(value) else 0.0, value
        if type(value) is str:
            return "str", 0.0, value
        if type(value) is list or type(value) is dict:
            return type(value).__name__, 0.0, _content_text(value, digests)
        return type(value).__name__, 0.0, repr(value)

    return sorted(places, key=content)


def _content_text(node: list[Node] | dict[str, Node], digests: DigestState) -> str:
    """Return a text that is the same for equal nodes; without nesting, similar nodes have similar texts."""
    for value in node.values() if isinstance(node, dict) else node:
        if type(value) is dict or type(value) is list:
            return digests.of(node).hex()
    return repr(sorted(node.items()) if isinstance(node, dict) else node)


def _aligned(left: list[Node], right: list[Node], ids: Ids, wants_alike: bool, whole: Whole) -> ArrayChange:
    alignment = align(*ids, wants_alike=wants_alike)
    rest = _paired(left, right, alignment.gaps, whole, is_ordered=True)
    is_reordered = alignment.is_reordered or rest.is_reordered
    return ArrayChange(is_reordered, alignment.alike, rest.pairs, rest.removed, rest.inserted, rest.by_place)


def _paired(left: list[Node], right: list[Node], gaps: list[Gap], whole: Whole, *, is_ordered: bool) -> ArrayChange:
    """Find partners for elements without an equal: by identity if they have one, else by place within a gap."""
    if all(len(gap.left) == len(gap.right) == 1 for gap in gaps):
        return ArrayChange(False, [], [(gap.left[0], gap.right[0]) for gap in gaps], [], [], by_place=len(gaps))
    if len(gaps) == 1 and not (gaps[0].left and gaps[0].right):
        return ArrayChange(False, [], [], gaps[0].left, gaps[0].right)
    name = _identity(left, right, gaps, whole)
    same = _same_identity(left, right, gaps, name) if name is not None else []
    pairs, removed, inserted = list(same), [], []
    for gap in _split(gaps, same, rising(same) if is_ordered else []) if same else gaps:
        partners = min(len(gap.left), len(gap.right))
        if name is not None and len(gap.left) != len(gap.right):
            partners = 0
        pairs += zip(gap.left[:partners], gap.right[:partners], strict=True)
        removed += gap.left[partners:]
        inserted += gap.right[partners:]
    return ArrayChange(_is_crossed(same, gaps), [], pairs, removed, inserted, by_place=len(pairs) - len(same))


def _split(gaps: list[Gap], same: Pairs, anchors: Pairs) -> list[Gap]:
    """Return the gaps without the pairs `same`, split at the anchors."""
    lefts, rights = [i for i, _ in anchors], [j for _, j in anchors]
    left_taken, right_taken = {i for i, _ in same}, {j for _, j in same}
    parts: defaultdict[tuple[int, int], Gap] = defaultdict(Gap)
    for at, gap in enumerate(gaps):
        for i in gap.left:
            if i not in left_taken:
                parts[at, bisect_left(lefts, i)].left.append(i)
        for j in gap.right:
            if j not in right_taken:
                parts[at, bisect_left(rights, j)].right.append(j)
    return [parts[key] for key in sorted(parts)]


def _identity(left: list[Node], right: list[Node], gaps: list[Gap], whole: Whole) -> _Field | None:
    """Return the field that identifies elements: unique on each side, and its values shared by at least half of them.

    It is found in the data; of several, one named like an identity wins, then the one with more shared values. It may
    be a field of an inner object: `product.id` of the lines of an order.
    """
    spare = [left[i] for gap in gaps for i in gap.left], [right[j] for gap in gaps for j in gap.right]
    if not all(spare):
        return None
    best: tuple[int, int, _Field] | None = None
    for field in _shared_fields(spare[0][0], spare[1][0]):
        shared = len(_unique_values(whole[0], field) & _unique_values(whole[1], field))
        if not shared or 2 * shared < min(map(len, whole)):
            continue
        rank = (_unlikeliness(field), -shared, field)
        best = min(best, rank) if best else rank
    return best[2] if best else None


def _shared_fields(left: Node, right: Node) -> list[_Field]:
    if not (isinstance(left, dict) and isinstance(right, dict)):
        return []
    names = sorted(left.keys() & right.keys())
    fields: list[_Field] = [(name,) for name in names]
    for name in names[:_MAX_NAMES]:
        left_node, other = left[name], right[name]
        if isinstance(left_node, dict) and isinstance(other, dict):
            fields += [(name, inner) for inner in left_node.keys() & other.keys() if is_likely_identity(inner)]
    return sorted(fields, key=lambda field: (_unlikeliness(field), field))[:_MAX_NAMES]


def is_likely_identity(name: str) -> bool:
    """Return True for a field whose name is that of an identity."""
    lowered = name.lower()
    return lowered in _LIKELY_NAMES or lowered.endswith("_id") or name.endswith("Id")


def _unlikeliness(field: _Field) -> int:
    if not is_likely_identity(field[-1]):
        return 2
    return 1 if len(field) > 1 else 0


def _unique_values(elements: list[Node], field: _Field) -> set[str | bytes]:
    """Return the values of a field; empty unless every element has a different one, a string or a number."""
    values: set[str | bytes] = set()
    if len(field) > 1:
        elements = [element.get(field[0]) if isinstance(element, dict) else None for element in elements]
    name = field[-1]
    for element in elements:
        value = element.get(name) if isinstance(element, dict) else None
        if not isinstance(value, (str, bytes)) or value in values:
            return set()
        values.add(value)
    return values


def _same_identity(left: list[Node], right: list[Node], gaps: list[Gap], field: _Field) -> Pairs:
    """Return the pairs of remaining elements with the same identity, in the order of the left side."""
    places = {_value_of(right[j], field): j for gap in gaps for j in gap.right}
    found = ((i, places.get(_value_of(left[i], field), -1)) for gap in gaps for i in gap.left)
    return [(i, j) for i, j in found if j >= 0]


def _value_of(element: Any, field: _Field) -> str | bytes:
    """Return the value of a field of an element that is known to have it."""
    value = element[field[0]]
    return value if len(field) == 1 else value[field[1]]  # type: ignore[no-any-return]


def _is_crossed(pairs: Pairs, gaps: list[Gap]) -> bool:
    """Return True if partners of one identity are in another order, or in another gap."""
    if not pairs:
        return False
    gaps_left = {i: at for at, gap in enumerate(gaps) for i in gap.left}
    gaps_right = {j: at for at, gap in enumerate(gaps) for j in gap.right}
    if any(gaps_left[i] != gaps_right[j] for i, j in pairs):
        return True
    return any(before[1] > after[1] for before, after in pairwise(pairs))
