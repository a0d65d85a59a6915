"""Heads of messages: from complete bytes to values. llhttp (by httptools) judges every byte; a new parser each time
(0.2 µs) keeps no state that one message could leave for the next. Bodies never pass through it: they are counted."""

import re

import httptools

from strangler.core import problem
from strangler.core.framing import Framing, Kind, answer_framing, request_framing
from strangler.core.head import RawHeaders
from strangler.core.headers import names_token
from strangler.core.problem import Problem

MAX_FIELDS = 256
"""Header fields in one head. Envoy allows 100, aiohttp 128; a monolith's cookies and tracing can be many."""

_HOST = re.compile(rb"(?P<host>\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+)(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://(?P<authority>[^/?]+)(?P<path>/[^?]*)?(?P<query>\?.*)?")
_HIGH = bytes(range(0x80)) + b"x" * 0x80
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_TUNNELLED_HTTP = (b"h2c", b"http/", b"tls/")
"""Protocols that would carry other requests past the routing: never offered to an upstream."""


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


class RequestParts:
    """A request's head, taken apart and found valid."""

    __slots__ = (
        "fields",
        "framing",
        "has_upgrade",
        "headers",
        "host",
        "host_value",
        "is_chunked",
        "is_http10",
        "keep_alive",
        "method",
        "path",
        "query",
        "target",
    )

    method: bytes
    target: bytes
    path: bytes
    query: bytes | None
    host: bytes  # lower-case, without port
    host_value: bytes  # as the Host field of the forwarded request will say it; empty: an HTTP/1.0 request without
    headers: RawHeaders
    fields: dict[bytes, bytes]
    framing: Framing
    is_chunked: bool
    is_http10: bool
    keep_alive: bool
    has_upgrade: bool


def parse_request(raw: bytes) -> RequestParts | Problem:
    """`raw` is one head, request line to empty line. What RFC 9112 calls invalid, or ambiguous, is a Problem."""
    line_end = raw.find(b"\r\n")
    words = raw[:line_end].split(b" ")
    if len(words) != 3:
        return problem.BAD_REQUEST_LINE
    method, target, version = words
    if version != b"HTTP/1.1" and version != b"HTTP/1.0":
        return _refuse_version(version)
    found = _Fields()
    refusal = _feed(raw, line_end, method, target, found)
    if refusal is not None:
        return refusal
    if method == b"CONNECT" or method == b"TRACE":
        return problem.METHOD_NOT_ALLOWED

    parts = RequestParts()
    parts.method = method
    parts.target = target
    parts.headers = found.headers
    parts.fields = fields = found.fields
    parts.is_http10 = is_http10 = version == b"HTTP/1.0"
    framing = request_framing(fields, is_http10=is_http10)
    if isinstance(framing, Problem):
        return framing
    parts.framing = framing
    parts.is_chunked = framing.kind is Kind.CHUNKED
    return _read_target(parts, found) or _read_connection(parts) or parts


def _feed(raw: bytes, line_end: int, method: bytes, target: bytes, found: _Fields) -> Problem | None:
    if not raw.isascii():
        # curl and old clients send UTF-8 in paths. nginx lets it pass, llhttp does not: it is shown letters instead.
        raw = b"%b %b%b" % (method, target.translate(_HIGH), raw[line_end - 9 :])
    try:
        httptools.HttpRequestParser(found).feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserInvalidMethodError:
        return problem.UNKNOWN_METHOD if method.isalpha() else problem.BAD_REQUEST_LINE
    except httptools.HttpParserInvalidURLError:
        return problem.BAD_TARGET
    except httptools.HttpParserError:
        framing = found.fields.keys() & {b"content-length", b"transfer-encoding"}
        return problem.BAD_FRAMING if framing else problem.BAD_HEADER
    return problem.HEADER_TOO_LARGE if len(found.headers) > MAX_FIELDS else None


def _refuse_version(version: bytes) -> Problem:
    is_version = version[:5] == b"HTTP/" and version[5:6].isdigit()
    return problem.UNKNOWN_VERSION if is_version else problem.BAD_REQUEST_LINE


def _read_target(parts: RequestParts, found: _Fields) -> Problem | None:
    """Path, query and host, from the target and the Host field (RFC 9112 sections 3.2 and 7.2)."""
    target = parts.target
    host = found.fields.get(b"host")
    if found.is_host_repeated or (host is None and not parts.is_http10):
        return problem.BAD_HOST
    if target[:1] == b"/":
        parts.path, mark, query = target.partition(b"?")
        parts.query = query if mark else None
    elif target == b"*" and parts.method == b"OPTIONS":
        parts.path, parts.query = target, None
    else:
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            return problem.BAD_TARGET
        parts.path = absolute["path"] or b"/"
        parts.query = None if absolute["query"] is None else absolute["query"][1:]
        host = absolute["authority"]  # RFC 9112 section 3.2.2: it replaces the Host field
    if b"#" in target:
        return problem.BAD_TARGET
    parts.host_value = host or b""
    match = _HOST.fullmatch(parts.host_value)
    if match is not None:
        parts.host = match["host"].lower()
        return None
    if host is None:
        parts.host = b""
        return None
    return problem.BAD_HOST


def _read_connection(parts: RequestParts) -> Problem | None:
    """What the connection is to become after this request (RFC 9112 section 9.3, RFC 9110 sections 7.8, 10.1.1)."""
    fields = parts.fields
    connection = fields.get(b"connection")
    parts.has_upgrade = False
    if connection is None:
        parts.keep_alive = not parts.is_http10
    else:
        closes = names_token(connection, b"close")
        stays = not parts.is_http10 or names_token(connection, b"keep-alive")
        parts.keep_alive = stays and not closes
        if b"upgrade" in fields and names_token(connection, b"upgrade") and not parts.is_http10:
            parts.has_upgrade = not _carries_http(fields[b"upgrade"])
    if b"expect" in fields and not parts.is_http10 and fields[b"expect"].lower() != b"100-continue":
        return problem.UNKNOWN_EXPECTATION
    return None


def _carries_http(upgrade: bytes) -> bool:
    return any(option.strip().startswith(_TUNNELLED_HTTP) for option in upgrade.lower().split(b","))


class AnswerParts:
    """An answer's head, taken apart and found fit to be passed on."""

    __slots__ = ("fields", "framing", "headers", "keep_alive", "reason", "status")

    status: int
    reason: bytes
    headers: RawHeaders
    fields: dict[bytes, bytes]
    framing: Framing
    keep_alive: bool


def parse_answer(raw: bytes, *, answers_head: bool) -> AnswerParts | None:
    """`raw` is one head, status line to empty line. None: not HTTP, or ambiguous, and not to be passed on."""
    version = raw[:9]
    is_http10 = version == b"HTTP/1.0 "
    if version != b"HTTP/1.1 " and not is_http10:
        return None
    status_text = raw[9:12]
    reason = raw[12 : raw.find(b"\r\n")]
    if not status_text.isdigit() or (reason and reason[:1] != b" ") or _CONTROL.search(reason):
        return None
    found = _Fields()
    try:
        httptools.HttpResponseParser(found).feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        return None
    status = int(status_text)
    framing = answer_framing(status, found.fields, is_http10=is_http10, answers_head=answers_head)
    if framing is None or not 100 <= status <= 599:
        return None
    parts = AnswerParts()
    parts.status = status
    parts.reason = reason
    parts.headers = found.headers
    parts.fields = found.fields
    parts.framing = framing
    connection = found.fields.get(b"connection")
    if connection is None:
        parts.keep_alive = not is_http10
    else:
        stays = not is_http10 or names_token(connection, b"keep-alive")
        parts.keep_alive = stays and not names_token(connection, b"close")
    return parts
