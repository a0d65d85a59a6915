"""The story of one request, told top to bottom.

    client ──head──▶ plan ──▶ admit ──▶ send ──▶ wait for the answer's head
                                ▲                   │
                                └── retry, fallback ┤ nothing has reached the client yet
                                                    ▼
    client ◀── head and body, or a problem ──── pass on ──▶ record

What each step decides lives in `strangler.core`; what moves the bytes lives in `strangler.wire`.
"""

from random import random

from strangler.core.aggregate import Joined
from strangler.core.fault import Fault
from strangler.core.framing import Kind
from strangler.core.plan import AGGREGATE, CANDIDATE_ARM, LEGACY, LEGACY_ARM, UNPLANNED
from strangler.core.problem import Problem, fill_page, problem_of, render, wants_page
from strangler.core.result import Result
from strangler.wire.client_connection import ClientConnection
from strangler.wire.clock import now
from strangler.wire.tunnel import Tunnel
from strangler.worker.aggregate import ask_parts
from strangler.worker.attempt import Attempt
from strangler.worker.call import Call
from strangler.worker.heads import Locations, answer_head, joined_head, switch_head
from strangler.worker.plane import Plane
from strangler.worker.retries import rewind, try_upstream


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
    name, arm = plan.upstream, plan.arm
    if name == AGGREGATE:
        if await _is_answered_in_parts(call, plane):
            return
        name, arm = LEGACY, LEGACY_ARM
    attempt = await try_upstream(call, plane, name, arm)
    try:
        if arm is CANDIDATE_ARM and _may_fall_back(call, plane, attempt.result):
            attempt.settle()
            plane.fell_back(call, attempt.result)
            if call.capture is not None:
                call.capture.failed = attempt.result
            attempt = await try_upstream(call, plane, LEGACY, LEGACY_ARM)
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


async def _is_answered_in_parts(call: Call, plane: Plane) -> bool:
    """Several services answer together. False: legacy is to answer in their place."""
    whole = await ask_parts(call, plane)
    if isinstance(whole, Joined):
        _write_joined(call, plane, whole)
        return True
    if whole is None:
        assert call.fault is not None
        _fail(call, plane, call.fault, None)
        return True
    call.results.append(whole.result)
    if _may_fall_back(call, plane, whole.result):
        plane.fell_back(call, whole.result)
        if call.capture is not None:
            call.capture.failed = whole.result
        return False
    _refuse(call, plane, whole.problem, keep=True)
    if call.capture is not None:
        call.capture.tell_failed(call, whole.result)
    return True


def _write_joined(call: Call, plane: Plane, whole: Joined) -> None:
    client, section = call.client, call.section
    call.status = 200
    is_read = call.body is None or call.body.is_finished
    keep = section.keep_alive and is_read and not client.port.is_draining
    arm = call.arm if plane.exposes_arm else None
    head = joined_head(whole, arm, plane.http_date(), is_http10=section.is_http10, keep=keep)
    body = b"" if call.method == b"HEAD" else whole.body
    client.begin_answer(head + body, None, chunked=False)
    call.sent_bytes = len(body)
    client.end_request(keep=keep)
    if call.capture is not None:
        call.capture.tell_joined(call, whole, now() - call.started)


def _may_fall_back(call: Call, plane: Plane, result: Result) -> bool:
    rules = plane.fallback_rules(call)
    if result.cause not in rules.when or call.fault is not None:
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
    return rewind(call)


async def _pass_on(call: Call, plane: Plane, attempt: Attempt) -> None:
    """The answer goes to the client as it comes; what is cut short there is cut short here."""
    client, answer, body = call.client, attempt.answer, attempt.body
    assert answer is not None
    call.status = answer.status
    if call.arm == CANDIDATE_ARM or plane.has_fences:
        plane.answered(call, attempt.result, answer)
    if (body is not None or answer.status == 101) and not attempt.try_go_on():
        _refuse(call, plane, problem_of(Fault.FULL, 1.0), keep=False)
        return
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
    client.end_short(is_framed=is_sized or chunked)


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
    page = None
    if wants_page(refusal, call.fields.get(b"accept")):
        page = fill_page(call.snapshot.settings.errors.html, refusal, request_id)
    date = plane.http_date()
    client.write_problem(render(refusal, request_id, date, close=not keep, bodyless=is_head, page=page))
    client.end_request(keep=keep)


def _locations(call: Call, attempt: Attempt) -> Locations | None:
    """How to rewrite Location and Content-Location; None where the upstream sees the client's own paths."""
    route = call.plan.route
    if route is None or not route.is_moved or call.arm != CANDIDATE_ARM:
        return None
    return Locations(route, attempt.endpoint.key.url, call.path, call.host_value)
