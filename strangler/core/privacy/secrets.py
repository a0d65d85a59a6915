"""Secrets (names by DESIGN section 7, card numbers, personal data, credentials), and where they are in a text."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from html import unescape
from urllib.parse import unquote_plus

from strangler.core.privacy.credentials import credential_spans
from strangler.core.privacy.personal import Span as Span
from strangler.core.privacy.personal import personal_spans

SECRET_NAMES = (
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "authorization",
    "cookie",
    "sessionid",
    "sessid",
    "cvv",
)
"""Parts of names of secrets, in small letters and without separators."""
_LONGEST_KEPT = 256

NAMING_ATTRIBUTES = ("id", "name", "key", "property", "itemprop", "autocomplete", "type")
"""Attributes that say what an element holds."""


def is_secret_name(name: str) -> bool:
    """Return True if a field, header or parameter of this name is a secret. Case, width and separators are ignored."""
    return _is_secret(name) if len(name) <= _LONGEST_KEPT else _is_secret.__wrapped__(name)


@lru_cache(4096)
def _is_secret(name: str) -> bool:
    folded = unicodedata.normalize("NFKC", unescape(unquote_plus(unquote_plus(name)))).casefold()
    plain = "".join(char for char in folded if char.isalnum())
    return any(secret in plain for secret in SECRET_NAMES)


def _spellings(*words: str) -> frozenset[str]:
    return frozenset(spelt for word in words for spelt in (word, word.capitalize(), word.upper()))


_NAMING_MEMBERS = _spellings("name", "key", "id", "property", "type", "field", "header", "parameter", "variable")
VALUE_MEMBERS = _spellings("value", "values", "content")
"""Keys of an object whose member holds what another member names: `{"name": "password", "value": "…"}`."""


def holds_named_secret(node: Mapping[str, object]) -> bool:
    """Return True if an object names a secret that is in one of its `VALUE_MEMBERS`."""
    if node.keys().isdisjoint(VALUE_MEMBERS):
        return False
    names = (node.get(key) for key in _NAMING_MEMBERS)
    return any(isinstance(name, str) and is_secret_name(name) for name in names)


_SEPARATOR = r"(?:[ .\-+\u00a0]|%20|%2D)?"
_CARD = re.compile(rf"(?<![0-9])[0-9](?:{_SEPARATOR}[0-9]){{12,}}(?![0-9])")
_GROUP = re.compile(rf"{_SEPARATOR}([0-9]+)")
_CARD_DIGITS = range(13, 20)


def is_card_number(digits: str) -> bool:
    """Return True for 13 to 19 digits with a right check digit (ISO/IEC 7812-1, Luhn)."""
    if len(digits) not in _CARD_DIGITS:
        return False
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def card_spans(text: str) -> Iterator[Span]:
    """Yield card numbers anywhere in a text, written without spaces or in groups; they may overlap."""
    for run in _CARD.finditer(text):
        groups = [group.span(1) for group in _GROUP.finditer(text, *run.span())]
        for at in range(len(groups)):
            end = _card_end(text, groups, at)
            if end is not None:
                yield groups[at][0], groups[end - 1][1]


def _card_end(text: str, groups: list[Span], start: int) -> int | None:
    """Return the group after the longest card number that begins with group `start`; None if there is none."""
    digits, found = "", None
    for at in range(start, len(groups)):
        digits += text[slice(*groups[at])]
        if len(digits) > _CARD_DIGITS[-1]:
            break
        found = at + 1 if is_card_number(digits) else found
    return found


def _spaced(word: str) -> str:
    return r"[\W_]?".join(word)


_ASSIGNED = re.compile(
    r"(?:" + "|".join(map(_spaced, SECRET_NAMES)) + r")"
    r"[\w.\-\[\]]{0,64}+"  # the rest of the name: tokenValue, cookies[0]
    r"(?:\\*(?:[\"']|&quot;|&apos;|&#3[49];|&#x2[27];|%2[27]))?(?:\s|%20|\+){0,8}+(?:=>|[:=]|%3D|%3A|&#61;)(?:\s|%20|\+){0,8}+"
    r"(?P<quote>\\*(?:[\"']|&quot;|&apos;|&#3[49];|&#x2[27];|%2[27]))?",
    re.IGNORECASE,
)
_ASSIGNING = re.compile("[:=%&]")
_STRINGS = {'"': re.compile(r"(?:[^\"\\]|\\.)*+", re.DOTALL), "'": re.compile(r"(?:[^'\\]|\\.)*+", re.DOTALL)}
_LINE = re.compile(r"[^\r\n<>\"']*")
_WORD = re.compile(r"(?:(?:bearer|basic|digest|token)(?:\s|%20|\+)+)?[^\s&<>\"']*", re.IGNORECASE)
_USERINFO = re.compile(r"\b[a-z][a-z0-9+.\-]{1,20}://([^/\s@:\"'<>]{0,256}:([^/\s@\"'<>]{1,256}))(@|\Z)", re.IGNORECASE)


MARK = re.compile(r"redacted:[0-9a-f]{8}(?!\w)")
"""The mark in the place of a secret."""


def assigned_spans(text: str) -> Iterator[Span]:
    """Yield values that a text assigns to secret names (`token=…`, `"password": "…"`), and passwords in URLs."""
    at = 0
    while found := _ASSIGNED.search(text, at):
        marked = MARK.match(text, found.end())
        at = marked.end() if marked else _value_end(text, found)
        if not marked and at > found.end():
            yield found.end(), at
    for found in _USERINFO.finditer(text):
        if found[3] or not found[2].isdecimal():  # a text may be cut before the `@`; digits are a port then
            yield found.span(1)


def _value_end(text: str, found: re.Match[str]) -> int:
    """Return the end of an assigned value; in doubt, a later one.

    A quoted value ends with its quote, one after a colon with its line (`Authorization: Bearer x`), others at a blank.
    """
    start, quote = found.end(), found["quote"]
    if quote is None and text[start : start + 1] in ("{", "["):
        return _closing_bracket(text, start)
    if quote is None:
        rest = _LINE if found[0].rstrip().endswith(":") else _WORD
        return rest.match(text, start).end()  # type: ignore[union-attr]
    if len(quote) == 1:
        return _STRINGS[quote].match(text, start).end()  # type: ignore[union-attr]
    end = text.find(quote, start)  # an escaped quote: a string within a string, or an attribute
    return len(text) if end < 0 else end


_STRUCTURE = re.compile(r"\\*\"|[\[\]{}]")


def _closing_bracket(text: str, start: int) -> int:
    """Return the end of the object or array that begins at `start`; brackets within strings do not count."""
    depth, string = 0, ""
    for found in _STRUCTURE.finditer(text, start):
        if string or found[0].endswith('"'):
            string = ("" if found[0] == string else string) if string else found[0]
            continue
        depth += 1 if found[0] in "{[" else -1
        if not depth:
            return found.end()
    return len(text)


_OPENED = re.compile(
    r"(?:" + "|".join(map(_spaced, SECRET_NAMES)) + r")[\w.\-:]{0,64}+"
    r"(?:\s{1,8}[\w:.\-]{1,64}\s{0,4}=\s{0,4}(?:\"[^\"<>]{0,256}\"|'[^'<>]{0,256}')){0,8}\s{0,4}>(?P<value>[^<]*)",
    re.IGNORECASE,
)
_CLOSED = re.compile(r"<(?P<end>/?)(?P<name>(?:[\w.\-]{1,64}:)?[\w.\-]{1,64})", re.IGNORECASE)
_IN_END_TAG = re.compile(r"</[\w.\-:]{0,64}\Z")
_NAMING = re.compile(
    r"\b(?:name|id|key|property|itemprop)\s{0,4}=\s{0,4}[\"']?(?P<name>[\w.\-\[\]]{1,64})[\"']?"
    r"[^<>]{0,256}?\b(?:value|content)\s{0,4}=\s{0,4}(?:\"(?P<double>[^\"]*)|'(?P<single>[^']*)|(?P<bare>[^\s<>\"']+))",
    re.IGNORECASE,
)


def damaged_spans(text: str) -> Iterator[Span]:
    """Yield the values of secret names in damaged markup: a lost `<`, a beginning that was cut off."""
    for found in _OPENED.finditer(text):
        if not MARK.fullmatch(found["value"]) and not _IN_END_TAG.search(
            text, max(0, found.start() - 66), found.start()
        ):
            yield found.span("value")
    for found in _NAMING.finditer(text):
        if is_secret_name(found["name"]):
            yield found.span(next(group for group in ("double", "single", "bare") if found[group] is not None))
    yield from unopened_spans(text)


def unopened_spans(text: str) -> list[Span]:
    """Return all that stands before an end tag with a secret name whose start tag is missing."""
    end = 0
    opened: dict[str, int] = {}
    for tag in _CLOSED.finditer(text):
        name = tag["name"].lower()
        if not is_secret_name(name):
            continue
        opened[name] = opened.get(name, 0) + (-1 if tag["end"] else 1)
        if opened[name] < 0:
            end, opened[name] = tag.start(), 0
    return [(0, end)] if end else []


def formed_spans(text: str) -> list[Span]:
    """Return the secrets known by their form, whatever their context: card numbers, personal data, credentials."""
    cards = card_spans(text) if len(text) >= _CARD_DIGITS[0] else ()
    return joined_spans([*cards, *personal_spans(text), *credential_spans(text)])


def named_spans(text: str) -> list[Span]:
    """Return the secrets known by the name that a text gives them."""
    found = list(assigned_spans(text)) if _ASSIGNING.search(text) else []
    if ">" in text or ("=" in text and "value" in text.lower()) or "</" in text:
        found += damaged_spans(text)
    return joined_spans(found)


def joined_spans(spans: list[Span]) -> list[Span]:
    """Return the spans in order, overlapping ones joined, empty ones left out."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        elif end > start:
            joined.append((start, end))
    return joined
