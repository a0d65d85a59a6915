"""Edits of a text: spans with what comes in their place, and the encodings that a text is written in."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import unescape
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote

from strangler.core.compare.redaction.nesting import Nesting
from strangler.core.compare.redaction.redact import Redactor


class Edit(NamedTuple):
    """A span of a text, and the text that comes in its place."""

    start: int
    end: int
    text: str


class Search(Protocol):
    """The search for secrets in a text within another one."""

    @property
    def redactor(self) -> Redactor: ...

    def inner(self, text: str, depth: int) -> list[Edit]:
        """Return the edits of a text that is nested in `depth` others, whatever its format is."""


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with its edits, which are in order and do not overlap."""
    pieces, done = [], 0
    for start, end, new in edits:
        pieces += [text[done:start], new]
        done = end
    return "".join([*pieces, text[done:]])


def joined(text: str, edits: Iterable[Edit], redactor: Redactor) -> list[Edit]:
    """Return the edits of a text in order; those that overlap become one mark."""
    kept: list[Edit] = []
    for edit in sorted(edits):
        if not kept or edit.start >= kept[-1].end:
            kept.append(edit)
        elif edit != kept[-1]:
            kept[-1] = marked(redactor, text, kept[-1].start, max(edit.end, kept[-1].end))
    return kept


def moved(edits: Iterable[Edit], by: int) -> list[Edit]:
    """Return the edits of a part of a text as edits of the whole."""
    return [Edit(start + by, end + by, new) for start, end, new in edits]


def marked(redactor: Redactor, text: str, start: int, end: int) -> Edit:
    """Return the edit that marks a span."""
    return Edit(start, end, redactor.mark(text[start:end]))


def marks_set(redact: "Callable[[Nesting], object]", length: int) -> int:
    """Return how many secrets the redactor of samples finds in a text of this length."""
    at = Nesting.of("")
    at.work.left += 8 * length
    redact(at)
    return at.work.marks


@dataclass(frozen=True, slots=True)
class Encoding:
    """A way to write a text within another one: its escapes, how one is decoded, and how a mark is written."""

    escapes: "re.Pattern[str]"
    decode: Callable[[str], str]
    encode: Callable[[str], str]

    def edits(self, raw: str, find: Callable[[str], list[Edit]]) -> list[Edit]:
        """Return the edits of an encoded text, whose decoded form `find` searches."""
        if self.escapes.search(raw) is None:
            return [Edit(start, end, self.encode(new)) for start, end, new in find(raw)]
        plain, places = self._decoded(raw)
        edits = find(plain)
        return [Edit(places[start], _end(places, end), self.encode(new)) for start, end, new in edits]

    def plain(self, raw: str) -> str:
        """Return the decoded text."""
        return self.escapes.sub(lambda found: self.decode(found[0]), raw)

    def _decoded(self, raw: str) -> tuple[str, list[int]]:
        """Return the decoded text, and the place in `raw` of each of its characters and of its end.

        A character that several escapes make, or several that one makes, are never divided.
        """
        pieces: list[str] = []
        places: list[int] = []
        done = 0
        for found in self.escapes.finditer(raw):
            pieces.append(raw[done : found.start()])
            places.extend(range(done, found.start()))
            text = self.decode(found[0])
            pieces.append(text)
            places.extend(_places(found[0], text, found.start()))
            done = found.end()
        pieces.append(raw[done:])
        places.extend(range(done, len(raw) + 1))
        return "".join(pieces), places


def _end(places: list[int], end: int) -> int:
    """Return the end in the encoded text: behind the escape that the last character is a part of."""
    while 0 < end < len(places) - 1 and places[end] == places[end - 1]:
        end += 1
    return places[end]


def _places(escape: str, text: str, start: int) -> list[int]:
    """Return the place of each character of a decoded escape: a run of `%XX` has one for each character."""
    if len(text) <= 1 or escape[0] != "%":
        return [start] * len(text)
    widths = [3 * (1 if char == "\ufffd" else len(char.encode())) for char in text]
    if sum(widths) != len(escape):
        return [start] * len(text)
    return [start + sum(widths[:at]) for at in range(len(text))]


def _json_unescaped(escape: str) -> str:
    try:
        text: str = json.loads(f'"{escape}"')
    except ValueError:
        return escape
    return text


def _json_escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _percent_decoded(escape: str) -> str:
    if escape == "+":
        return " "
    return bytes.fromhex(escape.replace("%", "")).decode("utf-8", "replace")


def _percent_encoded(text: str) -> str:
    return quote(text, safe="/:@!$()*,~[]{}|", errors="backslashreplace")


def _entity_encoded(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


_ENTITIES: Final = re.compile(r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};?)")
_RUN: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")

JSON_STRING: Final = Encoding(
    re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[^u]"),
    _json_unescaped,
    _json_escaped,
)
PERCENT: Final = Encoding(_RUN, _percent_decoded, _percent_encoded)
FORM: Final = Encoding(re.compile(r"(?:%[0-9A-Fa-f]{2})+|\+"), _percent_decoded, _percent_encoded)
ENTITIES: Final = Encoding(_ENTITIES, unescape, _entity_encoded)
PLAIN: Final = Encoding(re.compile(r"(?!)"), str, str)


_CONTROL: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def _script_unescaped(escape: str) -> str:
    if escape[1] in "ux":
        return chr(int(escape[2:], 16))
    return _CONTROL.get(escape[1], escape[1])


SCRIPT: Final = Encoding(
    re.compile(r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[\"'\\/nrtbf])"),
    _script_unescaped,
    lambda text: _json_escaped(text).replace("'", "\\'").replace("</", "<\\/"),
)
