"""Heads of messages: from complete bytes to values.

llhttp (by httptools) judges every byte, by a new parser each time: 0.2 µs, and no state that one message could leave
for the next. Only heads pass through it: bodies are counted. What identical bytes were found to mean is remembered,
so a client that repeats its header section, as all keep-alive clients do, is parsed once.
"""

import contextlib
import math
import re

import httptools

from strangler.core import problem
from strangler.core.framing import NO_BODY, Framing, Kind, answer_framing, request_framing
from strangler.core.head import RawHeaders
from strangler.core.headers import HOP_BY_HOP, STREAM_TYPES, header_lines, named_by_connection, names_token
from strangler.core.problem import Problem
from strangler.wire.memo import Memo

MAX_FIELDS = 256
"""Header fields in one head. Envoy allows 100, aiohttp 128; a monolith's cookies and tracing can be many."""

MAX_PASSES = 10
"""How often a request may have passed proxies of ours: some may stand in a row, but an upstream that leads back to the
proxy would multiply each request until its head is too large."""

_HOST = re.compile(
    rb"(?P<host>\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+;=-]|%(?!7[Ff])[2-9A-Fa-f][0-9A-Fa-f])+)"
    rb"(?::(?P<port>[0-9]{0,5}))?"
)
"""RFC 3986 section 3.2.2, less control characters that are percent-encoded: no name has them."""

_ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://(?P<authority>[^/?]+)(?P<path>/[^?]*)?(?P<query>\?.*)?")
_TARGET = re.compile(rb"[\x21-\x7e\x80-\xff]+")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TUNNELLED_HTTP = (b"h2c", b"http/", b"tls/")
"""Protocols that would carry other requests past the routing: never offered to an upstream."""

_NOTED_IN_ANSWER = re.compile(
    rb"\r\n(connection|content-length|content-location|keep-alive|location|proxy-connection|retry-after|te"
    rb"|transfer-encoding|upgrade|x-strangler-arm):[ \t]*([^\r\n]*)",
    re.IGNORECASE,
)
_KEEP_TIMEOUT = re.compile(rb"(?:^|[,;])[ \t]*timeout[ \t]*=[ \t]*\"?([0-9]{1,6})", re.IGNORECASE)
_LF = 0x0A
_STREAM_TYPE = re.compile(
    rb"\r\ncontent-type:[ \t]*(?:%b)" % b"|".join(re.escape(one.encode()) for one in STREAM_TYPES), re.IGNORECASE
)
_DROPPED_FROM_ANSWER = re.compile(
    rb"\r\n(?:connection|keep-alive|proxy-connection|te|transfer-encoding|upgrade|x-strangler-arm):[^\r\n]*",
    re.IGNORECASE,
)
_DROPPED_NAMES = HOP_BY_HOP | {b"x-strangler-arm"}


class _Fields:
    """Collects what the parser finds."""

    __slots__ = ("fields", "headers", "is_host_repeated")

    def __init__(self) -> None:
        self.headers: RawHeaders = []
        self.fields: dict[bytes, bytes] = {}
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
        else:
            fields[key] += (b"; " if key == b"cookie" else b", ") + value


class Section:
    """The version and header section of a request, found valid. Shared by all requests with the same bytes."""

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
    )

    _lines: dict[frozenset[bytes], bytes]
    headers: RawHeaders
    fields: dict[bytes, bytes]
    framing: Framing
    is_chunked: bool
    is_http10: bool
    keep_alive: bool
    """The client wants the connection to stay (RFC 9112 section 9.3)."""
    has_upgrade: bool
    """The client offers another protocol, and one that the proxy would tunnel (RFC 9110 section 7.8)."""
    host: bytes
    """Lower case, without port; empty in an HTTP/1.0 request without Host."""
    host_value: bytes
    named: frozenset[bytes]
    """Fields that the Connection field names."""

    @classmethod
    def unread(cls) -> "Section":
        """Of a request that could not be read: nothing is known of it, and its connection is to end."""
        section = cls()
        section._lines = {}
        section.headers = []
        section.fields = {}
        section.framing = NO_BODY
        section.is_chunked = section.is_http10 = section.keep_alive = section.has_upgrade = False
        section.host = section.host_value = b""
        section.named = frozenset()
        return section

    def bodyless(self, dropped: frozenset[bytes], added: RawHeaders) -> "Section":
        """The section of a request of our own for the same client: without a body, and with other fields."""
        section = Section()
        section._lines = {}
        section.headers = [field for field in self.headers if field[0].lower() not in dropped] + added
        section.fields = self.fields
        section.framing = NO_BODY
        section.is_chunked = section.has_upgrade = False
        section.is_http10 = self.is_http10
        section.keep_alive = True
        section.host = self.host
        section.host_value = self.host_value
        section.named = self.named
        return section

    def lines(self, dropped: frozenset[bytes]) -> bytes:
        """The fields but for those in `dropped` and those named by Connection, as lines in the order received."""
        lines = self._lines.get(dropped)
        if lines is None:
            lines = b"".join(header_lines(self.headers, dropped | self.named))
            self._lines[dropped] = lines
        return lines


Target = tuple[bytes, bytes | None, bytes | None]
"""Path, query (None: no `?`), and the authority of an absolute-form target, which replaces the Host field
(RFC 9112 section 3.2.2)."""


_MEMO_FIELDS = 64
"""A section of more fields is not remembered: hundreds of tiny ones take far more memory than their bytes. Nor is one
with an upgrade: its key is new each time (RFC 6455 section 4.1), and would only take the place of what comes again."""

_sections: Memo[Section] = Memo(entries=1024, longest_bytes=4096)
_methods: set[bytes] = set()
"""Methods that llhttp has accepted; there are 47 of them."""


def parse_section(raw: bytes) -> Section | Problem:
    """`raw` is a version and the header section: from `HTTP/1.1` to the empty line."""
    known = _sections.get(raw)
    if known is not None:
        return known
    version = raw[: raw.find(b"\r\n")]
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        return problem.UNKNOWN_VERSION if re.match(rb"HTTP/\d", version) else problem.BAD_REQUEST_LINE
    found = _Fields()
    try:
        httptools.HttpRequestParser(found).feed_data(b"GET / " + raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        framing = found.fields.keys() & {b"content-length", b"transfer-encoding"}
        return problem.BAD_FRAMING if framing else problem.BAD_HEADER
    if len(found.headers) > MAX_FIELDS:
        return problem.HEADER_TOO_LARGE
    section = _read_section(found, is_http10=version == b"HTTP/1.0")
    if isinstance(section, Section) and len(section.headers) <= _MEMO_FIELDS and not section.has_upgrade:
        _sections.put(raw, section)
    return section


def _read_section(found: _Fields, *, is_http10: bool) -> Section | Problem:
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
    section = Section()
    section._lines = {}
    section.headers = found.headers
    section.fields = fields
    section.framing = framing
    section.is_chunked = framing.kind is Kind.CHUNKED
    section.is_http10 = is_http10
    section.host_value = host or b""
    section.host = b""
    if host is not None:
        name = host_of(host)
        if name is None:
            return problem.BAD_HOST
        section.host = name
    _read_connection(section)
    return section


def _read_connection(section: Section) -> None:
    fields = section.fields
    connection = fields.get(b"connection")
    section.named = named_by_connection(fields)
    section.has_upgrade = False
    if connection is None:
        section.keep_alive = not section.is_http10
        return
    stays = not section.is_http10 or names_token(connection, b"keep-alive")
    section.keep_alive = stays and not names_token(connection, b"close")
    if b"upgrade" in fields and names_token(connection, b"upgrade") and not section.is_http10:
        # a body behind the head could be read as the new protocol: then the upgrade is not offered
        is_bodyless = not section.is_chunked and not section.framing.length
        section.has_upgrade = is_bodyless and not _carries_http(fields[b"upgrade"])


def _carries_http(upgrade: bytes) -> bool:
    return any(option.strip().startswith(_TUNNELLED_HTTP) for option in upgrade.lower().split(b","))


def host_of(value: bytes) -> bytes | None:
    """The host of a Host field or an authority, lower case and without port; None if it is malformed."""
    match = _HOST.fullmatch(value)
    if match is None or int(match["port"] or b"0") > 65535:
        return None
    return match["host"].lower()


def check_method(method: bytes) -> Problem | None:
    """None for a method that is forwarded."""
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
    """Control characters and spaces are refused; bytes from 0x80 up pass, since curl and old clients send them."""
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


class Answer:
    """The head of an answer, found fit to be passed on. Shared by all answers with the same bytes."""

    __slots__ = (
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

    _has_stream_type: bool | None
    _heads: dict[bytes, bytes]
    _sets_cookies: bool | None
    _lines: bytes
    raw: bytes
    status: int
    status_line: bytes
    """As the client gets it, without the line's end."""
    fields: dict[bytes, bytes]
    """Of the fields that concern a proxy, lower-case name to value."""
    framing: Framing
    keep_alive: bool
    keep_s: float
    """How long the connection may be used again, by the upstream's Keep-Alive; infinite if it says nothing."""

    @property
    def is_stream(self) -> bool:
        """True if the body has no end by its type: asked for only where it did not come whole with the head."""
        return self.framing.kind is not Kind.LENGTH and self.has_stream_type

    @property
    def has_stream_type(self) -> bool:
        """True if the type is one of bodies without an end. Looked for once for all answers with these bytes."""
        found = self._has_stream_type
        if found is None:
            found = self._has_stream_type = _STREAM_TYPE.search(self.raw) is not None
        return found

    @property
    def sets_cookies(self) -> bool:
        """True if there is a Set-Cookie field. Looked for once for all answers with these bytes."""
        found = self._sets_cookies
        if found is None:
            found = self._sets_cookies = b"\r\nset-cookie:" in self.raw.lower()
        return found

    def head(self, ending: bytes) -> bytes:
        """The head for the client: as received, less the hop-by-hop fields, with `ending` as its last lines."""
        head = self._heads.get(ending)
        if head is None:
            head = self._heads[ending] = self.status_line + self._lines + ending
        return head

    def head_of(self, headers: RawHeaders, ending: bytes) -> bytes:
        """The same with `headers` in place of those received."""
        lines = header_lines(headers, _dropped_from(self.status, self.fields))
        return b"%b\r\n%b%b" % (self.status_line, b"".join(lines), ending)

    def headers(self) -> RawHeaders:
        """All fields as received."""
        return _fields_of(self.raw)


_answers: Memo[Answer] = Memo(entries=256, longest_bytes=2048)


def mend_line_ends(data: bytes) -> bytes | None:
    """`data` with CRLF at the end of each line of its head; None if the head is not complete or ends in CRLF.

    Old CGI programs and small devices end lines with a bare LF, and RFC 9112 section 2.2 lets a recipient take it for a
    line's end, as browsers and nginx do. A head that ends in CRLF and has a bare LF within stays distrusted.
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


def parse_answer(raw: bytes, *, answers_head: bool) -> Answer | None:
    """`raw` is one head, status line to empty line. None: not HTTP, or ambiguous, and not to be passed on."""
    if not answers_head:
        known = _answers.get(raw)
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
    noted = _NOTED_IN_ANSWER.findall(raw)
    fields = {name.lower(): value.rstrip(b" \t") for name, value in noted}
    if len(fields) < len(noted):
        fields = _join(noted)
    status = int(status_text)
    framing = answer_framing(status, fields, is_http10=is_http10, answers_head=answers_head)
    if framing is None or not 100 <= status <= 599:
        return None
    answer = Answer()
    answer.raw = raw
    answer.status = status
    answer.fields = fields
    answer.framing = framing
    answer._heads = {}
    answer._has_stream_type = answer._sets_cookies = None
    line_end = raw.find(b"\r\n")
    answer.status_line = b"HTTP/1.1 %d%b" % (status, raw[12:line_end] or b" ")
    answer._lines = _passing_lines(raw, line_end, status, fields)
    connection = fields.get(b"connection")
    stays = not is_http10 or names_token(connection, b"keep-alive")
    answer.keep_alive = stays and not names_token(connection, b"close")
    keeps = fields.get(b"keep-alive")
    answer.keep_s = math.inf if keeps is None else _usable_s(keeps)
    if not answers_head:
        _answers.put(raw, answer)
    return answer


def _usable_s(keep_alive: bytes) -> float:
    """A second less than the upstream keeps it, or half of a short time: its close takes a while to come."""
    found = _KEEP_TIMEOUT.search(keep_alive)
    if found is None:
        return math.inf
    timeout_s = float(found[1])
    return timeout_s - min(1.0, timeout_s / 2)


def _passing_lines(raw: bytes, start: int, status: int, fields: dict[bytes, bytes]) -> bytes:
    """The lines that go on, each behind its CRLF, and the CRLF of the last."""
    dropped = _dropped_from(status, fields)
    if dropped is not _DROPPED_NAMES:
        return b"\r\n" + b"".join(header_lines(_fields_of(raw), dropped))
    lines_as_received = raw[start:-4]
    if not fields.keys().isdisjoint(_DROPPED_NAMES):
        lines_as_received = _DROPPED_FROM_ANSWER.sub(b"", lines_as_received)
    return lines_as_received + b"\r\n"


def _dropped_from(status: int, fields: dict[bytes, bytes]) -> frozenset[bytes]:
    named = named_by_connection(fields)
    if status == 204 or status < 200:
        named |= {b"content-length"}  # RFC 9110 section 8.6
    return _DROPPED_NAMES | named if named else _DROPPED_NAMES


def _fields_of(raw: bytes) -> RawHeaders:
    found = _Fields()
    with contextlib.suppress(httptools.HttpParserUpgrade):
        httptools.HttpResponseParser(found).feed_data(raw)
    return found.headers


def _join(noted: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in noted:
        key = name.lower()
        fields[key] = fields[key] + b", " + value if key in fields else value
    return fields
