"""Texts as a Hurl file has them (https://hurl.dev/docs/grammar.html): nothing in them is read as syntax or variable."""

import base64
import re
from typing import Final

_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_NOT_IN_KEYS: Final = re.compile(r"[^A-Za-z0-9_.\-]")
_NOT_IN_VALUES: Final = re.compile(r"[\\#\x00-\x1f\x7f]|\{(?=\{)|(?<=\{)\{|^\s|\s$")
_NOT_IN_QUOTES: Final = re.compile(r'[\\"\x00-\x1f\x7f]|\{(?=\{)|(?<=\{)\{')
_NOT_IN_BACKTICKS: Final = re.compile(r"[\\`\x00-\x1f\x7f]|\{(?=\{)|(?<=\{)\{")
_NOT_IN_LINES: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]|```|`\Z")


def _escaped(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0]) or f"\\u{{{ord(found[0]):x}}}"


def hurl_key(text: str) -> str:
    """Return the name of a field."""
    return _NOT_IN_KEYS.sub(_escaped, text)


def hurl_value(text: str) -> str:
    """Return a URL or the value of a field."""
    return _NOT_IN_VALUES.sub(_escaped, text)


def hurl_quoted(text: str) -> str:
    """Return a string in quotes, as predicates compare with."""
    return f'"{_NOT_IN_QUOTES.sub(_escaped, text)}"'


def hurl_body(data: bytes) -> str:
    """Return a body: as it is if it is a text of several lines, or of one line that is easier to read so."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return f"base64,{base64.b64encode(data).decode()};"
    inline = _NOT_IN_BACKTICKS.sub(_escaped, text)
    if inline == text or _NOT_IN_LINES.search(text):
        return f"`{inline}`"
    return f"```raw\n{text}```"
