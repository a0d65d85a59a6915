"""One attempt at one upstream, up to the head of its answer: admit, connect, send, wait."""

from random import random

from strangler.core.admission import Permit, Refusal
from strangler.core.bulkhead import Ticket, TicketState
from strangler.core.endpoints import EndpointState
from strangler.core.fault import Fault
from strangler.core.methods import IDEMPOTENT
from strangler.core.plan import Arm
from strangler.core.result import Result
from strangler.core.routes import Route
from strangler.wire.clock import now
from strangler.wire.exchange import Exchange
from strangler.wire.pool import Pool
from strangler.wire.story import Alarm
from strangler.wire.upstream import UpstreamConnection
from strangler.worker.call import Call
from strangler.worker.heads import request_head, target_for
from strangler.worker.plane import Plane
from strangler.worker.upstreams import Upstream


class Attempt(Exchange):
    """An exchange, and what it holds until it is settled: a slot in the bulkhead and a place at an endpoint."""

    __slots__ = ("_is_reported", "endpoint", "permit", "result", "retry_after_s", "upstream")

    endpoint: EndpointState
    result: Result
    """What it came to at the answer's head."""

    def __init__(self, call: Call, upstream: Upstream) -> None:
        self.begin(call.client, is_head=call.method == b"HEAD", may_upgrade=call.section.has_upgrade)
        self.upstream = upstream
        self.permit: Permit | None = None
        self.retry_after_s: float | None = None
        """How long the upstream's own admission asks to wait, when it refused."""
        self._is_reported = False

    def report(self, plane: Plane, result: Result, at: float) -> None:
        """Tell breaker and endpoint what came of it; the slot is kept until `settle`."""
        self.result = result
        if self.permit is None:
            return
        self._is_reported = True
        change = self.permit.report(result, at, random)
        if change is not None:
            plane.breaker_changed(change)
        moved = self.upstream.endpoints.report(self.endpoint, result, at)
        if moved is not None:
            plane.endpoint_changed(self.upstream, moved)

    def settle(self) -> None:
        """Give back all that it holds. An exchange that is not complete is dropped."""
        if not self.is_done:
            self.drop()
        if self.permit is None:
            return
        if not self._is_reported:
            self.upstream.endpoints.give_back(self.endpoint)
        self.permit.release()
        self.permit = None


async def make_attempt(call: Call, plane: Plane, upstream: Upstream, arm: Arm) -> Attempt:
    """Try `upstream` once. Its result is that of the response head, or a fault."""
    started = now()
    attempt = Attempt(call, upstream)
    call.attempts += 1
    admitted = upstream.admission.admit(started)
    if isinstance(admitted, Ticket):
        admitted = await _wait_for_turn(call, upstream, admitted)
    if isinstance(admitted, Refusal):
        attempt.retry_after_s = admitted.retry_after_s
        attempt.result = Result(admitted.fault, None, now() - started)
        return attempt
    attempt.permit = admitted
    if admitted.change is not None:
        plane.breaker_changed(admitted.change)
    attempt.endpoint = upstream.endpoints.pick(started, random)
    try:
        fault = await _exchange_heads(call, plane, attempt, arm)
    except BaseException:
        attempt.settle()
        raise
    at = now()
    answer = attempt.answer
    attempt.report(plane, Result(fault, None if answer is None else answer.status, at - started), at)
    return attempt


async def _exchange_heads(call: Call, plane: Plane, attempt: Attempt, arm: Arm) -> Fault | None:
    """Send the request, on an idle connection if there is one, and wait for the answer's head."""
    story = call.client.story
    route = call.plan.route
    attempt.clocks = plane.clocks(attempt.upstream, route, arm)
    pool = attempt.upstream.pool(attempt.endpoint)
    connection = pool.take(once=call.method not in IDEMPOTENT)
    was_sent = False
    while True:
        is_new = connection is None
        if connection is None:
            connected = await _connect(call, attempt, pool)
            if isinstance(connected, Fault):
                # what was sent before may have run: that now nobody listens is no proof that nothing was sent
                return Fault.RESET if was_sent and connected is Fault.CONNECT else connected
            connection = connected
        _send(call, attempt, connection, pool, route, arm)
        while attempt.answer is None and attempt.fault is None and call.fault is None:
            await story
        if attempt.answer is not None:
            return None
        if is_new or not _is_stale(call, attempt):
            return call.fault or attempt.fault
        connection = None  # it had been closed while it was idle: once more, on a new one
        was_sent = True


def _is_stale(call: Call, attempt: Attempt) -> bool:
    """RFC 9110 section 9.2.2: an idempotent request may be sent again if its connection died without a byte."""
    if attempt.fault is not Fault.RESET or attempt.has_bytes or call.method not in IDEMPOTENT:
        return False
    return call.body is None or call.body.rewind()


def _send(
    call: Call, attempt: Attempt, connection: UpstreamConnection, pool: Pool, route: Route | None, arm: Arm
) -> None:
    clocks = attempt.clocks
    attempt.fault = None
    call.exchange = attempt
    target = target_for(pool.url, route, arm, call.target)
    head = request_head(call, target, call.client.forwarded, call.trace, attempt.upstream, pool.url)
    body = call.body
    is_sent = body is None or body.is_finished
    call.client.deadline = now() + (clocks.response_s if is_sent else clocks.idle_s)
    connection.send(attempt, head, body, chunked=call.section.is_chunked)


async def _connect(call: Call, attempt: Attempt, pool: Pool) -> UpstreamConnection | Fault:
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

    pool.connect(attempt.clocks.connect_s, done)
    while not arrived and call.fault is None:
        await story
    is_waiting = False
    if call.fault is None:
        return arrived[0]
    if arrived and isinstance(arrived[0], UpstreamConnection):
        pool.give_back(arrived[0])
    return call.fault


async def _wait_for_turn(call: Call, upstream: Upstream, ticket: Ticket) -> Permit | Refusal:
    """Wait in the bulkhead's queue, for as long as its `wait` allows and the client stays."""
    admission = upstream.admission
    story = call.client.story
    loop = call.client.port.loop
    ticket.on_turn = lambda: loop.call_soon(story.wake)  # not at once: who is refused hands it on to the next
    alarm = Alarm(loop, story, admission.wait_s)
    while ticket.state is TicketState.WAITING and call.fault is None and not alarm.has_rung:
        await story
    alarm.cancel()
    if ticket.state is TicketState.GRANTED and call.fault is None:
        return admission.resume(ticket, now())
    admission.give_up(ticket)
    return Refusal(call.fault or Fault.FULL, max(1.0, admission.wait_s))
