"""The heads that a worker writes: of the request to an upstream, and of the answer to the client (DESIGN section 6)."""

import random

from strangler.core.framing import Kind
from strangler.core.headers import (
    HOP_BY_HOP,
    ForwardedFields,
    dropped_names,
    header_lines,
    is_valid_traceparent,
)
from strangler.core.plan import Arm
from strangler.core.rewrite import rewrite_back, rewrite_target
from strangler.core.routes import Route
from strangler.core.settings import Url
from strangler.wire.parse import AnswerParts, RequestParts
from strangler.worker.upstreams import Upstream

_ARM_LINES = {arm: b"X-Strangler-Arm: %b\r\n" % arm.value.encode() for arm in Arm}
_ANSWER_DROPPED = HOP_BY_HOP | {b"x-strangler-arm"}
_ANSWER_DROPPED_UNSIZED = _ANSWER_DROPPED | {b"content-length"}  # RFC 9110 section 8.6: not in 204
_VIA_11 = b"Via: 1.1 strangler\r\n"
_VIA_10 = b"Via: 1.0 strangler\r\n"
_H2C_FIELDS = frozenset({b"http2-settings"})


class Trace:
    """The names under which a request is found again: X-Request-Id and traceparent, as received or made here."""

    __slots__ = ("lines", "request_id", "traceparent")

    def __init__(self, fields: dict[bytes, bytes]) -> None:
        request_id = fields.get(b"x-request-id")
        traceparent = fields.get(b"traceparent")
        lines = b""
        if not request_id:
            request_id = b"%032x" % random.getrandbits(128)
            lines = b"X-Request-Id: %b\r\n" % request_id
        if traceparent is None or not is_valid_traceparent(traceparent):
            ids = b"%048x" % (random.getrandbits(192) | 1 << 64 | 1)
            traceparent = b"00-%b-%b-00" % (ids[:32], ids[32:])
            lines += b"traceparent: %b\r\n" % traceparent
        self.request_id = request_id
        self.traceparent = traceparent
        self.lines = lines


def target_for(upstream: Upstream, url: Url, route: Route | None, arm: Arm, target: bytes) -> bytes:
    """The request target that the upstream sees: the raw one, unless the route rewrites it or the URL has a path."""
    rewrite = route.rewrite if route is not None and arm is Arm.CANDIDATE else None
    if rewrite is None and not url.path:
        return target
    return rewrite_target(target, rewrite, url.path.encode())


def request_head(
    parts: RequestParts,
    target: bytes,
    forwarded: ForwardedFields,
    trace: Trace,
    upstream: Upstream,
    url: Url,
) -> bytes:
    """The head for an upstream: as received, minus hop-by-hop fields, plus ours."""
    fields = parts.fields
    dropped = dropped_names(fields, forwarded.dropped)
    host = parts.host_value
    first = b""
    if upstream.sends_own_host or not host or parts.target[:1] != b"/":
        first = b"Host: %b\r\n" % (url.authority.encode() if upstream.sends_own_host or not host else host)
        dropped = dropped | {b"host"}
    if upstream.removed_names:
        dropped = dropped | upstream.removed_names
    if b"traceparent" in fields and not is_valid_traceparent(fields[b"traceparent"]):
        dropped = dropped | {b"traceparent", b"tracestate"}
    if b"http2-settings" in fields:
        dropped = dropped | _H2C_FIELDS
    if b"x-request-id" in fields and not fields[b"x-request-id"]:
        dropped = dropped | {b"x-request-id"}
    last = b"\r\n"
    if parts.has_upgrade:
        last = b"Connection: Upgrade\r\nUpgrade: %b\r\n\r\n" % fields[b"upgrade"]
    elif parts.framing.kind is Kind.CHUNKED:
        last = b"Transfer-Encoding: chunked\r\n\r\n"
    return b"".join(
        (
            b"%b %b HTTP/1.1\r\n" % (parts.method, target),
            first,
            *header_lines(parts.headers, dropped),
            forwarded.lines(fields, host),
            _VIA_10 if parts.is_http10 else _VIA_11,
            trace.lines,
            upstream.added_lines,
            last,
        )
    )


def answer_head(
    parts: RequestParts,
    answer: AnswerParts,
    arm: Arm | None,
    locations: "Locations | None",
    *,
    keep_alive: bool,
    chunked: bool,
) -> bytes:
    """The head for the client: as received, minus hop-by-hop fields, plus the arm (unless it is hidden: None)."""
    always = _ANSWER_DROPPED_UNSIZED if answer.status == 204 else _ANSWER_DROPPED
    headers = answer.headers
    if locations is not None:
        headers = locations.rewrite(headers)
    lines = header_lines(headers, dropped_names(answer.fields, always))
    if arm is not None:
        lines.append(_ARM_LINES[arm])
    if chunked:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    if not keep_alive:
        lines.append(b"Connection: close\r\n")
    elif parts.is_http10:
        lines.append(b"Connection: keep-alive\r\n")
    return b"HTTP/1.1 %d%b\r\n%b\r\n" % (answer.status, answer.reason or b" ", b"".join(lines))


def switch_head(answer: AnswerParts, arm: Arm | None) -> bytes:
    """A 101 for the client (RFC 9110 section 7.8): its Upgrade belongs to it, and goes along."""
    dropped = dropped_names(answer.fields, _ANSWER_DROPPED_UNSIZED)
    lines = header_lines(answer.headers, dropped)
    lines.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % answer.fields.get(b"upgrade", b""))
    if arm is not None:
        lines.append(_ARM_LINES[arm])
    return b"HTTP/1.1 101%b\r\n%b\r\n" % (answer.reason or b" ", b"".join(lines))


class Locations:
    """Rewrites Location and Content-Location of a candidate that sees other paths than the client."""

    __slots__ = ("_base", "_own", "_request_path", "_route", "_upstream")

    def __init__(self, route: Route, url: Url, request_path: bytes, own: bytes) -> None:
        self._route = route
        self._base = url.path.encode()
        self._upstream = url.authority.encode()
        self._request_path = request_path
        self._own = own

    def rewrite(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        return [
            (name, self._back(value)) if name.lower() in (b"location", b"content-location") else (name, value)
            for name, value in headers
        ]

    def _back(self, location: bytes) -> bytes:
        return rewrite_back(location, self._route.rewrite, self._request_path, self._base, self._upstream, self._own)
