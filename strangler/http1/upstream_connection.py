# Compiled with mypyc: see docs/hot-path.md.
"""One connection to an upstream. It serves one exchange at a time and trusts nothing that comes back.

States and their table: `upstream_states.py`. Bodies: `body_readers.py`.
"""

import asyncio
from math import inf
from typing import cast

from strangler.clock import now
from strangler.core.fault import Fault
from strangler.core.http.framing import Kind
from strangler.core.transitions import next_state
from strangler.http1 import upstream_states as states
from strangler.http1.body import Body
from strangler.http1.body_readers import BodyReader, body_reader
from strangler.http1.exchange import Exchange
from strangler.http1.response import ResponseHead, mend_line_ends, parse_response
from strangler.http1.tunnel import Tunnel, UpstreamSide

_NO_BODY, _LENGTH = Kind.NONE, Kind.LENGTH
_BAD_RESPONSE = Fault.BAD_RESPONSE


class ConnectionOwner:
    """The owner of connections, which takes back those that are free again: a `Pool`."""

    max_head_bytes: int

    def give_back(self, connection: "UpstreamConnection", keep_s: float = inf) -> None:
        """Take a connection that may serve another exchange within `keep_s` seconds."""
        raise NotImplementedError

    def forget(self, connection: "UpstreamConnection") -> None:
        """Let go of a connection that is closed, or about to be."""
        raise NotImplementedError


class UpstreamConnection(UpstreamSide):
    """A connection that a `Pool` makes and keeps. Bytes that no request asked for close it; they reach no client.

    An `asyncio.Protocol` in all but the base class, which a compiled class cannot have.
    """

    __slots__ = (
        "_ahead",
        "_is_full",
        "_pool",
        "_reader",
        "_request_body",
        "_state",
        "_tunnel",
        "exchange",
        "idle_since",
        "idle_until",
    )

    def __init__(self, pool: ConnectionOwner) -> None:
        self._pool = pool
        self.exchange: Exchange | None = None
        self._state: states.UpstreamState = states.IDLE
        self.idle_since = self.idle_until = 0.0
        self._ahead = b""  # a head that is not complete, or the first bytes of a tunnel
        self._is_full = False  # the upstream does not read: nothing more may be written
        self._reader: BodyReader | None = None
        self._request_body: Body | None = None
        self._tunnel: Tunnel | None = None

    @property
    def is_closed(self) -> bool:
        return self._state is states.CLOSED

    # Called by the pool and the client's task

    def send(self, exchange: Exchange, head: bytes, body: Body | None, *, chunked: bool) -> None:
        """Write the request; its body follows as it comes in."""
        if self._state is states.IDLE:
            self._state = states.AFTER_SENT
        elif self._state is states.CLOSED:  # lost since it was made, or taken from the pool
            exchange.fault = Fault.RESET
            return
        else:
            self._move(states.SENT)
        self.exchange = exchange
        exchange.connection = self
        self._request_body = body
        whole = head if body is None else body.whole(self.transport, head, chunked=chunked)
        if whole is not None:
            exchange.client.write_batch.put(self.transport, whole)
        elif body is not None:
            body.attach(self.transport, head, chunked=chunked)

    def drop(self) -> None:
        """End the exchange without its response. The connection is not used again."""
        self._leave_exchange()
        self.close()

    def close(self) -> None:
        if self._state is not states.CLOSED:
            self._move(states.ENDED)
            self.transport.abort()

    def start_tunnel(self, tunnel: Tunnel) -> bytes:
        """Pass bytes to the tunnel from now on. Return those that came behind the 101."""
        self._move(states.JOINED)
        self._leave_exchange()
        self._tunnel = tunnel
        glued, self._ahead = self._ahead, b""
        return glued

    def pause_reading(self) -> None:
        if not self.is_closed:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.is_closed:
            self.transport.resume_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state is states.HEAD:
            self._receive_head(data)
        elif state is states.BODY:
            self._receive_body(data)
        elif state is states.TUNNEL and self._tunnel is not None:
            self._tunnel.receive_from_upstream(data)
        elif state is states.SWITCHED:
            self._ahead += data
        else:
            self._pool.forget(self)
            self.close()

    def eof_received(self) -> bool:
        if self._tunnel is not None:
            return self._tunnel.eof_from_upstream()
        exchange = self.exchange
        if exchange is None:
            self._pool.forget(self)  # at once: a request that comes in this turn of the loop must not take it
        elif exchange.response is not None:
            framing = exchange.response.framing
            if framing.kind is Kind.CLOSE and exchange.body is not None:
                self._end_response(is_reusable=False)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._move(states.ENDED)
        self._pool.forget(self)
        tunnel, self._tunnel = self._tunnel, None  # a cycle: a worker hardly ever collects them
        if tunnel is not None:
            tunnel.upstream_lost()
        elif self.exchange is not None:
            self._fail(Fault.RESET)

    def pause_writing(self) -> None:
        self._is_full = True
        if self._tunnel is not None:
            self._tunnel.client.pause_reading()
        elif self._request_body is not None:
            self._request_body.pause()

    def resume_writing(self) -> None:
        self._is_full = False
        if self._tunnel is not None:
            self._tunnel.client.resume_reading()
        elif self._request_body is not None:
            self._request_body.resume()

    # Reading a response

    def _receive_head(self, data: bytes) -> None:
        exchange = self.exchange
        assert exchange is not None
        exchange.has_bytes = True
        if self._ahead:
            data = self._ahead + data
            self._ahead = b""
        while True:
            end = data.find(b"\r\n\r\n")
            response = None
            if 0 <= end <= self._pool.max_head_bytes:
                response = parse_response(data[: end + 4], is_head_response=exchange.is_head)
            if response is None:
                mended = mend_line_ends(data)
                if mended is not None:
                    data = mended
                    continue
                self._await_rest_of_head(data, is_broken=end >= 0)
                return
            data = data[end + 4 :]
            if response.status >= 200 or response.status == 101:
                break
            exchange.client.pass_interim(response)
            if self._request_body is not None and not self._request_body.is_finished:
                exchange.client.deadline = now() + exchange.clocks.idle_s
            if not data:
                return
        if response.status == 101:
            self._switch(exchange, response, data)
        else:
            self._begin_response(exchange, response, data)

    def _await_rest_of_head(self, data: bytes, *, is_broken: bool) -> None:
        is_http = data.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(data)
        if is_broken or len(data) > self._pool.max_head_bytes or not is_http:
            self._fail(_BAD_RESPONSE)
        else:
            self._ahead = data

    def _switch(self, exchange: Exchange, response: ResponseHead, glued: bytes) -> None:
        if not exchange.may_upgrade:
            self._fail(_BAD_RESPONSE)
            return
        self._move(states.UPGRADED)
        self._ahead = glued
        exchange.response = response
        exchange.client.task.wake()

    def _begin_response(self, exchange: Exchange, response: ResponseHead, rest: bytes) -> None:
        framing = response.framing
        exchange.response = response
        if framing.kind is _NO_BODY:
            self._end_response(is_reusable=not rest)
            return
        if framing.kind is _LENGTH and framing.length <= len(rest):
            exchange.payload = rest[: framing.length]
            self._end_response(is_reusable=framing.length == len(rest))
            return
        self._move(states.RESPONSE)
        exchange.body = body = Body(self)
        self._reader = body_reader(framing, body, _BAD_RESPONSE)
        if rest:
            self._receive_body(rest)
        else:
            exchange.client.deadline = now() + exchange.clocks.idle_s
        if self.exchange is not None:  # else the end of the response has woken the task
            exchange.client.task.wake()

    def _receive_body(self, data: bytes) -> None:
        exchange, reader = self.exchange, self._reader
        assert exchange is not None
        assert reader is not None
        exchange.client.deadline = now() + exchange.clocks.idle_s
        rest = reader.feed(data)
        if rest is None:
            return
        if isinstance(rest, Fault):
            self._fail(rest)
        else:
            self._end_response(is_reusable=not rest)

    def _end_response(self, *, is_reusable: bool) -> None:
        """End a complete exchange. The connection goes back to the pool before the client's task goes on."""
        exchange = self.exchange
        assert exchange is not None
        assert exchange.response is not None
        request_body = self._request_body
        is_sent = (request_body is None or request_body.is_finished) and not self._is_full
        if self._state is states.HEAD:
            self._state = states.AFTER_COMPLETE
        else:
            self._move(states.COMPLETE)
        self._leave_exchange()
        if is_reusable and is_sent and exchange.response.keep_alive:
            self._pool.give_back(self, exchange.response.keep_s)
        else:
            self.close()
        if exchange.body is not None:
            exchange.body.finish()
        exchange.is_done = True
        exchange.client.task.wake()

    def _fail(self, fault: Fault) -> None:
        exchange = self.exchange
        assert exchange is not None
        self._leave_exchange()
        self.close()
        exchange.fault = fault
        exchange.client.task.wake()

    def _leave_exchange(self) -> None:
        if self._request_body is not None:
            self._request_body.detach()
            self._request_body = None
        if self.exchange is not None:
            self.exchange.connection = None
            self.exchange = None
        self._reader = None  # its body refers to this connection: a cycle, which a worker hardly ever collects

    def _move(self, event: states.UpstreamEvent) -> None:
        self._state = next_state(states.TRANSITIONS, self._state, event)
