"""HAR 1.2, what browsers and mitmproxy export: a pair for each entry that went over the network."""

import base64
import binascii
from collections import Counter
from typing import Any, Final

import msgspec

from strangler.core.http.head import RawHeaders
from strangler.imports.har import check_hosts, raw_entries
from strangler.imports.request_lines import is_method, plain_host, split_target
from strangler.imports.timestamps import IsoClock
from strangler.imports.values import Unread
from strangler.recordings.recorded import (
    RecordedBody,
    RecordedPair,
    RecordedRequest,
    RecordedResponse,
    raw_text,
    recorded_headers,
)
from strangler.recordings.sources.pairs import NumberedPairs, Passed

_CALLER: Final = "har"


class _Field(msgspec.Struct, gc=False):
    name: str
    value: str = ""


class _PostData(msgspec.Struct, gc=False):
    text: str | None = None
    encoding: str | None = None
    our_encoding: str | None = msgspec.field(name="_encoding", default=None)
    """HAR names no encoding of requests; a field of `strangler record --export` does."""


class _Request(msgspec.Struct, gc=False):
    method: str
    url: str
    headers: list[_Field] = []
    post: _PostData | None = msgspec.field(name="postData", default=None)
    body_size: Any = msgspec.field(name="bodySize", default=None)


class _Content(msgspec.Struct, gc=False):
    text: str | None = None
    encoding: str | None = None
    size: Any = None


class _Response(msgspec.Struct, gc=False):
    status: Any = None
    headers: list[_Field] = []
    content: _Content | None = None


class _Entry(msgspec.Struct, gc=False):
    request: _Request
    response: _Response | None = None
    started: Any = msgspec.field(name="startedDateTime", default=None)
    time: Any = None
    cache: Any = msgspec.field(name="_fromCache", default=None)


_as_entry: Final = msgspec.json.Decoder(_Entry).decode


def har_pairs(data: bytes, name: str, wanted_host: str) -> NumberedPairs:
    """Yield what each entry gives, numbered from 1. Raises ImportRefusedError if they went to several hosts."""
    entries = raw_entries(data, name)
    wanted = plain_host(wanted_host.encode("utf-8", "replace"))
    targets = filter(None, map(_target, entries))
    check_hosts(Counter(host for _, host in targets), name, wanted)
    clock = IsoClock()
    return ((number, _pair(raw, clock, wanted)) for number, raw in enumerate(entries, start=1))


def _target(raw: msgspec.Raw) -> tuple[bytes, str] | None:
    """Return the target and the host of an entry; None if it has none."""
    try:
        entry = _as_entry(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return None if entry.cache else _split(entry.request.url)


def _split(url: str) -> tuple[bytes, str] | None:
    if not url.lower().startswith(("http:", "https:")):
        return None
    raw = url.encode("utf-8", "replace")
    parts = split_target(raw)
    if isinstance(parts, Unread):
        return None
    path, query, host = parts
    return path + (b"?" + query if query or b"?" in raw.partition(b"#")[0] else b""), host


def _pair(raw: msgspec.Raw, clock: IsoClock, wanted: str) -> RecordedPair | Passed:
    try:
        entry = _as_entry(raw)
    except (msgspec.DecodeError, RecursionError):
        return Passed(Unread.BAD_FORM)
    if entry.cache:
        return Passed(Unread.FROM_CACHE)
    target = _split(entry.request.url)
    if target is None or not is_method(entry.request.method):
        return Passed(Unread.NOT_HTTP)
    if wanted and target[1] != wanted:
        return Passed(Unread.OTHER_HOST)
    at = clock.at(entry.started) if isinstance(entry.started, str) and entry.started else None
    if at is None:
        return Passed(Unread.BAD_TIME)
    took = entry.time if isinstance(entry.time, int | float) and entry.time >= 0 else None
    request = RecordedRequest(
        entry.request.method,
        raw_text(target[0]),
        recorded_headers(_fields(entry.request.headers)),
        _request_body(entry.request),
    )
    return RecordedPair(at=at, caller=_CALLER, request=request, response=_response(entry.response, took))


def _fields(fields: list[_Field], *dropped: str) -> RawHeaders:
    """Return the fields; pseudo-header fields of HTTP/2 (`:path`) are in the request line."""
    return [
        (field.name.encode("utf-8", "replace"), field.value.encode("utf-8", "replace"))
        for field in fields
        if not field.name.startswith(":") and field.name.lower() not in dropped
    ]


def _request_body(request: _Request) -> RecordedBody | None:
    post = request.post
    if post is not None and post.text:
        return _body(post.text, post.encoding or post.our_encoding)
    size = request.body_size
    return RecordedBody(omitted=size) if isinstance(size, int) and size > 0 else None


def _response(response: _Response | None, took_ms: float | None) -> RecordedResponse | None:
    """Return the response; None if the request failed, which a HAR says by the status 0 or -1."""
    if response is None or not isinstance(response.status, int) or not 100 <= response.status <= 999:
        return None
    content = response.content or _Content()
    if content.text:
        body: RecordedBody | None = _body(content.text, content.encoding)
    else:
        body = RecordedBody(omitted=content.size) if isinstance(content.size, int) and content.size > 0 else None
    headers = _fields(response.headers, "content-encoding", "transfer-encoding")
    return RecordedResponse(response.status, recorded_headers(headers), body, took_ms)


def _body(text: str, encoding: str | None) -> RecordedBody:
    if encoding != "base64":
        return RecordedBody.of(text.encode("utf-8", "replace"))
    try:
        return RecordedBody.of(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return RecordedBody(omitted=len(text) * 3 // 4)
