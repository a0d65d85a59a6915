"""Substituting: a later request of a caller with learned values where the recorded ones stood.

All other bytes stay. A value is replaced as a whole or not at all, and never twice. A part that still holds the mark of
a redacted secret is left out with its name; where it cannot be, as in a path, the request cannot be sent.
"""

import base64
import binascii
from dataclasses import dataclass

from strangler.core.compare.codings import undo_codings
from strangler.core.compare.model.media import parse_media_type
from strangler.core.compare.model.values import Reason
from strangler.core.http.head import RawHeaders
from strangler.core.http.headers import CLIENT_ADDRESS
from strangler.core.replaying.client_addresses import with_addresses
from strangler.core.replaying.edits import has_mark
from strangler.core.replaying.filled_bodies import FilledBody, filled_body
from strangler.core.replaying.filled_texts import FilledText, Filling, SlottedText, filled
from strangler.core.replaying.given import Fields, values_of_places, with_given
from strangler.core.replaying.learned import CallerValues
from strangler.core.replaying.request_message import RequestMessage
from strangler.core.replaying.slots import (
    Slot,
    as_cookie,
    as_header,
    as_parameter,
    cookie_slots,
    tag_slots,
    target_slots,
)
from strangler.core.replaying.spots import Use, path_thing

_ERRORS = "surrogateescape"
_TAG_LISTS = frozenset({"if-match", "if-none-match", "if-range"})
_DATES = frozenset({"if-modified-since", "if-unmodified-since"})
_URLS = frozenset({"referer", "origin"})
_KEPT = frozenset({"host", "content-type", "content-length", "content-encoding", "transfer-encoding", "connection"})
"""Fields that say how the message is read, not what it means."""
_HIDING = frozenset({b"authorization", b"proxy-authorization", b"content-encoding"})
"""Fields that may hide a mark: by Base64, or by the coding of the body."""
_NOTHING = Filling(CallerValues(), {})


@dataclass(frozen=True, slots=True)
class Substituted:
    """A request to be sent. `left_out` has the places that still held the mark of a redacted secret."""

    request: RequestMessage
    left_out: tuple[str, ...] = ()
    unsendable: tuple[str, ...] = ()
    """Places with such a mark that could not be left out; if there is any, the request must not be sent."""


def substitute(request: RequestMessage, values: CallerValues, given: Fields | None = None) -> Substituted:
    """Return a recorded request with learned values, and with what is handed in for its caller."""
    if not given and not len(values) and not _may_have_mark(request):
        return Substituted(request)
    filling = Filling(values, values_of_places(given) if given else {})
    target = request.target.decode("utf-8", _ERRORS)
    path = _filled_url(target, 0, "", "path", filling)
    headers, omitted, stuck = _filled_headers(request.headers, filling, given or {})
    body, is_decoded = _filled_content(request, path_thing(target), filling)
    if body.body is not request.body:
        headers = _with_length(headers, len(body.body), is_decoded=is_decoded)
    unsendable = (*(["path"] if path.is_stuck else []), *stuck, *(["body"] if body.is_stuck else []))
    left_out = [*path.left_out, *omitted, *body.left_out]
    return Substituted(
        RequestMessage(request.method, path.text.encode("utf-8", _ERRORS), headers, body.body),
        tuple(place for place in left_out if place not in unsendable),
        unsendable,
    )


def _may_have_mark(request: RequestMessage) -> bool:
    """Return False if no part can hold the mark of a secret: a quick test, which most requests fail."""
    if b"redacted" in request.target.lower() or b"redacted" in request.body.lower():
        return True
    names = {name.lower() for name, _ in request.headers}
    return not _HIDING.isdisjoint(names) or b"redacted" in b"\n".join([value for _, value in request.headers]).lower()


def _filled_url(url: str, start: int, place: str, whole: str, filling: Filling) -> FilledText:
    def slots(_: bool) -> "list[Slot]":
        return [*target_slots(url, start=start, place=place)]

    done = filled(SlottedText(url, slots, as_parameter, whole), filling)
    return done._replace(text=_without_empty_query(done.text)) if done.left_out else done


def _without_empty_query(url: str) -> str:
    """Return a URL without the `?` of a query that was left out as a whole."""
    head, sign, fragment = url.partition("#")
    return head.removesuffix("?") + sign + fragment


# Headers


def _filled_headers(headers: RawHeaders, filling: Filling, given: Fields) -> tuple[RawHeaders, list[str], list[str]]:
    """Return the fields, the places that are left out, and those with a mark that must not be left out."""
    kept: RawHeaders = []
    left_out: list[str] = []
    stuck: list[str] = []
    for raw_name, raw_value in with_given(headers, given):
        name = raw_name.decode("latin-1").lower()
        if name in given and name != "cookie":
            kept.append((raw_name, raw_value))
            continue
        done = _filled_header(name, raw_value.decode("utf-8", _ERRORS), filling)
        by_hand = filling.by_place.get(f"header:{name}") if done.is_stuck else None
        if by_hand is not None:
            done = FilledText(by_hand)
        if done.left_out and name in CLIENT_ADDRESS:
            done = FilledText(with_addresses(name, raw_value.decode("utf-8", _ERRORS)))
        left_out += done.left_out
        if done.is_stuck and name in _KEPT:
            stuck.append(f"header:{name}")
        if not done.is_stuck and (done.text or not done.left_out):
            kept.append((raw_name, done.text.encode("utf-8", _ERRORS)))
    return kept, left_out, stuck


def _filled_header(name: str, value: str, filling: Filling) -> FilledText:
    place = f"header:{name}"
    if name == "cookie":
        return filled(SlottedText(value, lambda _: cookie_slots(value), as_cookie, place), filling)
    if name in _URLS:
        authority = value.find("//") + 2 if "//" in value else 0
        path = value.find("/", authority)
        return _filled_url(value, path if path >= 0 else len(value), f"{place} ", place, filling)
    if name in ("authorization", "proxy-authorization") and value[:6].lower() == "basic ":
        return _filled_basic(value, place, filling)
    if name in _TAG_LISTS:
        return filled(SlottedText(value, lambda _: tag_slots(value, name), as_header, place), filling)
    if name in _KEPT:
        return filled(SlottedText(value, lambda _: (), as_header, place), _NOTHING)
    use = (Use.HEADER, "last-modified" if name in _DATES else name)
    whole = Slot((0, len(value)), value, (use,), as_header, place)
    return filled(SlottedText(value, lambda _: [whole], as_header, place), filling)


def _filled_basic(value: str, place: str, filling: Filling) -> FilledText:
    """Fill credentials of the scheme Basic (RFC 7617), whose Base64 hides `user:password`."""
    scheme, _, written = value.partition(" ")
    try:
        plain = base64.b64decode(written.strip(), validate=True).decode("utf-8", _ERRORS)
    except (binascii.Error, ValueError):
        return filled(SlottedText(value, lambda _: (), as_header, place), filling)
    done = filled(SlottedText(plain, lambda _: (), str, place), filling)
    if done.text == plain:
        return FilledText(value, done.left_out, done.is_stuck)
    encoded = base64.b64encode(done.text.encode("utf-8", _ERRORS)).decode()
    return FilledText(f"{scheme} {encoded}", done.left_out, done.is_stuck)


# Body


def _filled_content(request: RequestMessage, around: str, filling: Filling) -> tuple[FilledBody, bool]:
    """Return the filled body, and whether its content codings are undone; the body itself if nothing changes."""
    codings = [value for name, value in request.headers if name.lower() == b"content-encoding"]
    plain = undo_codings(request.body, codings)
    if isinstance(plain, Reason) or not plain:
        return FilledBody(request.body), False
    content_type = request.field_value(b"content-type")
    done = filled_body(plain, parse_media_type(content_type) if content_type else None, around, filling)
    done = done._replace(is_stuck=done.is_stuck or has_mark(done.body))  # also where no slot could be found
    if done.body == plain:
        return done._replace(body=request.body), False
    return done, plain != request.body


def _with_length(headers: RawHeaders, length: int, *, is_decoded: bool) -> RawHeaders:
    """Return the fields for a body of another length, and without content codings if they are undone."""
    dropped = {b"transfer-encoding"} | ({b"content-encoding"} if is_decoded else set())
    written = str(length).encode()
    kept = [
        (name, written if name.lower() == b"content-length" else value)
        for name, value in headers
        if name.lower() not in dropped
    ]
    if not any(name.lower() == b"content-length" for name, _ in kept):
        kept.append((b"Content-Length", written))
    return kept
