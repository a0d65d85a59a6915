"""The heads that a worker writes: of the request to an upstream, and of the answer to the client (DESIGN section 6)."""

import os

from strangler.core.aggregate import Joined
from strangler.core.cookies import public_cookie
from strangler.core.head import RawHeaders
from strangler.core.headers import ForwardedFields, is_valid_traceparent
from strangler.core.plan import Arm
from strangler.core.rewrite import Rewrite, cookie_path_back, rewrite_back, rewrite_target
from strangler.core.routes import Route
from strangler.core.settings import Url
from strangler.wire.parse import Section, host_of
from strangler.wire.request import Request
from strangler.wire.response import Answer
from strangler.worker.spans import SpanNotes
from strangler.worker.upstreams import Upstream

_VIA_11 = b"Via: 1.1 strangler\r\n"
_VIA_10 = b"Via: 1.0 strangler\r\n"
_INVALID_TRACE = frozenset({b"traceparent", b"tracestate"})
_TRACEPARENT = frozenset({b"traceparent"})
_NOTHING: frozenset[bytes] = frozenset()
_SAMPLED = 0x01
_KNOWN_FLAGS = 0x03  # sampled; and random-trace-id, of level 2
_HOST = frozenset({b"host"})
_PREFIX = frozenset({b"x-forwarded-prefix"})
_REQUEST_ID = frozenset({b"x-request-id"})
_LOCATIONS = frozenset({b"location", b"content-location"})
_ID_DIGITS = 80  # of a request id, a trace id and a span id
_AT_ONCE = 256
_ZEROS = b"0" * 16


class _Ids:
    """Names by chance: 80 hexadecimal digits each. Drawn many at once, which costs a third."""

    __slots__ = ("_digits", "_next")

    def __init__(self) -> None:
        self._digits = b""
        self._next = 0

    def draw(self) -> bytes:
        start = self._next
        if start == len(self._digits):
            self._digits = _digits()
            start = 0
        self._next = end = start + _ID_DIGITS
        return self._digits[start:end]


def _digits() -> bytes:
    digits = _ZEROS
    while _ZEROS in digits:  # neither part of a traceparent may be all zero
        digits = os.urandom(_ID_DIGITS // 2 * _AT_ONCE).hex().encode()
    return digits


_ids = _Ids()


class Trace:
    """The names under which a request is found again: X-Request-Id and traceparent, as received or made here."""

    __slots__ = ("_id_line", "dropped", "lines", "notes", "request_id", "traceparent")

    def __init__(self, section: Section, sampled_below: bytes | None = None) -> None:
        """`sampled_below`: which traces that begin here have spans, as `Snapshot` has it. A trace that began elsewhere
        has them if its flags say so."""
        fields = section.fields
        ids = _ids.draw()
        request_id = fields.get(b"x-request-id")
        traceparent = fields.get(b"traceparent")
        self.notes: SpanNotes | None = None
        """What is told of the request's spans; None: it is not sampled."""
        if request_id is None and traceparent is None:
            # W3C Trace Context section 3.3: a tracestate that comes alone means nothing
            self.dropped = _INVALID_TRACE if b"tracestate" in fields else _NOTHING
            self.request_id = ids[:32]
            self.traceparent = b"00-%b-%b-00" % (ids[32:64], ids[64:])
            self.lines = b"X-Request-Id: %b\r\ntraceparent: %b\r\n" % (self.request_id, self.traceparent)
            if sampled_below is not None and ids[48:64] < sampled_below:
                self._id_line = b"X-Request-Id: %b\r\n" % self.request_id
                self._sample(ids[32:64], ids[64:], b"", b"", b"01")
            return
        self.dropped = _NOTHING
        self.lines = b""
        if not request_id or b"x-request-id" in section.named:
            self.dropped = _REQUEST_ID
            request_id = ids[:32]
            self.lines = b"X-Request-Id: %b\r\n" % request_id
        self._id_line = self.lines
        is_own = traceparent is None or b"traceparent" in section.named or not is_valid_traceparent(traceparent)
        if traceparent is None or is_own:
            self.dropped |= _INVALID_TRACE  # W3C Trace Context section 3.2.1: tracestate goes with its traceparent
            traceparent = b"00-%b-%b-00" % (ids[32:64], ids[64:])
            self.lines += b"traceparent: %b\r\n" % traceparent
        self.request_id = request_id
        self.traceparent = traceparent
        if sampled_below is None:
            return
        if is_own:
            if ids[48:64] < sampled_below:
                self._sample(ids[32:64], ids[64:], b"", b"", b"01")
        elif int(traceparent[53:55], 16) & _SAMPLED:
            flags = b"%02x" % (int(traceparent[53:55], 16) & _KNOWN_FLAGS)
            self._sample(traceparent[3:35], ids[64:], traceparent[36:52], fields.get(b"tracestate", b""), flags)

    def _sample(self, trace_id: bytes, span_id: bytes, parent_id: bytes, state: bytes, flags: bytes) -> None:
        """The request has spans. What is forwarded names ours as the parent, in version 00 (section 4.3), with the
        flags that this version knows (section 3.2.2.5)."""
        self.notes = SpanNotes(trace_id, span_id, parent_id, state)
        self.traceparent = b"00-%b-%b-%b" % (trace_id, span_id, flags)
        self.lines = self.lines_of(span_id)
        self.dropped |= _TRACEPARENT

    def lines_of(self, span_id: bytes) -> bytes:
        """The lines of a sampled request to an upstream, whose parent is that span."""
        return b"%btraceparent: %b%b%b\r\n" % (
            self._id_line, self.traceparent[:36], span_id, self.traceparent[52:]
        )  # fmt: skip


def target_for(url: Url, rewrite: Rewrite | None, target: bytes) -> bytes:
    """The request target that the upstream sees: the raw one, unless it is rewritten or the URL has a path."""
    if rewrite is None and not url.path:
        return target
    return rewrite_target(target, rewrite, url.path.encode())


def request_head(
    request: Request,
    target: bytes,
    forwarded: ForwardedFields,
    trace: Trace,
    trace_lines: bytes,
    upstream: Upstream,
    url: Url,
    prefix: bytes = b"",
) -> bytes:
    """The head for an upstream: as received, minus hop-by-hop fields, plus ours. `prefix`: for X-Forwarded-Prefix."""
    section = request.section
    host = request.host_value
    dropped = upstream.dropped_from_trusted if forwarded.is_trusted else upstream.dropped
    first = b""
    if upstream.sends_own_host or request.is_absolute or not host:
        host_line = url.authority.encode() if upstream.sends_own_host or not host else host
        first = b"Host: %b\r\n" % host_line
        dropped |= _HOST
    if trace.dropped:
        dropped |= trace.dropped
    if prefix:
        received = section.fields.get(b"x-forwarded-prefix")
        if received is not None:
            dropped |= _PREFIX  # only then: a set that is made anew costs 0.4 µs
        before = received.rstrip(b"/") if received and forwarded.is_trusted else b""
        trace_lines = b"X-Forwarded-Prefix: %b%b\r\n%b" % (before, prefix, trace_lines)
    last = b"\r\n"
    if section.has_upgrade:
        last = b"Connection: Upgrade\r\nUpgrade: %b\r\n\r\n" % section.fields[b"upgrade"]
    elif section.is_chunked:
        last = b"Transfer-Encoding: chunked\r\n\r\n"
    return b"%b %b HTTP/1.1\r\n%b%b%b%b%b%b%b" % (
        request.method,
        target,
        first,
        section.lines(dropped),
        forwarded.lines(section.fields, host),
        _VIA_10 if section.is_http10 else _VIA_11,
        trace_lines,
        upstream.added_lines,
        last,
    )


def _endings() -> dict[tuple[str | None, bool, bool, bool], bytes]:
    endings = {}
    for arm in (None, *Arm):
        arm_line = b"" if arm is None else b"X-Strangler-Arm: %b\r\n" % arm.value.encode()
        for chunked in (False, True):
            coding = b"Transfer-Encoding: chunked\r\n" if chunked else b""
            for is_http10 in (False, True):
                stay = b"Connection: keep-alive\r\n" if is_http10 else b""
                endings[arm, chunked, is_http10, True] = arm_line + coding + stay + b"\r\n"
                endings[arm, chunked, is_http10, False] = arm_line + coding + b"Connection: close\r\n\r\n"
    return endings


_ENDINGS = _endings()
"""By arm (None: not told), chunked, HTTP/1.0, keep."""


def answer_head(
    answer: Answer, arm: str | None, locations: "Locations | None", *, chunked: bool, is_http10: bool, keep: bool
) -> bytes:
    """The head for the client: as received, minus hop-by-hop fields, plus the arm (unless it is hidden: None)."""
    ending = _ENDINGS[arm, chunked, is_http10, keep]
    if locations is None or not locations.concern(answer):
        return answer.head(ending)
    return answer.head_of(locations.rewritten(answer.headers()), ending)


def joined_head(joined: Joined, arm: str | None, date: bytes, *, is_http10: bool, keep: bool) -> bytes:
    """The head of an aggregate's answer, which is the proxy's own."""
    lines = b"".join([b"%b: %b\r\n" % field for field in joined.fields])
    return b"HTTP/1.1 200 OK\r\nDate: %b\r\n%b%b" % (date, lines, _ENDINGS[arm, False, is_http10, keep])


def switch_head(answer: Answer, arm: str | None) -> bytes:
    """A 101 for the client (RFC 9110 section 7.8): its Upgrade belongs to it, and goes along."""
    arm_line = b"" if arm is None else b"X-Strangler-Arm: %b\r\n" % arm.encode()
    upgrade = answer.fields.get(b"upgrade", b"")
    return answer.head(b"Connection: Upgrade\r\nUpgrade: %b\r\n%b\r\n" % (upgrade, arm_line))


class Locations:
    """Rewrites Location, Content-Location and cookies of a candidate that sees other paths than the client."""

    __slots__ = ("_base", "_own", "_request_path", "_route", "_upstream", "_upstream_host")

    def __init__(self, route: Route, url: Url, request_path: bytes, own: bytes) -> None:
        self._route = route
        self._base = url.path.encode()
        self._upstream = url.authority.encode()
        self._upstream_host = url.host.encode()
        self._request_path = request_path
        self._own = own

    def concern(self, answer: Answer) -> bool:
        return not _LOCATIONS.isdisjoint(answer.fields) or answer.sets_cookies

    def rewritten(self, headers: RawHeaders) -> RawHeaders:
        return [(name, self._rewritten(name.lower(), value)) for name, value in headers]

    def _rewritten(self, name: bytes, value: bytes) -> bytes:
        if name in _LOCATIONS:
            return self._public(value)
        if name != b"set-cookie":
            return value
        return public_cookie(value, self._public_path, self._upstream_host, host_of(self._own) or b"")

    def _public_path(self, path: bytes) -> bytes:
        return cookie_path_back(path, self._route.rewrite, self._request_path, self._base)

    def _public(self, location: bytes) -> bytes:
        return rewrite_back(location, self._route.rewrite, self._request_path, self._base, self._upstream, self._own)
