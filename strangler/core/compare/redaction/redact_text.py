"""Redaction of plain text, with markup, strings of a script, Base64 and escapes in it."""

import json
import re
from collections.abc import Callable
from html import escape, unescape
from typing import TypeAlias
from urllib.parse import quote, unquote_plus

from strangler.core.compare.redaction.nested_markup import mark_formed, mark_named, redact_inner_html, redact_inner_xml
from strangler.core.compare.redaction.nesting import Nesting, Searching
from strangler.core.compare.redaction.redact_base64 import BASE64, redact_base64
from strangler.core.compare.redaction.redact_url import SAFE

_TAG = re.compile(r"<(?:/?[A-Za-z]|!--|!\[CDATA\[|\?xml|!DOCTYPE)", re.IGNORECASE)
_DECLARES_ENTITIES = re.compile(r"<!ENTITY\b", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_BACKSLASH = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\"'\\/nrtbf]))")
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def redact_text(text: str, redactor: Searching, at: Nesting) -> str:
    """Return a text redacted: markup, or plain text with markup, strings of a script, Base64 and escapes in it."""
    if _DECLARES_ENTITIES.search(text):
        return at.mark(redactor, text)
    if text.lstrip("\ufeff \t\r\n").startswith("<") and _TAG.search(text):
        xml = redact_inner_xml(text, redactor, at)
        return redact_inner_html(text, redactor, at) if xml is None else xml
    text = mark_named(mark_formed(text, redactor, at), redactor, at)
    if '"' in text or "'" in text:
        text = STRING.sub(lambda found: _string(found, redactor, at), text)
    text = BASE64.sub(lambda found: redact_base64(found[0], redactor, at), text)
    for reading in (_beneath_backslashes, _as_html_beside_strings, _beneath):
        marks = at.work.marks
        other = reading(text, redactor, at)
        text = other if at.work.marks > marks else text
    return text


STRING = re.compile(r"(?<!\\)\"((?:[^\"\\]|\\.)*+)(?:\"|\Z)|(?<![\\\w])'((?:[^'\\\n]|\\.)*+)'", re.DOTALL)


def _string(found: "re.Match[str]", redactor: Searching, at: Nesting) -> str:
    """Redact a string of a script, or of JSON that does not parse; at the end of the text it may have been cut."""
    written = found[1] or found[2] or ""
    if "\\" not in written and "<" not in written and "%" not in written and "&" not in written:
        return found[0]
    plain = _without_backslashes(written)
    redacted = redactor.nested(plain, at.deeper())
    if redacted == plain:
        return found[0]
    quote_mark, end = found[0][0], found[0][-1] if len(found[0]) > len(written) + 1 else ""
    return quote_mark + _with_backslashes(redacted, quote_mark) + end


def _as_html_beside_strings(text: str, redactor: Searching, at: Nesting) -> str:
    """Redact markup, unless its tags are only in strings, which have been redacted already."""
    return redact_inner_html(text, redactor, at) if _TAG.search(STRING.sub("", text)) else text


def _beneath_backslashes(text: str, redactor: Searching, at: Nesting) -> str:
    return _beneath(text, redactor, at, _LAYERS[-1:]) if _TAG.search(text) else text


def _beneath(text: str, redactor: Searching, at: Nesting, layers: "tuple[_Layer, ...] | None" = None) -> str:
    """Decode the first layer of a text, redact the result, and encode it again."""
    for pattern, decode, encode in layers or _LAYERS:
        plain = decode(text) if pattern.search(text) else text
        if plain != text:
            redacted = redactor.nested(plain, at.deeper())
            return text if redacted == plain else encode(redacted)
    return text


def _without_backslashes(text: str) -> str:
    return _BACKSLASH.sub(_unescaped, text)


def _unescaped(found: "re.Match[str]") -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else _CONTROL.get(found[3], found[3])


def _with_backslashes(text: str, quote_mark: str = '"') -> str:
    written = json.dumps(text, ensure_ascii=False)[1:-1].replace("</", "<\\/")
    return written if quote_mark == '"' else written.replace('\\"', '"').replace("'", "\\'")


def _percent_encoded(text: str) -> str:
    return quote(text, safe=SAFE + " &=;+?", errors="backslashreplace")


_Layer: TypeAlias = tuple["re.Pattern[str]", Callable[[str], str], Callable[[str], str]]
_LAYERS: tuple[_Layer, ...] = (
    (_ENTITY, unescape, escape),
    (_PERCENT, unquote_plus, _percent_encoded),
    (_BACKSLASH, _without_backslashes, _with_backslashes),
)
"""The ways in which a text is encoded within another one: how each is recognised, decoded and encoded."""


def has_layers(text: str) -> bool:
    """Return True if a text may be in a format or an encoding that has not been decoded."""
    return any(char in text for char in '{[<"=\\') or bool(_ENTITY.search(text) or _PERCENT.search(text))
