"""A strict reader of HTTP/1 messages for tests: what a careful receiver makes of the bytes, and nothing is forgiven."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

Fields = tuple[tuple[bytes, bytes], ...]
Framing = Literal["none", "length", "chunked", "close", "tunnel"]
FramingOf = Callable[[bytes, Fields], tuple[Framing, int]]

_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[^\r\n]*)?\r\n")


class MalformedError(ValueError):
    """The bytes break a rule of RFC 9112."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request or response. Chunks are joined: their borders carry no meaning (RFC 9112 section 7.1)."""

    start: bytes
    fields: Fields
    body: bytes
    trailers: Fields
    framing: Framing
    is_complete: bool

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name]

    @property
    def status(self) -> int:
        return _status(self.start)


class _Body(NamedTuple):
    data: bytes
    trailers: Fields
    end: int | None  # index behind it; None: the bytes stopped before its end


def read_requests(data: bytes) -> list[Message]:
    """All requests in `data`, the last one perhaps incomplete."""
    messages, at = [], 0
    while at < len(data):
        message, end = _read_message(data, at, _request_framing, False)
        messages.append(message)
        if end is None:
            break
        at = end
    return messages


def read_responses(data: bytes, methods: list[bytes], ended: bool) -> list[Message]:
    """All responses in `data` to requests with these methods; `ended`: the connection was closed behind them."""
    messages, at, methods_left = [], 0, list(methods)
    while at < len(data):
        method = methods_left[0] if methods_left else b"GET"
        message, end = _read_message(data, at, partial(_response_framing, method), ended)
        messages.append(message)
        if end is None:
            break
        at = end
        if methods_left and (message.status >= 200 or message.status == 101):
            methods_left.pop(0)
    return messages


def parse_fields(block: bytes) -> Fields:
    """Field lines, each ended by CRLF."""
    fields = []
    for line in block.split(b"\r\n")[:-1] if block else []:
        match = _FIELD.fullmatch(line)
        if match is None or re.search(rb"[\r\n\0]", line):
            raise MalformedError(f"not a field line: {line!r}")
        fields.append((match[1], match[2]))
    return tuple(fields)


def _read_message(data: bytes, at: int, framing_of: FramingOf, ended: bool) -> tuple[Message, int | None]:
    head_end = data.find(b"\r\n\r\n", at)
    if head_end < 0:
        return Message(data[at:], (), b"", (), "none", False), None
    start, _, block = data[at : head_end + 2].partition(b"\r\n")
    fields = parse_fields(block)
    framing, length = framing_of(start, fields)
    body = _read_body(data, head_end + 4, framing, length, ended)
    message = Message(start, fields, body.data, body.trailers, framing, body.end is not None)
    return message, body.end


def _read_body(data: bytes, at: int, framing: Framing, length: int, ended: bool) -> _Body:
    if framing == "chunked":
        return _read_chunks(data, at)
    if framing in ("close", "tunnel"):
        return _Body(data[at:], (), len(data) if ended else None)
    end = at + length
    return _Body(data[at:end], (), end if end <= len(data) else None)


def _read_chunks(data: bytes, at: int) -> _Body:
    body = b""
    while True:
        if b"\r\n" not in data[at:]:
            return _Body(body, (), None)
        match = _CHUNK.match(data, at)
        if match is None:
            raise MalformedError(f"not a chunk size: {data[at : at + 20]!r}")
        size = int(match[1], 16)
        at = match.end()
        if size == 0:
            return _read_trailers(data, at, body)
        body += data[at : at + size]
        at += size
        if len(data) < at + 2:
            return _Body(body, (), None)
        if data[at : at + 2] != b"\r\n":
            raise MalformedError("a chunk does not end in CRLF")
        at += 2


def _read_trailers(data: bytes, at: int, body: bytes) -> _Body:
    if data.startswith(b"\r\n", at):
        return _Body(body, (), at + 2)
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        return _Body(body, (), None)
    return _Body(body, parse_fields(data[at : end + 2]), end + 4)


def _request_framing(_start: bytes, fields: Fields) -> tuple[Framing, int]:
    """RFC 9112 section 6.3, 3 to 7."""
    codings, lengths = _framing_fields(fields)
    if codings and lengths:
        raise MalformedError("Transfer-Encoding and Content-Length together")
    if codings:
        return "chunked", 0
    return ("length", lengths[0]) if lengths else ("none", 0)


def _response_framing(method: bytes, start: bytes, fields: Fields) -> tuple[Framing, int]:
    """RFC 9112 section 6.3, 1 to 8."""
    status = _status(start)
    if status == 101:
        return "tunnel", 0
    if method == b"HEAD" or status < 200 or status in (204, 304):
        return "none", 0
    codings, lengths = _framing_fields(fields)
    if codings and lengths:
        raise MalformedError("Transfer-Encoding and Content-Length together")
    if codings:
        return "chunked", 0
    return ("length", lengths[0]) if lengths else ("close", 0)


def _status(start: bytes) -> int:
    match = re.match(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: |$)", start)
    if match is None:
        raise MalformedError(f"not a status line: {start!r}")
    return int(match[1])


def _framing_fields(fields: Fields) -> tuple[list[bytes], list[int]]:
    codings = [value.lower() for key, value in fields if key.lower() == b"transfer-encoding"]
    lengths = [value for key, value in fields if key.lower() == b"content-length"]
    if codings not in ([], [b"chunked"]) or len(lengths) > 1 or not all(v.isdigit() for v in lengths):
        raise MalformedError(f"framing in doubt: {codings!r} {lengths!r}")
    return codings, [int(v) for v in lengths]
