# Compiled with mypyc: see docs/hot-path.md.
"""The attempts at one arm of a route, whether one upstream serves it or several together."""

from collections.abc import Awaitable

from strangler.core.routing.arm import LEGACY, LEGACY_ARM, Arm
from strangler.worker.aggregate import try_parts
from strangler.worker.attempt import Attempt
from strangler.worker.call import Call
from strangler.worker.context import WorkerContext
from strangler.worker.outcome import Failed, JoinedResponse
from strangler.worker.retries import try_upstream

Outcome = Attempt | JoinedResponse | Failed
"""The outcome of trying an arm: a response whose head has come and whose body may follow, a whole response, or none.
The caller settles it."""


def try_arm(call: Call, arm: Arm, context: WorkerContext) -> Awaitable[Outcome]:
    """Try what serves the arm, up to the head of a response. This is no coroutine: that would cost 0.3 µs."""
    plan = call.plan
    if arm is LEGACY_ARM:
        name = LEGACY
    elif plan.parts:
        return try_parts(call, context)
    else:
        name = plan.upstream
    return try_upstream(call, context.upstreams[name], arm, context.policies, context.metrics)
