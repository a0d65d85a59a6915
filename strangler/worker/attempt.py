"""One attempt at one upstream, up to the head of its answer: admit, connect, send, wait."""

import random

from strangler.core.admission import Permit, Refusal
from strangler.core.bulkhead import Ticket, TicketState
from strangler.core.endpoints import EndpointState
from strangler.core.fault import Fault
from strangler.core.methods import IDEMPOTENT
from strangler.core.plan import Arm
from strangler.core.result import Result
from strangler.wire.exchange import Exchange
from strangler.wire.pool import Pool
from strangler.wire.upstream import UpstreamConnection
from strangler.worker.call import Call
from strangler.worker.heads import request_head, target_for
from strangler.worker.plane import Plane
from strangler.worker.upstreams import Upstream


class Attempt(Exchange):
    """An exchange, and what it holds until it is settled: a slot in the bulkhead and a place at an endpoint."""

    __slots__ = ("_is_reported", "_plane", "endpoint", "permit", "retry_after_s", "started", "upstream")

    endpoint: EndpointState

    def __init__(self, call: Call, plane: Plane, upstream: Upstream, started: float) -> None:
        request = call.request
        super().__init__(call.client, is_head=request.method == b"HEAD", may_upgrade=request.section.has_upgrade)
        self._plane = plane
        self.upstream = upstream
        self.started = started
        self.permit: Permit | None = None
        self.retry_after_s: float | None = None
        """How long the upstream's own admission asks to wait, when it refused."""
        self._is_reported = False

    def begin(self, permit: Permit) -> None:
        """Admitted: choose an endpoint."""
        self.permit = permit
        if permit.change is not None:
            self._plane.breaker_changed(permit.change)
        self.endpoint = self.upstream.endpoints.pick(self.started, random.random)

    def restart(self) -> None:
        """As new, for another connection."""
        self.fault = None
        self.has_bytes = False

    def report(self, result: Result, now: float) -> None:
        """Tell breaker and endpoint what came of it; the slot is kept until `settle`."""
        if self.permit is None:
            return
        self._is_reported = True
        change = self.permit.report(result, now, random.random)
        if change is not None:
            self._plane.breaker_changed(change)
        moved = self.upstream.endpoints.report(self.endpoint, result, now)
        if moved is not None:
            self._plane.endpoint_changed(self.upstream, moved)

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


async def make_attempt(call: Call, plane: Plane, upstream: Upstream, arm: Arm) -> tuple[Attempt, Result]:
    """Try `upstream` once. The result is that of the response head, or a fault."""
    now = plane.loop.time()
    request, story = call.request, call.client.story
    attempt = Attempt(call, plane, upstream, now)
    call.attempts += 1
    admitted = upstream.admission.admit(now)
    if isinstance(admitted, Ticket):
        admitted = await _wait_for_turn(call, plane, upstream, admitted)
    if isinstance(admitted, Refusal):
        attempt.retry_after_s = admitted.retry_after_s
        return attempt, Result(admitted.fault, None, plane.loop.time() - now)
    attempt.begin(admitted)
    pool = upstream.pool(attempt.endpoint)
    connection = pool.take(once=request.method not in IDEMPOTENT)
    fault: Fault | None = None
    if connection is not None:
        _send(call, plane, attempt, connection, pool, arm)
        while attempt.answer is None and attempt.fault is None and request.fault is None:
            await story
    if connection is None or _is_stale(call, attempt):
        attempt.restart()
        connected = await _connect(call, plane, attempt, pool, arm)
        if isinstance(connected, UpstreamConnection):
            _send(call, plane, attempt, connected, pool, arm)
            while attempt.answer is None and attempt.fault is None and request.fault is None:
                await story
        else:
            fault = connected
    answer = attempt.answer
    if answer is None:
        fault = fault or request.fault or attempt.fault
    now = plane.loop.time()
    result = Result(fault, None if answer is None else answer.status, now - attempt.started)
    attempt.report(result, now)
    return attempt, result


def _is_stale(call: Call, attempt: Attempt) -> bool:
    """The idle connection had been closed, and the request may go onto another one (RFC 9110 section 9.2.2)."""
    request = call.request
    if attempt.fault is not Fault.RESET or attempt.has_bytes or request.method not in IDEMPOTENT:
        return False
    return request.body is None or request.body.rewind()


def _send(call: Call, plane: Plane, attempt: Attempt, connection: UpstreamConnection, pool: Pool, arm: Arm) -> None:
    request, client = call.request, call.client
    route = call.plan.route if call.plan is not None else None
    clocks = plane.clocks(attempt.upstream, route, arm)
    attempt.clocks = clocks
    request.exchange = attempt
    target = target_for(pool.url, route, arm, request.target)
    head = request_head(request, target, client.forwarded, call.trace, attempt.upstream, pool.url)
    body = request.body
    is_sent = body is None or body.is_finished
    client.deadline = plane.loop.time() + (clocks.response_s if is_sent else clocks.idle_s)
    connection.send(attempt, head, body, chunked=request.section.is_chunked)


async def _connect(
    call: Call, plane: Plane, attempt: Attempt, pool: Pool, arm: Arm
) -> UpstreamConnection | Fault | None:
    """A new connection, or the fault. If the client leaves meanwhile, the connection goes to the pool."""
    arrived: list[UpstreamConnection | Fault] = []
    request, story = call.request, call.client.story
    is_waiting = True

    def done(outcome: UpstreamConnection | Fault) -> None:
        if is_waiting:
            arrived.append(outcome)
            story.wake()
        elif isinstance(outcome, UpstreamConnection):
            pool.give_back(outcome)

    route = call.plan.route if call.plan is not None else None
    pool.connect(plane.clocks(attempt.upstream, route, arm).connect_s, done)
    while not arrived and request.fault is None:
        await story
    is_waiting = False
    if request.fault is None:
        return arrived[0]
    if arrived and isinstance(arrived[0], UpstreamConnection):
        pool.give_back(arrived[0])
    return request.fault


async def _wait_for_turn(call: Call, plane: Plane, upstream: Upstream, ticket: Ticket) -> Permit | Refusal:
    """Wait in the bulkhead's queue, for as long as its `wait` allows and the client stays."""
    admission = upstream.admission
    request, story = call.request, call.client.story
    deadline = plane.loop.time() + admission.wait_s
    ticket.on_turn = story.wake
    timer = plane.loop.call_at(deadline, story.wake)
    while ticket.state is TicketState.WAITING and request.fault is None and plane.loop.time() < deadline:
        await story
    timer.cancel()
    if ticket.state is TicketState.GRANTED and request.fault is None:
        return admission.resume(ticket, plane.loop.time())
    admission.give_up(ticket)
    return Refusal(request.fault or Fault.FULL, max(1.0, admission.wait_s))
