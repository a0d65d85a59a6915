"""What a request that is sampled has to tell for its spans. A request that is not sampled has none of this."""

import random
import time
from typing import TYPE_CHECKING

from strangler.core.masked import without_addresses
from strangler.wire.messages import AttemptSpan, Spans

if TYPE_CHECKING:
    from strangler.worker.attempt import Attempt
    from strangler.worker.call import Call

MAX_TARGET_BYTES = 2048
MAX_ATTEMPTS = 64
MAX_STATE_BYTES = 512


class SpanNotes:
    """The names of the spans of one request, and its attempts as they end.

    `parent_id` is empty where the trace begins here. Ids are lower-case hexadecimal digits.
    """

    __slots__ = ("_at", "attempts", "parent_id", "span_id", "state", "trace_id")

    def __init__(self, trace_id: bytes, span_id: bytes, parent_id: bytes, state: bytes) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.state = state[:MAX_STATE_BYTES]
        self.attempts: list[AttemptSpan] = []
        self._at = time.time()

    def next_id(self) -> bytes:
        """The name of a new span."""
        return b"%016x" % (random.getrandbits(64) | 1)

    def attempted(self, attempt: "Attempt", upstream: str, arm: str) -> None:
        """One attempt has just come to its head, or its fault."""
        if len(self.attempts) >= MAX_ATTEMPTS:
            return
        result = attempt.result
        url = "" if attempt.permit is None else str(attempt.endpoint.key.url)
        started = time.time() - result.duration_s
        fault = None if result.fault is None else result.fault.value
        self.attempts.append(
            AttemptSpan(attempt.span_id, upstream, url, arm, started, result.duration_s, result.status, fault)
        )

    def message(self, call: "Call", duration_s: float) -> Spans:
        """All of it, once the request is over."""
        route = call.plan.route
        return Spans(
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent_id=self.parent_id,
            state=self.state,
            started=self._at,
            duration_s=duration_s,
            method=call.method,
            path=without_addresses(call.path)[:MAX_TARGET_BYTES],
            host=call.host_value[:256],
            client=call.client_ip,
            version=b"1.0" if call.section.is_http10 else b"1.1",
            request_id=call.trace.request_id[:256],
            route=route.name if route is not None else "",
            arm=call.arm,
            upstream=call.upstream,
            reason=call.plan.reason.value,
            status=call.status,
            fault=None if call.end is None else str(call.end),
            is_fallback=call.is_fallback,
            attempts=self.attempts,
        )
