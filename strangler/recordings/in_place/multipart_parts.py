"""The parts of a multipart body (RFC 2046 section 5.1, RFC 7578), at their places."""

import re
from dataclasses import dataclass
from typing import Final

from strangler.core.compare.model.media import MediaType, parse_media_type

_MAX_PARTS: Final = 1000
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_FIELD: Final = re.compile(
    rb"^content-(?P<name>type|disposition|transfer-encoding)[ \t]*:[ \t]*(?P<value>[^\r\n]*(?:\r?\n[ \t]+[^\r\n]*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_PLAIN_CODINGS: Final = (b"", b"7bit", b"8bit", b"binary")


@dataclass(frozen=True, slots=True)
class PartSpans:
    """One part: the spans of its head and of its data, and what the head says of the data."""

    head: tuple[int, int]
    data: tuple[int, int]
    media: MediaType | None
    name: str | None
    """The form's field that it holds."""
    is_plain: bool
    """False if a transfer encoding hides its text."""


def part_spans(body: bytes, media: MediaType | None) -> list[PartSpans] | None:
    """Return the parts of a body; None if it does not parse, or has more than anybody sends."""
    boundary = dict(media.parameters).get("boundary", "").encode("latin-1") if media else b""
    if not boundary:
        return None
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    parts: list[PartSpans] = []
    begin: int | None = None
    for found in delimiter.finditer(body):
        if begin is None and body[: found.start()].strip():
            return None  # a preamble, which nobody reads
        if begin is not None:
            parts.append(_part(body, begin, found.start()))
        if found[1]:
            return None if body[found.end() :].strip() else parts
        if len(parts) > _MAX_PARTS:
            return None
        begin = found.end()
    return None


def _part(body: bytes, begin: int, end: int) -> PartSpans:
    """Read the part that starts with the end of its delimiter's line."""
    empty = re.compile(rb"\r?\n\r?\n").match(body, begin, end)
    found = empty or _HEAD_END.search(body, begin, end)
    head_end, data = (found.start(), found.end()) if found else (end, end)
    head = body[begin:head_end]
    fields: dict[bytes, bytes] = {}
    for field in _FIELD.finditer(head):
        fields.setdefault(field["name"].lower(), field["value"].strip())
    disposition = parse_media_type(fields.get(b"disposition", b""))
    name = dict(disposition.parameters).get("name")
    return PartSpans(
        (begin, head_end),
        (data, end),
        parse_media_type(fields[b"type"]) if b"type" in fields else None,
        None if name is None else name.encode("latin-1").decode("utf-8", "replace"),
        fields.get(b"transfer-encoding", b"").lower() in _PLAIN_CODINGS,
    )
