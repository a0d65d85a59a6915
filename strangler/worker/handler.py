# Compiled with mypyc: see docs/hot-path.md.
"""One request, top to bottom.

    client ──head──▶ plan ──▶ try the arm: admit, send, wait for the response's head
                                ▲                   │
                                └── retry, fallback ┤ nothing has reached the client yet
                                                    ▼
    client ◀── head and body, or a problem ──── deliver ──▶ telemetry

The decisions of each step are made in `strangler.core`; the bytes are moved by `strangler.http1`.
"""

from random import random

from strangler.clock import now, unix_now
from strangler.core.resilience.fallback import NoFallback
from strangler.core.routing.arm import CANDIDATE_ARM, LEGACY_ARM
from strangler.core.routing.plan import UNPLANNED
from strangler.http1.client_connection import ClientConnection
from strangler.worker.arms import Outcome, try_arm
from strangler.worker.begin_capture import begin_capture
from strangler.worker.call import Call
from strangler.worker.context import WorkerContext
from strangler.worker.deliver import deliver, refuse
from strangler.worker.policies import Policies
from strangler.worker.request_metrics import RequestMetrics


async def serve(client: ClientConnection, context: WorkerContext) -> None:
    """Serve one client connection: request after request, until one side is done."""
    while (call := await client.next_request()) is not None:
        assert isinstance(call, Call)
        call.begin(client, context.policies.snapshot, UNPLANNED, now())
        try:
            await _respond(call, context)
        finally:
            call.capture.abandon()
            context.telemetry.record(call)


async def _respond(call: Call, context: WorkerContext) -> None:
    policies = context.policies
    # 1. Decide which arm serves the request, and why; or why it is refused.
    refusal = call.refusal
    if refusal is None:
        call.plan = plan = call.snapshot.plan(call, random, policies.is_killed, unix_now, policies.killed_routes)
        call.arm = plan.arm
        refusal = plan.refusal
        if plan.shadow or context.captures.recorder is not None:
            is_from_trusted = call.client.forwarded.is_trusted
            call.capture = begin_capture(context.captures, plan, call, is_from_trusted=is_from_trusted)
    if refusal is not None:
        is_sound = call.plan.route is not None  # it was read, and its path has one meaning
        if is_sound:
            call.arm = ""  # neither is asked
        refuse(call, refusal, keep=is_sound)
        return
    # 2. Try that arm; if it fails, try legacy, if that is safe.
    outcome = await try_arm(call, plan.arm, context)
    try:
        if _is_fallback_listed(call, outcome, policies):
            why = policies.why_no_fallback(call)
            if why is not None:
                _withhold_fallback(call, why, context.metrics)
            elif call.try_start_over():
                outcome.settle()
                _note_fallback(call, outcome, context.metrics)
                outcome = await try_arm(call, LEGACY_ARM, context)
        # 3. Deliver the outcome.
        await deliver(call, outcome, policies, context.telemetry)
    finally:
        outcome.settle()


def _is_fallback_listed(call: Call, outcome: Outcome, policies: Policies) -> bool:
    """Return True if the candidate has failed in a way that `fallback.when` of the route lists."""
    if call.plan.arm is not CANDIDATE_ARM or call.fault is not None:
        return False
    return outcome.result.cause in policies.fallback_rules(call.plan.route).when


def _withhold_fallback(call: Call, why: NoFallback, metrics: RequestMetrics) -> None:
    call.no_fallback = why
    metrics.count_withheld_fallback(call, why)


def _note_fallback(call: Call, outcome: Outcome, metrics: RequestMetrics) -> None:
    call.is_fallback = True
    call.capture.note_failure(outcome.result)
    metrics.count_fallback(call, outcome.result)
