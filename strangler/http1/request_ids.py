# Compiled with mypyc: see docs/hot-path.md.
"""The ids of a request: X-Request-Id and W3C Trace Context, as received or made here."""

import os

from strangler.core.http.headers import is_valid_traceparent
from strangler.http1.parse import RequestHeaders

_INVALID_TRACE = frozenset({b"traceparent", b"tracestate"})
_NOTHING: frozenset[bytes] = frozenset()
_REQUEST_ID = frozenset({b"x-request-id"})
_ID_DIGITS = 80  # of a request id, a trace id and a span id
_AT_ONCE = 256
_ZEROS = b"0" * 16


class _Ids:
    """Random ids: 80 hexadecimal digits each. Drawing many at once costs a third of the time."""

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


class RequestIds:
    """The ids of one request: X-Request-Id and traceparent, as received or made here."""

    __slots__ = ("dropped", "fresh", "is_own_trace", "lines", "request_id", "traceparent")

    dropped: frozenset[bytes]
    """The received fields that `lines` replaces."""
    fresh: bytes
    """Digits that belong to this request alone: 32 for a request id, 32 for a trace, 16 for a span."""
    is_own_trace: bool
    """Whether the trace begins here."""

    def __init__(self, headers: RequestHeaders) -> None:
        fields = headers.fields
        self.fresh = ids = _ids.draw()
        request_id = fields.get(b"x-request-id")
        traceparent = fields.get(b"traceparent")
        if request_id is None and traceparent is None:
            # W3C Trace Context section 3.3: a tracestate that comes alone means nothing
            self.dropped = _INVALID_TRACE if b"tracestate" in fields else _NOTHING
            self.is_own_trace = True
            self.request_id = ids[:32]
            self.traceparent = b"00-%b-%b-00" % (ids[32:64], ids[64:])
            self.lines = b"X-Request-Id: %b\r\ntraceparent: %b\r\n" % (self.request_id, self.traceparent)
            return
        self.dropped = _NOTHING
        self.lines = b""
        if not request_id or b"x-request-id" in headers.named:
            self.dropped = _REQUEST_ID
            request_id = ids[:32]
            self.lines = b"X-Request-Id: %b\r\n" % request_id
        is_own = traceparent is None or b"traceparent" in headers.named or not is_valid_traceparent(traceparent)
        if traceparent is None or is_own:
            self.dropped |= _INVALID_TRACE  # W3C Trace Context section 3.2.1: tracestate goes with its traceparent
            traceparent = b"00-%b-%b-00" % (ids[32:64], ids[64:])
            self.lines += b"traceparent: %b\r\n" % traceparent
        self.is_own_trace = is_own
        self.request_id = request_id
        self.traceparent = traceparent
