# Compiled with mypyc: see docs/hot-path.md.
"""One attempt at one upstream, up to the head of its response: admit, connect, send, wait."""

from random import random

from strangler.clock import now
from strangler.core.fault import Fault
from strangler.core.http.framing import Kind
from strangler.core.http.methods import IDEMPOTENT
from strangler.core.resilience.admission import Permit, Refusal
from strangler.core.resilience.breaker import CLOSED
from strangler.core.resilience.bulkhead import Ticket, TicketState
from strangler.core.resilience.endpoints import EndpointState
from strangler.core.result import Result
from strangler.core.routing.arm import CANDIDATE_ARM, Arm
from strangler.core.routing.rewrite import Rewrite
from strangler.core.settings import Url
from strangler.http1.callback_task import Timer
from strangler.http1.exchange import Exchange
from strangler.http1.pool import Pool
from strangler.http1.upstream_connection import UpstreamConnection
from strangler.worker.call import Call
from strangler.worker.policies import Policies
from strangler.worker.request_head import request_head
from strangler.worker.upstreams import Upstream

_SHORT_BYTES = 64 * 1024
"""A response of up to this length is received whole even if the client does not read."""


class Attempt(Exchange):
    """An exchange with what it holds until it is settled: a slot in the bulkhead and a place at an endpoint."""

    __slots__ = ("_is_reported", "endpoint", "permit", "result", "retry_after_s", "span_id", "upstream")

    endpoint: EndpointState
    result: Result
    """The result at the response's head."""

    def __init__(self, call: Call, upstream: Upstream) -> None:
        self.begin(call.downstream, is_head=call.method == b"HEAD", may_upgrade=call.request_headers.has_upgrade)
        self.upstream = upstream
        self.permit: Permit | None = None
        self.retry_after_s: float | None = None
        """How long the client should wait after a refusal by the upstream's admission."""
        self._is_reported = False
        notes = call.trace.notes
        self.span_id = b"" if notes is None else notes.next_id()
        """Empty if the request is not sampled."""

    @property
    def url(self) -> str:
        """The URL of its endpoint; empty if it was not admitted."""
        return "" if self.permit is None else str(self.endpoint.key.url)

    def report(self, result: Result, at: float) -> None:
        """Report the result to breaker and endpoint; the slot is kept until `settle`."""
        self.result = result
        if self.permit is None:
            return
        self._is_reported = True
        endpoints = self.upstream.endpoints
        moved = endpoints.report(self.endpoint, result, at)
        if moved is not None:
            self.upstream.publish_endpoint(moved)
        if endpoints.is_own_failure(self.endpoint, result, at):
            return
        change = self.permit.report(result, at, random)
        if change is not None:
            self.upstream.publish_breaker(change)

    @property
    def is_to_be_continued(self) -> bool:
        """True if the head has come and the end of the body, which is part of the result, has not.

        A trial of a breaker only waits for a body that is sure to come soon, however slowly the client reads.
        """
        if self.body is None or self.is_done or self.fault is not None:
            return False
        if self.upstream.admission.breaker.state is CLOSED:
            return True
        response = self.response
        if response is None or response.framing.kind is not Kind.LENGTH:
            return False
        return response.framing.length <= _SHORT_BYTES

    def try_go_on(self) -> bool:
        """Let the body, or the tunnel, behind the head go on. A stream no longer counts as in flight, and is reported
        to breaker and endpoint by its head. Return False if the upstream has as many streams as allowed."""
        permit, response = self.permit, self.response
        if permit is None or response is None or self.is_done:
            return True
        if response.status != 101 and not response.is_stream:
            permit.begin_body(now())
            return True
        if not permit.become_stream():
            return False
        if not self._is_reported:
            self.report(self.result, now())
        return True

    def settle(self) -> None:
        """Give back all that the attempt holds. An incomplete exchange is dropped."""
        if not self.is_done:
            self.drop()
        if self.permit is None:
            return
        if not self._is_reported:
            if self.response is not None:
                self.report(self.result.with_fault(self.fault), now())
            else:
                self.upstream.endpoints.give_back(self.endpoint)
        self.permit.release()
        self.permit = None


async def make_attempt(
    call: Call,
    upstream: Upstream,
    arm: Arm,
    policies: Policies,
    deadline: float | None = None,
    avoid: EndpointState | None = None,
) -> Attempt:
    """Try `upstream` once. The attempt's result is that of the response head, or a fault.

    `deadline`: the latest time for the head, whatever the timeouts. `avoid`: the endpoint that has just failed.
    """
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
        upstream.publish_breaker(admitted.change)
    attempt.endpoint = upstream.endpoints.pick(started, random, avoid)
    try:
        attempt.clocks = policies.clocks(upstream.clocks, call.plan.route, arm)
        if deadline is not None:
            attempt.clocks = attempt.clocks.within(deadline - now())
        fault = await _exchange_heads(call, attempt, arm)
    except BaseException:
        attempt.settle()
        raise
    at = now()
    response = attempt.response
    attempt.result = result = Result(fault, None if response is None else response.status, at - started)
    if not attempt.is_to_be_continued:
        attempt.report(result, at)
    return attempt


async def _exchange_heads(call: Call, attempt: Attempt, arm: Arm) -> Fault | None:
    """Send the request, on an idle connection if there is one, and wait for the response's head."""
    task = call.downstream.task
    rewrite = call.plan.route.rewrite if call.plan.route is not None and arm is CANDIDATE_ARM else None
    once = call.method not in IDEMPOTENT
    pool = attempt.upstream.pool(attempt.endpoint)
    connection = pool.take(once=once)
    was_sent = False
    tried: list[EndpointState] = []
    while True:
        is_new = connection is None
        if connection is None:
            connected = await _connect(call, attempt, pool)
            if connected is Fault.CONNECT:
                if was_sent:
                    return Fault.RESET  # the first send may have been processed; a refused connect does not disprove it
                if _try_sibling(attempt, tried):
                    pool = attempt.upstream.pool(attempt.endpoint)
                    connection = pool.take(once=once)
                    continue
            if isinstance(connected, Fault):
                return connected
            connection = connected
        _send(call, attempt, connection, pool.url, rewrite)
        while attempt.response is None and attempt.fault is None and call.fault is None:
            await task
        if attempt.response is not None:
            return None
        if is_new or not _may_send_again(call, attempt) or not call.try_rewind():
            return call.fault or attempt.fault
        connection = None  # it was closed while idle: send once more, on a new one
        was_sent = True


def _try_sibling(attempt: Attempt, tried: list[EndpointState]) -> bool:
    """Move to another address of the name, since this endpoint cannot be reached; False if there is none."""
    upstream, refusing, at = attempt.upstream, attempt.endpoint, now()
    upstream.hint(refusing)
    tried.append(refusing)
    following = upstream.endpoints.pick_sibling(tried, at)
    if following is None:
        return False
    moved = upstream.endpoints.report(refusing, Result(Fault.CONNECT, None, 0.0), at)
    if moved is not None:
        upstream.publish_endpoint(moved)
    attempt.endpoint = following
    return True


def _may_send_again(call: Call, attempt: Attempt) -> bool:
    """Return True for an idempotent request whose connection died without a byte (RFC 9110 section 9.2.2)."""
    return attempt.fault is Fault.RESET and not attempt.has_bytes and call.method in IDEMPOTENT


def _send(call: Call, attempt: Attempt, connection: UpstreamConnection, url: Url, rewrite: Rewrite | None) -> None:
    clocks = attempt.clocks
    attempt.fault = None
    call.exchange = attempt
    head = request_head(call, attempt.upstream.edits, url, rewrite, attempt.span_id)
    body = call.body
    is_sent = body is None or body.is_finished
    call.downstream.deadline = now() + (clocks.response_s if is_sent else clocks.idle_s)
    connection.send(attempt, head, body, chunked=call.request_headers.is_chunked)


async def _connect(call: Call, attempt: Attempt, pool: Pool) -> UpstreamConnection | Fault:
    """Return a new connection, or the fault. If the client leaves meanwhile, the connection goes to the pool."""
    arrived: list[UpstreamConnection | Fault] = []
    task = call.downstream.task
    is_waiting = True

    def done(outcome: UpstreamConnection | Fault) -> None:
        if is_waiting:
            arrived.append(outcome)
            task.wake()
        elif isinstance(outcome, UpstreamConnection):
            pool.give_back(outcome)

    pool.connect(_connect_s(attempt), done)
    while not arrived and call.fault is None:
        await task
    is_waiting = False
    if call.fault is None:
        return arrived[0]
    if arrived and isinstance(arrived[0], UpstreamConnection):
        pool.give_back(arrived[0])
    return call.fault


def _connect_s(attempt: Attempt) -> float | None:
    """Return how long one address may take: the addresses of a name share the time."""
    endpoints, connect_s = attempt.upstream.endpoints, attempt.clocks.connect_s
    if connect_s is None or len(endpoints.states) == 1:
        return connect_s
    return connect_s / max(1, endpoints.addresses_of(attempt.endpoint.key.url))


async def _wait_for_turn(call: Call, upstream: Upstream, ticket: Ticket) -> Permit | Refusal:
    """Wait in the bulkhead's queue, for as long as its `wait` allows and the client stays."""
    admission = upstream.admission
    task = call.downstream.task
    loop = call.downstream.loop
    ticket.on_turn = lambda: loop.call_soon(task.wake)  # not at once: a refused request passes the turn on to the next
    timer = Timer(loop, task, admission.wait_s)
    while ticket.state is TicketState.WAITING and call.fault is None and not timer.has_expired:
        await task
    timer.cancel()
    if ticket.state is TicketState.GRANTED and call.fault is None:
        return admission.resume(ticket, now())
    admission.give_up(ticket)
    return Refusal(call.fault or Fault.FULL, max(1.0, admission.wait_s))
