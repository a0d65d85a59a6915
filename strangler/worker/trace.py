# Compiled with mypyc: see docs/hot-path.md.
"""The ids of a request: X-Request-Id and W3C Trace Context, as received or made here."""

import os

from strangler.core.http.headers import is_valid_traceparent
from strangler.http1.parse import RequestHeaders
from strangler.worker.spans import SpanNotes

_INVALID_TRACE = frozenset({b"traceparent", b"tracestate"})
_TRACEPARENT = frozenset({b"traceparent"})
_NOTHING: frozenset[bytes] = frozenset()
_SAMPLED = 0x01
_KNOWN_FLAGS = 0x03  # sampled; and random-trace-id, of level 2
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


class Trace:
    """The ids of one request: X-Request-Id and traceparent, as received or made here."""

    __slots__ = ("_id_line", "dropped", "lines", "notes", "request_id", "traceparent")

    def __init__(self, headers: RequestHeaders, sampled_below: bytes | None = None) -> None:
        """`sampled_below` decides which traces that begin here have spans (see `Snapshot`). A trace that began
        elsewhere has them if its flags say so."""
        fields = headers.fields
        ids = _ids.draw()
        request_id = fields.get(b"x-request-id")
        traceparent = fields.get(b"traceparent")
        self.notes: SpanNotes | None = None
        """The notes for the request's spans; None: it is not sampled."""
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
        if not request_id or b"x-request-id" in headers.named:
            self.dropped = _REQUEST_ID
            request_id = ids[:32]
            self.lines = b"X-Request-Id: %b\r\n" % request_id
        self._id_line = self.lines
        is_own = traceparent is None or b"traceparent" in headers.named or not is_valid_traceparent(traceparent)
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
        """Give the request spans. The forwarded traceparent names ours as the parent, in version 00 (section 4.3),
        with the flags that this version knows (section 3.2.2.5)."""
        self.notes = SpanNotes(trace_id, span_id, parent_id, state)
        self.traceparent = b"00-%b-%b-%b" % (trace_id, span_id, flags)
        self.lines = self.lines_of(span_id)
        self.dropped |= _TRACEPARENT

    def lines_of(self, span_id: bytes) -> bytes:
        """Return the lines of a sampled request to an upstream, with `span_id` as the parent."""
        return b"%btraceparent: %b%b%b\r\n" % (
            self._id_line, self.traceparent[:36], span_id, self.traceparent[52:]
        )  # fmt: skip
