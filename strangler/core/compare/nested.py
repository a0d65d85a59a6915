"""Redaction of a text by what it is: JSON, XML, HTML, a URL, a form, Base64, or plain text with any of these in it.

What is found inside is searched in the same way, to a bounded depth. A text comes back as it was where nothing in it is
a secret, and otherwise written anew in its own format, so that the rest stays readable.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape, unescape
from typing import Protocol, TypeAlias
from urllib.parse import quote, unquote, unquote_plus

from strangler.core.compare.redact_spans import MarkupCallbacks, redact_html, redact_xml
from strangler.core.compare.secrets import Span, formed_spans, is_secret_name, named_spans
from strangler.core.compare.signature import endpoint_shape
from strangler.core.compare.tree import Json, ParseFailure, parse_json, parse_ndjson, write_json
from strangler.core.compare.values import Node

MAX_NESTING = 8
"""Formats within formats that are searched. A text below these that is one of them again is marked as a whole."""

_SHORTEST = 5
"""Characters of the shortest secret that a form gives away, `a@b.c`."""
_PLAIN = re.compile(r"(?:[^\W\d_]{1,15}[ ,.'!?\-]{1,2})*+[^\W\d_]{0,15}")
"""Words and nothing else: most strings of a response, and nothing in them can be a secret."""


class Searching(Protocol):
    """What a redactor does with what is found."""

    def mark(self, secret: str | bytes) -> str: ...
    def tree_at(self, root: Node, depth: int) -> Node: ...
    def value(self, text: str, depth: int) -> str: ...


@dataclass(frozen=True, slots=True)
class _Callbacks:
    """Redaction of the texts and attributes of a document that stands `depth` formats deep."""

    redactor: Searching
    depth: int

    def redact_text(self, text: str) -> str:
        return self.redactor.value(text, self.depth + 1)

    def mark(self, text: str) -> str:
        return self.redactor.mark(text)


def redact_nested(text: str, redactor: Searching, depth: int = 0) -> str:
    """A text with its secrets marked. Linear in its length; equal texts give equal results."""
    if len(text) < _SHORTEST or _PLAIN.fullmatch(text):
        return text
    if depth > MAX_NESTING:
        return redactor.mark(text) if _has_layers(text) else _marked(text, formed_spans(text), redactor)
    for redact in (_as_json, _as_url, _as_form):
        redacted = redact(text, redactor, depth)
        if redacted is not None:
            return redacted
    return _as_text(text, redactor, depth)


def redact_markup(text: str, redactor: Searching, depth: int = 0, *, is_html: bool) -> str | None:
    """HTML, which always parses, or XML; None if it does not parse."""
    callbacks: MarkupCallbacks = _Callbacks(redactor, depth)
    if not is_html:
        return redact_xml(text, callbacks)
    return _named(redact_html(_formed(text, redactor), callbacks), redactor)


def _has_layers(text: str) -> bool:
    return _is_structured(text) or _ENTITY.search(text) is not None or _PERCENT.search(text) is not None


def _is_structured(text: str) -> bool:
    return any(char in text for char in '{[<"=\\')


# 1. JSON


def _as_json(text: str, redactor: Searching, depth: int) -> str | None:
    """None if it is no object, array or string. Of a text that stays as it is, the spelling stays, too."""
    start = text.lstrip("\ufeff \t\r\n")[:1]
    if start not in ("{", "[", '"') or not start:
        return None
    parsed = parse_json(text.strip("\ufeff \t\r\n"))
    if parsed is ParseFailure.TOO_DEEP:
        return redactor.mark(text)
    if isinstance(parsed, Json):
        redacted = redactor.tree_at(parsed.tree, depth + 1)
        is_same = redacted == parsed.tree and _is_spelt_once(text)
        return text if is_same else _compact(redacted)
    lines = parse_ndjson(text) if "\n" in text and start != '"' else None
    if not isinstance(lines, Json) or not isinstance(lines.tree, list):
        return None
    documents = redactor.tree_at(lines.tree, depth + 1)
    assert isinstance(documents, list)
    return text if documents == lines.tree and _is_spelt_once(text) else "\n".join(map(_compact, documents))


def _compact(node: Node) -> str:
    """As `write_json`, but letters of all scripts stay letters where they can be written as UTF-8."""
    text = write_json(node)
    return text if "\\u" not in text else _NON_ASCII.sub(_letter, text)


_NON_ASCII = re.compile(r"(?<!\\)((?:\\\\)*)\\u([0-9a-f]{4})")


def _letter(found: "re.Match[str]") -> str:
    letter = chr(int(found[2], 16))
    return found[1] + letter if letter.isprintable() and not letter.isascii() else found[0]


def _is_spelt_once(text: str) -> bool:
    """True if no object in a JSON text has the same key twice: of such members only the last was searched."""
    try:
        for line in [text] if "\n" not in text else _documents(text):
            json.loads(line, object_pairs_hook=_refuse_twice)
    except (ValueError, RecursionError):
        return False
    return True


def _documents(text: str) -> list[str]:
    try:
        json.loads(text)
    except ValueError:
        return [line for line in text.split("\n") if line.strip()]
    return [text]


def _refuse_twice(pairs: list[tuple[str, object]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")


# 2. URLs and forms

_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.\-]{0,30}:)?//[^\s<>\"]+|[/?][^\s<>\"]+")
_PARTS = re.compile(
    r"(?P<scheme>(?:[^:/?#]+:)?)(?P<authority>(?://[^/?#]*)?)(?P<path>[^?#]*)(?P<query>(?:\?[^#]*)?)(?P<fragment>(?:#.*)?)",
    re.DOTALL,
)
_FORM = re.compile(r"[\w.\-\[\]%+*~$]{1,256}=[^\s<>]*")
_SAFE = "/:@!$()*,~[]{}|"
"""What stays readable in a value that is written anew; quotes, `&`, `=`, `;`, `#`, `+` and `%` would mean something."""
_ACTIONS = frozenset(
    re.findall(
        r"\w+",
        "reset change forgot forgotten refresh new edit confirm verify validate revoke list info policy "
        "delete create callback login logout renew rotate introspect exchange status strength rules request "
        "recover settings update",
    )
)
"""Words that follow a secret name in a path without being a secret: `/password/reset`."""


def _as_url(text: str, redactor: Searching, depth: int) -> str | None:
    return redact_url(text, redactor, depth) if _URL.fullmatch(text) else None


def _as_form(text: str, redactor: Searching, depth: int) -> str | None:
    return _parameters(text, redactor, depth) if _FORM.fullmatch(text) else None


def redact_url(text: str, redactor: Searching, depth: int = 0, *, hides_values: bool = False) -> str:
    """A URL or request target (RFC 3986 section 3). Parts that hold a secret are percent-encoded anew.

    Marked as a whole: userinfo, values of secret parameters in query, fragment and path (`;name=value`), and the
    segment behind one that is a secret name. With `hides_values`: all values but the words of the endpoint's shape.
    """
    parts = _PARTS.fullmatch(text)
    assert parts is not None  # it matches any text
    return "".join(
        [
            parts["scheme"],
            _authority(parts["authority"], redactor, depth),
            _path(parts["path"], redactor, depth, hides_values),
            _behind(parts["query"], redactor, depth, hides_values),
            _behind(parts["fragment"], redactor, depth, hides_values),
        ]
    )


def _authority(authority: str, redactor: Searching, depth: int) -> str:
    userinfo, at, host = authority.removeprefix("//").rpartition("@")
    if not authority:
        return ""
    port = host.rpartition(":")[2] if ":" in host and not host.endswith("]") else ""
    if not at and port and not port.isdecimal():
        return f"//{redactor.mark(host)}"  # a password: the text was cut before its `@`
    return f"//{redactor.mark(userinfo) if userinfo else ''}{at}{_encoded(host, redactor, depth, unquote)}"


def _path(path: str, redactor: Searching, depth: int, hides_values: bool) -> str:
    words = endpoint_shape(path.encode("utf-8", "surrogatepass")).split("/") if hides_values else None
    pieces: list[str] = []
    is_named = False
    for at, segment in enumerate(path.split("/")):
        is_hidden = words is not None and (at >= len(words) or words[at] != unquote(segment.partition(";")[0]))
        pieces.append(_segment(segment, redactor, depth, (is_named or is_hidden, hides_values)))
        is_named = names_next(segment)
    return "/".join(pieces)


def names_next(segment: str) -> bool:
    """True if the segment that follows this one in a path is a secret: `/token/…`."""
    plain = unquote(segment.partition(";")[0])
    return "=" not in plain and "@" not in plain and is_secret_name(plain)


def is_action(segment: str) -> bool:
    """True for a word that says what is done with a secret and is none: `/password/reset`."""
    return unquote(segment).lower().replace("_", "-").split("-")[0] in _ACTIONS


def _segment(segment: str, redactor: Searching, depth: int, hides: tuple[bool, bool]) -> str:
    first, *parameters = segment.split(";")
    is_hidden, hides_values = hides
    if is_hidden and first and not is_action(first):
        first = redactor.mark(unquote(first))
    elif "=" in first:
        first = _parameter(first, redactor, depth, hides_values)
    else:
        first = _encoded(first, redactor, depth, unquote)
    return ";".join([first, *(_parameter(each, redactor, depth, hides_values) for each in parameters)])


def _behind(part: str, redactor: Searching, depth: int, hides_values: bool) -> str:
    """A query or a fragment with its first character."""
    if not part:
        return ""
    inner = part[1:]
    if part[0] == "#" and "=" not in inner and not hides_values:
        return "#" + _encoded(inner, redactor, depth, unquote)
    path, question, query = inner.partition("?") if part[0] == "#" and "?" in inner else ("", "", inner)
    return part[0] + path + question + _parameters(query, redactor, depth, hides_values)


def _parameters(text: str, redactor: Searching, depth: int, hides_values: bool = False) -> str:
    return "&".join(_parameter(each, redactor, depth, hides_values) for each in text.split("&"))


def _parameter(parameter: str, redactor: Searching, depth: int, hides_values: bool) -> str:
    name, equals, value = parameter.partition("=")
    label = _encoded(name, redactor, depth, unquote_plus)
    if not equals:
        return redactor.mark(unquote_plus(name)) if hides_values and name else label
    if value and (hides_values or is_secret_name(name)):
        return f"{label}={redactor.mark(unquote_plus(value))}"
    return f"{label}={_encoded(value, redactor, depth, unquote_plus)}"


def _encoded(raw: str, redactor: Searching, depth: int, decode: Callable[[str], str]) -> str:
    """A part of a URL: as it was if nothing in it is a secret, else redacted and encoded anew."""
    plain = decode(raw)
    redacted = redact_nested(plain, redactor, depth + 1)
    return raw if redacted == plain else quote(redacted, safe=_SAFE, errors="backslashreplace")


# 3. Text

_TAG = re.compile(r"<(?:/?[A-Za-z]|!--|!\[CDATA\[|\?xml|!DOCTYPE)", re.IGNORECASE)
_DECLARES_ENTITIES = re.compile(r"<!ENTITY\b", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_BACKSLASH = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\"'\\/nrtbf]))")
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_\-])[A-Za-z0-9+/_\-]{12,}+={0,2}")


def _as_text(text: str, redactor: Searching, depth: int) -> str:
    """Plain text, or markup. Tags in a text with backslashes are read after these: they are in a string of a script."""
    if _DECLARES_ENTITIES.search(text):
        return redactor.mark(text)
    is_document = text.lstrip("\ufeff \t\r\n").startswith("<")
    xml = redact_markup(text, redactor, depth, is_html=False) if is_document else None
    if xml is not None:
        return xml
    has_tags = _TAG.search(text) is not None
    if has_tags and (is_document or not _BACKSLASH.search(text)):
        return redact_markup(text, redactor, depth, is_html=True) or ""
    text = _named(_formed(text, redactor), redactor)
    text = _BASE64.sub(lambda found: _base64(found[0], redactor, depth), text)
    redacted = _beneath(text, redactor, depth, _LAYERS[-1:] if has_tags else _LAYERS)
    if redacted is None:
        return redact_markup(text, redactor, depth, is_html=True) or "" if has_tags else text
    return redacted


def _beneath(text: str, redactor: Searching, depth: int, layers: tuple["_Layer", ...]) -> str | None:
    """The text without the first layer that it is written in, redacted, and written in it again; None if that changes
    nothing."""
    for pattern, decode, encode in layers:
        plain = decode(text) if pattern.search(text) else text
        if plain != text:
            redacted = redact_nested(plain, redactor, depth + 1)
            return None if redacted == plain else encode(redacted)
    return None


def _formed(text: str, redactor: Searching) -> str:
    return _marked(text, formed_spans(text), redactor)


def _named(text: str, redactor: Searching) -> str:
    return _marked(text, named_spans(text), redactor)


def _marked(text: str, spans: list[Span], redactor: Searching) -> str:
    pieces, at = [], 0
    for start, end in spans:
        pieces += [text[at:start], redactor.mark(text[start:end])]
        at = end
    return "".join([*pieces, text[at:]])


def _without_backslashes(text: str) -> str:
    return _BACKSLASH.sub(_unescaped, text)


def _unescaped(found: "re.Match[str]") -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else _CONTROL.get(found[3], found[3])


def _with_backslashes(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _percent_encoded(text: str) -> str:
    return quote(text, safe=_SAFE + " &=;+?<>'\"", errors="backslashreplace")


_Layer: TypeAlias = tuple["re.Pattern[str]", Callable[[str], str], Callable[[str], str]]
_LAYERS: tuple[_Layer, ...] = (
    (_ENTITY, unescape, escape),
    (_PERCENT, unquote, _percent_encoded),
    (_BACKSLASH, _without_backslashes, _with_backslashes),
)
"""Ways in which a text is written within another one: what is left of it, how it is read, how it is written."""


def _base64(token: str, redactor: Searching, depth: int) -> str:
    """Base64 of either alphabet (RFC 4648) whose content is a text with a secret in it: written anew."""
    bare = token.rstrip("=")
    is_url_safe = "-" in bare or "_" in bare
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_" if is_url_safe else None, validate=True)
        plain = data.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return token
    if not plain.replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable():
        return token
    redacted = redact_nested(plain, redactor, depth + 1)
    if redacted == plain:
        return token
    written = base64.b64encode(redacted.encode("utf-8", "backslashreplace"), b"-_" if is_url_safe else None).decode()
    return written if token != bare else written.rstrip("=")
