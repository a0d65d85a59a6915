"""Comparing two JSON trees. Iterative: nesting is bounded by the parser alone."""

from collections.abc import Hashable, Mapping

from strangler.core.compare.found import FoundState
from strangler.core.compare.ids import DigestState, TreeIds, intern
from strangler.core.compare.marks import Marks, find_marks
from strangler.core.compare.pairing import ArrayChange, change_of, keyed_change_of, multiset_change_of
from strangler.core.compare.paths import PathState, root_path
from strangler.core.compare.rules import CompareRules, Unordered
from strangler.core.compare.values import Kind, Node

_SHOWN_OF_ORDER = 5


def compare_trees(
    legacy: Node, candidate: Node, rules: CompareRules, found: FoundState, *, folds_lists: bool = False
) -> None:
    """Put every difference into `found`. `folds_lists`: see `paths.root_path`."""
    path = root_path(rules, folds_lists=folds_lists)
    marks = find_marks([legacy, candidate], path, rules)
    _Walk((legacy, candidate), marks, found).run(legacy, candidate, path)


class _Walk:
    """One walk over two trees: what all its steps share."""

    __slots__ = ("_alike", "_digests", "_equal", "_found", "_stack", "_unordered")

    def __init__(self, roots: tuple[Node, Node], marks: Marks, found: FoundState) -> None:
        self._found = found
        self._unordered: Mapping[int, Unordered] = marks.unordered
        self._equal = intern(roots, marks.unordered)
        self._alike = intern(roots, marks.unordered, marks.ignored) if marks.ignored else self._equal
        self._digests = DigestState()
        self._stack: list[tuple[Node, Node, PathState]] = []

    def run(self, legacy: Node, candidate: Node, path: PathState) -> None:
        stack = self._stack
        stack.append((legacy, candidate, path))
        while stack:
            left, right, at = stack.pop()
            if type(left) is not type(right):
                self._found.body(at, Kind.TYPE, left, right)
            elif isinstance(left, dict) and isinstance(right, dict):
                if self._equal.of(left) != self._equal.of(right):
                    self._objects(left, right, at)
            elif isinstance(left, list) and isinstance(right, list):
                if self._equal.of(left) != self._equal.of(right):
                    self._arrays(left, right, at)
            elif left != right:
                self._found.body(at, Kind.VALUE, left, right)

    def _objects(self, legacy: dict[str, Node], candidate: dict[str, Node], at: PathState) -> None:
        for key, value in legacy.items():
            if key in candidate:
                other = candidate[key]
                if value is not other:
                    self._stack.append((value, other, at.child(key)))
            else:
                self._found.lacking(at.child(key), value)
        for key, value in candidate.items():
            if key not in legacy:
                self._found.added(at.child(key), value)

    def _arrays(self, legacy: list[Node], candidate: list[Node], at: PathState) -> None:
        below = at.child(None)
        rule = self._unordered.get(id(legacy))
        change = self._change(legacy, candidate, rule)
        if change.is_reordered:
            self._found.body(at, Kind.ORDER, *_first_disorder(legacy, candidate, self._equal))
        if rule is not None and rule.key is not None:
            for i in change.removed:
                self._found.lacking(below, legacy[i])
            for j in change.inserted:
                self._found.added(below, candidate[j])
        elif change.removed or change.inserted:
            self._found.body(at, Kind.LENGTH, *_lengths(legacy, candidate, change))
        partners = change.pairs if self._alike is self._equal else change.alike + change.pairs
        for i, j in partners:
            left, right = legacy[i], candidate[j]
            if type(left) is str is type(right) or type(left) is bytes is type(right):
                if left != right:
                    self._found.body(below, Kind.VALUE, left, right)
            else:
                self._stack.append((left, right, below))

    def _change(self, legacy: list[Node], candidate: list[Node], rule: Unordered | None) -> ArrayChange:
        if rule is not None and rule.key is not None:
            return keyed_change_of((self._keys(legacy, rule.key), self._keys(candidate, rule.key)))
        ids = self._alike.elements[id(legacy)], self._alike.elements[id(candidate)]
        if rule is not None:
            return multiset_change_of(legacy, candidate, ids, self._digests)
        return change_of(legacy, candidate, ids, self._digests, wants_alike=self._alike is not self._equal)

    def _keys(self, array: list[Node], name: str) -> list[Hashable]:
        """An element without the key is its own key, so that equal ones still find each other."""
        return [
            self._equal.of(element[name])
            if isinstance(element, dict) and name in element
            else ("", self._equal.of(element))
            for element in array
        ]


def _first_disorder(legacy: list[Node], candidate: list[Node], ids: TreeIds) -> tuple[Node, Node]:
    """A few elements of both sides from the first one on that stands elsewhere."""
    pairs = zip(ids.elements[id(legacy)], ids.elements[id(candidate)], strict=False)
    start = next((at for at, (a, b) in enumerate(pairs) if a != b), 0)
    return legacy[start : start + _SHOWN_OF_ORDER], candidate[start : start + _SHOWN_OF_ORDER]


def _lengths(legacy: list[Node], candidate: list[Node], change: ArrayChange) -> tuple[int | str, int | str]:
    if len(legacy) != len(candidate):
        return len(legacy), len(candidate)
    return (
        f"{len(legacy)} elements, {len(change.removed)} of them only here",
        f"{len(candidate)} elements, {len(change.inserted)} of them only here",
    )
