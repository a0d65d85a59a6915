"""Secrets in the values of header fields, at their places: cookies keep their names, credentials their scheme."""

import re
from collections.abc import Iterator
from typing import Final

from strangler.core.compare.redaction.redact import Redactor
from strangler.core.privacy.secrets import MARK, is_secret_name
from strangler.recordings.in_place.edits import Edit, Search, marked, moved

_SCHEME: Final = re.compile(
    r"\s*(?:ApiKey|AWS4-HMAC-SHA256|Basic|Bearer|Concealed|Digest|DPoP|GNAP|Hawk|HOBA|Key|Mutual|Negotiate|NTLM|OAuth|"
    r"PrivateToken|SCRAM-SHA-(?:1|256)|Token|vapid)\s+(?=\S)",
    re.IGNORECASE,
)
"""Schemes of RFC 9110 section 11, which stay: what stands behind one is the secret."""


def header_edits(name: str, text: str, search: Search) -> list[Edit]:
    """Return the edits of a field's value; its name is in small letters."""
    redactor = search.redactor
    if name in redactor.headers or name.replace("_", "-") in redactor.headers:
        return _credentials(text, redactor)
    if name == "cookie":
        return list(_cookies(text, search))
    if name == "set-cookie":
        first = text.partition(";")[0]
        return [*_cookies(first, search), *_cookie_attributes(text, len(first), search)]
    return _credentials(text, redactor) if is_secret_name(name) else search.inner(text, 0)


def _credentials(text: str, redactor: Redactor) -> list[Edit]:
    scheme = _SCHEME.match(text)
    return _whole(redactor, text, scheme.end() if scheme else 0, len(text))


def _cookies(text: str, search: Search) -> Iterator[Edit]:
    at = 0
    for cookie in text.split(";"):
        name, equals, value = cookie.partition("=")
        if not equals:
            yield from _whole(search.redactor, text, at, at + len(cookie))
        else:
            yield from moved(search.inner(name, 0), at)
            start = at + len(name) + 1
            yield from _whole(search.redactor, text, start, start + len(value))
        at += len(cookie) + 1


def _cookie_attributes(text: str, start: int, search: Search) -> Iterator[Edit]:
    at = start + 1
    for attribute in text[start + 1 :].split(";"):
        name, equals, value = attribute.partition("=")
        yield from moved(search.inner(value, 0), at + len(name) + len(equals))
        at += len(attribute) + 1


def _whole(redactor: Redactor, text: str, start: int, end: int) -> list[Edit]:
    """Return the edit that marks a span but for the blanks around it; none if it is empty, or a mark."""
    raw = text[start:end]
    bare = raw.strip()
    first = start + len(raw) - len(raw.lstrip())
    return [marked(redactor, text, first, first + len(bare))] if bare and not MARK.fullmatch(bare) else []
