"""Redaction of a URL, of a request target, and of the fields of a form."""

import re
from collections.abc import Callable
from urllib.parse import quote, unquote, unquote_plus

from strangler.core.compare.redaction.nesting import Nesting, Searching
from strangler.core.compare.redaction.redact_base64 import BASE64
from strangler.core.privacy.secrets import is_secret_name

URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.\-]{0,30}:)?//[^\s<>\"]+|[/?][^\s<>\"]+")
URL_PARTS = re.compile(
    r"(?P<scheme>(?:[^:/?#]+:)?)(?P<authority>(?://[^/?#]*)?)(?P<path>[^?#]*)(?P<query>(?:\?[^#]*)?)(?P<fragment>(?:#.*)?)",
    re.DOTALL,
)
FORM_TEXT = re.compile(r"\s*[\w.\-\[\]%+*~$]{1,256}=[^\s<>]*\s*")
SAFE = "/:@!$()*,~[]{}|"
"""Characters that stay readable in a value that is encoded again; quotes and `&=;#+%` have a meaning there."""
_ACTIONS = frozenset(
    re.findall(
        r"\w+",
        "reset change forgot forgotten refresh new edit confirm verify validate revoke list info policy "
        "delete create callback login logout renew rotate introspect exchange status strength rules request "
        "recover settings update",
    )
)
"""Words that follow a secret name in a path but are no secret: `/password/reset`."""


_PADDED = re.compile(r"\s*[A-Za-z0-9+/_\-]{2,}={1,2}\s*")
"""Base64, in which `+` is no space."""


def redact_whole_url(text: str, redactor: Searching, at: Nesting) -> str | None:
    """Return the text redacted; None if it is no URL."""
    return redact_url(text, redactor, at) if URL.fullmatch(text) else None


def redact_form(text: str, redactor: Searching, at: Nesting) -> str | None:
    """Return the text redacted; None if it is no form, `name=value&…`."""
    is_form = FORM_TEXT.fullmatch(text) and not _PADDED.fullmatch(text)
    return _parameters(text, redactor, at) if is_form else None


def redact_url(
    text: str, redactor: Searching, at: Nesting | None = None, *, words: tuple[str, ...] | None = None
) -> str:
    """Return a URL or request target (RFC 3986 section 3) redacted. Parts with a secret are percent-encoded again.

    Marked as a whole are userinfo, values of secret parameters in query, fragment and path (`;name=value`), and the
    segment after a secret name. With `words`, the segments of the endpoint's shape, all values but these are marked.
    """
    at = at or Nesting.of(text)
    parts, hides_values = URL_PARTS.fullmatch(text), words is not None
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
    """Return True if the segment that follows this one in a path is a secret: `/token/…`."""
    plain = unquote(segment.partition(";")[0])
    return "=" not in plain and "@" not in plain and is_secret_name(plain)


def is_action(segment: str) -> bool:
    """Return True for a word that names an action on a secret: `/password/reset`."""
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
    """Redact a query or a fragment, which includes its `?` or `#`."""
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
    label = name if redacted == plain else quote(redacted, safe=SAFE, errors="backslashreplace")
    if not equals:
        return at.mark(redactor, unquote_plus(name)) if hides_values and name else label
    if value and (hides_values or is_secret_name(name)):
        return f"{label}={at.mark(redactor, unquote_plus(value))}"
    return f"{label}={_encoded(value, redactor, at, unquote_plus)}"


def _encoded(raw: str, redactor: Searching, at: Nesting, decode: Callable[[str], str]) -> str:
    """Return a part of a URL, unchanged if it has no secret, else redacted and encoded again."""
    if decode is unquote_plus and "+" in raw and BASE64.fullmatch(unquote(raw)):
        written = _encoded(raw, redactor, at, unquote)  # Base64 that was not percent-encoded
        if written != raw:
            return written
    plain = decode(raw)
    redacted = redactor.nested(plain, at.deeper())
    return raw if redacted == plain else quote(redacted, safe=SAFE, errors="backslashreplace")
