"""The notes for the spans of a sampled request. A request that is not sampled has none."""

import random
import time

from strangler.core.result import Result
from strangler.ipc.messages import AttemptSpan

MAX_ATTEMPTS = 64
MAX_STATE_BYTES = 512


class SpanNotes:
    """The ids of the spans of one request, and its attempts as they end.

    `parent_id` is empty where the trace begins here. Ids are lower-case hexadecimal digits.
    """

    __slots__ = ("attempts", "parent_id", "span_id", "started", "state", "trace_id")

    def __init__(self, trace_id: bytes, span_id: bytes, parent_id: bytes, state: bytes) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.state = state[:MAX_STATE_BYTES]
        self.attempts: list[AttemptSpan] = []
        self.started = time.time()

    def next_id(self) -> bytes:
        """Return the id of a new span."""
        return b"%016x" % (random.getrandbits(64) | 1)

    def add_attempt(self, span_id: bytes, upstream: str, url: str, arm: str, result: Result) -> None:
        """Note an attempt that has just got its response head, or its fault."""
        if len(self.attempts) >= MAX_ATTEMPTS:
            return
        started = time.time() - result.duration_s
        fault = None if result.fault is None else result.fault.value
        self.attempts.append(AttemptSpan(span_id, upstream, url, arm, started, result.duration_s, result.status, fault))
