"""Multipart bodies taken apart (RFC 2046 section 5.1, RFC 7578), and what of each part counts."""

import binascii
import quopri
import re
from dataclasses import dataclass, field

from strangler.core.compare.conditions import normal_range
from strangler.core.compare.media import Body, MediaType, body_of, parse_media_type
from strangler.core.head import RawHeaders

MAX_PARTS = 2000
"""Parts of one body; one with more is compared as bytes."""
MAX_NESTED = 4
"""Multipart bodies within each other; what lies deeper is compared as bytes."""
_MAX_BOUNDARY = 200
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*(.*)", re.DOTALL)
_FOLD = re.compile(rb"\r?\n[ \t]+")
_LINE_END = re.compile(rb"\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Part:
    """One body part, its transfer coding undone. `headers` are in the order of the body."""

    headers: RawHeaders
    data: bytes = field(repr=False)

    def value(self, name: bytes) -> bytes | None:
        """The first value of a header field; `name` is lower-case."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def media(self) -> MediaType:
        """What the part says it is; text, where it says nothing (RFC 2046 section 5.1)."""
        return parse_media_type(self.value(b"content-type") or b"text/plain")

    @property
    def disposition(self) -> MediaType:
        """Content-Disposition, which is written like a media type (RFC 6266, RFC 7578 section 4.2)."""
        return parse_media_type(self.value(b"content-disposition") or b"")

    @property
    def name(self) -> str | None:
        """The form field that it is the value of."""
        name = dict(self.disposition.parameters).get("name")
        return None if name is None else _text(name.encode("latin-1"))

    def facts(self) -> dict[str, str]:
        """What counts of its headers, by their names."""
        facts = {"content-type": _media_text(self.media)}
        disposition = self.disposition
        if disposition.essence:
            facts["content-disposition"] = _written(disposition.essence, disposition.parameters)
        span, identity = self.value(b"content-range"), self.value(b"content-id")
        if span is not None:
            facts["content-range"] = _text(normal_range(span))
        if identity is not None:
            facts["content-id"] = _text(identity)
        return facts


def _media_text(media: MediaType) -> str:
    """A charset of JSON changes nothing, nor does the boundary of parts within the part."""
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
    the media type, without a closing delimiter, or if a line of a header section is none.
    """
    boundary = dict(media.parameters).get("boundary", "").encode("latin-1") if media else b""
    if not boundary or len(boundary) > _MAX_BOUNDARY:
        return None
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
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


def _part(raw: bytes) -> Part | None:
    """`raw` starts with the end of the delimiter's line."""
    start = _LINE_END.match(raw)
    if start is None:
        return None if raw else Part([], b"")
    if _LINE_END.match(raw, start.end()):  # no header fields at all
        return Part([], raw[_end_of_line(raw, start.end()) :])
    end = _HEAD_END.search(raw, start.end())
    head, data = (raw[start.end() : end.start()], raw[end.end() :]) if end else (raw[start.end() :], b"")
    headers: RawHeaders = []
    for line in _LINE_END.split(_FOLD.sub(b" ", head)) if head else []:
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        headers.append((found[1], found[2].strip(b" \t")))
    part = Part(headers, data)
    return Part(headers, _without_transfer_coding(data, part.value(b"content-transfer-encoding")))


def _end_of_line(raw: bytes, at: int) -> int:
    found = _LINE_END.match(raw, at)
    return found.end() if found else at


def _without_transfer_coding(data: bytes, coding: bytes | None) -> bytes:
    """base64 and quoted-printable undone (RFC 2045 section 6); data that is none, and other codings, as they stand."""
    name = (coding or b"").lower()
    if name == b"quoted-printable":
        return quopri.decodestring(data)
    if name != b"base64":
        return data
    try:
        return binascii.a2b_base64(b"".join(data.split()), strict_mode=True)
    except binascii.Error:
        return data
