# Compiled with mypyc: see docs/hot-path.md.
"""One request of a client: its head, and what becomes of it while it is served."""

from typing import TypeVar

from strangler.core.fault import Fault
from strangler.core.http.head import RequestHead
from strangler.core.http.headers import ForwardedFields
from strangler.core.http.problem import BAD_REQUEST_LINE, BODY_TOO_LARGE, Problem
from strangler.http1.body import Body, Source
from strangler.http1.body_readers import BodyReader, body_reader
from strangler.http1.exchange import Exchange
from strangler.http1.parse import RequestHeaders, check_method, host_of, parse_request_headers, parse_target

_NOTHING = RequestHeaders.unread()
_CLIENT_PROTOCOL = Fault.CLIENT_PROTOCOL


class Request(RequestHead):
    """A request's head, with its header section, body and state. Written by its connection and its task."""

    __slots__ = ("body", "exchange", "fault", "has_response", "host_value", "is_absolute", "refusal", "request_headers")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        path: bytes,
        query: bytes | None,
        host: bytes,
        client_ip: bytes,
        headers: RequestHeaders,
        host_value: bytes,
        is_absolute: bool,
        refusal: Problem | None,
    ) -> None:
        self.method = method  # not by way of the base class: 0.1 µs
        self.target = target
        self.path = path
        self.query = query
        self.host = host
        self.fields = headers.fields
        self.repeated = headers.repeated
        self.client_ip = client_ip
        self.request_headers = headers
        self.host_value = host_value
        self.is_absolute = is_absolute
        self.refusal = refusal
        self.body = None
        self.exchange = None
        self.fault = None
        self.has_response = False

    request_headers: RequestHeaders
    host_value: bytes
    """The Host field of the forwarded request; empty: an HTTP/1.0 request without one."""
    is_absolute: bool
    """True if the target is an absolute URL; `host_value` is its authority then."""
    refusal: Problem | None
    """The reason why it cannot be served."""
    body: Body | None
    exchange: Exchange | None
    """The attempt under way."""
    fault: Fault | None
    """The client's mistake, or its leaving."""
    has_response: bool
    """True once a byte of a response has been written."""

    def begin_body(self, source: Source, limit: int | None) -> BodyReader | None:
        """Make the body that the head announces. Return its reader; None if nothing of it is to be read.

        A body longer than `limit` bytes is refused.
        """
        framing = self.request_headers.framing
        if limit is not None and framing.length > limit:
            self.refusal = BODY_TOO_LARGE
            return None
        self.body = body = Body(source, keep=True)
        if framing.length or self.request_headers.is_chunked:
            return body_reader(framing, body, _CLIENT_PROTOCOL, limit)
        body.finish()
        return None

    def takes_interim(self, status: int) -> bool:
        """Return True if a 1xx may be passed on: none to HTTP/1.0, a 100 if it is awaited (RFC 9110 section 15.2)."""
        return not self.request_headers.is_http10 and (status != 100 or b"expect" in self.fields)

    @property
    def is_waiting_for_client(self) -> bool:
        """True while the client keeps the proxy waiting: it is slow to send, or to read."""
        body, exchange = self.body, self.exchange
        if exchange is not None and exchange.response is not None:
            return exchange.body is not None and exchange.body.is_paused
        if body is None or body.is_finished or body.is_paused:
            return False
        is_reported = exchange is not None and exchange.has_bytes  # the 100 that the client waits for
        return is_reported or body.received_bytes > 0 or b"expect" not in self.fields


_R = TypeVar("_R", bound=Request)


def unreadable(kind: type[_R], refusal: Problem, client_ip: bytes) -> _R:
    """Return a request that stands for unreadable bytes, so that the refusal is logged like any other end."""
    return kind(b"", b"", b"", None, b"", client_ip, _NOTHING, b"", False, refusal)


def parse_request(raw: bytes, forwarded: ForwardedFields, kind: type[_R]) -> _R | Problem:
    """Return a new request of the class `kind`, or a Problem for what RFC 9112 calls invalid or ambiguous.

    `raw` is one head, from the request line to the empty line.
    """
    words = raw[: raw.find(b"\r\n")].split(b" ")
    if len(words) != 3:
        return BAD_REQUEST_LINE
    method, target, _ = words
    headers = parse_request_headers(raw[len(method) + len(target) + 2 :])
    if isinstance(headers, Problem):
        return headers
    parsed = parse_target(target, method)
    refusal = check_method(method)
    if refusal is not None:
        return refusal
    if isinstance(parsed, Problem):
        return parsed
    host, host_value = headers.host, headers.host_value
    path, query, authority = parsed
    if authority is not None:
        named = host_of(authority)
        if named is None:
            return BAD_REQUEST_LINE
        host, host_value = named, authority
    client_ip = forwarded.client_ip(headers.fields)
    return kind(method, target, path, query, host, client_ip, headers, host_value, authority is not None, None)
