"""All attempts at one upstream: the first, and those that its rules and its budget allow after it."""

from random import random

from strangler.core.endpoints import EndpointState
from strangler.core.fault import Fault
from strangler.core.plan import Arm
from strangler.core.retry import Retry, parse_retry_after
from strangler.wire.clock import now
from strangler.wire.story import Alarm
from strangler.worker.attempt import Attempt, make_attempt
from strangler.worker.call import Call
from strangler.worker.plane import Plane


async def try_upstream(call: Call, plane: Plane, name: str, arm: Arm) -> Attempt:
    """All attempts at one upstream: the first, and the retries that its rules and its budget allow."""
    upstream = plane.upstreams[name]
    retry = upstream.admission.retry
    call.upstream = name
    call.arm = arm
    call.results.clear()
    deadline: float | None = None
    avoid: EndpointState | None = None
    while True:
        attempt = await make_attempt(call, plane, upstream, arm, deadline, avoid)
        result = attempt.result
        plane.attempted(upstream, result)
        call.results.append(result)
        if call.trace.notes is not None:
            call.trace.notes.attempted(attempt, name, arm)
        if result.cause not in retry.when or call.fault is not None:
            return attempt
        if len(call.results) == 1:
            clocks = plane.clocks(upstream, call.plan.route, arm)
            deadline = retry.deadline(now() - result.duration_s, clocks.response_s)
        decision = retry.decide(
            upstream.admission.budget,
            call.method,
            call.results,
            is_answer_started=call.is_answered,
            is_body_resendable=call.is_resendable,
            retry_after_s=retry_after(attempt, plane),
            deadline=deadline,
            now=now(),
            draw=random,
        )
        if not isinstance(decision, Retry):
            call.no_retry = decision
            plane.retry_decided(upstream, decision)
            return attempt
        plane.retry_decided(upstream, "retry")
        avoid = attempt.endpoint if attempt.permit is not None else None
        attempt.settle()
        if not await _pause(call, decision.after_s) or not rewind(call):
            if not attempt.is_done:  # its answer was dropped on the way: there is none to pass on
                attempt.result = result.with_fault(result.fault or Fault.RESET)
            return attempt


def rewind(call: Call) -> bool:
    """Make ready to be sent once more."""
    call.exchange = None
    return call.body is None or call.body.rewind()


def retry_after(attempt: Attempt, plane: Plane) -> float | None:
    """Seconds that the answer asks to wait, if it does."""
    value = attempt.answer.fields.get(b"retry-after") if attempt.answer is not None else None
    return None if value is None else parse_retry_after(value, plane.unix_time())


async def _pause(call: Call, seconds: float) -> bool:
    """Wait before a retry; False if the client left meanwhile."""
    alarm = Alarm(call.asker.port.loop, call.asker.story, seconds)
    while not alarm.has_rung and call.fault is None:
        await call.asker.story
    alarm.cancel()
    return call.fault is None
