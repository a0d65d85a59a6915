# Compiled with mypyc: see docs/hot-path.md.
"""The ids of a request, and the notes for its spans if it is sampled."""

from strangler.http1.parse import RequestHeaders
from strangler.http1.request_ids import RequestIds
from strangler.worker.spans import SpanNotes

_TRACEPARENT = frozenset({b"traceparent"})
_SAMPLED = 0x01
_KNOWN_FLAGS = 0x03  # sampled; and random-trace-id, of level 2


class Trace(RequestIds):
    """The ids of one request, which are those of a span if it is sampled."""

    __slots__ = ("_id_line", "notes")

    def __init__(self, headers: RequestHeaders, sampled_below: bytes | None = None) -> None:
        """`sampled_below` decides which traces that begin here have spans (see `Snapshot`). A trace that began
        elsewhere has them if its flags say so."""
        super().__init__(headers)
        self.notes: SpanNotes | None = None
        """The notes for the request's spans; None: it is not sampled."""
        if sampled_below is None:
            return
        ids, traceparent = self.fresh, self.traceparent
        if self.is_own_trace:
            if ids[48:64] < sampled_below:
                self._sample(ids[32:64], ids[64:], b"", b"", b"01")
        elif int(traceparent[53:55], 16) & _SAMPLED:
            flags = b"%02x" % (int(traceparent[53:55], 16) & _KNOWN_FLAGS)
            state = headers.fields.get(b"tracestate", b"")
            self._sample(traceparent[3:35], ids[64:], traceparent[36:52], state, flags)

    def _sample(self, trace_id: bytes, span_id: bytes, parent_id: bytes, state: bytes, flags: bytes) -> None:
        """Give the request spans. The forwarded traceparent names ours as the parent, in version 00 (section 4.3),
        with the flags that this version knows (section 3.2.2.5)."""
        self.notes = SpanNotes(trace_id, span_id, parent_id, state)
        self.traceparent = b"00-%b-%b-%b" % (trace_id, span_id, flags)
        self._id_line = self.lines.partition(b"traceparent: ")[0]
        self.lines = self.lines_of(span_id)
        self.dropped |= _TRACEPARENT

    def lines_of(self, span_id: bytes) -> bytes:
        """Return the lines of a sampled request to an upstream, with `span_id` as the parent."""
        return b"%btraceparent: %b%b%b\r\n" % (
            self._id_line, self.traceparent[:36], span_id, self.traceparent[52:]
        )  # fmt: skip
