# Compiled with mypyc: see docs/hot-path.md.
"""A request that several services serve together: one task for each part, and the client's task that waits for them.

    client's task ──┬─▶ part's task: admit, connect, send, retry, read whole ──┐
                    ├─▶ part's task ───────────────────────────────────────────┼─▶ join
                    └─▶ part's task ───────────────────────────────────────────┘

The attempts at a part use the same code as those for a client (`worker/retries.py`), so that its upstream's breaker,
bulkhead, retries and timeouts hold. Once the client has left, or a required part has failed, the other parts are given
up.
"""

import asyncio
import math

from strangler.clock import now
from strangler.core.fault import Fault
from strangler.core.result import Result
from strangler.core.routing.aggregate import (
    FIELDS_FOR_PARTS,
    MAX_PART_BYTES,
    NOT_FOR_PARTS,
    Joined,
    Part,
    PartFailure,
    PartResponse,
    failure_item,
    join,
    part_failed,
    part_unusable,
    read_part,
    unusable,
)
from strangler.core.routing.arm import CANDIDATE_ARM
from strangler.http1.callback_task import CallbackTask
from strangler.http1.downstream import Downstream
from strangler.http1.parse import RequestHeaders
from strangler.http1.response import ResponseHead
from strangler.worker.attempt import Attempt
from strangler.worker.call import Call
from strangler.worker.context import WorkerContext
from strangler.worker.outcome import Failed, JoinedResponse, failed_by, failed_part
from strangler.worker.request_metrics import RequestMetrics
from strangler.worker.retries import retry_after, try_upstream
from strangler.worker.sink import Sink


async def try_parts(call: Call, context: WorkerContext) -> JoinedResponse | Failed:
    """Send the requests for all parts at once. Return the whole, or the failure of a required part or of the client."""
    plan = call.plan
    headers = call.request_headers.bodyless(NOT_FOR_PARTS, FIELDS_FOR_PARTS)
    parts = [PartDownstream(call, context, part, headers) for part in plan.parts]
    call.upstream = plan.upstream
    try:
        for part in parts:
            part.begin()
        while call.fault is None and not _is_decided(parts):
            await call.client.task
    finally:
        for part in parts:
            part.give_up()
    call.attempts = sum(part.call.attempts for part in parts)
    if call.fault is not None:
        return failed_by(call.fault, Result(call.fault, None, now() - call.started))
    _count_failures(context.metrics, plan.route.name if plan.route is not None else "", parts)
    outcome = _join(call, parts)
    call.results.append(outcome.result)
    return outcome


def _is_decided(parts: "list[PartDownstream]") -> bool:
    """Return True if all parts have an outcome, or a required part has failed."""
    return all(part.outcome is not None for part in parts) or any(map(_is_fatal, parts))


def _is_fatal(downstream: "PartDownstream") -> bool:
    return downstream.part.is_required and downstream.failure is not None


def _count_failures(metrics: RequestMetrics, route: str, parts: "list[PartDownstream]") -> None:
    for part in parts:
        if part.failure is not None:
            metrics.count_failed_part(route, part.part.name, part.failure.reason)


def _join(call: Call, parts: "list[PartDownstream]") -> JoinedResponse | Failed:
    for part in filter(_is_fatal, parts):
        assert part.failure is not None
        call.failed_parts = failure_item(part.part, part.failure).decode()
        return failed_part(part.failure)
    joined = join([part.part for part in parts], [part.outcome for part in parts if part.outcome is not None])
    assert isinstance(joined, Joined)
    call.failed_parts = joined.missing.decode() or None
    return JoinedResponse(joined, now() - call.started)


class PartDownstream(Downstream):
    """The client's role for one part: its attempts wake its task, and its deadline is theirs."""

    __slots__ = ("_context", "_timer", "_whole", "call", "outcome", "part", "server")

    def __init__(self, whole: Call, context: WorkerContext, part: Part, headers: RequestHeaders) -> None:
        client = whole.client
        self.server = client.server
        self.loop = client.loop
        self.write_batch = client.write_batch
        self.forwarded = client.forwarded
        self.deadline = math.inf
        self.task = CallbackTask(self._crash)
        self.part = part
        self.call = _call_of(whole, part, headers)
        self.call.downstream = self
        self.outcome: PartResponse | PartFailure | None = None
        """Set once, at the end."""
        self._context = context
        self._whole = whole
        self._timer: asyncio.TimerHandle | None = None

    @property
    def failure(self) -> PartFailure | None:
        """The reason why it has no response, unless it was given up before that was known."""
        outcome = self.outcome
        is_given_up = self.call.fault is Fault.CLIENT_GONE
        return outcome if isinstance(outcome, PartFailure) and not is_given_up else None

    def begin(self) -> None:
        """Begin the attempts, up to the first wait."""
        self.server.active.add(self)
        if self.part.timeout_s is not None:
            self._timer = self.loop.call_later(self.part.timeout_s, self._end_by, Fault.TIMEOUT)
        self.task.begin(self._run())

    def give_up(self) -> None:
        """End the part at once, since it is no longer needed."""
        if self.outcome is None:
            self._end_by(Fault.CLIENT_GONE)

    def expire(self, now: float) -> None:
        self.deadline = math.inf
        if self.call.exchange is not None:  # else the next attempt is not sent yet: it has clocks of its own
            self.call.exchange.fault = Fault.TIMEOUT
            self.task.wake()

    def pass_interim(self, response: ResponseHead) -> None:
        """Ignore a 1xx of one part: it says nothing about the whole."""

    def _end_by(self, fault: Fault) -> None:
        if self.outcome is None and self.call.fault is None:
            self.call.fault = fault
            self.task.wake()

    async def _run(self) -> None:
        self._end(await self._ask())

    async def _ask(self) -> PartResponse | PartFailure:
        context, upstream = self._context, self._context.upstreams[self.part.upstream]
        outcome = await try_upstream(self.call, upstream, CANDIDATE_ARM, context.policies, context.metrics)
        if isinstance(outcome, Failed):
            assert outcome.fault is not None
            return part_failed(outcome.fault, outcome.result.duration_s, outcome.retry_after_s)
        try:
            return await self._read(outcome)
        finally:
            outcome.settle()

    async def _read(self, attempt: Attempt) -> PartResponse | PartFailure:
        """Read the response whole, if its head says that it can be joined."""
        call, response, duration_s = self.call, attempt.response, attempt.result.duration_s
        assert response is not None
        headers = response.headers()
        failure = unusable(response.status, headers, duration_s)
        if failure is not None:
            return failure._replace(retry_after_s=retry_after(attempt))
        if len(attempt.payload) > MAX_PART_BYTES or response.framing.length > MAX_PART_BYTES:
            return part_unusable("too_large", duration_s)
        if attempt.body is None:
            return read_part(response.status, headers, attempt.payload, duration_s)
        # not at once: the overflowing body is being read at that moment
        sink = Sink(MAX_PART_BYTES, lambda: self.loop.call_soon(self.task.wake))
        attempt.body.attach(sink, b"", chunked=False)
        while not attempt.is_done and attempt.fault is None and call.fault is None and not sink.is_over:
            await self.task
        if sink.is_over:
            return part_unusable("too_large", duration_s)
        if not attempt.is_done:
            attempt.fault = fault = call.fault or attempt.fault or Fault.RESET
            return part_failed(fault, duration_s)
        return read_part(response.status, headers, sink.content(), duration_s)

    def _end(self, outcome: PartResponse | PartFailure) -> None:
        self.server.active.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self.outcome = outcome
        self._whole.client.task.wake()

    def _crash(self, crash: Exception) -> None:
        self.server.on_crash(crash)
        self._end(part_unusable("crash", 0.0))


def _call_of(whole: Call, part: Part, headers: RequestHeaders) -> Call:
    """Return the request for one part: the client's, with another target and without a body."""
    target = part.target(whole.path, whole.query)
    path, mark, query = target.partition(b"?")
    host, host_value, is_absolute = whole.host, whole.host_value, whole.is_absolute
    call = Call(
        b"GET", target, path, query if mark else None, host, whole.client_ip, headers, host_value, is_absolute, None
    )
    call.begin(whole.client, whole.snapshot, whole.plan, now())
    call.trace = whole.trace
    return call
