# Compiled with mypyc: see docs/hot-path.md.
"""The record of a request that is over, in metrics, access log, spans, ledger and counts of rollouts."""

from strangler.clock import now
from strangler.core.fault import Fault
from strangler.core.privacy.masked import without_addresses
from strangler.ipc.messages import Spans
from strangler.worker.access_log import AccessLog
from strangler.worker.call import Call
from strangler.worker.control_link import ControlLink
from strangler.worker.ledger import Ledger
from strangler.worker.request_metrics import RequestMetrics
from strangler.worker.rollout_counts import RolloutCounting
from strangler.worker.spans import SpanNotes

MAX_TARGET_BYTES = 2048

_NO_REFUSAL = frozenset({Fault.CLIENT_GONE, *(fault for fault in Fault if fault.is_upstream or fault.is_unsent)})
"""The ends of a request that neither a limit nor a rule of framing caused."""


class Telemetry:
    """Records each request once it is over."""

    __slots__ = ("_access_log", "_ledger", "_link", "_metrics", "_rollouts")

    def __init__(
        self,
        metrics: RequestMetrics,
        access_log: AccessLog,
        link: ControlLink,
        ledger: Ledger,
        rollouts: RolloutCounting,
    ) -> None:
        self._metrics = metrics
        self._access_log = access_log
        self._link = link
        self._ledger = ledger
        self._rollouts = rollouts

    def note_endless(self, call: Call) -> None:
        """Count a request whose response has begun and may never end: a tunnel, or an event stream."""
        call.is_counted = True
        self._count(call, "" if call.plan.route is None else call.plan.route.name, now() - call.started)

    def record(self, call: Call) -> None:
        """Count a request that is over, write its line, and send its spans if it is sampled."""
        self.record_ended(call, now() - call.started)

    def record_ended(self, call: Call, duration_s: float, at: float = 0.0, is_of_rollout: bool = True) -> None:
        """Do so for a request that took `duration_s`. `at`: the Unix time of its end, if that is not now.
        `is_of_rollout`: the settings that it was served by are known, so a rollout may count it."""
        if call.end is not None and call.end not in _NO_REFUSAL:
            self._metrics.count_refused(call.end)
        route = "" if call.plan.route is None else call.plan.route.name
        self._metrics.count_request(call, route, duration_s)
        self._access_log.write(call, route, duration_s, at)
        if not call.is_counted:
            self._count(call, route, duration_s, is_of_rollout)
        if call.trace.notes is not None:
            self._link.offer(_spans(call, call.trace.notes, route, duration_s))

    def _count(self, call: Call, name: str, duration_s: float, is_of_rollout: bool = True) -> None:
        """Count a request in the ledger, and for the rollout of its route. Another proxy's shadow is nobody's call."""
        if call.is_shadow:
            return
        self._ledger.count(call, name, duration_s)
        route = call.plan.route
        if route is not None and route.has_rollout and is_of_rollout:
            self._rollouts.count(call, route, duration_s)


def _spans(call: Call, notes: SpanNotes, route: str, duration_s: float) -> Spans:
    return Spans(
        trace_id=notes.trace_id,
        span_id=notes.span_id,
        parent_id=notes.parent_id,
        state=notes.state,
        started=notes.started,
        duration_s=duration_s,
        method=call.method,
        path=without_addresses(call.path)[:MAX_TARGET_BYTES],
        host=call.host_value[:256],
        client=call.client_ip,
        version=b"1.0" if call.request_headers.is_http10 else b"1.1",
        request_id=call.trace.request_id[:256],
        route=route,
        arm=call.arm,
        upstream=call.upstream,
        reason=call.plan.reason.value,
        status=call.status,
        fault=None if call.end is None else str(call.end),
        is_fallback=call.is_fallback,
        attempts=notes.attempts,
    )
