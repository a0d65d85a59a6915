"""HTTP/1 messages as they were captured (RFC 9112): the first line, fields, and the body with its framing undone."""

import re
from dataclasses import dataclass
from typing import Final

from strangler.core.http.head import RawHeaders
from strangler.recordings.recorded import RecordedBody

_REQUEST: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (\S.*?)(?: HTTP/\d(?:\.\d)?)?")
_RESPONSE: Final = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: .*)?")
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class RequestMessage:
    method: str
    target: bytes
    headers: RawHeaders
    body: RecordedBody | None


@dataclass(frozen=True, slots=True)
class ResponseMessage:
    status: int
    headers: RawHeaders
    body: RecordedBody | None


def read_request(raw: bytes) -> RequestMessage | None:
    """Return a request; None if the bytes are none."""
    line, headers, body = _split(raw)
    found = _REQUEST.fullmatch(line)
    if found is None or headers is None:
        return None
    kept, body_found = _unframed(headers, body, is_response=False)
    return RequestMessage(found[1].decode(), found[2], kept, body_found)


def read_response(raw: bytes, *, is_head: bool) -> ResponseMessage | None:
    """Return a response, interim ones before it left out; None if the bytes are none. `is_head`: to a HEAD."""
    line, headers, body = _split(raw)
    found = _RESPONSE.fullmatch(line)
    if found is None or headers is None:
        return None
    status = int(found[1])
    if 100 <= status < 200 and status != 101 and body:
        return read_response(body, is_head=is_head)
    if status < 100:
        return None
    if is_head or status in (204, 304) or status < 200:
        return ResponseMessage(status, headers, None)
    kept, body_found = _unframed(headers, body, is_response=True)
    return ResponseMessage(status, kept, body_found)


def _split(raw: bytes) -> tuple[bytes, RawHeaders | None, bytes]:
    """Return the first line, the fields (None if they are malformed) and the rest."""
    end = _HEAD_END.search(raw)
    head, body = (raw[: end.start()], raw[end.end() :]) if end else (raw.rstrip(b"\r\n"), b"")
    line, *lines = re.split(rb"\r?\n", head)
    headers: RawHeaders = []
    for each in lines:
        name, colon, value = each.partition(b":")
        if not colon or not _NAME.fullmatch(name):
            return line, None, body
        headers.append((name, value.strip(b" \t")))
    return line, headers, body


def _unframed(headers: RawHeaders, raw: bytes, *, is_response: bool) -> tuple[RawHeaders, RecordedBody | None]:
    """Return the fields and the body. Transfer-Encoding goes with the coding that it names."""
    fields = {name.lower(): value for name, value in headers}
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        data, is_whole = _unchunked(raw)
        kept = [(name, value) for name, value in headers if name.lower() != b"transfer-encoding"]
        if not is_whole:
            return kept, RecordedBody(omitted=len(data))
        return kept, RecordedBody.of(data) if data else None
    length = fields.get(b"content-length", b"")
    if length.isdigit() and len(length) < 16:
        size = int(length)
        if len(raw) < size:
            return headers, RecordedBody.of(raw, cut_from=size)
        raw = raw[:size]
    elif not is_response:
        return headers, None
    return headers, RecordedBody.of(raw) if raw else None


def _unchunked(raw: bytes) -> tuple[bytes, bool]:
    """Return the data of chunks (RFC 9112 section 7.1), and whether their end is there."""
    pieces: list[bytes] = []
    at = 0
    while size := _SIZE.match(raw, at):
        count = int(size[1], 16)
        if not count:
            return b"".join(pieces), True
        data = raw[size.end() : size.end() + count]
        pieces.append(data)
        at = size.end() + count
        if len(data) < count or raw[at : at + 1] not in (b"\r", b"\n"):
            break
        at += 2 if raw[at : at + 2] == b"\r\n" else 1
    return b"".join(pieces), False
