# Compiled with mypyc: see docs/hot-path.md.
"""The last step of a request: its client gets a response as it comes, a whole response, or a problem."""

from strangler.clock import now
from strangler.core.fault import Fault
from strangler.core.http.framing import Kind
from strangler.core.http.methods import SAFE
from strangler.core.http.problem import Problem, fill_page, problem_of, render, wants_page
from strangler.core.routing.arm import CANDIDATE_ARM
from strangler.core.routing.retirement import Retirement
from strangler.core.routing.route import Route
from strangler.http1.http_date import http_date
from strangler.http1.tunnel import Tunnel
from strangler.worker.arms import Outcome
from strangler.worker.attempt import Attempt
from strangler.worker.call import Call
from strangler.worker.captured import finish_failed, finish_joined, finish_streamed
from strangler.worker.heads import Locations, joined_head, response_head, switch_head
from strangler.worker.outcome import Failed, JoinedResponse
from strangler.worker.policies import Policies
from strangler.worker.telemetry import Telemetry


async def deliver(call: Call, outcome: Outcome, policies: Policies, telemetry: Telemetry) -> None:
    """Give the client the outcome. A response that the upstream cuts short is cut short for the client too."""
    if not isinstance(outcome, Attempt):
        _write_whole(call, outcome, policies)
        return
    client, response, body = call.client, outcome.response, outcome.body
    assert response is not None
    call.status = response.status
    if call.method not in SAFE or policies.fences.has_marks:
        policies.note_response(call, outcome.result, response)
    if (body is not None or response.status == 101) and not outcome.try_go_on():
        refuse(call, problem_of(Fault.FULL, 1.0), keep=False)
        return
    call.capture.watch(response, outcome.payload, body)
    arm = call.arm if policies.exposes_arm else None
    route = call.plan.route
    retirement = None if route is None else route.retirement
    if response.status == 101:
        await _tunnel(call, outcome, switch_head(response, arm, retirement), telemetry)
        return
    is_sized = body is None or response.framing.kind is Kind.LENGTH
    is_http10 = call.request_headers.is_http10
    chunked = not is_sized and not is_http10
    keep = (is_sized or chunked) and keeps_alive(call)
    if call.body is not None:
        call.body.release()
    locations = None if route is None or not route.is_moved else _locations(call, outcome, route)
    head = response_head(response, arm, locations, retirement, chunked=chunked, is_http10=is_http10, keep=keep)
    client.begin_response(head + outcome.payload, body, chunked=chunked)
    if body is not None and response.is_stream:
        telemetry.note_endless(call)
    while not outcome.is_done and outcome.fault is None and call.fault is None:
        await client.task
    call.sent_bytes = len(outcome.payload) if body is None else body.received_bytes
    if outcome.is_done and call.fault is None:
        client.end_request(keep=keep)
        finish_streamed(call, outcome)
        return
    call.end = call.fault or outcome.fault
    client.end_short(is_framed=is_sized or chunked)


def keeps_alive(call: Call) -> bool:
    """Return True if the connection may serve another request: the client wants it, has sent this one, no drain."""
    is_read = call.body is None or call.body.is_finished  # else the response has overtaken its upload
    return is_read and call.request_headers.keep_alive and not call.client.server.is_draining


def refuse(call: Call, problem: Problem, *, keep: bool) -> None:
    """Respond with a problem. `keep`: it is certain where the client's request ends."""
    client = call.client
    call.status = problem.status
    call.end = problem.fault
    if call.fault is Fault.CLIENT_GONE:
        call.end = Fault.CLIENT_GONE
        client.cut()
        return
    keep = keep and keeps_alive(call)
    request_id = call.trace.request_id.decode("latin-1")
    page = None
    if wants_page(problem, call.fields.get(b"accept")):
        page = fill_page(call.snapshot.settings.errors.html, problem, request_id)
    is_head = call.method == b"HEAD"
    more = problem.lines
    if more is None:
        more = _announcement(call)
    response = render(problem, request_id, http_date(), close=not keep, bodyless=is_head, page=page, more=more)
    client.write_problem(response)
    client.end_request(keep=keep)


def _announcement(call: Call) -> bytes:
    """Return the lines that all responses of the route have; none for a route that stays."""
    retirement = _retirement(call)
    return b"" if retirement is None else retirement.announcement


def _retirement(call: Call) -> Retirement | None:
    route = call.plan.route
    return None if route is None else route.retirement


def _write_whole(call: Call, outcome: JoinedResponse | Failed, policies: Policies) -> None:
    if isinstance(outcome, JoinedResponse):
        _write_joined(call, outcome, policies)
    else:
        _write_failure(call, outcome)


def _write_failure(call: Call, failed: Failed) -> None:
    if failed.problem is None:
        call.end = failed.fault
        call.client.cut()
    else:
        refuse(call, failed.problem, keep=failed.is_framing_sound)
    if call.fault is None:
        finish_failed(call, failed.result)


def _write_joined(call: Call, response: JoinedResponse, policies: Policies) -> None:
    client, joined, is_http10 = call.client, response.joined, call.request_headers.is_http10
    call.status = 200
    keep = keeps_alive(call)
    arm = call.arm if policies.exposes_arm else None
    head = joined_head(joined, arm, _retirement(call), is_http10=is_http10, keep=keep)
    body = b"" if call.method == b"HEAD" else joined.body
    client.begin_response(head + body, None, chunked=False)
    call.sent_bytes = len(body)
    client.end_request(keep=keep)
    finish_joined(call, joined, now() - call.started)


def _locations(call: Call, attempt: Attempt, route: Route) -> Locations | None:
    """Return how to rewrite Location and Content-Location; None for legacy, which sees the client's own paths."""
    if call.arm != CANDIDATE_ARM:
        return None
    return Locations(route, attempt.endpoint.key.url, call.path, call.host_value)


async def _tunnel(call: Call, attempt: Attempt, head: bytes, telemetry: Telemetry) -> None:
    """Join the two sides after a 101, until the tunnel ends."""
    client, connection = call.client, attempt.connection
    if connection is None or client.is_closed:
        call.end = call.fault or attempt.fault or Fault.RESET
        client.cut()
        return
    attempt.is_done = True
    is_websocket = call.fields[b"upgrade"].lower() == b"websocket"
    tunnel = Tunnel(client, connection, is_websocket=is_websocket)
    client.start_tunnel(head, tunnel)
    telemetry.note_endless(call)
    while not tunnel.is_over:
        await client.task
    call.sent_bytes = tunnel.sent_bytes
    client.end_tunnel()
    finish_streamed(call, attempt)
