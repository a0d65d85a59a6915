"""Comparing two trees of markup. Iterative: nesting is bounded by the parsers alone."""

from dataclasses import dataclass

from strangler.core.compare.accept_rules.accept import Accept
from strangler.core.compare.accept_rules.found import FoundState
from strangler.core.compare.markup.element_pairing import ChildChange, pair_children
from strangler.core.compare.markup.elements import Child, Element, write_markup
from strangler.core.compare.markup.markup_places import Chain, MarkupPlace, PlacesState, Writing
from strangler.core.compare.markup.markup_rules import together
from strangler.core.compare.model.common_ends import common_length
from strangler.core.compare.model.values import Excerpt, Kind, Value

_WORK_OF_ELEMENT = 8

_MAX_TEXT = 300
"""The most characters of a text that is reported as a whole."""
_MAX_ELEMENT_CHARS = 2000
_MAX_ORDER_ITEMS = 5


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Two elements that belong together and may differ. `accepts`: the rules that cover them."""

    legacy: Element
    candidate: Element
    chain: Chain
    words: Chain
    accepts: tuple[Accept, ...]


def compare_elements(
    legacy: Element, candidate: Element, writing: Writing, accepts: tuple[Accept, ...], found: FoundState
) -> None:
    """Put the differences of the content of two elements of one name into `found`. The elements have their ids.

    `accepts`: rules for the whole document. The caller reports differences of the two elements themselves.
    """
    walk = _Walk(writing, found)
    walk.run(_Waiting(legacy, candidate, (), (), accepts))


class _Walk:
    """One walk over two trees, in the order of the document."""

    __slots__ = ("_found", "_places", "_work", "_writing")

    def __init__(self, writing: Writing, found: FoundState) -> None:
        self._writing = writing
        self._found = found
        self._places = PlacesState(writing)
        self._work = 0

    def run(self, top: _Waiting) -> None:
        found = self._found
        stack = self._children(top, self._change(top))[::-1]
        while stack:
            if found.is_enough(self._work):
                return
            pair = stack.pop()
            change = self._change(pair)
            self._attributes(pair)
            self._own_text(pair, change)
            stack.extend(reversed(self._children(pair, change)))
        found.is_enough()

    def _attributes(self, pair: _Waiting) -> None:
        left, right = pair.legacy.attributes, pair.candidate.attributes
        if left == right:
            return
        for name in [*left, *(name for name in right if name not in left)]:
            before, after = left.get(name), right.get(name)
            if before is None or after is None:
                kind = Kind.EXTRA if before is None else Kind.MISSING
            elif self._writing.value_key(name, before) != self._writing.value_key(name, after):
                kind = Kind.VALUE
            else:
                continue
            rules = together(pair.accepts, pair.legacy.attribute_rules(name), pair.candidate.attribute_rules(name))
            place = self._places.at(pair.chain, pair.words, rules, name)
            if kind is Kind.VALUE:
                self._found.body(place, kind, *_texts(before or "", after or ""))
            else:
                self._found.body(place, kind, before, after)

    def _change(self, pair: _Waiting) -> ChildChange:
        left, right = pair.legacy.elements, pair.candidate.elements
        self._work += _WORK_OF_ELEMENT + len(left) + len(right)
        return pair_children(left, right)

    def _own_text(self, pair: _Waiting, change: ChildChange) -> None:
        left, right = pair.legacy.own_text, pair.candidate.own_text
        if left == right:
            return
        if (change.removed or change.inserted) and left.split() == right.split():
            return  # a space beside an element that was added or removed
        rules = together(pair.accepts, pair.legacy.text_accepts, pair.candidate.text_accepts)
        values = _texts(pair.legacy.visible_text, pair.candidate.visible_text)
        self._found.body(self._places.at(pair.chain, pair.words, rules), Kind.VALUE, *values)

    def _children(self, pair: _Waiting, change: ChildChange) -> list[_Waiting]:
        """Report children that one side lacks, and another order; return the pairs that may differ."""
        left, right = pair.legacy.elements, pair.candidate.elements
        if change.is_reordered or _has_moved_text(pair, change):
            place = self._places.at(pair.chain, pair.words, pair.accepts)
            self._found.body(place, Kind.ORDER, *_disorder(pair))
        for i in change.removed:
            if not self._found.is_enough(self._work):
                self._found.body(self._place_of_child(pair, left[i], i), Kind.MISSING, _element_value(left[i]), None)
        for j in change.inserted:
            if not self._found.is_enough(self._work):
                self._found.body(self._place_of_child(pair, right[j], j), Kind.EXTRA, None, _element_value(right[j]))
        return [
            self._below(pair, left[i], right[j], i if i == j else None)
            for i, j in change.pairs
            if left[i].equal != right[j].equal
        ]

    def _below(self, pair: _Waiting, left: Element, right: Element, at: int | None) -> _Waiting:
        chain = self._writing.below(pair.chain, left, right, column=None if at is None else at + 1)
        words = self._writing.words(left)
        if left.attributes != right.attributes:
            words = tuple(dict.fromkeys((*words, *self._writing.words(right))))
        accepts = pair.accepts
        if left.accepts or right.accepts:
            accepts = together(accepts, left.accepts, right.accepts)
        return _Waiting(left, right, chain, (*pair.words, *words), accepts)

    def _place_of_child(self, pair: _Waiting, child: Element, at: int) -> MarkupPlace:
        self._work += _WORK_OF_ELEMENT
        chain = self._writing.below(pair.chain, child, column=at + 1)
        words = (*pair.words, *self._writing.words(child))
        return self._places.at(chain, words, together(pair.accepts, child.accepts))


def _has_moved_text(pair: _Waiting, change: ChildChange) -> bool:
    """Return True if only the places of texts among the elements differ."""
    if change.removed or change.inserted or pair.legacy.own_text != pair.candidate.own_text:
        return False
    return _texts_and_gaps(pair.legacy) != _texts_and_gaps(pair.candidate)


def _texts_and_gaps(element: Element) -> list[str | None]:
    return [child if isinstance(child, str) else None for child in element.children]


def _texts(left: str, right: str) -> tuple[Value, Value]:
    """Return two texts that differ: as a whole, or each with the position of the first change."""
    if len(left) <= _MAX_TEXT and len(right) <= _MAX_TEXT:
        return (left, right) if left.strip() == right.strip() else (left.strip(), right.strip())
    at = common_length(left, right)
    return Excerpt(left, at), Excerpt(right, at)


def _element_value(element: Element) -> Value:
    return Excerpt(write_markup(element, _MAX_ELEMENT_CHARS), 0, is_markup=True)


def _disorder(pair: _Waiting) -> tuple[Value, Value]:
    """Return a few children of both sides, from the first whose place changed."""
    sides = pair.legacy.children, pair.candidate.children
    keys = ([child if isinstance(child, str) else child.alike for child in side] for side in sides)
    start = common_length(*keys)
    left, right = (_excerpt_of(side[start : start + _MAX_ORDER_ITEMS]) for side in sides)
    return left, right


def _excerpt_of(children: list[Child]) -> Value:
    some = Element("", {})
    some.children = children
    written = write_markup(some, _MAX_ELEMENT_CHARS).removeprefix("<>").removesuffix("</>")
    return Excerpt(written, 0, is_markup=True)
