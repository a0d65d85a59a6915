"""One attempt at one upstream, up to the head of its answer: admit, connect, send, wait."""

import random

from strangler.core.admission import Permit, Refusal
from strangler.core.bulkhead import Ticket, TicketState
from strangler.core.endpoints import EndpointState
from strangler.core.fault import Fault
from strangler.core.methods import IDEMPOTENT
from strangler.core.plan import Arm
from strangler.core.result import Result
from strangler.wire.exchange import Clocks, Exchange
from strangler.wire.pool import Pool
from strangler.wire.upstream import UpstreamConnection
from strangler.worker.call import Call
from strangler.worker.heads import request_head, target_for
from strangler.worker.plane import Plane
from strangler.worker.upstreams import Upstream


class Attempt:
    """What an attempt holds until it is settled: a slot, an endpoint, an exchange."""

    __slots__ = ("_is_reported", "_plane", "endpoint", "exchange", "permit", "retry_after_s", "started", "upstream")

    def __init__(self, plane: Plane, upstream: Upstream, started: float) -> None:
        self._plane = plane
        self.upstream = upstream
        self.started = started
        self.permit: Permit | None = None
        self.endpoint: EndpointState | None = None
        self.exchange: Exchange | None = None
        self.retry_after_s: float | None = None
        """How long the upstream's own admission asks to wait, when it refused."""
        self._is_reported = False

    def report(self, result: Result, now: float) -> None:
        """Tell breaker and endpoint what came of it; the slot is kept until `settle`."""
        if self._is_reported or self.permit is None or self.endpoint is None:
            return
        self._is_reported = True
        self._plane.breaker_changed(self.permit.report(result, now, random.random))
        self._plane.endpoint_changed(self.upstream, self.upstream.endpoints.report(self.endpoint, result, now))

    def settle(self) -> None:
        """Give back all that it holds. An exchange that is not complete is dropped."""
        if self.exchange is not None and not self.exchange.is_done:
            self.exchange.drop()
        if self.endpoint is not None and not self._is_reported:
            self.upstream.endpoints.give_back(self.endpoint)
            self._is_reported = True
        if self.permit is not None:
            self.permit.release()
            self.permit = None


async def make_attempt(call: Call, plane: Plane, upstream: Upstream, arm: Arm) -> tuple[Attempt, Result]:
    """Try `upstream` once. The result is that of the response head, or a fault; a client that left has none."""
    loop_time = plane.loop.time
    attempt = Attempt(plane, upstream, loop_time())
    call.attempts += 1
    admitted = upstream.admission.admit(attempt.started)
    if isinstance(admitted, Ticket):
        admitted = await _wait_for_turn(call, plane, upstream, admitted)
    if isinstance(admitted, Refusal):
        attempt.retry_after_s = admitted.retry_after_s
        return attempt, Result(admitted.fault, None, loop_time() - attempt.started)
    attempt.permit = admitted
    plane.breaker_changed(admitted.change)
    attempt.endpoint = upstream.endpoints.pick(attempt.started, random.random)
    fault = await _exchange_heads(call, plane, attempt, arm)
    exchange = attempt.exchange
    status = exchange.answer.status if exchange is not None and exchange.answer is not None else None
    now = loop_time()
    result = Result(fault, status, now - attempt.started)
    attempt.report(result, now)
    return attempt, result


async def _exchange_heads(call: Call, plane: Plane, attempt: Attempt, arm: Arm) -> Fault | None:
    """Send the request and wait for the answer's head, on an idle connection if there is one."""
    assert attempt.endpoint is not None
    upstream = attempt.upstream
    request = call.request
    route = call.plan.route if call.plan is not None else None
    clocks = upstream.clocks
    if route is not None and arm is Arm.CANDIDATE and route.settings.timeouts is not None:
        clocks = plane.route_clocks(route)
    pool = upstream.pool(attempt.endpoint)
    may_resend = call.head.method in IDEMPOTENT
    connection = pool.take(once=not may_resend)
    is_reused = connection is not None
    while True:
        if connection is None:
            connected = await _connect(call, pool, clocks)
            if not isinstance(connected, UpstreamConnection):
                return connected
            connection = connected
        exchange = _send(call, attempt, connection, clocks, pool, arm)
        exchange.is_reused = is_reused
        while exchange.answer is None and exchange.fault is None and request.fault is None:
            await call.client.story
        if exchange.fault is not Fault.RESET or not _is_stale(exchange, may_resend=may_resend):
            break
        if request.body is not None and not request.body.rewind():
            break
        connection, is_reused = None, False  # the idle connection had been closed: once more, on a new one
    if request.fault is not None and exchange.answer is None:
        return request.fault
    return exchange.fault if exchange.answer is None else None


def _is_stale(exchange: Exchange, *, may_resend: bool) -> bool:
    """RFC 9110 section 9.2.2: an idempotent request may be sent again if its connection died without a byte."""
    return exchange.is_reused and not exchange.has_bytes and may_resend


def _send(
    call: Call, attempt: Attempt, connection: UpstreamConnection, clocks: Clocks, pool: Pool, arm: Arm
) -> Exchange:
    request = call.request
    parts = request.parts
    assert parts is not None
    client = call.client
    exchange = Exchange(client, clocks, is_head=parts.method == b"HEAD", may_upgrade=parts.has_upgrade)
    attempt.exchange = exchange
    request.exchange = exchange
    route = call.plan.route if call.plan is not None else None
    target = target_for(attempt.upstream, pool.url, route, arm, parts.target)
    head = request_head(parts, target, client.forwarded, call.trace, attempt.upstream, pool.url)
    body = request.body
    is_sent = body is None or body.is_finished
    client.deadline = client.port.loop.time() + (clocks.response_s if is_sent else clocks.idle_s)
    connection.send(exchange, head, body, chunked=body is not None and parts.is_chunked)
    return exchange


async def _connect(call: Call, pool: Pool, clocks: Clocks) -> UpstreamConnection | Fault | None:
    """A new connection, or the fault. If the client leaves meanwhile, the connection goes to the pool."""
    arrived: list[UpstreamConnection | Fault] = []
    story = call.client.story
    is_waiting = True

    def done(outcome: UpstreamConnection | Fault) -> None:
        if is_waiting:
            arrived.append(outcome)
            story.wake()
        elif isinstance(outcome, UpstreamConnection):
            pool.give_back(outcome)

    pool.connect(clocks.connect_s, done)
    while not arrived and not call.is_over:
        await story
    is_waiting = False
    if not arrived:
        return call.request.fault
    if call.is_over and isinstance(arrived[0], UpstreamConnection):
        pool.give_back(arrived[0])
        return call.request.fault
    return arrived[0]


async def _wait_for_turn(call: Call, plane: Plane, upstream: Upstream, ticket: Ticket) -> Permit | Refusal:
    """Wait in the bulkhead's queue, for as long as its `wait` allows and the client stays."""
    admission = upstream.admission
    story = call.client.story
    deadline = plane.loop.time() + admission.wait_s
    ticket.on_turn = story.wake
    timer = plane.loop.call_at(deadline, story.wake)
    while ticket.state is TicketState.WAITING and not call.is_over and plane.loop.time() < deadline:
        await story
    timer.cancel()
    if ticket.state is TicketState.GRANTED and not call.is_over:
        return admission.resume(ticket, plane.loop.time())
    admission.give_up(ticket)
    return Refusal(call.request.fault or Fault.FULL, max(1.0, admission.wait_s))
