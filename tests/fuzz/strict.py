"""An independent reader of requests, written from RFC 9110 and 9112 and from nothing of ours.

It forgives nothing: what it does not read as a request may not be forwarded, and what is forwarded must be, request by
request, what it reads.
"""

import re
from dataclasses import dataclass

_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21\x22\x24-\x7e\x80-\xff]+) (HTTP/1\.[01])")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[\x21-\x7e\x80-\xff][ \t\x21-\x7e\x80-\xff]*)?)")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")


@dataclass(frozen=True, slots=True)
class Read:
    """One whole request."""

    method: bytes
    target: bytes
    body: bytes


def read_stream(data: bytes) -> list[Read]:
    """The requests that a connection carries, up to the first that is malformed or not whole."""
    found: list[Read] = []
    at = 0
    while True:
        while data.startswith(b"\r\n", at):  # RFC 9112 section 2.2
            at += 2
        item = _read(data, at)
        if item is None:
            return found
        request, at = item
        found.append(request)


def _read(data: bytes, at: int) -> tuple[Read, int] | None:
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        return None
    first, *lines = data[at:end].split(b"\r\n")
    line = _LINE.fullmatch(first)
    fields = _fields(lines)
    if line is None or fields is None or len(_values(fields, b"host")) > 1:
        return None
    body = _body(data, end + 4, fields, line[3] == b"HTTP/1.0")
    return None if body is None else (Read(line[1], line[2], body[0]), body[1])


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]] | None:
    matches = [_FIELD.fullmatch(line) for line in lines]
    if None in matches:
        return None
    return [(match[1].lower(), match[2].rstrip(b" \t")) for match in matches if match is not None]


def _values(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in fields if key == name]


def _body(data: bytes, at: int, fields: list[tuple[bytes, bytes]], is_old: bool) -> tuple[bytes, int] | None:
    codings, lengths = _values(fields, b"transfer-encoding"), _values(fields, b"content-length")
    if codings:
        is_clear = not is_old and not lengths and [coding.lower() for coding in codings] == [b"chunked"]
        return _chunks(data, at) if is_clear else None
    if not lengths:
        return b"", at
    if len(lengths) > 1 or re.fullmatch(rb"[0-9]{1,19}", lengths[0]) is None:
        return None
    end = at + int(lengths[0])
    return None if end > len(data) else (data[at:end], end)


def _chunks(data: bytes, at: int) -> tuple[bytes, int] | None:
    body = b""
    while match := _CHUNK.match(data, at):
        size, at = int(match[1], 16), match.end()
        if not size:
            return _trailers(data, at, body)
        body += data[at : at + size]
        at += size + 2
        if data[at - 2 : at] != b"\r\n":
            return None
    return None


def _trailers(data: bytes, at: int, body: bytes) -> tuple[bytes, int] | None:
    if data.startswith(b"\r\n", at):
        return body, at + 2
    end = data.find(b"\r\n\r\n", at)
    if end < 0 or _fields(data[at:end].split(b"\r\n")) is None:
        return None
    return body, end + 4
