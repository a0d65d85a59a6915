# Compiled with mypyc: see docs/hot-path.md.
"""The heads of responses: from complete bytes to values, by the same means as for requests (`parse.py`)."""

import contextlib
import math
import re

import httptools

from strangler.core.http.framing import Framing, Kind, response_framing
from strangler.core.http.head import RawHeaders
from strangler.core.http.headers import HOP_BY_HOP, STREAM_TYPES, header_lines, named_by_connection, names_token
from strangler.http1.memo import Memo
from strangler.http1.parse import FieldCollector

_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NOTED = re.compile(
    rb"\r\n(connection|content-length|content-location|keep-alive|location|proxy-connection|retry-after|te"
    rb"|transfer-encoding|upgrade|x-strangler-arm):[ \t]*([^\r\n]*)",
    re.IGNORECASE,
)
_KEEP_TIMEOUT = re.compile(rb"(?:^|[,;])[ \t]*timeout[ \t]*=[ \t]*\"?([0-9]{1,6})", re.IGNORECASE)
_LF = 0x0A
_STREAM_TYPE = re.compile(
    rb"\r\ncontent-type:[ \t]*(?:%b)" % b"|".join(re.escape(each.encode()) for each in STREAM_TYPES), re.IGNORECASE
)
_ANNOUNCES_END = re.compile(rb"\r\n(?:deprecation|sunset):", re.IGNORECASE)
_DROPPED_LINES = re.compile(
    rb"\r\n(?:connection|keep-alive|proxy-connection|te|transfer-encoding|upgrade|x-strangler-arm):[^\r\n]*",
    re.IGNORECASE,
)
_DROPPED_NAMES = HOP_BY_HOP | {b"x-strangler-arm"}


class ResponseHead:
    """The head of a response that may be passed on, shared by all responses with the same bytes."""

    __slots__ = (
        "_announces_end",
        "_has_stream_type",
        "_heads",
        "_lines",
        "_sets_cookies",
        "fields",
        "framing",
        "keep_alive",
        "keep_s",
        "raw",
        "status",
        "status_line",
    )

    _announces_end: bool | None
    _has_stream_type: bool | None
    _heads: dict[bytes, bytes]
    _sets_cookies: bool | None
    _lines: bytes
    raw: bytes
    status: int
    status_line: bytes
    """The line as the client gets it, without its CRLF."""
    fields: dict[bytes, bytes]
    """The fields that concern a proxy, lower-case name to value."""
    framing: Framing
    keep_alive: bool
    keep_s: float
    """How long the connection may be used again, by the upstream's Keep-Alive field; infinite without one."""

    @property
    def is_stream(self) -> bool:
        """True if the body is endless by its type. Only needed if it did not come whole with the head."""
        return self.framing.kind is not Kind.LENGTH and self.has_stream_type

    @property
    def has_stream_type(self) -> bool:
        """True if the media type is that of an endless body. Searched once for all responses with these bytes."""
        found = self._has_stream_type
        if found is None:
            found = self._has_stream_type = _STREAM_TYPE.search(self.raw) is not None
        return found

    @property
    def sets_cookies(self) -> bool:
        """True if there is a Set-Cookie field. Searched once for all responses with these bytes."""
        found = self._sets_cookies
        if found is None:
            found = self._sets_cookies = b"\r\nset-cookie:" in self.raw.lower()
        return found

    @property
    def announces_end(self) -> bool:
        """True if there is a Deprecation or Sunset field. Searched once for all responses with these bytes."""
        found = self._announces_end
        if found is None:
            found = self._announces_end = _ANNOUNCES_END.search(self.raw) is not None
        return found

    def head(self, ending: bytes) -> bytes:
        """Return the head for the client: as received, without hop-by-hop fields, and with `ending` at its end."""
        head = self._heads.get(ending)
        if head is None:
            head = self._heads[ending] = self.status_line + self._lines + ending
        return head

    def head_of(self, headers: RawHeaders, ending: bytes) -> bytes:
        """Return the head for the client with `headers` in place of the fields received."""
        lines = header_lines(headers, _dropped_from(self.status, self.fields))
        return b"%b\r\n%b%b" % (self.status_line, b"".join(lines), ending)

    def headers(self) -> RawHeaders:
        """Return all fields as received."""
        return _fields_of(self.raw)


_responses: Memo[ResponseHead] = Memo(entries=256, longest_bytes=2048)


def mend_line_ends(data: bytes) -> bytes | None:
    """Return `data` with CRLF at the end of each line of its head; None if the head is incomplete or ends in CRLF.

    Old CGI programs and small devices end lines with a bare LF, and RFC 9112 section 2.2 lets a recipient accept that,
    as browsers and nginx do. A head that ends in CRLF and has a bare LF within stays distrusted.
    """
    if not data.startswith(b"HTTP/1."):
        return None
    ends = [at for at in (data.find(b"\n\n"), data.find(b"\n\r\n")) if at >= 0]
    if not ends:
        return None
    at = min(ends)
    end = at + (2 if data[at + 1] == _LF else 3)
    head = data[:end]
    if head.endswith(b"\r\n\r\n"):
        return None
    return b"\r\n".join(head.replace(b"\r\n", b"\n").split(b"\n")) + data[end:]


def parse_response(raw: bytes, *, is_head_response: bool) -> ResponseHead | None:
    """Parse one head, from status line to empty line; None if it must not be passed on: it is no HTTP, or ambiguous."""
    if not is_head_response:
        known = _responses.get(raw)
        if known is not None:
            return known
    is_http10 = raw.startswith(b"HTTP/1.0 ")
    status_text = raw[9:12]
    if not (is_http10 or raw.startswith(b"HTTP/1.1 ")) or not status_text.isdigit() or _CONTROL.search(raw):
        return None
    try:
        httptools.HttpResponseParser(object()).feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        return None
    noted = _NOTED.findall(raw)
    fields = {name.lower(): value.rstrip(b" \t") for name, value in noted}
    if len(fields) < len(noted):
        fields = _join(noted)
    status = int(status_text)
    framing = response_framing(status, fields, is_http10=is_http10, is_head_response=is_head_response)
    if framing is None or not 100 <= status <= 599:
        return None
    response = ResponseHead()
    response.raw = raw
    response.status = status
    response.fields = fields
    response.framing = framing
    response._heads = {}
    response._announces_end = response._has_stream_type = response._sets_cookies = None
    line_end = raw.find(b"\r\n")
    response.status_line = b"HTTP/1.1 %d%b" % (status, raw[12:line_end] or b" ")
    response._lines = _passing_lines(raw, line_end, status, fields)
    connection = fields.get(b"connection")
    stays = not is_http10 or names_token(connection, b"keep-alive")
    response.keep_alive = stays and not names_token(connection, b"close")
    keeps = fields.get(b"keep-alive")
    response.keep_s = math.inf if keeps is None else _usable_s(keeps)
    if not is_head_response:
        _responses.put(raw, response)
    return response


def _usable_s(keep_alive: bytes) -> float:
    """Return the upstream's timeout less a second, or less half of a short one: its close takes a while to arrive."""
    found = _KEEP_TIMEOUT.search(keep_alive)
    if found is None:
        return math.inf
    timeout_s = float(found[1])
    return timeout_s - min(1.0, timeout_s / 2)


def _passing_lines(raw: bytes, start: int, status: int, fields: dict[bytes, bytes]) -> bytes:
    """Return the lines to pass on, with a CRLF before each and behind the last."""
    dropped = _dropped_from(status, fields)
    if dropped is not _DROPPED_NAMES:
        return b"\r\n" + b"".join(header_lines(_fields_of(raw), dropped))
    lines_as_received = raw[start:-4]
    if not fields.keys().isdisjoint(_DROPPED_NAMES):
        lines_as_received = _DROPPED_LINES.sub(b"", lines_as_received)
    return lines_as_received + b"\r\n"


def _dropped_from(status: int, fields: dict[bytes, bytes]) -> frozenset[bytes]:
    named = named_by_connection(fields)
    if status == 204 or status < 200:
        named |= {b"content-length"}  # RFC 9110 section 8.6
    return _DROPPED_NAMES | named if named else _DROPPED_NAMES


def _fields_of(raw: bytes) -> RawHeaders:
    found = FieldCollector()
    with contextlib.suppress(httptools.HttpParserUpgrade):
        httptools.HttpResponseParser(found).feed_data(raw)
    return found.headers


def _join(noted: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in noted:
        key = name.lower()
        fields[key] = fields[key] + b", " + value if key in fields else value
    return fields
