"""Arrays with other elements because they are sorted in another way, and then cut to a page.

Compared place by place, every value differs, which is many differences for one cause.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import ge, le
from typing import Any

from strangler.core.compare.json.pairing import is_likely_identity
from strangler.core.compare.model.align import Pairs
from strangler.core.compare.model.values import Kind, Node

MIN_SORTED = 3
"""The fewest elements; two are always sorted by something."""
_MAX_NAMES = 32
_MAX_COLUMNS = 200

_Column = list[Any]
_Order = tuple[str, str]
"""A field (empty for the elements themselves) and the direction."""


@dataclass(frozen=True, slots=True)
class SortedOtherwise:
    """Two arrays sorted in different ways.

    `pairs`: the places of elements with the same identity. With `has_identity` the others are known to be different
    elements.
    """

    has_identity: bool
    pairs: Pairs


def sorted_otherwise(legacy: list[Node], candidate: list[Node]) -> SortedOtherwise | None:
    """Return the pairs of two arrays of equal length that are sorted in different ways; else None.

    Both hold texts, or numbers, or objects. If one of them is unsorted, or both are sorted alike, different elements in
    the same places are real differences. Swapping the sides changes nothing.
    """
    if len(legacy) != len(candidate) or len(legacy) < MIN_SORTED:
        return None
    if type(legacy[0]) is not dict:
        if type(legacy[0]) is not type(candidate[0]):
            return None
        orders = _orders_of_column("", legacy), _orders_of_column("", candidate)
        return SortedOtherwise(False, []) if _are_otherwise(*orders) else None
    if any(type(element) is not dict for element in (*legacy, *candidate)):
        return None
    names = _shared_names(legacy[0], candidate[0])
    if not _are_otherwise(_orders(legacy, names), _orders(candidate, names)):
        return None
    for name in filter(is_likely_identity, names):
        left, right = _places(legacy, name), _places(candidate, name)
        if left is not None and right is not None:
            pairs = [(i, right[value]) for value, i in left.items() if value in right]
            is_in_place = 2 * len(pairs) >= len(legacy) and all(i < j for (_, i), (_, j) in pairwise(pairs))
            return None if is_in_place else SortedOtherwise(True, pairs)
    return SortedOtherwise(False, [])


def _are_otherwise(left: set[_Order], right: set[_Order]) -> bool:
    return bool(left) and bool(right) and left.isdisjoint(right)


def _shared_names(left: Node, right: Node) -> list[str]:
    if not (isinstance(left, dict) and isinstance(right, dict)):
        return []
    return sorted(left.keys() & right.keys())[:_MAX_NAMES]


def _orders(elements: list[Node], names: Sequence[str]) -> set[_Order]:
    """Return the fields, with direction, by which the elements are sorted."""
    orders: set[_Order] = set()
    for name in names:
        column = _column(elements, name)
        if column is not None:
            orders |= _orders_of_column(name, column)
    return orders


def _column(elements: list[Node], name: str) -> _Column | None:
    """Return the values of a field; None if one of the elements lacks it."""
    try:
        return [element[name] for element in elements]  # type: ignore[call-overload,index]
    except KeyError:
        return None


def _orders_of_column(name: str, column: _Column) -> set[_Order]:
    """Return the orders of a column; a constant one has none. Texts may be sorted with case, without, or as numbers."""
    kinds = {type(value) for value in column}
    if kinds not in ({str}, {bytes}):
        return set()
    keys: list[Callable[[Any], Any]] = [float] if kinds == {bytes} else [str, str.casefold, float]
    orders: set[_Order] = set()
    for key in keys:
        try:
            values = [*map(key, column)]
        except ValueError:
            continue
        if values[0] == values[-1]:
            continue
        if all(map(le, values, values[1:])):
            orders.add((name, "ascending"))
        elif all(map(ge, values, values[1:])):
            orders.add((name, "descending"))
    return orders


def _places(elements: list[Node], name: str) -> dict[Hashable, int] | None:
    """Return the places of elements by the value of a field; None unless each element has a different one."""
    column = _column(elements, name)
    if column is None or any(type(value) is not str and type(value) is not bytes for value in column):
        return None
    places: dict[Hashable, int] = {value: at for at, value in enumerate(column)}
    return places if len(places) == len(column) else None


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """A change of a field of all elements. `steps` lead to it from an element; a side that lacks it is None."""

    steps: tuple[str, ...]
    kind: Kind
    legacy: Node
    candidate: Node


def column_changes(legacy: list[Node], candidate: list[Node]) -> list[ColumnChange]:
    """Return what differs between all elements of one side and all of the other, whatever their pairs.

    That is a field that one side lacks; values whose types never agree; one constant value here and another there.
    Fields of inner objects are compared, too.
    """
    changes: list[ColumnChange] = []
    stack: list[tuple[tuple[str, ...], list[Node], list[Node]]] = [((), legacy, candidate)]
    looked_at = 0
    while stack and looked_at < _MAX_COLUMNS:
        steps, left, right = stack.pop()
        if not all(type(element) is dict for element in (*left, *right)):
            continue
        for name in sorted(_all_names(left) | _all_names(right))[:_MAX_COLUMNS]:
            looked_at += 1
            columns = _present(left, name), _present(right, name)
            change = _change((*steps, name), *columns)
            if change is not None:
                changes.append(change)
            elif columns[0] and columns[1]:
                stack.append(((*steps, name), *columns))
    return changes


def _all_names(elements: list[Node]) -> set[str]:
    names: set[str] = set()
    for element in elements:
        names |= element.keys()  # type: ignore[union-attr]
    return names


def _present(elements: list[Node], name: str) -> list[Node]:
    return [element[name] for element in elements if name in element]  # type: ignore[call-overload,index,operator]


def _change(steps: tuple[str, ...], left: list[Node], right: list[Node]) -> ColumnChange | None:
    if not right:
        return ColumnChange(steps, Kind.MISSING, left[0], None)
    if not left:
        return ColumnChange(steps, Kind.EXTRA, None, right[0])
    if {type(value) for value in left}.isdisjoint({type(value) for value in right}):
        return ColumnChange(steps, Kind.TYPE, left[0], right[0])
    is_scalar = all(type(value) is not dict and type(value) is not list for value in (left[0], right[0]))
    if not is_scalar or left[0] == right[0] or min(len(left), len(right)) < MIN_SORTED:
        return None
    is_constant = all(value == left[0] for value in left) and all(value == right[0] for value in right)
    return ColumnChange(steps, Kind.VALUE, left[0], right[0]) if is_constant else None
