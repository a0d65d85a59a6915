"""The story of one request, told top to bottom.

    client ──head──▶ plan ──▶ admit ──▶ send ──▶ wait for the answer's head
                                ▲                   │
                                └── retry, fallback ┤ nothing has reached the client yet
                                                    ▼
    client ◀── head and body, or a problem ──── pass on ──▶ record

What each step decides lives in `strangler.core`; what moves the bytes lives in `strangler.wire`.
"""

from random import random

from strangler.core.endpoints import EndpointState
from strangler.core.fault import Fault
from strangler.core.framing import Kind
from strangler.core.plan import LEGACY, UNPLANNED, Arm
from strangler.core.problem import Problem, problem_of, render
from strangler.core.retry import Retry, parse_retry_after
from strangler.wire.client import ClientConnection
from strangler.wire.clock import now
from strangler.wire.story import Alarm
from strangler.wire.tunnel import Tunnel
from strangler.worker.attempt import Attempt, make_attempt
from strangler.worker.call import Call
from strangler.worker.heads import Locations, answer_head, switch_head
from strangler.worker.plane import Plane


async def serve(client: ClientConnection, plane: Plane) -> None:
    """One client connection: request after request, until one side is done."""
    while (call := await client.next_request()) is not None:
        assert isinstance(call, Call)
        call.begin(client, plane.snapshot, UNPLANNED, now())
        try:
            await _answer(call, plane)
        finally:
            plane.record(call)


async def _answer(call: Call, plane: Plane) -> None:
    # 1. Decide which arm serves the request, and why; or why it is refused.
    refusal = call.refusal
    if refusal is None:
        call.plan = plan = call.snapshot.plan(call, random, plane.is_killed)
        call.arm = plan.arm
        refusal = plan.refusal
        if plan.shadow:
            call.capture = plane.captures.begin(call)
    if refusal is not None:
        _refuse(call, plane, refusal, keep=False)
        return
    # 2. Try that arm; legacy instead, if that failed and it is safe.
    attempt = await _try_upstream(call, plane, plan.upstream, plan.arm)
    try:
        if plan.arm is Arm.CANDIDATE and _may_fall_back(call, plane, attempt):
            attempt.settle()
            plane.fell_back(call, attempt.result)
            if call.capture is not None:
                call.capture.failed = attempt.result
            attempt = await _try_upstream(call, plane, LEGACY, Arm.LEGACY)
        # 3. Pass on what came of it.
        fault = call.fault or attempt.result.fault
        if fault is None:
            await _pass_on(call, plane, attempt)
        else:
            _fail(call, plane, fault, attempt.retry_after_s)
            if call.capture is not None and call.fault is None:
                call.capture.tell_failed(call, attempt.result)
    finally:
        attempt.settle()


async def _try_upstream(call: Call, plane: Plane, name: str, arm: Arm) -> Attempt:
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
            retry_after_s=_retry_after(attempt, plane),
            deadline=deadline,
            now=now(),
            draw=random,
        )
        if not isinstance(decision, Retry):
            plane.retry_decided(upstream, decision)
            return attempt
        plane.retry_decided(upstream, "retry")
        avoid = attempt.endpoint if attempt.permit is not None else None
        attempt.settle()
        if not await _pause(call, decision.after_s) or not _rewind(call):
            if not attempt.is_done:  # its answer was dropped on the way: there is none to pass on
                attempt.result = result._replace(fault=result.fault or Fault.RESET)
            return attempt


def _may_fall_back(call: Call, plane: Plane, attempt: Attempt) -> bool:
    rules = plane.fallback_rules(call)
    if attempt.result.cause not in rules.when or call.fault is not None:
        return False
    call.no_fallback = rules.why_not(
        call.method,
        call.results,
        is_answer_started=call.is_answered,
        is_body_resendable=call.is_resendable,
        is_fenced=plane.is_fenced(call),
    )
    if call.no_fallback is not None:
        plane.fallback_withheld(call, call.no_fallback)
        return False
    return _rewind(call)


async def _pass_on(call: Call, plane: Plane, attempt: Attempt) -> None:
    """The answer goes to the client as it comes; what is cut short there is cut short here."""
    client, answer, body = call.client, attempt.answer, attempt.body
    assert answer is not None
    call.status = answer.status
    if call.arm == Arm.CANDIDATE:
        plane.answered(call, attempt.result)
    if call.capture is not None:
        call.capture.watch(answer, attempt.payload, body)
    arm = call.arm if plane.exposes_arm else None
    if answer.status == 101:
        await _tunnel(call, attempt, switch_head(answer, arm))
        return
    section = call.section
    is_sized = body is None or answer.framing.kind is Kind.LENGTH
    chunked = not is_sized and not section.is_http10
    is_read = call.body is None or call.body.is_finished  # else the answer has overtaken its upload
    keep = section.keep_alive and is_read and (is_sized or chunked) and not client.port.is_draining
    if call.body is not None:
        call.body.release()
    locations = _locations(call, attempt)
    head = answer_head(answer, arm, locations, chunked=chunked, is_http10=section.is_http10, keep=keep)
    client.begin_answer(head + attempt.payload, body, chunked=chunked)
    while not attempt.is_done and attempt.fault is None and call.fault is None:
        await client.story
    call.sent_bytes = len(attempt.payload) if body is None else body.received_bytes
    if attempt.is_done and call.fault is None:
        client.end_request(keep=keep)
        if call.capture is not None:
            call.capture.tell(call, attempt)
        return
    call.end = call.fault or attempt.fault
    client.cut()


async def _tunnel(call: Call, attempt: Attempt, head: bytes) -> None:
    """After a 101 the two sides talk to each other, for as long as they like."""
    client, connection = call.client, attempt.connection
    if connection is None or client.is_closed:
        call.end = call.fault or attempt.fault or Fault.RESET
        client.cut()
        return
    attempt.is_done = True
    is_websocket = call.fields[b"upgrade"].lower() == b"websocket"
    tunnel = Tunnel(client, connection, is_websocket=is_websocket)
    client.start_tunnel(head, tunnel)
    while not tunnel.is_over:
        await client.story
    call.sent_bytes = tunnel.sent_bytes
    client.end_tunnel()
    if call.capture is not None:
        call.capture.tell(call, attempt)


def _fail(call: Call, plane: Plane, fault: Fault, retry_after_s: float | None) -> None:
    """No answer came that could be passed on."""
    if fault is Fault.CLIENT_GONE:
        call.end = fault
        call.client.cut()
    else:
        _refuse(call, plane, problem_of(fault, retry_after_s), keep=fault.is_upstream or fault.is_unsent)


def _refuse(call: Call, plane: Plane, refusal: Problem, *, keep: bool) -> None:
    """Answer with a problem of our own. `keep`: the connection's framing is not in doubt."""
    client = call.client
    call.refused(refusal)
    if call.fault is Fault.CLIENT_GONE:
        call.end = Fault.CLIENT_GONE
        client.cut()
        return
    is_read = call.body is None or call.body.is_finished
    keep = keep and call.section.keep_alive and is_read and not client.port.is_draining
    request_id = call.trace.request_id.decode("latin-1")
    is_head = call.method == b"HEAD"
    client.write_problem(render(refusal, request_id, plane.http_date(), close=not keep, bodyless=is_head))
    client.end_request(keep=keep)


async def _pause(call: Call, seconds: float) -> bool:
    """Wait before a retry; False if the client left meanwhile."""
    alarm = Alarm(call.client.port.loop, call.client.story, seconds)
    while not alarm.has_rung and call.fault is None:
        await call.client.story
    alarm.cancel()
    return call.fault is None


def _rewind(call: Call) -> bool:
    """Make ready to be sent once more."""
    call.exchange = None
    return call.body is None or call.body.rewind()


def _retry_after(attempt: Attempt, plane: Plane) -> float | None:
    value = attempt.answer.fields.get(b"retry-after") if attempt.answer is not None else None
    return None if value is None else parse_retry_after(value, plane.unix_time())


def _locations(call: Call, attempt: Attempt) -> Locations | None:
    """How to rewrite Location and Content-Location; None where the upstream sees the client's own paths."""
    route = call.plan.route
    if route is None or not route.is_moved or call.arm != Arm.CANDIDATE:
        return None
    return Locations(route, attempt.endpoint.key.url, call.path, call.host_value)
