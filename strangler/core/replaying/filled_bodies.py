"""Bodies of requests filled with learned values: JSON, forms, the fields of multipart bodies and other text.

Texts are read as UTF-8, in which bytes that are none stay as they are.
"""

import re
from collections.abc import Iterable
from html import escape
from typing import NamedTuple

from strangler.core.compare.model.media import Body, MediaType, body_of, parse_media_type
from strangler.core.compare.multipart import MAX_NESTED, delimiter_of
from strangler.core.replaying.filled_texts import Filling, SlottedText, filled
from strangler.core.replaying.slots import Slot, as_field, as_json, form_slots, json_slots
from strangler.core.replaying.spots import field_spots, reference_spots

_ERRORS = "surrogateescape"
_JSON_START = re.compile(r"\ufeff?\s*[\[{]")
_PART = re.compile(rb"\r?\n(?P<head>(?:[^\r\n]+\r?\n)*)\r?\n", re.DOTALL)
_FIELD = re.compile(rb"^content-(type|disposition)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


class FilledBody(NamedTuple):
    body: bytes
    left_out: tuple[str, ...] = ()
    is_stuck: bool = False
    """Whether it still has the mark of a secret, which could not be left out."""


def filled_body(body: bytes, media: MediaType | None, around: str, filling: Filling, *, depth: int = 0) -> FilledBody:
    """Return a body with learned values; a binary one as it is. `around`: what the request is about."""
    kind = body_of(media)
    if kind is Body.MULTIPART and depth < MAX_NESTED:
        return _filled_parts(body, media, around, filling, depth + 1)
    if kind in (Body.BINARY, Body.MULTIPART):
        return FilledBody(body)
    done = filled(_slotted(body.decode("utf-8", _ERRORS), kind, around, filling), filling)
    return FilledBody(done.text.encode("utf-8", _ERRORS), done.left_out, done.is_stuck)


def _slotted(text: str, kind: Body, around: str, filling: Filling) -> SlottedText:
    """Return a text with its slots. JSON is known by its media type, or by its start where it is no form."""
    if kind is Body.FORM:
        return SlottedText(text, lambda _: form_slots(text, around), as_field, "body")
    if kind in (Body.JSON, Body.NDJSON) or _JSON_START.match(text):
        return SlottedText(text, lambda every: _members(text, around, filling, every), as_json, "body")
    return SlottedText(text, lambda _: (), escape if kind in (Body.XML, Body.HTML) else str, "body")


def _members(text: str, around: str, filling: Filling, every: bool) -> Iterable[Slot]:
    return json_slots(text, around, None if every else filling.values.has_text)


# Multipart


class _Part(NamedTuple):
    """A part of a multipart body: where its delimiter begins, where its data begins and ends."""

    start: int
    data: int
    end: int
    media: MediaType
    name: str


def _filled_parts(body: bytes, media: MediaType | None, around: str, filling: Filling, depth: int) -> FilledBody:
    """Fill each part. One that is left with the mark of a secret is left out with its head."""
    pieces: list[bytes] = []
    left_out: list[str] = []
    at = 0
    for part in _parts(body, media):
        done = _filled_part(body[part.data : part.end], part, around, filling, depth)
        if done.is_stuck:
            pieces.append(body[at : part.start])
            left_out.append(f"body:{part.name}")
        else:
            pieces += [body[at : part.data], done.body]
            left_out += (f"body:{part.name}{place.removeprefix('body')}" for place in done.left_out)
        at = part.end
    return FilledBody(b"".join([*pieces, body[at:]]), tuple(left_out))


def _filled_part(data: bytes, part: _Part, around: str, filling: Filling, depth: int) -> FilledBody:
    """Fill a part: a field that is a learned value as a whole, in its own spot, else as a body of its kind."""
    if body_of(part.media) is Body.TEXT:
        text = data.decode("utf-8", _ERRORS)
        spots = (*field_spots(part.name, around), *reference_spots(part.name))
        replayed = filling.values.at(text, spots) if text else None
        if replayed is not None:
            return FilledBody(replayed.text.encode("utf-8", _ERRORS))
    done = filled_body(data, part.media, around, filling, depth=depth)
    given = filling.by_place.get(f"body:{part.name}".lower()) if done.is_stuck else None
    return done if given is None else FilledBody(given.encode("utf-8", _ERRORS))


def _parts(body: bytes, media: MediaType | None) -> list[_Part]:
    """Return the parts of a body; none if it has no boundary, or lacks its closing delimiter."""
    delimiter = delimiter_of(media)
    if delimiter is None:
        return []
    parts: list[_Part] = []
    begin: re.Match[bytes] | None = None
    for found in delimiter.finditer(body):
        head = _PART.match(body, begin.end(), found.start()) if begin is not None else None
        if begin is not None and head is not None:
            parts.append(_part(head, begin.start(), found.start()))
        if found[1]:
            return parts
        begin = found
    return []


def _part(head: re.Match[bytes], start: int, end: int) -> _Part:
    fields: dict[bytes, bytes] = {}
    for found in _FIELD.finditer(head["head"]):
        fields.setdefault(found[1].lower(), found[2])
    disposition = parse_media_type(fields.get(b"disposition", b""))
    name = dict(disposition.parameters).get("name", "").encode("latin-1").decode("utf-8", "backslashreplace")
    return _Part(start, head.end(), end, parse_media_type(fields.get(b"type", b"text/plain")), name)
