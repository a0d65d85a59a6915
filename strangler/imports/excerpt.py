"""Excerpts of foreign lines for messages: short, printable, and without what may be a secret."""

import re

from strangler.core.privacy.masked import without_addresses
from strangler.core.privacy.secrets import formed_spans, joined_spans, named_spans

MAX_EXCERPT = 80
_LOOKED_AT = 400
_QUERY = re.compile(r"\?[^\s\"'|}\]]*")
_IPV4 = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_IPV6 = re.compile(
    r"(?<![\w:])(?=[0-9:]{0,32}[A-Fa-f:]{2}|[0-9:]{0,32}[A-Fa-f])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"
)
_LONG_WORD = re.compile(r"[A-Za-z0-9_\-+=]{33,}")


def excerpt(line: bytes) -> str:
    """Return the beginning of a line, with marks for its query, addresses and secrets."""
    text = without_addresses(line[:_LOOKED_AT]).decode("utf-8", "replace")
    for start, end in reversed(joined_spans([*formed_spans(text), *named_spans(text)])):
        text = f"{text[:start]}…{text[end:]}"
    text = _LONG_WORD.sub("…", _IPV6.sub("*:*", _IPV4.sub("*.*.*.*", _QUERY.sub("?…", text))))
    text = "".join(char if char.isprintable() else "·" for char in text)
    return text if len(text) <= MAX_EXCERPT else text[:MAX_EXCERPT] + "…"
