"""Redaction of a text by what it is: JSON, XML, HTML, a URL, a form, Base64, or plain text with any of these in it.

What is found inside is searched in the same way, to a bounded depth. A text comes back as it was where nothing in it is
a secret, and otherwise written anew in its own format, so that the rest stays readable.
"""

import re

from strangler.core.compare.redaction.nested_markup import mark_formed
from strangler.core.compare.redaction.nesting import MAX_NESTING, Nesting, Searching
from strangler.core.compare.redaction.redact_json import redact_json
from strangler.core.compare.redaction.redact_text import has_layers, redact_text
from strangler.core.compare.redaction.redact_url import redact_form, redact_whole_url

_WORK_OF_TEXT = 60
"""The cost of a text besides its characters: many short ones take longer than one."""
_SHORTEST = 5
"""Characters of the shortest secret that a form gives away, `a@b.c`."""
_PLAIN = re.compile(r"(?:[^\W\d_]{1,15}[ ,.'!?\-]{1,2})*+[^\W\d_]{0,15}")
"""Words and nothing else: most strings of a response, and nothing in them can be a secret."""


def redact_nested(text: str, redactor: Searching, at: Nesting | None = None) -> str:
    """Return a text with its secrets marked. Linear in its length; equal texts give equal results."""
    if len(text) < _SHORTEST or _PLAIN.fullmatch(text):
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
