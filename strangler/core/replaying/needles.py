"""Needles: many texts found at once in a long one, in time that depends on its length alone.

A needle is looked up by its anchor, the longest run of letters, digits and `_` in it: the long text is divided into
such runs, each of which is looked up once. So a needle never begins or ends within a longer word.
"""

import re
from collections.abc import Collection, Iterator
from typing import Generic, NamedTuple, TypeVar

from strangler.core.ledger.value_forms import is_plain_value
from strangler.core.privacy.secrets import MARK

T = TypeVar("T")

_RUN = re.compile(r"%[0-9A-Fa-f]{2}|\\(?:u[0-9A-Fa-f]{4}|[nrtbf])|([A-Za-z0-9_]+)")
"""A run, or an escape, which is none and parts two runs: `%2F17` has the run `17`."""
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}|\\(?:u[0-9A-Fa-f]{4}|[nrtbf])")
_HIDING = re.compile(r"(?:%|\\u00)(?:3[0-9]|[46][1-9A-F]|[57][0-9A]|5F)", re.IGNORECASE)
"""An escape of a letter, a digit or `_`."""
_ESCAPE_BEFORE = re.compile(r"%[0-9A-Fa-f]{2}\Z|\\(?:u[0-9A-Fa-f]{4}|[nrtbf])\Z")
_JOIN = r"(?:[-.+~]|%2B|%2D|%2E|%7E)"
"""A character that joins two words to a token or a number: Base64 of URLs, JSON Web Tokens, decimals."""
_JOINED_BEFORE = re.compile(rf"\w{_JOIN}\Z", re.IGNORECASE)
_JOINED_AFTER = re.compile(rf"{_JOIN}\w|(?:=|%3D)(?!\w)", re.IGNORECASE)
"""More of a token: another word of it, or its padding."""
_LONGEST_ESCAPE = 6
_LEAST_WHOLE = 24
_BLANKS = bytes(
    byte if chr(byte).isascii() and (chr(byte).isalnum() or byte == ord("_")) else 0x20 for byte in range(256)
)


class Hit(NamedTuple, Generic[T]):
    start: int
    end: int
    found: T


class _Shape(NamedTuple):
    """The form of a needle around its anchor."""

    before: int
    length: int


class Needles(Generic[T]):
    """Texts to be found, each with what it stands for."""

    def __init__(self) -> None:
        self._by_anchor: dict[str | None, dict[_Shape, dict[str, T]]] = {}

    def add(self, needle: str, found: T) -> None:
        """Add a needle; one without any letter or digit is never found."""
        anchor = _anchor(needle)
        if anchor is not None:
            start, end = anchor
            shapes = self._by_anchor.setdefault(needle[start:end], {})
            shapes.setdefault(_Shape(start, len(needle)), {})[needle] = found

    def remove(self, needle: str, found: T) -> None:
        """Remove a needle, unless it now stands for something else."""
        anchor = _anchor(needle)
        if anchor is None:
            return
        start, end = anchor
        shape, word = _Shape(start, len(needle)), needle[start:end]
        shapes = self._by_anchor.get(word, {})
        if shapes.get(shape, {}).get(needle) != found:
            return
        del shapes[shape][needle]
        if not shapes[shape]:
            del shapes[shape]
        if not shapes:
            del self._by_anchor[word]

    def find(self, text: str) -> list[Hit[T]]:
        """Return the needles in a text, from left to right; of several that overlap the leftmost, then the longest."""
        hits: list[Hit[T]] = []
        for run in _RUN.finditer(text):
            shapes = self._by_anchor.get(run[1])
            if shapes is not None:
                hits += _at(text, run.start(1), shapes)
        hits.sort(key=lambda hit: (hit.start, -hit.end))
        kept: list[Hit[T]] = []
        for hit in hits:
            if not kept or hit.start >= kept[-1].end:
                kept.append(hit)
        return kept


def _at(text: str, at: int, shapes: dict[_Shape, dict[str, T]]) -> Iterator[Hit[T]]:
    """Yield the needles whose anchor stands at a place."""
    for shape, needles in shapes.items():
        start = at - shape.before
        end = start + shape.length
        needle = text[max(start, 0) : end]
        if needle in needles and _is_whole(text, start, end):
            yield Hit(start, end, needles[needle])


def anchor_of(needle: str) -> str:
    """Return the anchor of a needle; empty if it has no letter or digit."""
    span = _anchor(needle)
    return "" if span is None else needle[slice(*span)]


def words_of(text: str) -> Collection[bytes] | None:
    """Return all runs of a text, of which one must be the anchor of a needle that stands there; None if some may hide.

    This is quick: most texts have no needle, and need not be searched. A run hides behind an escape within it.
    """
    if "%" in text or "\\" in text:
        if _HIDING.search(text):
            return None
        text = _ESCAPE.sub(" ", text)
    return text.encode("utf-8", "surrogatepass").translate(_BLANKS).split()


def _anchor(needle: str) -> tuple[int, int] | None:
    runs = [run.span(1) for run in _RUN.finditer(needle) if run[1]]
    return max(runs, key=lambda run: run[1] - run[0], default=None)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Return True if what stands at the place is no part of a longer word, token or number."""
    needle = text[start:end]
    before, after = text[max(0, start - _LONGEST_ESCAPE) : start], text[end : end + 4]
    is_escaped = _ESCAPE_BEFORE.search(before) is not None
    if (_is_word(before[-1:]) and not is_escaped) or _is_word(after[:1]):
        return False
    if needle[0] == before[-1:] or needle[-1] == after[:1]:
        return False  # another quote or another sign of padding
    if MARK.fullmatch(needle) or (len(needle) >= _LEAST_WHOLE and is_plain_value(needle)):
        return True  # of a fixed length: what is joined to it is another thing
    return not (_JOINED_BEFORE.search(before) or _JOINED_AFTER.match(after))


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
