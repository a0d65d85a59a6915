"""Secrets in a URL, a request target and the fields of a form, at their places."""

from collections.abc import Iterator

from strangler.core.compare.redaction.redact_url import FORM_TEXT, URL, URL_PARTS, is_action, names_next
from strangler.core.privacy.secrets import is_secret_name
from strangler.recordings.in_place.edits import FORM, PERCENT, Edit, Encoding, Search, moved
from strangler.recordings.in_place.patterns import Patterns


def url_edits(text: str, search: Search, depth: int) -> list[Edit] | None:
    """Return the edits of a text that is a URL; None if it is none."""
    return list(target_edits(text, search, depth)) if URL.fullmatch(text) else None


def form_edits(text: str, search: Search, depth: int) -> list[Edit] | None:
    """Return the edits of a text that is a form; None if it is none."""
    return list(fields_edits(text, search, depth)) if FORM_TEXT.fullmatch(text) else None


def target_edits(text: str, search: Search, depth: int) -> Iterator[Edit]:
    """Yield the edits of a URL or a request target (RFC 3986 section 3): what `redact_url` hides."""
    parts = URL_PARTS.fullmatch(text)
    assert parts is not None  # it matches any text
    yield from moved(_authority(parts["authority"], search, depth), parts.start("authority"))
    yield from moved(_path(parts["path"], search, depth), parts.start("path"))
    for name in ("query", "fragment"):
        yield from moved(_behind(parts[name], search, depth), parts.start(name))


def _authority(authority: str, search: Search, depth: int) -> Iterator[Edit]:
    if not authority:
        return
    userinfo, sign, host = authority[2:].rpartition("@")
    start = 2 + len(userinfo) + len(sign)
    if userinfo:
        yield Edit(2, 2 + len(userinfo), search.redactor.mark(userinfo))
    port = host.rpartition(":")[2] if ":" in host and not host.endswith("]") else ""
    if not sign and port and not port.isdecimal():
        yield Edit(start, len(authority), search.redactor.mark(host))
    else:
        yield from moved(_value(host, PERCENT, search, depth), start)


def _path(path: str, search: Search, depth: int) -> Iterator[Edit]:
    at, is_named = 0, False
    for segment in path.split("/"):
        first, *parameters = segment.split(";")
        if is_named and first and not is_action(segment):
            yield Edit(at, at + len(first), search.redactor.mark(PERCENT.plain(first)))
        elif "=" in first:
            yield from moved(_parameter(first, search, depth), at)
        else:
            yield from moved(_value(first, PERCENT, search, depth), at)
        inner = at + len(first) + 1
        for parameter in parameters:
            yield from moved(_parameter(parameter, search, depth), inner)
            inner += len(parameter) + 1
        is_named = names_next(segment)
        at += len(segment) + 1


def _behind(part: str, search: Search, depth: int) -> list[Edit]:
    """Return the edits of a query or a fragment, which includes its `?` or `#`."""
    if not part:
        return []
    inner, start = part[1:], 1
    if part[0] == "#" and "=" not in inner:
        return moved(_value(inner, PERCENT, search, depth), start)
    if part[0] == "#" and "?" in inner:
        path = inner.partition("?")[0]
        start += len(path) + 1
        return [
            *moved(_value(path, PERCENT, search, depth), 1),
            *moved(fields_edits(part[start:], search, depth), start),
        ]
    return moved(fields_edits(inner, search, depth), start)


def fields_edits(text: str, search: Search, depth: int) -> Iterator[Edit]:
    """Yield the edits of the fields of a form or a query, `name=value&…`."""
    at = 0
    for parameter in text.split("&"):
        yield from moved(_parameter(parameter, search, depth), at)
        at += len(parameter) + 1


def _parameter(parameter: str, search: Search, depth: int) -> Iterator[Edit]:
    name, equals, value = parameter.partition("=")
    yield from _value(name, FORM, search, depth)
    start = len(name) + len(equals)
    bare = value.rstrip("\r\n")
    if bare and (is_secret_name(name) or Patterns(search.redactor.patterns).of_field(FORM.plain(name))):
        mark = search.redactor.mark(FORM.plain(bare))
        if mark != bare:
            yield Edit(start, start + len(bare), mark)
    else:
        yield from moved(_value(value, FORM, search, depth), start)


def _value(raw: str, encoding: Encoding, search: Search, depth: int) -> list[Edit]:
    """Return the edits of an encoded part; Base64 may have a `+` that is no blank."""
    if encoding is FORM and "+" in raw:
        edits = PERCENT.edits(raw, lambda plain: search.inner(plain, depth + 1))
        if edits:
            return edits
    return encoding.edits(raw, lambda plain: search.inner(plain, depth + 1))
