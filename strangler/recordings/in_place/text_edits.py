"""Secrets in a text of any format, at their places."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from strangler.core.compare.redaction.nesting import MAX_NESTING, Nesting
from strangler.core.compare.redaction.redact import Redactor
from strangler.core.compare.redaction.redact_base64 import BASE64, redact_base64
from strangler.core.compare.redaction.redact_text import STRING
from strangler.core.privacy.secrets import formed_spans, named_spans
from strangler.recordings.in_place.edits import (
    ENTITIES,
    FORM,
    SCRIPT,
    Edit,
    Encoding,
    Search,
    edited,
    joined,
    marked,
    marks_set,
    moved,
)
from strangler.recordings.in_place.json_edits import json_edits, lines_edits
from strangler.recordings.in_place.markup_edits import TAG, markup_edits
from strangler.recordings.in_place.url_edits import form_edits, url_edits


@dataclass(frozen=True, slots=True)
class TextSearch:
    """The search in texts by a redactor of samples, which has the last word: what it would still hide is hidden."""

    redactor: Redactor

    def finds(self, text: str) -> bool:
        """Return True if the redactor of samples finds a secret in a text."""
        return marks_set(lambda at: self.redactor.nested(text, at), len(text)) > 0

    def inner(self, text: str, depth: int = 0) -> list[Edit]:
        """Return the edits of a text, in order; if they would not hide all, the one that hides it as a whole."""
        if self.redactor.is_clear(text) or not self.finds(text):
            return []
        if depth <= MAX_NESTING:
            for find in _BY_FORMAT:
                found = list(find(text, self, depth) or ())
                if found and (edits := self.sufficient(text, found)):
                    return edits
            collected: list[Edit] = []
            for find in _IN_TEXT:
                collected += find(text, self, depth) or ()
                if collected and (edits := self.sufficient(text, collected)):
                    return edits
        return [marked(self.redactor, text, 0, len(text))]

    def sufficient(self, text: str, edits: list[Edit]) -> list[Edit]:
        """Return the edits in order; none if a secret would be left."""
        ordered = joined(text, edits, self.redactor)
        return [] if self.finds(edited(text, ordered)) else ordered


def _spans(text: str, search: Search, depth: int) -> list[Edit]:
    return [marked(search.redactor, text, start, end) for start, end in [*formed_spans(text), *named_spans(text)]]


def _base64(text: str, search: Search, depth: int) -> list[Edit]:
    """Return an edit for each Base64 with a secret in it: encoded again without it."""
    edits = []
    for found in BASE64.finditer(text):
        written = redact_base64(found[0], search.redactor, Nesting.of(found[0]))
        if written != found[0]:
            edits.append(Edit(*found.span(), written))
    return edits


def _strings(text: str, search: Search, depth: int) -> Iterator[Edit]:
    """Yield the edits within strings of a script."""
    for found in STRING.finditer(text):
        group = 1 if found[1] is not None else 2
        edits = SCRIPT.edits(found[group], lambda plain: search.inner(plain, depth + 1))
        yield from moved(edits, found.start(group))


def _beneath(encoding: Encoding) -> "_Find":
    def find(text: str, search: Search, depth: int) -> list[Edit]:
        if encoding.escapes.search(text) is None:
            return []
        return encoding.edits(text, lambda plain: search.inner(plain, depth + 1) if plain != text else [])

    return find


def _document(text: str, search: Search, depth: int) -> list[Edit] | None:
    return _markup(text, search, depth) if text.lstrip("\ufeff \t\r\n").startswith("<") else None


def _markup(text: str, search: Search, depth: int) -> list[Edit] | None:
    return markup_edits(text, search, depth, is_html=True) if TAG.search(text) else None


_Find: TypeAlias = "Callable[[str, Search, int], Iterator[Edit] | list[Edit] | None]"
_BY_FORMAT: "Final[tuple[_Find, ...]]" = (json_edits, lines_edits, url_edits, form_edits, _document)
_IN_TEXT: "Final[tuple[_Find, ...]]" = (
    _spans, _base64, _strings, _beneath(SCRIPT), _beneath(ENTITIES), _beneath(FORM), _markup,
)  # fmt: skip
"""Searches of plain text: each is added to those before if these did not find all."""
