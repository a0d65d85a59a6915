"""Writings of a value: the ways in which a text within other texts has it."""

import json
import re
from enum import Enum, auto
from html import escape
from urllib.parse import quote, quote_plus

_UNESCAPED = re.compile(r"[A-Za-z0-9_.~-]*", re.ASCII)
"""Texts that are written alike everywhere (RFC 3986 section 2.3), as most ids and tokens."""


class Writing(Enum):
    """How a value is written in a text."""

    PLAIN = auto()  # as the text around it writes values
    PERCENT = auto()
    JSON = auto()
    HTML = auto()


def writings_of(value: str) -> dict[str, Writing]:
    """Return the ways of writing a value that texts within other texts use."""
    written = {value: Writing.PLAIN}
    if _UNESCAPED.fullmatch(value):
        return written
    percent = quote(value, safe="", errors="surrogateescape")
    forms = [
        (percent, Writing.PERCENT),
        (_lower_escapes(percent), Writing.PERCENT),
        (quote_plus(value, errors="surrogateescape"), Writing.PERCENT),
        (json.dumps(value)[1:-1], Writing.JSON),
        (value.replace("/", "\\/"), Writing.JSON),
        (escape(value), Writing.HTML),
    ]
    for form, writing in forms:
        written.setdefault(form, writing)
    return written


def _lower_escapes(text: str) -> str:
    first, *others = text.split("%")
    return "%".join([first, *(other[:2].lower() + other[2:] for other in others)])
