# Compiled with mypyc: see docs/hot-path.md.
"""One connection from a client. Requests come in one after another; each has its response before the next is read.

States and their table: `client_states.py`. Bodies: `body_readers.py`. How a connection ends: `client_lifecycle.py`.
"""

import asyncio
from math import inf

from strangler.clock import now
from strangler.core.fault import Fault
from strangler.core.http.framing import Kind
from strangler.core.http.problem import HEADER_TIMEOUT, Problem
from strangler.http1 import client_states as states
from strangler.http1.body import Body
from strangler.http1.body_readers import BodyReader
from strangler.http1.callback_task import CallbackTask
from strangler.http1.client_lifecycle import ClientLifecycle
from strangler.http1.listener_state import ListenerState
from strangler.http1.request import Request, parse_request, unreadable
from strangler.http1.request_heads import read_head
from strangler.http1.response import ResponseHead
from strangler.http1.server_state import ServerState
from strangler.http1.tunnel import Tunnel

_AHEAD_BYTES = 64 * 1024
"""How much of the next, pipelined request may wait during a response; beyond it, reading from the client pauses."""

LAST_REQUEST_S = 1.0
"""How long a draining worker leaves an idle connection open: a request that is on its way still gets its response."""

_NO_BODY = Kind.NONE


class ClientConnection(ClientLifecycle):
    """Reads requests and writes responses; `worker/handler.py` has what happens in between. It is an `asyncio.Protocol`
    in all but the base class, which a compiled class cannot have."""

    __slots__ = ("_ahead", "_inflow", "_is_admitted", "_reader", "_tunnel", "request")

    def __init__(
        self,
        server: ServerState,
        listener: ListenerState | None = None,
        address: str = "",
        *,
        is_admitted: bool = False,
    ) -> None:
        """`is_admitted`: its handshake has had its place already."""
        super().__init__(server, listener, address)
        self._is_admitted = is_admitted
        self.task = CallbackTask(self._crash)
        self.request: Request | None = None
        self._ahead = bytearray()  # a head that is not complete, or what came before its turn
        self._reader: BodyReader | None = None
        self._inflow: Body | None = None
        self._tunnel: Tunnel | None = None

    # Called by the connection's task

    async def next_request(self) -> Request | None:
        """Return the next request; None if the client is done."""
        while self.request is None:
            if self._state is states.CLOSING or self._state is states.CLOSED:
                return None
            await self.task
        return self.request

    def begin_response(self, head: bytes, body: Body | None, *, chunked: bool) -> None:
        """Write a response's head, or the whole response; a `body` follows as it comes in."""
        if self.request is None or self._state is states.CLOSED:
            return
        self.request.has_response = True
        if body is None:
            self.server.write_batch.put(self.transport, head)
        else:
            self.server.write_batch.flush()
            self._inflow = body
            body.attach(self.transport, head, chunked=chunked)
            if self._is_full:
                body.pause()

    def pass_interim(self, response: ResponseHead) -> None:
        """Pass a 1xx on, if the client understands it and is reading."""
        request = self.request
        if request is None or not request.takes_interim(response.status) or self.is_closed or self._is_full:
            return
        self.server.write_batch.flush()
        self.transport.write(response.head(b"\r\n"))

    def write_problem(self, response: bytes) -> None:
        """Write a response of the proxy's own."""
        self.begin_response(response, None, chunked=False)

    def end_request(self, *, keep: bool) -> None:
        """End a request whose response is complete. `keep`: the connection may serve another."""
        self.request = None
        self._inflow = None
        server = self.server
        server.active.discard(self)
        state = self._state
        if state is states.CLOSED:
            return
        if not keep or state is not states.RESPONSE or server.is_draining:
            self._end(linger=state is not states.RESPONSE or bool(self._ahead))
            return
        self._state = states.AFTER_RESPONSE
        limit = server.limits.idle_timeout_s
        self.deadline = inf if limit is None else now() + limit
        if self._is_full:
            self.pause_reading()  # the next request waits until this response is read
        else:
            self._read_on()

    def end_short(self, *, is_framed: bool) -> None:
        """End a request whose response cannot be completed. The client gets what there is, and must see that it is cut.

        `is_framed`: the length, or the missing last chunk, shows that the response is cut short, so a FIN ends the
        connection. Else a FIN would be a clean end (RFC 9112 section 6.3): the connection is reset once all has left.
        """
        if is_framed:
            self.end_request(keep=False)
        else:
            self.cut()

    def cut(self) -> None:
        """End the connection so that the client sees a broken one, never a clean end."""
        self._leave_request()
        self._reset()

    def start_tunnel(self, head: bytes, tunnel: Tunnel) -> None:
        """Write the 101, and from then on pass bytes between both sides."""
        if self.request is not None:
            self.request.has_response = True
        self._tunnel = tunnel
        self._move(states.SWITCHED)
        if self._is_full:
            tunnel.upstream.pause_reading()
        self.deadline = inf
        self.server.write_batch.flush()
        tunnel.begin(head, bytes(self._ahead))
        self._ahead.clear()
        self.resume_reading()

    def end_tunnel(self) -> None:
        self._leave_request()
        self._close(linger=False)

    def go_away(self) -> None:
        """End soon: the proxy drains."""
        if self._tunnel is not None:
            self._tunnel.go_away()
        elif self.is_idle:
            self.deadline = min(self.deadline, now() + LAST_REQUEST_S)

    def refuse(self, refusal: Problem) -> None:
        """Hand the task a request that it can only refuse; nothing more is read from the connection."""
        self._move(states.FAILED)
        self._ahead.clear()
        self.request = unreadable(self.server.request_type, refusal, self.peer_ip)
        self.server.active.add(self)
        self.task.wake()

    def give_way(self) -> None:
        """End at once, to make place for another client: this connection is idle."""
        if self._is_full:
            self.transport.abort()
            return
        awaits_notify = self._awaits_notify
        self._end(linger=False)
        if awaits_notify:
            self.loop.call_soon(self.transport.abort)  # once this turn has sent ours

    def expire(self, now: float) -> None:
        """End what has taken too long; what the deadline limits depends on what is under way."""
        self.deadline = inf
        request = self.request
        if request is None:
            self._expire_without_request()
        elif request.is_waiting_for_client:
            self._fail_request(Fault.CLIENT_TIMEOUT)
        elif request.exchange is not None:  # else the next attempt is not sent yet: it has clocks of its own
            request.exchange.fault = Fault.TIMEOUT
            self.task.wake()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._begin(transport)
        server = self.server
        has_room = server.enter(self, self._client, is_admitted=self._is_admitted)
        self._limit(server.limits.header_timeout_s)
        self.task.begin(self.listener.serve(self))
        if server.is_draining:
            self.go_away()
        if not has_room:
            server.turn_away(self)

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state is states.HEAD:
            self._receive_head(data)
        elif state is states.BODY:
            self._receive_body(data)
        elif state is states.RESPONSE:
            self._ahead += data
            if len(self._ahead) > _AHEAD_BYTES:
                self.pause_reading()
        elif state is states.TUNNEL and self._tunnel is not None:
            self._tunnel.receive_from_client(data)

    def eof_received(self) -> bool:
        if self._tunnel is not None:
            return self._tunnel.eof_from_client()
        if self.request is not None:
            self._fail_request(Fault.CLIENT_GONE)  # DESIGN section 8: as nginx does
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._move(states.LOST)
        tunnel, self._tunnel, self._reader = self._tunnel, None, None  # cycles: a worker hardly ever collects them
        self.server.leave(self, self._client)
        if tunnel is not None:
            tunnel.client_lost()
        elif self.request is not None:
            self._fail_request(Fault.CLIENT_GONE)
        else:
            self.task.wake()

    def pause_writing(self) -> None:
        self._is_full = True
        if self._tunnel is not None:
            self._tunnel.upstream.pause_reading()
        elif self._inflow is not None:
            self._inflow.pause()
        elif self.is_idle:
            self.pause_reading()

    def resume_writing(self) -> None:
        self._is_full = False
        if self._tunnel is not None:
            self._tunnel.upstream.resume_reading()
        elif self._inflow is not None:
            self._inflow.resume()
            if self.request is not None and self.request.exchange is not None:
                self._limit(self.request.exchange.clocks.idle_s)
        elif self.is_idle:
            self._read_on()

    # Reading requests

    def _read_on(self) -> None:
        """Read the next request; some or all of it may be here already."""
        self.resume_reading()
        if self._ahead:
            waiting = bytes(self._ahead)
            self._ahead.clear()
            self._receive_head(waiting)

    def _receive_head(self, data: bytes) -> None:
        ahead = self._ahead
        is_first = not ahead
        found = read_head(ahead, data, self.server.limits.header_bytes)
        if isinstance(found, Problem):
            self.refuse(found)
        elif found is not None:
            self._begin_request(found[0], found[1])
        elif ahead and is_first:
            self._limit(self.server.limits.header_timeout_s)

    def _begin_request(self, raw: bytes, rest: bytes) -> None:
        if self.forwarded.trusted is not self.server.trusted:
            self._follow_trust()
        request = parse_request(raw, self.forwarded, self.server.request_type)
        if isinstance(request, Problem):
            self.refuse(request)
            return
        self.deadline = inf
        if request.request_headers.framing.kind is _NO_BODY:
            self._state = states.AFTER_REQUEST
        else:
            self._begin_body(request)
        self.request = request
        self.server.active.add(self)
        if rest:
            self.data_received(rest)
        self.task.wake()

    def _begin_body(self, request: Request) -> None:
        self._reader = reader = request.begin_body(self, self.server.limits.request_body_bytes)
        if reader is not None:
            self._move(states.UPLOAD)
        else:
            self._move(states.REQUEST if request.refusal is None else states.FAILED)

    def _receive_body(self, data: bytes) -> None:
        request, reader = self.request, self._reader
        assert request is not None
        assert reader is not None
        exchange = request.exchange
        self._limit(self.server.limits.idle_timeout_s if exchange is None else exchange.clocks.idle_s)
        rest = reader.feed(data)
        if rest is None:
            return
        if isinstance(rest, Fault):
            self._fail_request(rest)
        else:
            self._end_body(request, reader, rest)

    def _end_body(self, request: Request, reader: BodyReader, rest: bytes) -> None:
        self._move(states.BODY_COMPLETE)
        self._reader = None
        reader.body.finish()
        exchange = request.exchange
        if exchange is None:
            self.deadline = inf
        elif exchange.response is None:
            self._limit(exchange.clocks.response_s)
        if rest:
            self.data_received(rest)
        if exchange is None:
            self.task.wake()  # it may wait for just this: there is no upstream that would wake it

    # Time, and ends

    def _fail_request(self, fault: Fault) -> None:
        request = self.request
        if request is not None:
            self._move(states.FAILED)
            if request.fault is None or fault is Fault.CLIENT_GONE:
                request.fault = fault
        self.task.wake()

    def _leave_request(self) -> None:
        self.request = None
        self._inflow = None
        self._reader = None
        self.server.active.discard(self)
        self._move(states.ENDED)

    def _expire_without_request(self) -> None:
        if self._state is states.CLOSING:
            self._expire_close()
        elif self._is_full:
            self.server.on_limit("slow_reader")
            self.transport.abort()
        elif self._ahead:
            self.refuse(HEADER_TIMEOUT)
        else:
            if not self.server.is_draining:
                self.server.on_limit("idle_timeout")
            self._end(linger=False)

    def _end(self, *, linger: bool) -> None:
        self._leave_request()
        self._ahead.clear()
        self._close(linger=linger)
        self.task.wake()

    def _crash(self, crash: Exception) -> None:
        self.server.on_crash(crash)
        if self.request is not None and self.request.exchange is not None:
            self.request.exchange.settle()
        self.cut()
