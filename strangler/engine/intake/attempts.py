# Compiled with mypyc: see docs/hot-path.md.
"""Failed attempts, which Envoy tells of beside the requests: why a request fell back to legacy.

The two come over connections of their own, so either may be first. What waits for its counterpart waits for a short
time, and is bounded: then the cause of a fallback is `unknown`.
"""

from typing import Final

from strangler.core.fault import Fault
from strangler.core.result import Result
from strangler.engine.intake.ends import UNKNOWN, fault_named, fault_of_flags
from strangler.engine.intake.record_values import Record, status_of, text_of
from strangler.ipc.metrics import Metrics
from strangler.worker.call import Call
from strangler.worker.request_metrics import RequestMetrics

WAIT_S: Final = 2.0
"""How long a fallback waits for its cause: both leave Envoy within 50 ms, unless a process is held up."""
KEPT_S: Final = 300.0
"""How long a cause is kept for its request, which goes on at legacy and comes once it is over."""
MAX_KEPT: Final = 20_000

_UNSENT: Final = "no_healthy_upstream"
_CANDIDATE: Final = "candidate"
_OPEN: Final = Fault.OPEN
_CLIENT_GONE: Final = Fault.CLIENT_GONE


def attempt_cause(record: Record) -> Fault | int | None:
    """Return the fault of an attempt, else its status; None if it was the client that ended it."""
    fault = fault_named(text_of(record, "r"))
    if fault is not None:
        return fault
    return status_of(record) or fault_of_flags(text_of(record, "f"))


def _result(cause: Fault | int) -> Result:
    return Result(cause, None, 0.0) if isinstance(cause, Fault) else Result(None, cause, 0.0)


class Attempts:
    """Counts attempts by their results, and fallbacks by their causes."""

    __slots__ = ("_causes", "_metrics", "_numbers", "_waiting")

    def __init__(self, metrics: RequestMetrics, numbers: Metrics) -> None:
        self._metrics = metrics
        self._numbers = numbers
        self._causes: dict[str, tuple[str, float]] = {}
        """The cause of a candidate's failure, and until when it is kept, by the id of the request."""
        self._waiting: dict[str, tuple[str, float]] = {}
        """The route of a fallback without a cause, and until when it waits, by the same."""

    def add_failed(self, record: Record, now: float) -> None:
        """Take in a failed attempt. `now` is monotonic."""
        upstream = text_of(record, "up")
        cause = attempt_cause(record)
        if not upstream or cause is None:
            return  # a mirror's, or the client has left
        self._metrics.count_attempt(upstream, _result(cause))
        request_id = text_of(record, "id")
        if text_of(record, "arm") != _CANDIDATE:
            return
        waiting = self._waiting.pop(request_id, None)
        if waiting is not None:
            self._count_fallback(waiting[0], str(cause))
            return
        if len(self._causes) >= MAX_KEPT:
            del self._causes[next(iter(self._causes))]
        self._causes[request_id] = (str(cause), now + KEPT_S)

    def add_call(self, call: Call, route: str, record: Record, now: float) -> None:
        """Take in a request that is over: its last attempt, unless that has failed, and its fallback."""
        request_id = text_of(record, "id")
        known = self._causes.pop(request_id, None) if self._causes else None
        if call.upstream:
            self._count_last(call, was_sent=not text_of(record, "cd").startswith(_UNSENT))
        if not call.is_fallback:
            return
        if known is not None:
            self._count_fallback(route, known[0])
        elif call.attempts <= 1:  # the candidate was passed over: it had no endpoint in use
            self._metrics.count_attempt(call.plan.upstream, _result(_OPEN))
            self._count_fallback(route, _OPEN.value)
        elif len(self._waiting) < MAX_KEPT and request_id not in self._waiting:
            self._waiting[request_id] = (route, now + WAIT_S)
        else:
            self._count_fallback(route, UNKNOWN)

    def _count_last(self, call: Call, *, was_sent: bool) -> None:
        """Count the attempt that responded. Those that failed have records of their own, but for what was not sent."""
        end = call.end
        if end is _OPEN and not was_sent:
            self._metrics.count_attempt(call.upstream, _result(_OPEN))
        elif (end is None or end is _CLIENT_GONE) and 0 < call.status < 500:
            self._metrics.count_attempt(call.upstream, _result(call.status))
        if call.attempts > 1 and not call.is_fallback:
            self._numbers.counter("strangler_retries_total", call.upstream, "retry").inc(call.attempts - 1)

    def tick(self, now: float) -> None:
        """Let go of what has waited for too long."""
        while self._causes:
            first = next(iter(self._causes))
            if self._causes[first][1] > now:
                break
            del self._causes[first]
        while self._waiting:
            first = next(iter(self._waiting))
            route, until = self._waiting[first]
            if until > now:
                break
            del self._waiting[first]
            self._count_fallback(route, UNKNOWN)

    def finish(self) -> None:
        """Count the fallbacks that still wait."""
        for route, _ in self._waiting.values():
            self._count_fallback(route, UNKNOWN)
        self._waiting.clear()

    def _count_fallback(self, route: str, cause: str) -> None:
        self._numbers.counter("strangler_fallbacks_total", route, cause).inc()
