"""Pairing the children of two elements: equal ones, then those of one identity, then by place."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from strangler.core.compare.markup.elements import Element, attribute_key, write_markup
from strangler.core.compare.model.align import Pairs, align, rising, without
from strangler.core.compare.model.common_ends import common_ends

_IDENTITIES = ("id", "name", "key", "code", "for", "href", "src", "action", "data-id", "data-key", "property", "rel")
"""Attributes whose value may identify elements of one name, the most reliable first."""
_COMPARED_OF_TIES = 500


@dataclass(frozen=True, slots=True)
class ChildChange:
    """The change of an element's children. Places are indices into legacy's and the candidate's child elements."""

    is_reordered: bool
    pairs: Pairs
    """The children that belong together, equal or not."""
    removed: list[int]
    inserted: list[int]


def pair_children(legacy: list[Element], candidate: list[Element]) -> ChildChange:
    """Pair the children of two elements. Swapping the sides mirrors the result."""
    start, end = common_ends(_ids(legacy), _ids(candidate))
    kept = [(at, at) for at in range(start)]
    kept += [(len(legacy) - at, len(candidate) - at) for at in range(end, 0, -1)]
    left, right = legacy[start : len(legacy) - end], candidate[start : len(candidate) - end]
    change = _simple_change(left, right)
    if change is None:
        known = [legacy[i] for i, _ in kept]
        if _is_turned(left, right):
            turned = _paired(right, left, known)
            pairs = [(j, i) for i, j in turned.pairs]
            change = ChildChange(turned.is_reordered, pairs, turned.inserted, turned.removed)
        else:
            change = _paired(left, right, known)
    pairs = [(i + start, j + start) for i, j in change.pairs]
    removed, inserted = [i + start for i in change.removed], [j + start for j in change.inserted]
    return ChildChange(change.is_reordered, sorted(kept + pairs), removed, inserted)


def _simple_change(left: list[Element], right: list[Element]) -> ChildChange | None:
    """Return the change if one side is empty, or if both have the same distinct names in the same order; else None."""
    if not left or not right:
        return ChildChange(False, [], [*range(len(left))], [*range(len(right))])
    names = [element.name for element in left]
    if len(set(names)) < len(names) or names != [element.name for element in right]:
        return None
    pairs = zip(left, right, strict=True)
    if all(_group(element) == _group(other) or _have_in_common(element, other) for element, other in pairs):
        return ChildChange(False, [(at, at) for at in range(len(left))], [], [])
    return None


def _is_turned(left: list[Element], right: list[Element]) -> bool:
    """Return True if the sides must be swapped, so that ties break alike whichever side is legacy."""
    if len(left) != len(right):
        return len(left) > len(right)
    texts = [write_markup(side[0], _COMPARED_OF_TIES) for side in (left, right)]
    return texts[0] > texts[1]


def _paired(left: list[Element], right: list[Element], known: list[Element]) -> ChildChange:
    """Pair elements between the common ends. `known`: elements of the left side that are paired already."""
    alignment = align(_ids(left), _ids(right), wants_alike=True)
    pairs = list(alignment.alike)
    spare_left = [i for gap in alignment.gaps for i in gap.left]
    spare_right = [j for gap in alignment.gaps for j in gap.right]
    for identity in _identities([left[i] for i in spare_left]):
        if not (spare_left and spare_right):
            break
        same = _same(left, right, spare_left, spare_right, identity)
        pairs += same
        spare_left = without(spare_left, {i for i, _ in same})
        spare_right = without(spare_right, {j for _, j in same})
    pairs.sort()
    is_reordered = alignment.is_reordered or any(before[1] > after[1] for before, after in pairwise(pairs))
    if spare_left and spare_right:
        groups = {_group(element) for element in (*known, *(left[i] for i, _ in pairs))}
        by_place = list(_by_place(left, right, _gaps(spare_left, spare_right, rising(pairs)), groups))
        pairs += by_place
        spare_left = without(spare_left, {i for i, _ in by_place})
        spare_right = without(spare_right, {j for _, j in by_place})
    return ChildChange(is_reordered, pairs, spare_left, spare_right)


def _ids(elements: list[Element]) -> list[int]:
    return [element.alike for element in elements]


def _group(element: Element) -> Hashable:
    """Return the key of an element's group: elements that look alike to a reader, such as the rows of a list."""
    classes = element.attributes.get("class")
    return (element.name, attribute_key("class", classes)) if classes else element.name


def _identities(elements: list[Element]) -> Iterator[Callable[[Element], Hashable]]:
    """Yield functions that identify elements; each returns None for an element that it does not identify."""
    present = {name for element in elements for name in element.attributes}
    for name in _IDENTITIES:
        if name in present:
            yield lambda element, name=name: (  # type: ignore[misc]
                (element.name, element.attributes[name]) if element.attributes.get(name) else None
            )
    yield lambda element: (_group(element), element.first_text) if element.first_text else None


def _same(
    left: list[Element],
    right: list[Element],
    spare_left: list[int],
    spare_right: list[int],
    identity: Callable[[Element], Hashable],
) -> Pairs:
    """Return the pairs with an identity that is unique on each side."""
    places: list[dict[Hashable, int]] = []
    for elements, spare in ((left, spare_left), (right, spare_right)):
        found: dict[Hashable, int] = {}
        for at in spare:
            key = identity(elements[at])
            if key is not None:
                found[key] = -1 if key in found else at
        places.append(found)
    there = places[1]
    return [(i, there[key]) for key, i in places[0].items() if i >= 0 and there.get(key, -1) >= 0]


def _gaps(left: list[int], right: list[int], anchors: Pairs) -> list[tuple[list[int], list[int]]]:
    """Group the remaining places by the pair that they come before."""
    lefts, rights = [i for i, _ in anchors], [j for _, j in anchors]
    gaps: defaultdict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for i in left:
        gaps[bisect_left(lefts, i)][0].append(i)
    for j in right:
        gaps[bisect_left(rights, j)][1].append(j)
    return [gaps[at] for at in sorted(gaps)]


def _by_place(
    left: list[Element], right: list[Element], gaps: list[tuple[list[int], list[int]]], known: set[Hashable]
) -> Iterator[tuple[int, int]]:
    """Yield pairs of one group in document order, then pairs of one name that have something in common.

    If others of a group are paired already, and one side has more, its elements cannot be paired.
    """
    for lefts, rights in gaps:
        if not (lefts and rights):
            continue
        met: Pairs = []
        for group, (some, others) in _grouped(left, right, lefts, rights, _group):
            if len(some) == len(others) or group not in known:
                met += zip(some, others, strict=False)
        lefts, rights = without(lefts, {i for i, _ in met}), without(rights, {j for _, j in met})
        yield from met
        for _, (some, others) in _grouped(left, right, lefts, rights, lambda element: element.name):
            if len(some) == len(others):
                yield from ((i, j) for i, j in zip(some, others, strict=True) if _have_in_common(left[i], right[j]))


def _grouped(
    left: list[Element],
    right: list[Element],
    lefts: Sequence[int],
    rights: Sequence[int],
    key: Callable[[Element], Hashable],
) -> list[tuple[Hashable, tuple[list[int], list[int]]]]:
    groups: dict[Hashable, tuple[list[int], list[int]]] = {}
    for i in lefts:
        groups.setdefault(key(left[i]), ([], []))[0].append(i)
    for j in rights:
        groups.setdefault(key(right[j]), ([], []))[1].append(j)
    return [(group, both) for group, both in groups.items() if both[0] and both[1]]


def _have_in_common(left: Element, right: Element) -> bool:
    """Return True if two elements share a class (or one has none), a text or a child."""
    classes = [set(element.attributes.get("class", "").split()) for element in (left, right)]
    if not classes[0] or not classes[1] or classes[0] & classes[1]:
        return True
    if left.own_text.strip() and left.own_text == right.own_text:
        return True
    return not {child.alike for child in left.elements}.isdisjoint([child.alike for child in right.elements])
