"""Redaction of markup within another format, down to the secrets in its texts and attributes."""

import re
from dataclasses import dataclass

from strangler.core.compare.redaction.nesting import Nesting, Searching
from strangler.core.compare.redaction.redact_markup import Marker, redact_html, redact_xml
from strangler.core.privacy.secrets import formed_spans, named_spans, unopened_spans


@dataclass(frozen=True, slots=True)
class _Callbacks:
    """Redaction of the texts and attributes of a document that may be nested in others."""

    redactor: Searching
    at: Nesting

    def redact_text(self, text: str) -> str:
        return self.redactor.value(text, self.at.deeper())

    def mark(self, text: str) -> str:
        return self.at.mark(self.redactor, text)


def redact_markup(text: str, redactor: Searching, at: Nesting | None = None, *, is_html: bool) -> str | None:
    """Return HTML or XML redacted; None for XML that does not parse."""
    at = at or Nesting.of(text)
    marker: Marker = _Callbacks(redactor, at)
    if not is_html:
        return redact_xml(text, marker)
    formed = mark_formed(text, redactor, at)
    return redact_html(at.mark_spans(redactor, formed, unopened_spans(formed)), marker)


def redact_inner_xml(text: str, redactor: Searching, at: Nesting) -> str | None:
    """Return XML within a text redacted, or unchanged if it has no secret; None if it does not parse."""
    xml = redact_markup(text, redactor, at, is_html=False)
    return text if xml is not None and xml == redact_xml(text, _AS_IT_IS) else xml


def redact_inner_html(text: str, redactor: Searching, at: Nesting) -> str:
    """Return HTML within a text redacted, without the frame of a document; unchanged if it has no secret.

    What a browser drops (an unfinished tag, attributes of an end tag) was not searched, so it is dropped here, too.
    """
    formed = mark_formed(text, redactor, at)
    whole = redact_markup(formed, redactor, at, is_html=True) or ""
    if _DROPPED.search(text) is None and whole == redact_html(formed, _AS_IT_IS):
        return mark_named(formed, redactor, at)
    return _FRAME.sub("", whole)


_DROPPED = re.compile(
    r"</[A-Za-z][^\s>]*\s[^>]*[^\s>]"
    r"|<[A-Za-z/!?](?:=\s*+(?:\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z))|[^>=]|=)*+\Z",
)


class _AsItIs:
    """A marker that marks nothing, so that the text is written in normal form."""

    def redact_text(self, text: str) -> str:
        return text

    def mark(self, secret: str) -> str:
        return secret


_AS_IT_IS = _AsItIs()
_FRAME = re.compile(r"\A<html><head>(?:</head><body>)?|(?:</head><body>)?</body></html>\Z")


def mark_formed(text: str, redactor: Searching, at: Nesting) -> str:
    """Mark what is a secret by its form."""
    return at.mark_spans(redactor, text, formed_spans(text))


def mark_named(text: str, redactor: Searching, at: Nesting) -> str:
    """Mark what is a secret by the name before it."""
    return at.mark_spans(redactor, text, named_spans(text))
