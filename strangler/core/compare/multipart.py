"""Splitting multipart bodies (RFC 2046 section 5.1, RFC 7578), and what counts of each part."""

import binascii
import quopri
import re
from dataclasses import dataclass, field

from strangler.core.compare.model.conditions import normal_range
from strangler.core.compare.model.media import Body, MediaType, body_of, parse_media_type

MAX_PARTS = 1000
"""The most parts of one body; a body with more is compared as bytes."""
MAX_NESTED = 4
"""The most multipart bodies within each other; deeper ones are compared as bytes."""
_MAX_BOUNDARY = 200
_HEAD = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*:[^\r\n]*(?:\r?\n|\Z))*")
_COUNTED = re.compile(
    rb"^content-(type|disposition|range|id|transfer-encoding)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE
)
_FOLD = re.compile(rb"\r?\n[ \t]+")
_LINE_END = re.compile(rb"\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_TEXT = parse_media_type(b"text/plain")


@dataclass(frozen=True, slots=True)
class Part:
    """One body part, its transfer coding undone."""

    media: MediaType
    """The part's media type; text if it has none (RFC 2046 section 5.1)."""
    name: str | None
    """The name of the form field whose value it is (RFC 7578 section 4.2)."""
    facts: tuple[tuple[str, str], ...]
    """The header fields that count: names and normalised values, sorted."""
    data: bytes = field(repr=False)


def _read_part(head: bytes, data: bytes) -> Part:
    """Read one part. Of several fields of one name the first counts."""
    fields: dict[bytes, bytes] = {}
    for found in _COUNTED.finditer(head):
        fields.setdefault(found[1].lower(), found[2].strip(b" \t"))
    media = parse_media_type(fields[b"type"]) if b"type" in fields else _TEXT
    facts = [("content-type", _media_text(media))]
    name = None
    if b"disposition" in fields:  # written like a media type (RFC 6266)
        disposition = parse_media_type(fields[b"disposition"])
        name = dict(disposition.parameters).get("name")
        facts.append(("content-disposition", _written(disposition.essence, disposition.parameters)))
    if b"range" in fields:
        facts.append(("content-range", _text(normal_range(fields[b"range"]))))
    if b"id" in fields:
        facts.append(("content-id", _text(fields[b"id"])))
    plain = _without_transfer_coding(data, fields.get(b"transfer-encoding", b""))
    return Part(media, None if name is None else _text(name.encode("latin-1")), tuple(sorted(facts)), plain)


def _media_text(media: MediaType) -> str:
    """Return a media type as text, without what does not count: a charset of JSON, an inner boundary."""
    dropped = {Body.JSON: "charset", Body.NDJSON: "charset", Body.MULTIPART: "boundary"}.get(body_of(media))
    kept = tuple((name, value.lower()) for name, value in media.parameters if name != dropped)
    return _written(media.essence, kept)


def _written(essence: str, parameters: tuple[tuple[str, str], ...]) -> str:
    return "; ".join([essence, *(f"{name}={_text(value.encode('latin-1'))}" for name, value in parameters)])


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def split_parts(body: bytes, media: MediaType | None) -> list[Part] | None:
    """Return the parts of a body; None if it does not parse, or has too many of them.

    Preamble and epilogue do not count, and a bare LF ends a line like CRLF. A body does not parse without a boundary in
    the media type, without a closing delimiter, or with a malformed header section.
    """
    delimiter = delimiter_of(media)
    if delimiter is None:
        return None
    parts: list[Part] = []
    begin: int | None = None
    for found in delimiter.finditer(body):
        if begin is not None:
            part = _part(body[begin : found.start()])
            if part is None or len(parts) == MAX_PARTS:
                return None
            parts.append(part)
        if found[1]:
            return parts
        begin = found.end()
    return None


def delimiter_of(media: MediaType | None) -> "re.Pattern[bytes] | None":
    """Return the pattern of a body's delimiters, whose group 1 is there in the closing one; None without a boundary."""
    boundary = dict(media.parameters).get("boundary", "").encode("latin-1") if media else b""
    if not boundary or len(boundary) > _MAX_BOUNDARY:
        return None
    return re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")


def _part(raw: bytes) -> Part | None:
    """Read a part, or return None. `raw` starts with the end of the delimiter's line."""
    start = _LINE_END.match(raw)
    if start is None:
        return None if raw else _read_part(b"", b"")
    empty = _LINE_END.match(raw, start.end())
    if empty is not None:  # no header fields at all
        return _read_part(b"", raw[empty.end() :])
    end = _HEAD_END.search(raw, start.end())
    head, data = (raw[start.end() : end.start()], raw[end.end() :]) if end else (raw[start.end() :], b"")
    head = _FOLD.sub(b" ", head)
    return _read_part(head, data) if _HEAD.fullmatch(head) else None


def _without_transfer_coding(data: bytes, coding: bytes) -> bytes:
    """Return data with base64 or quoted-printable undone (RFC 2045 section 6); invalid data and others unchanged."""
    name = coding.lower()
    if name == b"quoted-printable":
        return quopri.decodestring(data)
    if name != b"base64":
        return data
    try:
        return binascii.a2b_base64(b"".join(data.split()), strict_mode=True)
    except binascii.Error:
        return data
