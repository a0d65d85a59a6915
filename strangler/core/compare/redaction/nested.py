"""Redaction of a text by its format: JSON, XML, HTML, a URL, a form, Base64, or plain text with any of these in it.

What is found inside is searched in the same way, to a bounded depth. A text without secrets is returned unchanged, any
other is rewritten in its own format, so that the rest stays readable.
"""

from strangler.core.compare.redaction.nested_markup import mark_formed
from strangler.core.compare.redaction.nesting import MAX_NESTING, Nesting, Searching
from strangler.core.compare.redaction.quick_test import PLAIN, SHORTEST
from strangler.core.compare.redaction.redact_json import redact_json
from strangler.core.compare.redaction.redact_text import has_layers, redact_text
from strangler.core.compare.redaction.redact_url import redact_form, redact_whole_url

_WORK_OF_TEXT = 60
"""The cost of a text besides its characters: many short texts take longer than one long text."""


def redact_nested(text: str, redactor: Searching, at: Nesting | None = None) -> str:
    """Return a text with its secrets marked. Linear in its length; equal texts give equal results."""
    if len(text) < SHORTEST or PLAIN.fullmatch(text):
        return text
    at = at or Nesting.of(text)
    if not at.spend(_WORK_OF_TEXT + len(text)):
        return at.mark(redactor, text)
    if at.depth > MAX_NESTING:
        return at.mark(redactor, text) if has_layers(text) else mark_formed(text, redactor, at)
    for redact in (redact_json, redact_whole_url, redact_form):
        redacted = redact(text, redactor, at)
        if redacted is not None:
            return redacted
    return redact_text(text, redactor, at)
