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

from strangler.core.compare.redact_markup import Marker, redact_html, redact_xml
from strangler.core.compare.secrets import MARK, Span, formed_spans, is_secret_name, named_spans, unopened_spans
from strangler.core.compare.tree import Json, ParseFailure, parse_json, parse_ndjson, write_json
from strangler.core.compare.values import Node

MAX_NESTING = 8
"""Formats within formats that are searched. A text below these that is one of them again is marked as a whole."""
MAX_WORK = 8
"""Times that all characters of a text are read, in one way or another; what is left then is marked as a whole."""
_FREE_WORK = 64 * 1024
_WORK_OF_TEXT = 60
"""What a text costs besides its characters: many short ones take longer than one."""


@dataclass(slots=True)
class WorkState:
    """Characters that may still be read for one text and all that is nested in it, and marks that were set so far."""

    left: int
    marks: int = 0


@dataclass(frozen=True, slots=True)
class Nesting:
    """How deep a text stands in others, and the work that is left for all of them."""

    depth: int
    work: WorkState

    @classmethod
    def of(cls, text: str) -> "Nesting":
        """A text by itself."""
        return cls(0, WorkState(MAX_WORK * len(text) + _FREE_WORK))

    def deeper(self) -> "Nesting":
        """One format further in."""
        return Nesting(self.depth + 1, self.work)

    def mark(self, redactor: "Searching", secret: str) -> str:
        """Mark a secret, and count that."""
        self.work.marks += MARK.fullmatch(secret) is None
        return redactor.mark(secret)

    def spend(self, count: int) -> bool:
        """Take so many characters from the work that is left; False if there is none left."""
        self.work.left -= count
        return self.work.left >= 0


_SHORTEST = 5
"""Characters of the shortest secret that a form gives away, `a@b.c`."""
_PLAIN = re.compile(r"(?:[^\W\d_]{1,15}[ ,.'!?\-]{1,2})*+[^\W\d_]{0,15}")
"""Words and nothing else: most strings of a response, and nothing in them can be a secret."""


class Searching(Protocol):
    """What a redactor does with what is found."""

    def mark(self, secret: str | bytes) -> str: ...
    def tree_at(self, root: Node, at: Nesting) -> Node: ...
    def value(self, text: str, at: Nesting) -> str: ...
    def label(self, name: str, at: Nesting) -> str: ...


@dataclass(frozen=True, slots=True)
class _Callbacks:
    """Redaction of the texts and attributes of a document that stands deep in others."""

    redactor: Searching
    at: Nesting

    def redact_text(self, text: str) -> str:
        return self.redactor.value(text, self.at.deeper())

    def mark(self, text: str) -> str:
        return self.at.mark(self.redactor, text)


def redact_nested(text: str, redactor: Searching, at: Nesting | None = None) -> str:
    """A text with its secrets marked. Linear in its length; equal texts give equal results."""
    if len(text) < _SHORTEST or _PLAIN.fullmatch(text):
        return text
    at = at or Nesting.of(text)
    if not at.spend(_WORK_OF_TEXT + len(text)):
        return at.mark(redactor, text)
    if at.depth > MAX_NESTING:
        return at.mark(redactor, text) if _has_layers(text) else _marked(text, formed_spans(text), redactor, at)
    for redact in (_as_json, _as_url, _as_form):
        redacted = redact(text, redactor, at)
        if redacted is not None:
            return redacted
    return _as_text(text, redactor, at)


def redact_markup(text: str, redactor: Searching, at: Nesting | None = None, *, is_html: bool) -> str | None:
    """HTML, which always parses, or XML; None if it does not parse."""
    at = at or Nesting.of(text)
    marker: Marker = _Callbacks(redactor, at)
    if not is_html:
        return redact_xml(text, marker)
    text = _marked(_formed(text, redactor, at), unopened_spans(text), redactor, at)
    return redact_html(text, marker)


def _as_html(text: str, redactor: Searching, at: Nesting) -> str:
    """HTML within something else: as it was where nothing in it is a secret, else without the frame of a document.

    What a browser drops (a tag without its end, attributes of an end tag) nobody has searched: it is dropped here, too.
    """
    formed = _formed(text, redactor, at)
    whole = redact_markup(formed, redactor, at, is_html=True) or ""
    if _DROPPED.search(text) is None and whole == redact_html(formed, _AS_IT_IS):
        return _named(formed, redactor, at)
    return _FRAME.sub("", whole)


_DROPPED = re.compile(
    r"</[A-Za-z][^\s>]*\s[^>]*[^\s>]"
    r"|<[A-Za-z/!?](?:=\s*+(?:\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z))|[^>=]|=)*+\Z",
)


class _AsItIs:
    """Marks nothing: what is written then is the text in normal form."""

    def redact_text(self, text: str) -> str:
        return text

    def mark(self, secret: str) -> str:
        return secret


_AS_IT_IS = _AsItIs()
_FRAME = re.compile(r"\A<html><head>(?:</head><body>)?|(?:</head><body>)?</body></html>\Z")


def _has_layers(text: str) -> bool:
    return _is_structured(text) or _ENTITY.search(text) is not None or _PERCENT.search(text) is not None


def _is_structured(text: str) -> bool:
    return any(char in text for char in '{[<"=\\')


# 1. JSON


def _as_json(text: str, redactor: Searching, at: Nesting) -> str | None:
    """None if it is no object, array or string. Of a text that stays as it is, the spelling stays, too."""
    start = text.lstrip("\ufeff \t\r\n")[:1]
    if start not in ("{", "[", '"') or not start:
        return None
    parsed = parse_json(text.strip("\ufeff \t\r\n"))
    if parsed is ParseFailure.TOO_DEEP:
        return at.mark(redactor, text)
    if isinstance(parsed, Json):
        redacted = redactor.tree_at(parsed.tree, at.deeper())
        is_same = redacted == parsed.tree and _is_spelt_once(text)
        return text if is_same else _compact(redacted)
    lines = parse_ndjson(text) if "\n" in text and start != '"' else None
    if not isinstance(lines, Json) or not isinstance(lines.tree, list):
        return None
    documents = redactor.tree_at(lines.tree, at.deeper())
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
_FORM = re.compile(r"\s*[\w.\-\[\]%+*~$]{1,256}=[^\s<>]*\s*")
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


_PADDED = re.compile(r"\s*[A-Za-z0-9+/_\-]{2,}={1,2}\s*")
"""Base64, in which `+` is no space."""


def _as_url(text: str, redactor: Searching, at: Nesting) -> str | None:
    return redact_url(text, redactor, at) if _URL.fullmatch(text) else None


def _as_form(text: str, redactor: Searching, at: Nesting) -> str | None:
    is_form = _FORM.fullmatch(text) and not _PADDED.fullmatch(text)
    return _parameters(text, redactor, at) if is_form else None


def redact_url(
    text: str, redactor: Searching, at: Nesting | None = None, *, words: tuple[str, ...] | None = None
) -> str:
    """A URL or request target (RFC 3986 section 3). Parts that hold a secret are percent-encoded anew.

    Marked as a whole: userinfo, values of secret parameters in query, fragment and path (`;name=value`), and the
    segment behind one that is a secret name. With `words`, the segments of the endpoint's shape: all but these.
    """
    at = at or Nesting.of(text)
    parts, hides_values = _PARTS.fullmatch(text), words is not None
    assert parts is not None  # it matches any text
    return "".join(
        [
            parts["scheme"],
            _authority(parts["authority"], redactor, at),
            _path(parts["path"], redactor, at, words),
            _behind(parts["query"], redactor, at, hides_values),
            _behind(parts["fragment"], redactor, at, hides_values),
        ]
    )


def _authority(authority: str, redactor: Searching, at: Nesting) -> str:
    userinfo, sign, host = authority.removeprefix("//").rpartition("@")
    if not authority:
        return ""
    port = host.rpartition(":")[2] if ":" in host and not host.endswith("]") else ""
    if not sign and port and not port.isdecimal():
        return f"//{at.mark(redactor, host)}"  # a password: the text was cut before its `@`
    return f"//{at.mark(redactor, userinfo) if userinfo else ''}{sign}{_encoded(host, redactor, at, unquote)}"


def _path(path: str, redactor: Searching, at: Nesting, words: tuple[str, ...] | None) -> str:
    pieces: list[str] = []
    is_named = False
    for place, segment in enumerate(path.split("/")):
        plain = unquote(segment.partition(";")[0])
        is_value = words is not None and (place >= len(words) or words[place] != plain)
        is_hidden = is_value or (is_named and not is_action(segment))
        pieces.append(_segment(segment, redactor, at, (is_hidden, words is not None)))
        is_named = names_next(segment)
    return "/".join(pieces)


def names_next(segment: str) -> bool:
    """True if the segment that follows this one in a path is a secret: `/token/…`."""
    plain = unquote(segment.partition(";")[0])
    return "=" not in plain and "@" not in plain and is_secret_name(plain)


def is_action(segment: str) -> bool:
    """True for a word that says what is done with a secret and is none: `/password/reset`."""
    return unquote(segment).lower().replace("_", "-").split("-")[0] in _ACTIONS


def _segment(segment: str, redactor: Searching, at: Nesting, hides: tuple[bool, bool]) -> str:
    first, *parameters = segment.split(";")
    is_hidden, hides_values = hides
    if is_hidden and first:
        first = at.mark(redactor, unquote(first))
    elif "=" in first:
        first = _parameter(first, redactor, at, hides_values)
    else:
        first = _encoded(first, redactor, at, unquote)
    return ";".join([first, *(_parameter(each, redactor, at, hides_values) for each in parameters)])


def _behind(part: str, redactor: Searching, at: Nesting, hides_values: bool) -> str:
    """A query or a fragment with its first character."""
    if not part:
        return ""
    inner = part[1:]
    if part[0] == "#" and "=" not in inner and not hides_values:
        return "#" + _encoded(inner, redactor, at, unquote)
    path, question, query = inner.partition("?") if part[0] == "#" and "?" in inner else ("", "", inner)
    return part[0] + path + question + _parameters(query, redactor, at, hides_values)


def _parameters(text: str, redactor: Searching, at: Nesting, hides_values: bool = False) -> str:
    return "&".join(_parameter(each, redactor, at, hides_values) for each in text.split("&"))


def _parameter(parameter: str, redactor: Searching, at: Nesting, hides_values: bool) -> str:
    name, equals, value = parameter.partition("=")
    plain = unquote_plus(name)
    redacted = redactor.label(plain, at.deeper())
    label = name if redacted == plain else quote(redacted, safe=_SAFE, errors="backslashreplace")
    if not equals:
        return at.mark(redactor, unquote_plus(name)) if hides_values and name else label
    if value and (hides_values or is_secret_name(name)):
        return f"{label}={at.mark(redactor, unquote_plus(value))}"
    return f"{label}={_encoded(value, redactor, at, unquote_plus)}"


def _encoded(raw: str, redactor: Searching, at: Nesting, decode: Callable[[str], str]) -> str:
    """A part of a URL: as it was if nothing in it is a secret, else redacted and encoded anew."""
    if decode is unquote_plus and "+" in raw and _BASE64.fullmatch(unquote(raw)):
        written = _encoded(raw, redactor, at, unquote)  # Base64 that was put in as it is
        if written != raw:
            return written
    plain = decode(raw)
    redacted = redact_nested(plain, redactor, at.deeper())
    return raw if redacted == plain else quote(redacted, safe=_SAFE, errors="backslashreplace")


# 3. Text

_TAG = re.compile(r"<(?:/?[A-Za-z]|!--|!\[CDATA\[|\?xml|!DOCTYPE)", re.IGNORECASE)
_DECLARES_ENTITIES = re.compile(r"<!ENTITY\b", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_BACKSLASH = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\"'\\/nrtbf]))")
_CONTROL = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_\-])[A-Za-z0-9+/_\-]{12,}+={0,2}")


def _as_text(text: str, redactor: Searching, at: Nesting) -> str:
    """Plain text or markup; or text with markup, strings of a script, Base64 and escapes in it."""
    if _DECLARES_ENTITIES.search(text):
        return at.mark(redactor, text)
    if text.lstrip("\ufeff \t\r\n").startswith("<") and _TAG.search(text):
        xml = redact_markup(text, redactor, at, is_html=False)
        if xml is None:
            return _as_html(text, redactor, at)
        return text if xml == redact_xml(text, _AS_IT_IS) else xml
    text = _named(_formed(text, redactor, at), redactor, at)
    if '"' in text or "'" in text:
        text = _STRING.sub(lambda found: _string(found, redactor, at), text)
    text = _BASE64.sub(lambda found: _base64(found[0], redactor, at), text)
    for reading in (_beneath_backslashes, _as_html_beside_strings, _beneath):
        marks = at.work.marks
        other = reading(text, redactor, at)
        text = other if at.work.marks > marks else text
    return text


_STRING = re.compile(r"(?<!\\)\"((?:[^\"\\]|\\.)*+)(?:\"|\Z)|(?<![\\\w])'((?:[^'\\\n]|\\.)*+)'", re.DOTALL)


def _string(found: "re.Match[str]", redactor: Searching, at: Nesting) -> str:
    """A string of a script, or of JSON that does not parse; what ends with the text may have been cut."""
    written = found[1] or found[2] or ""
    if "\\" not in written and "<" not in written and "%" not in written and "&" not in written:
        return found[0]
    plain = _without_backslashes(written)
    redacted = redact_nested(plain, redactor, at.deeper())
    if redacted == plain:
        return found[0]
    quote_mark, end = found[0][0], found[0][-1] if len(found[0]) > len(written) + 1 else ""
    return quote_mark + _with_backslashes(redacted, quote_mark) + end


def _as_html_beside_strings(text: str, redactor: Searching, at: Nesting) -> str:
    """Tags in strings have been read with these."""
    return _as_html(text, redactor, at) if _TAG.search(_STRING.sub("", text)) else text


def _beneath_backslashes(text: str, redactor: Searching, at: Nesting) -> str:
    return _beneath(text, redactor, at, _LAYERS[-1:]) if _TAG.search(text) else text


def _beneath(text: str, redactor: Searching, at: Nesting, layers: "tuple[_Layer, ...] | None" = None) -> str:
    """The text without the first layer that it is written in, redacted, and written in it again."""
    for pattern, decode, encode in layers or _LAYERS:
        plain = decode(text) if pattern.search(text) else text
        if plain != text:
            redacted = redact_nested(plain, redactor, at.deeper())
            return text if redacted == plain else encode(redacted)
    return text


def _formed(text: str, redactor: Searching, at: Nesting) -> str:
    return _marked(text, formed_spans(text), redactor, at)


def _named(text: str, redactor: Searching, at: Nesting) -> str:
    return _marked(text, named_spans(text), redactor, at)


def _marked(text: str, spans: list[Span], redactor: Searching, at: Nesting) -> str:
    pieces, done = [], 0
    for start, end in spans:
        pieces += [text[done:start], at.mark(redactor, text[start:end])]
        done = end
    return "".join([*pieces, text[done:]])


def _without_backslashes(text: str) -> str:
    return _BACKSLASH.sub(_unescaped, text)


def _unescaped(found: "re.Match[str]") -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else _CONTROL.get(found[3], found[3])


def _with_backslashes(text: str, quote_mark: str = '"') -> str:
    written = json.dumps(text, ensure_ascii=False)[1:-1].replace("</", "<\\/")
    return written if quote_mark == '"' else written.replace('\\"', '"').replace("'", "\\'")


def _percent_encoded(text: str) -> str:
    return quote(text, safe=_SAFE + " &=;+?", errors="backslashreplace")


_Layer: TypeAlias = tuple["re.Pattern[str]", Callable[[str], str], Callable[[str], str]]
_LAYERS: tuple[_Layer, ...] = (
    (_ENTITY, unescape, escape),
    (_PERCENT, unquote_plus, _percent_encoded),
    (_BACKSLASH, _without_backslashes, _with_backslashes),
)
"""Ways in which a text is written within another one: what is left of it, how it is read, how it is written."""


def _base64(token: str, redactor: Searching, at: Nesting) -> str:
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
    redacted = redact_nested(plain, redactor, at.deeper())
    if redacted == plain:
        return token
    written = base64.b64encode(redacted.encode("utf-8", "backslashreplace"), b"-_" if is_url_safe else None).decode()
    return written if token != bare else written.rstrip("=")
