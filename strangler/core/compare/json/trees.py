"""Comparing two JSON trees. Iterative: nesting is bounded by the parser alone."""

from collections.abc import Hashable, Mapping
from contextlib import suppress

from strangler.core.compare.accept_rules.found import FoundState
from strangler.core.compare.accept_rules.paths import PathState, root_path
from strangler.core.compare.accept_rules.rules import CompareRules, Unordered
from strangler.core.compare.json.ids import DigestState, TooManyError, TreeIds
from strangler.core.compare.json.marks import Marks, find_marks
from strangler.core.compare.json.pairing import (
    ArrayChange,
    change_of,
    keyed_change_of,
    multiset_change_of,
    simple_change_of,
    unlike_change_of,
)
from strangler.core.compare.json.sorting import SortedOtherwise, column_changes, sorted_otherwise
from strangler.core.compare.model.align import without
from strangler.core.compare.model.common_ends import common_ends
from strangler.core.compare.model.numbers import NOT_FINITE, is_other_type, untyped
from strangler.core.compare.model.values import Kind, Node, Step
from strangler.core.privacy.secrets import VALUE_MEMBERS, holds_named_secret

MAX_CONTAINERS = 20_000
"""The most objects and arrays that get ids: with more, arrays are compared place by place. Equal parts do not count."""

MAX_ALIGNED = 16_384
"""The most elements of two arrays, from the first that differs to the last, that are aligned."""

_WORK_OF_OBJECTS, _WORK_OF_ARRAYS, _WORK_OF_REPEATED = 4, 15, 4
_PLAIN_DEPTH = 4
"""Down to this depth containers are compared by Python's `==`, which is fast but visits all that is below each time."""

_MAX_ORDER_ITEMS = 5

_Waiting = tuple[Node, Node, PathState, int]
"""Two containers that may differ, their path, and how deep they are."""


def compare_trees(
    legacy: Node, candidate: Node, rules: CompareRules, found: FoundState, path: PathState | None = None
) -> None:
    """Put every difference into `found`. `path`: where the two trees stand, by default `$`."""
    path = path or root_path(rules)
    marks = find_marks([legacy, candidate], path.scope, rules)
    _Walk(marks, found, rules).run(legacy, candidate, path)


class _Walk:
    """One walk over two trees, in the order of the document, with what all its steps share."""

    __slots__ = (
        "_alike",
        "_digests",
        "_equal",
        "_found",
        "_has_value_rules",
        "_is_typed",
        "_stack",
        "_unordered",
        "_work",
    )

    def __init__(self, marks: Marks, found: FoundState, rules: CompareRules) -> None:
        self._found = found
        self._is_typed = rules.is_typed
        self._has_value_rules = any(rule.depends_on_values and rule.pattern is not None for rule in rules.accept)
        self._unordered: Mapping[int, Unordered] = marks.unordered
        self._equal = TreeIds(marks.unordered, most=MAX_CONTAINERS)
        self._alike = TreeIds(marks.unordered, marks.ignored, MAX_CONTAINERS) if marks.ignored else self._equal
        self._digests = DigestState()
        self._stack: list[_Waiting] = []
        self._work = 0

    def run(self, legacy: Node, candidate: Node, path: PathState) -> None:
        found, stack = self._found, self._stack
        self._meet(legacy, candidate, path, 0, stack)
        while stack:
            if found.is_enough(self._work):
                return
            left, right, at, depth = stack.pop()
            waiting: list[_Waiting] = []
            if isinstance(left, dict) and isinstance(right, dict):
                self._work += _WORK_OF_OBJECTS
                self._objects(left, right, at, depth + 1, waiting)
            elif isinstance(left, list) and isinstance(right, list):
                self._work += _WORK_OF_ARRAYS
                self._arrays(left, right, at, depth + 1, waiting)
            stack.extend(reversed(waiting))
        found.is_cut = found.is_cut or found.is_full

    def _meet(self, left: Node, right: Node, at: PathState, depth: int, waiting: "list[_Waiting]") -> None:
        """Report scalars that differ; containers that may differ wait for their turn."""
        if type(left) is not type(right):
            self._found.body(at, Kind.TYPE, left, right)
        elif type(left) is dict or type(left) is list:
            if not self._is_same(left, right, depth):
                waiting.append((left, right, at, depth))
        elif left != right:
            is_other = type(left) is bytes is type(right) and is_other_type(left, right, is_typed=self._is_typed)
            self._found.body(at, Kind.TYPE if is_other else Kind.VALUE, left, right)

    def _is_same(self, left: Node, right: Node, depth: int) -> bool:
        """Return True if two containers are equal; False also if that would take too long to find out."""
        if self._unordered:
            return self._equal.of(left) == self._equal.of(right)
        if depth <= _PLAIN_DEPTH:
            with suppress(RecursionError):
                return left == right
        try:
            return self._equal.of(left, is_bounded=True) == self._equal.of(right, is_bounded=True)
        except TooManyError:
            return False

    def _objects(
        self,
        legacy: dict[str, Node],
        candidate: dict[str, Node],
        at: PathState,
        depth: int,
        waiting: "list[_Waiting]",
    ) -> None:
        found = self._found
        for key, value in legacy.items():
            if key not in candidate:
                found.lacking(_member(at, key, legacy, candidate), value)
            else:
                other = candidate[key]
                if value is other or (type(value) is bytes is type(other) and value == other):
                    continue  # the usual case: no path is made
                self._meet(value, other, _member(at, key, legacy, candidate), depth, waiting)
            if found.is_full:
                return
        for key, value in candidate.items():
            if key not in legacy:
                found.added(_member(at, key, legacy, candidate), value)
                if found.is_full:
                    return

    def _arrays(
        self, legacy: list[Node], candidate: list[Node], at: PathState, depth: int, waiting: "list[_Waiting]"
    ) -> None:
        below = at.child(None)
        rule = self._unordered.get(id(legacy))
        change = self._change(legacy, candidate, rule, depth, is_bounded=not (at.accepts or below.scope.is_alive))
        if change is None:
            self._place_by_place(legacy, candidate, at, depth, waiting)
            return
        self._found.is_cut = self._found.is_cut or change.is_cut
        otherwise = self._sorted_otherwise(legacy, candidate, at, below, change) if rule is None else None
        if otherwise is not None:
            self._add_order(legacy, candidate, at, otherwise)
            partners = [*change.alike, *otherwise.pairs]
            self._elements([(legacy[i], candidate[j]) for i, j in partners], below, depth, waiting)
            return
        if change.is_reordered:
            self._found.body(at, Kind.ORDER, *self._first_disorder(legacy, candidate))
        if rule is not None and rule.key is not None:
            for i in change.removed:
                self._found.lacking(below, legacy[i])
            for j in change.inserted:
                self._found.added(below, candidate[j])
        elif change.removed or change.inserted:
            self._found.body(at, Kind.LENGTH, *_lengths(legacy, candidate, change))
        partners = change.pairs if self._alike is self._equal else change.alike + change.pairs
        self._elements([(legacy[i], candidate[j]) for i, j in partners], below, depth, waiting)

    def _sorted_otherwise(
        self, legacy: list[Node], candidate: list[Node], at: PathState, below: PathState, change: ArrayChange
    ) -> SortedOtherwise | None:
        """Return the pairs of the elements if the sides are sorted in different ways.

        Only if some of them (without an identity: most) have nothing in common but their place; and not if a rule
        accepts values within the array but not its order, since that could turn a match into a mismatch.
        """
        if not change.by_place:
            return None
        if self._has_value_rules and below.scope.is_alive:
            return None
        if not all(rule in at.accepts and rule.is_about(Kind.ORDER) for rule in below.accepts):
            return None
        otherwise = sorted_otherwise(legacy, candidate)
        if otherwise is not None and not otherwise.has_identity:
            unlike = change.by_place + len(change.removed)
            return otherwise if 2 * unlike > len(legacy) else None
        return otherwise

    def _add_order(self, legacy: list[Node], candidate: list[Node], at: PathState, otherwise: SortedOtherwise) -> None:
        """Report one `order`, and what differs whatever the pairs of elements."""
        self._found.body(at, Kind.ORDER, *self._first_disorder(legacy, candidate))
        pairs = otherwise.pairs
        if len(pairs) == len(legacy):
            return
        if otherwise.has_identity:
            spare = len(legacy) - len(pairs)
            text = f"{len(legacy)} elements, {spare} of them only here"
            self._found.body(at, Kind.LENGTH, text, text)
        spare_left = [legacy[i] for i in without(range(len(legacy)), {i for i, _ in pairs})]
        spare_right = [candidate[j] for j in without(range(len(candidate)), {j for _, j in pairs})]
        for change in column_changes(spare_left, spare_right):
            place = at.child(None)
            for step in change.steps:
                place = _member(place, step, *spare_left, *spare_right)
            self._found.body(place, change.kind, change.legacy, change.candidate)

    def _place_by_place(
        self, legacy: list[Node], candidate: list[Node], at: PathState, depth: int, waiting: "list[_Waiting]"
    ) -> None:
        """Compare arrays in which too much differs to find pairs."""
        self._found.is_cut = True
        if len(legacy) != len(candidate):
            self._found.body(at, Kind.LENGTH, len(legacy), len(candidate))
        self._elements([*zip(legacy, candidate, strict=False)], at.child(None), depth, waiting)

    def _elements(
        self, partners: list[tuple[Node, Node]], below: PathState, depth: int, waiting: "list[_Waiting]"
    ) -> None:
        changed = 0
        for left, right in partners:
            if type(left) is bytes is type(right) or type(left) is str is type(right):
                if left != right:
                    if self._is_typed or left in NOT_FINITE or right in NOT_FINITE:
                        self._meet(left, right, below, depth, waiting)
                        continue
                    if not changed or below.accepts:
                        self._found.body(below, Kind.VALUE, left, right)
                    changed += 1
            else:
                self._meet(left, right, below, depth, waiting)
        if changed and not below.accepts:
            self._found.more(below, Kind.VALUE, changed - 1)

    def _change(
        self, legacy: list[Node], candidate: list[Node], rule: Unordered | None, depth: int, *, is_bounded: bool
    ) -> ArrayChange | None:
        """Return the change of an array, or None if that would take too long."""
        if rule is not None and rule.key is not None:
            return keyed_change_of((self._keys(legacy, rule.key), self._keys(candidate, rule.key)))
        if rule is not None:
            ids = self._alike.elements(legacy), self._alike.elements(candidate)
            return multiset_change_of(legacy, candidate, ids, self._digests, is_bounded=is_bounded)
        if self._alike is not self._equal:
            ids = self._alike.elements(legacy), self._alike.elements(candidate)
            return change_of(legacy, candidate, ids, self._digests, wants_alike=True)
        start, end = _common_ends(legacy, candidate) if depth <= _PLAIN_DEPTH else (0, 0)
        middle = legacy[start : len(legacy) - end], candidate[start : len(candidate) - end]
        change = simple_change_of(*map(len, middle))
        if change is None:
            try:
                ids = (
                    self._equal.elements(middle[0], is_bounded=is_bounded),
                    self._equal.elements(middle[1], is_bounded=is_bounded),
                )
            except TooManyError:
                return None
            change = unlike_change_of(*middle, ids)
        if change is None:
            size = len(middle[0]) + len(middle[1])
            if is_bounded and size > MAX_ALIGNED:
                return None
            is_unique = len(set(ids[0])) == len(ids[0])
            self._work += size if is_unique else _WORK_OF_REPEATED * size
            whole = legacy, candidate
            change = change_of(*middle, ids, self._digests, wants_alike=False, whole=whole)
        return change.shifted(start)

    def _keys(self, array: list[Node], name: str) -> list[Hashable]:
        """Return the keys of elements; an element without one is its own key, so that equal ones are still paired."""
        return [
            self._key(element[name]) if isinstance(element, dict) and name in element else ("", self._equal.of(element))
            for element in array
        ]

    def _key(self, value: Node) -> Hashable:
        """Return a key; a number that changed its type is still the same key."""
        return untyped(value) if self._is_typed and type(value) is bytes else self._equal.of(value)

    def _first_disorder(self, legacy: list[Node], candidate: list[Node]) -> tuple[Node, Node]:
        """Return a few elements of both sides, from the first whose place changed."""
        pairs = zip(self._equal.elements(legacy), self._equal.elements(candidate), strict=False)
        start = next((at for at, (a, b) in enumerate(pairs) if a != b), 0)
        return legacy[start : start + _MAX_ORDER_ITEMS], candidate[start : start + _MAX_ORDER_ITEMS]


def _member(at: PathState, key: Step, *objects: Node) -> PathState:
    """Return the path of a member of objects at one path."""
    if key in VALUE_MEMBERS and any(isinstance(node, dict) and holds_named_secret(node) for node in objects):
        return at.secret_child(key)
    return at.child(key)


def _common_ends(legacy: list[Node], candidate: list[Node]) -> tuple[int, int]:
    """Return what two arrays have in common at their ends; nothing if the elements are nested too deeply."""
    try:
        return common_ends(legacy, candidate)
    except RecursionError:
        return 0, 0


def _lengths(legacy: list[Node], candidate: list[Node], change: ArrayChange) -> tuple[int | str, int | str]:
    if len(legacy) != len(candidate):
        return len(legacy), len(candidate)
    return (
        f"{len(legacy)} elements, {len(change.removed)} of them only here",
        f"{len(candidate)} elements, {len(change.inserted)} of them only here",
    )
