# Compiled with mypyc: see docs/hot-path.md.
"""All attempts at one upstream: the first, and the retries that its rules and its budget allow."""

import time
from random import random

from strangler.clock import now
from strangler.core.fault import Fault
from strangler.core.resilience.endpoints import EndpointState
from strangler.core.resilience.retry import NoRetry, Retry, RetryRules, parse_retry_after
from strangler.core.routing.arm import Arm
from strangler.http1.callback_task import Timer
from strangler.worker.attempt import Attempt, make_attempt
from strangler.worker.call import Call
from strangler.worker.outcome import Failed, failed_by
from strangler.worker.policies import Policies
from strangler.worker.request_metrics import RequestMetrics
from strangler.worker.upstreams import Upstream


async def try_upstream(
    call: Call, upstream: Upstream, arm: Arm, policies: Policies, metrics: RequestMetrics
) -> Attempt | Failed:
    """Make the first attempt, and the retries that the upstream's rules and its budget allow.

    Return the attempt whose response head has come, with any status; the caller settles it.
    """
    name = upstream.settings.name
    retry = upstream.admission.retry
    call.upstream = name
    call.arm = arm
    call.results.clear()
    deadline: float | None = None
    avoid: EndpointState | None = None
    while True:
        attempt = await make_attempt(call, upstream, arm, policies, deadline, avoid)
        result = attempt.result
        metrics.count_attempt(name, result)
        call.results.append(result)
        if call.trace.notes is not None:
            call.trace.notes.add_attempt(attempt.span_id, name, attempt.url, arm, result)
        if result.cause not in retry.when or call.fault is not None:
            break
        if len(call.results) == 1:
            clocks = policies.clocks(upstream.clocks, call.plan.route, arm)
            deadline = retry.deadline(now() - result.duration_s, clocks.response_s)
        decision = _decide(call, attempt, retry, deadline)
        if not isinstance(decision, Retry):
            call.no_retry = decision
            metrics.count_retry(name, decision)
            break
        metrics.count_retry(name, "retry")
        avoid = attempt.endpoint if attempt.permit is not None else None
        attempt.settle()
        if not await _pause(call, decision.after_s) or not call.try_start_over():
            if not attempt.is_done:  # its unfinished response was dropped: there is none to pass on
                attempt.result = result.with_fault(result.fault or Fault.RESET)
            break
    fault = call.fault or attempt.result.fault
    if fault is None:
        return attempt
    attempt.settle()
    return failed_by(fault, attempt.result, attempt.retry_after_s)


def _decide(call: Call, attempt: Attempt, rules: RetryRules, deadline: float | None) -> Retry | NoRetry:
    """Decide on another attempt, which the budget then pays for."""
    return rules.decide(
        attempt.upstream.admission.budget,
        call.method,
        call.results,
        is_response_started=call.has_response,
        is_body_resendable=call.is_resendable,
        retry_after_s=retry_after(attempt),
        deadline=deadline,
        now=now(),
        draw=random,
    )


def retry_after(attempt: Attempt) -> float | None:
    """Return the seconds of the response's Retry-After, if it has one."""
    value = attempt.response.fields.get(b"retry-after") if attempt.response is not None else None
    return None if value is None else parse_retry_after(value, time.time())


async def _pause(call: Call, seconds: float) -> bool:
    """Wait before a retry; return False if the client left meanwhile."""
    timer = Timer(call.downstream.loop, call.downstream.task, seconds)
    while not timer.has_expired and call.fault is None:
        await call.downstream.task
    timer.cancel()
    return call.fault is None
