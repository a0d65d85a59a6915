# Compiled with mypyc: see docs/hot-path.md.
"""The parts of a request's head: from complete bytes to values. `response.py` does the same for responses.

llhttp (by httptools) checks every byte, with a new parser each time: that costs 0.2 µs, and no message can leave state
behind for the next. Only heads pass through it: bodies are counted. The result for identical bytes is remembered, so
a client that repeats its header section, as all keep-alive clients do, is parsed once.
"""

import re

import httptools

from strangler.core.http import problem
from strangler.core.http.framing import NO_BODY, Framing, Kind, request_framing
from strangler.core.http.head import NOT_REPEATED, RawHeaders, Repeated
from strangler.core.http.headers import header_lines, named_by_connection, names_token
from strangler.core.http.problem import Problem
from strangler.http1.memo import Memo

MAX_FIELDS = 256
"""Header fields in one head. Envoy allows 100, aiohttp 128; a monolith's cookies and tracing can be many."""

MAX_PASSES = 10
"""How often a request may have passed this proxy or others like it: several may stand in a row, but an upstream that
leads back to the proxy would multiply each request until its head is too large."""

_HOST = re.compile(
    rb"(?P<host>\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+;=-]|%(?!7[Ff])[2-9A-Fa-f][0-9A-Fa-f])+)"
    rb"(?::(?P<port>[0-9]{0,5}))?"
)
"""RFC 3986 section 3.2.2, without percent-encoded control characters: no name has them."""

_ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://(?P<authority>[^/?]+)(?P<path>/[^?]*)?(?P<query>\?.*)?")
_TARGET = re.compile(rb"[\x21-\x7e\x80-\xff]+")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TUNNELLED_HTTP = (b"h2c", b"http/", b"tls/")
"""Protocols that would carry other requests past the routing: never offered to an upstream."""


class FieldCollector:
    """Collects the header fields that llhttp finds."""

    __slots__ = ("fields", "headers", "is_host_repeated", "repeated")

    def __init__(self) -> None:
        self.headers: RawHeaders = []
        self.fields: dict[bytes, bytes] = {}
        self.repeated: dict[bytes, list[bytes]] = {}
        self.is_host_repeated = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if value[-1:] in (b" ", b"\t"):
            value = value.rstrip(b" \t")
        self.headers.append((name, value))
        key = name.lower()
        fields = self.fields
        if key not in fields:
            fields[key] = value
        elif key == b"host":
            self.is_host_repeated = True
        elif key == b"cookie":
            fields[key] += b"; " + value
        else:
            self.repeated.setdefault(key, [fields[key]]).append(value)
            fields[key] += b", " + value


class RequestHeaders:
    """The valid version and header section of a request, shared by all requests with the same bytes."""

    __slots__ = (
        "_lines",
        "fields",
        "framing",
        "has_upgrade",
        "headers",
        "host",
        "host_value",
        "is_chunked",
        "is_http10",
        "keep_alive",
        "named",
        "repeated",
    )

    _lines: dict[frozenset[bytes], bytes]
    headers: RawHeaders
    fields: dict[bytes, bytes]
    repeated: Repeated
    framing: Framing
    is_chunked: bool
    is_http10: bool
    keep_alive: bool
    """The client wants the connection to stay (RFC 9112 section 9.3)."""
    has_upgrade: bool
    """The client offers another protocol that the proxy would tunnel (RFC 9110 section 7.8)."""
    host: bytes
    """Lower case, without port; empty in an HTTP/1.0 request without Host."""
    host_value: bytes
    named: frozenset[bytes]
    """Fields that the Connection field names."""

    @classmethod
    def unread(cls) -> "RequestHeaders":
        """Return the headers of an unreadable request: nothing is known, and the connection has to end."""
        headers = cls()
        headers._lines = {}
        headers.headers = []
        headers.fields = {}
        headers.repeated = NOT_REPEATED
        headers.framing = NO_BODY
        headers.is_chunked = headers.is_http10 = headers.keep_alive = headers.has_upgrade = False
        headers.host = headers.host_value = b""
        headers.named = frozenset()
        return headers

    def bodyless(self, dropped: frozenset[bytes], added: RawHeaders) -> "RequestHeaders":
        """Return the headers of a request of the proxy's own for the same client: no body, and other fields."""
        headers = RequestHeaders()
        headers._lines = {}
        headers.headers = [field for field in self.headers if field[0].lower() not in dropped] + added
        headers.fields = self.fields
        headers.repeated = self.repeated
        headers.framing = NO_BODY
        headers.is_chunked = headers.has_upgrade = False
        headers.is_http10 = self.is_http10
        headers.keep_alive = True
        headers.host = self.host
        headers.host_value = self.host_value
        headers.named = self.named
        return headers

    def lines(self, dropped: frozenset[bytes]) -> bytes:
        """Return the fields as lines in the order received, without those in `dropped` or named by Connection."""
        lines = self._lines.get(dropped)
        if lines is None:
            lines = b"".join(header_lines(self.headers, dropped | self.named))
            self._lines[dropped] = lines
        return lines


Target = tuple[bytes, bytes | None, bytes | None]
"""The path, the query (None: no `?`), and the authority of an absolute-form target, which replaces the Host field
(RFC 9112 section 3.2.2)."""


_MEMO_FIELDS = 64
"""Sections with more fields are not remembered: hundreds of tiny fields take far more memory than their bytes. Nor are
those with an upgrade: their key is new each time (RFC 6455 section 4.1), and would displace what comes again."""

_sections: Memo[RequestHeaders] = Memo(entries=1024, longest_bytes=4096)
_methods: set[bytes] = set()
"""Methods that llhttp has accepted; there are 47 of them."""


def parse_request_headers(raw: bytes) -> RequestHeaders | Problem:
    """Parse a version and header section. `raw`: from `HTTP/1.1` to the empty line."""
    known = _sections.get(raw)
    if known is not None:
        return known
    version = raw[: raw.find(b"\r\n")]
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        return problem.UNKNOWN_VERSION if re.match(rb"HTTP/\d", version) else problem.BAD_REQUEST_LINE
    found = FieldCollector()
    try:
        httptools.HttpRequestParser(found).feed_data(b"GET / " + raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        framing = found.fields.keys() & {b"content-length", b"transfer-encoding"}
        return problem.BAD_FRAMING if framing else problem.BAD_HEADER
    if len(found.headers) > MAX_FIELDS:
        return problem.HEADER_TOO_LARGE
    headers = _read_section(found, is_http10=version == b"HTTP/1.0")
    if isinstance(headers, RequestHeaders) and len(headers.headers) <= _MEMO_FIELDS and not headers.has_upgrade:
        _sections.put(raw, headers)
    return headers


def _read_section(found: FieldCollector, *, is_http10: bool) -> RequestHeaders | Problem:
    fields = found.fields
    framing = request_framing(fields, is_http10=is_http10)
    if isinstance(framing, Problem):
        return framing
    if b"expect" in fields and not is_http10 and fields[b"expect"].lower() != b"100-continue":
        return problem.UNKNOWN_EXPECTATION
    if b"via" in fields and fields[b"via"].count(b" strangler") >= MAX_PASSES:
        return problem.LOOP
    host = fields.get(b"host")
    if found.is_host_repeated or (host is None and not is_http10):
        return problem.BAD_HOST
    headers = RequestHeaders()
    headers._lines = {}
    headers.headers = found.headers
    headers.fields = fields
    headers.repeated = {name: tuple(values) for name, values in found.repeated.items()} or NOT_REPEATED
    headers.framing = framing
    headers.is_chunked = framing.kind is Kind.CHUNKED
    headers.is_http10 = is_http10
    headers.host_value = host or b""
    headers.host = b""
    if host is not None:
        name = host_of(host)
        if name is None:
            return problem.BAD_HOST
        headers.host = name
    _read_connection(headers)
    return headers


def _read_connection(headers: RequestHeaders) -> None:
    fields = headers.fields
    connection = fields.get(b"connection")
    headers.named = named_by_connection(fields)
    headers.has_upgrade = False
    if connection is None:
        headers.keep_alive = not headers.is_http10
        return
    stays = not headers.is_http10 or names_token(connection, b"keep-alive")
    headers.keep_alive = stays and not names_token(connection, b"close")
    if b"upgrade" in fields and names_token(connection, b"upgrade") and not headers.is_http10:
        # a body could be read as the new protocol, so no upgrade is offered with one
        is_bodyless = not headers.is_chunked and not headers.framing.length
        headers.has_upgrade = is_bodyless and not _carries_http(fields[b"upgrade"])


def _carries_http(upgrade: bytes) -> bool:
    return any(option.strip().startswith(_TUNNELLED_HTTP) for option in upgrade.lower().split(b","))


def host_of(value: bytes) -> bytes | None:
    """Return the host of a Host field or an authority, lower case and without port; None if it is malformed."""
    match = _HOST.fullmatch(value)
    if match is None or int(match["port"] or b"0") > 65535:
        return None
    return match["host"].lower()


def check_method(method: bytes) -> Problem | None:
    """Return None for a method that is forwarded, else the reason why it is refused."""
    if method in _methods:
        return None
    if _METHOD.fullmatch(method) is None:
        return problem.BAD_REQUEST_LINE
    if method in (b"CONNECT", b"TRACE"):
        return problem.METHOD_NOT_ALLOWED
    if method == b"PRI":  # begins HTTP/2 (RFC 9113 section 3.4), and nothing else
        return problem.UNKNOWN_METHOD
    try:
        httptools.HttpRequestParser(object()).feed_data(method + b" / HTTP/1.1\r\n\r\n")
    except httptools.HttpParserError:
        return problem.UNKNOWN_METHOD
    _methods.add(method)
    return None


def parse_target(target: bytes, method: bytes) -> Target | Problem:
    """Return the parts of a request's target.

    Control characters and spaces are refused; bytes from 0x80 up pass, since curl and old clients send them.
    """
    if _TARGET.fullmatch(target) is None or target.find(b"#") >= 0:  # `in` would try a number first: 0.2 µs
        return problem.BAD_TARGET
    if target[:1] == b"/":
        path, mark, query = target.partition(b"?")
        return path, query if mark else None, None
    if target == b"*" and method == b"OPTIONS":
        return target, None, None
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return problem.BAD_TARGET
    query_part = absolute["query"]
    return absolute["path"] or b"/", None if query_part is None else query_part[1:], absolute["authority"]
