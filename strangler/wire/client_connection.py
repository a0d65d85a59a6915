"""One connection from a client: requests come in one after another, each answered before the next is looked at."""

import asyncio
import fcntl
import math
import socket
import struct
import sys
import termios
from collections.abc import Callable
from typing import cast

from strangler.core import problem
from strangler.core.addresses import canonical
from strangler.core.crowd import client_key
from strangler.core.fault import Fault
from strangler.core.framing import Kind
from strangler.core.headers import ForwardedFields
from strangler.core.problem import Problem
from strangler.wire.asker import Asker
from strangler.wire.body import Body
from strangler.wire.chunked import ChunkedDecoder, ChunkedError
from strangler.wire.clock import now
from strangler.wire.exchange import Exchange
from strangler.wire.parse import Answer
from strangler.wire.port import ClientPort
from strangler.wire.request import Request, parse_request, unreadable
from strangler.wire.request_heads import refusal_of_partial, refusal_of_size
from strangler.wire.story import Story
from strangler.wire.tunnel import Tunnel

_AHEAD_BYTES = 64 * 1024
"""How much of the next, pipelined request may wait while one is answered; then the client is not read from."""

_LINGER_S = 2.0
"""How long a connection that we close is still read from, so that the answer is not lost to a reset."""

_FLUSH_S = 10.0
"""How long what was written may take to leave a connection that is closed."""

_CUT_DELAY_S = 0.01
"""How often it is looked whether all bytes have left a connection that is to be reset."""

LAST_REQUEST_S = 1.0
"""How long a draining worker leaves an idle connection open: a request that is on its way is still answered."""

_NO_BODY = Kind.NONE

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST


def _unsent_bytes(transport: asyncio.Transport) -> int:
    """How many bytes were written and are not acknowledged by the client's system yet (tcp(7), SIOCOUTQ)."""
    waiting = transport.get_write_buffer_size()
    peer: socket.socket | None = transport.get_extra_info("socket")
    if waiting or peer is None or not hasattr(termios, "TIOCOUTQ"):
        return waiting
    try:
        answer = fcntl.ioctl(peer.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except (OSError, ValueError):  # closed meanwhile
        return 0
    return int.from_bytes(answer, sys.byteorder)


def _drop(data: bytes) -> None:
    """What receives for a connection that is closed."""


class ClientConnection(Asker):
    """Reads requests, writes answers. `worker/handler.py` tells what happens in between.

    An `asyncio.Protocol` in all but the base class, which a compiled class cannot have.
    """

    __slots__ = (
        "_ahead",
        "_client",
        "_decoder",
        "_inflow",
        "_is_ending",
        "_is_full",
        "_is_reading",
        "_receive",
        "_remaining",
        "_tunnel",
        "_unsent",
        "is_closed",
        "peer_ip",
        "request",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, port: ClientPort) -> None:
        self.port = port
        self.story = Story(self._crash)
        self.request: Request | None = None
        self.deadline = math.inf
        self.is_closed = False
        self.peer_ip = b""
        self._client = b""  # who counts as one client where connections are counted
        self._ahead = bytearray()
        self._inflow: Body | None = None
        self._tunnel: Tunnel | None = None
        self._decoder: ChunkedDecoder | None = None
        self._remaining = 0
        self._is_ending = False
        self._unsent = 0  # bytes that had not left when it was last looked, while the connection ends
        self._is_full = False  # the client does not read: no more is to be written
        self._is_reading = True
        self._receive: Callable[[bytes], None] = self._receive_head

    # What the story does with it

    async def next_request(self) -> Request | None:
        """The next request; None if the client is done."""
        while self.request is None:
            if self.is_closed or self._is_ending:
                return None
            await self.story
        return self.request

    def begin_answer(self, head: bytes, body: Body | None, *, chunked: bool) -> None:
        """Write an answer's head, or all of it; a body follows as it comes in."""
        request = self.request
        if request is None or self.is_closed:
            return
        request.is_answered = True
        if body is None:
            self.port.outbox.put(self.transport, head)
        else:
            self.port.outbox.flush()
            self._inflow = body
            body.attach(self.transport, head, chunked=chunked)
            if self._is_full:
                body.pause()

    def pass_interim(self, answer: Answer) -> None:
        """Pass a 1xx on (RFC 9110 section 15.2): 100 only if the client waits for it, and nothing to HTTP/1.0."""
        request = self.request
        if request is None or request.section.is_http10 or self.is_closed or self._is_full:
            return
        if answer.status == 100 and b"expect" not in request.fields:
            return
        self.port.outbox.flush()
        self.transport.write(answer.head(b"\r\n"))

    def write_problem(self, answer: bytes) -> None:
        request = self.request
        if request is not None and not self.is_closed:
            request.is_answered = True
            self.port.outbox.put(self.transport, answer)

    def end_request(self, *, keep: bool) -> None:
        """The answer is complete. `keep`: the connection may serve another request."""
        request = self.request
        self.request = None
        self._inflow = None
        self.port.active.discard(self)
        if self.is_closed:
            return
        is_read = request is None or request.body is None or request.body.is_finished
        if not keep or not is_read or self.port.is_draining:
            self._end(linger=not is_read or bool(self._ahead) or self._receive == self._ignore)
            return
        self._receive = self._receive_head
        limit = self.port.limits.idle_timeout_s
        self.deadline = math.inf if limit is None else now() + limit
        if self._is_full:
            self.pause_reading()  # the next request waits until this answer is read
        else:
            self._read_on()

    def end_short(self, *, is_framed: bool) -> None:
        """The answer cannot be completed. As far as it came it reaches the client, who must not take it for whole.

        `is_framed`: its length, or the missing last chunk, shows that it is cut short, so the connection ends by FIN.
        Else a FIN would be a clean end (RFC 9112 section 6.3), and the connection is reset once all has left.
        """
        if is_framed:
            self.end_request(keep=False)
        else:
            self.cut()

    def cut(self) -> None:
        """The client must see a broken connection, never a clean end."""
        self.request = None
        self._inflow = None
        self.port.active.discard(self)
        self._is_ending = True
        self._receive = self._ignore
        if not self.is_closed:
            self.port.outbox.flush()
            self._reset_when_sent(now() + _FLUSH_S)

    def start_tunnel(self, head: bytes, tunnel: Tunnel) -> None:
        """Write the 101, and from then on join the bytes of both sides."""
        request = self.request
        if request is not None:
            request.is_answered = True
        self._tunnel = tunnel
        if self._is_full:
            tunnel.upstream.pause_reading()
        self._receive = tunnel.receive_from_client
        self.deadline = math.inf
        self.port.outbox.flush()
        glued_answer = tunnel.upstream.start_tunnel(tunnel)
        self.transport.write(head)
        if glued_answer:
            tunnel.receive_from_upstream(glued_answer)
        if self._ahead:
            glued_request, self._ahead = bytes(self._ahead), bytearray()
            tunnel.receive_from_client(glued_request)
        self._resume()

    def end_tunnel(self) -> None:
        self.request = None
        self.port.active.discard(self)
        self._is_ending = True
        if not self.is_closed:
            self._touch(_FLUSH_S)
            self.transport.close()

    def go_away(self) -> None:
        """The proxy drains."""
        if self._tunnel is not None:
            self._tunnel.go_away()
        elif self.is_idle:
            self.deadline = min(self.deadline, now() + LAST_REQUEST_S)

    @property
    def is_idle(self) -> bool:
        """No request is under way; the head of one may be coming in."""
        return self.request is None and self._tunnel is None and not self._is_ending

    def give_way(self) -> None:
        """Another client has a better claim to the place of this idle connection."""
        if self._is_full:
            self.transport.abort()
        else:
            self._end(linger=False)

    def expire(self, now: float) -> None:
        """The deadline has passed: what it stood for depends on what is under way."""
        self.deadline = math.inf
        request = self.request
        if request is None:
            self._expire_without_request()
            return
        exchange = request.exchange
        if self._is_waiting_for_client(request, exchange):
            self._fail_request(Fault.CLIENT_TIMEOUT)
        elif exchange is not None:  # else the next attempt is not sent yet: it has clocks of its own
            exchange.fault = Fault.TIMEOUT
            self.story.wake()

    # Source of a request's body

    def pause_reading(self) -> None:
        if self._is_reading and not self.is_closed:
            self._is_reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        self._resume()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        port = self.port
        port.connections.add(self)
        peername = transport.get_extra_info("peername")
        address = str(peername[0]).partition("%")[0] if isinstance(peername, tuple) else "127.0.0.1"
        address = canonical(address)
        self.peer_ip = address.encode()
        self._follow_trust()
        self._client = client_key(address)
        has_room = port.crowd.total < port.limits.connections or port.make_room(self._client)
        port.crowd.enter(self._client, self)
        self._expect_head()
        self.story.begin(port.serve(self))
        if port.is_draining:
            self.go_away()
        if not has_room:
            self._turn_away()

    def data_received(self, data: bytes) -> None:
        self._receive(data)

    def eof_received(self) -> bool:
        if self._tunnel is not None:
            return self._tunnel.eof_from_client()
        if self.request is not None:
            self._fail_request(Fault.CLIENT_GONE)  # DESIGN section 8: as nginx does
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        port = self.port
        port.connections.discard(self)
        port.active.discard(self)
        port.crowd.leave(self._client, self)
        if self._tunnel is not None:
            self._tunnel.client_lost()
        elif self.request is not None:
            self._fail_request(Fault.CLIENT_GONE)
        else:
            self.story.wake()
        self._receive = _drop  # a method of ours would be a cycle, and a worker hardly ever collects those

    def pause_writing(self) -> None:
        self._is_full = True
        if self._tunnel is not None:
            self._tunnel.upstream.pause_reading()
        elif self._inflow is not None:
            self._inflow.pause()
        elif self.request is None and not self._is_ending:
            self.pause_reading()

    def resume_writing(self) -> None:
        self._is_full = False
        if self._tunnel is not None:
            self._tunnel.upstream.resume_reading()
        elif self._inflow is not None:
            self._inflow.resume()
            if self.request is not None and self.request.exchange is not None:
                self._touch(self.request.exchange.clocks.idle_s)
        elif self.request is None and not self._is_ending:
            self._read_on()

    # Reading requests

    def _read_on(self) -> None:
        """Take up the next request, of which some or all may be here already."""
        self._resume()
        if self._ahead:
            waiting, self._ahead = bytes(self._ahead), bytearray()
            self._receive_head(waiting)

    def _receive_head(self, data: bytes) -> None:
        if self._ahead:
            self._receive_more_of_head(data)
            return
        while data[:2] == b"\r\n":  # RFC 9112 section 2.2: empty lines before a request are ignored
            data = data[2:]
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            self._take_head(data, end)
        elif data:
            self._ahead = bytearray(data)
            self._expect_head()
            self._check_partial_head()

    def _receive_more_of_head(self, data: bytes) -> None:
        ahead = self._ahead
        start = max(0, len(ahead) - 3)
        ahead += data
        if ahead[:2] == b"\r\n":
            self._ahead = bytearray()
            self._receive_head(bytes(ahead[2:]))
            return
        end = ahead.find(b"\r\n\r\n", start)
        if end < 0:
            self._check_partial_head()
            return
        self._ahead = bytearray()
        self._take_head(bytes(ahead), end)

    def _check_partial_head(self) -> None:
        refusal = refusal_of_partial(self._ahead, self.port.limits.header_bytes)
        if refusal is not None:
            self._refuse(refusal)

    def _take_head(self, data: bytes, end: int) -> None:
        if end + 4 > self.port.limits.header_bytes:
            self._refuse(refusal_of_size(data, self.port.limits.header_bytes))
        else:
            self._begin_request(data[: end + 4], data[end + 4 :])

    def _follow_trust(self) -> None:
        """Settings say whose word is taken; a connection that outlives them goes by the new ones."""
        port = self.port
        self.forwarded = ForwardedFields(self.peer_ip.decode(), port.scheme, port.trusted)

    def _begin_request(self, raw: bytes, rest: bytes) -> None:
        if self.forwarded.trusted is not self.port.trusted:
            self._follow_trust()
        request = parse_request(raw, self.forwarded, self.port.request_type)
        if isinstance(request, Problem):
            self._refuse(request)
            return
        self.deadline = math.inf
        self._receive = self._receive_ahead
        if request.section.framing.kind is not _NO_BODY:
            self._expect_body(request)
        self.request = request
        self.port.active.add(self)
        if rest:
            self._receive(rest)
        self.story.wake()

    def _expect_body(self, request: Request) -> None:
        framing = request.section.framing
        limit = self.port.limits.request_body_bytes
        if limit is not None and framing.length > limit:
            request.refusal = problem.BODY_TOO_LARGE
            self._receive = self._ignore
            return
        request.body = Body(self, keep=True)
        if framing.kind is Kind.CHUNKED:
            self._decoder = ChunkedDecoder()
            self._receive = self._receive_chunked
        elif framing.length:
            self._remaining = framing.length
            self._receive = self._receive_length
        else:
            request.body.finish()

    def _receive_length(self, data: bytes) -> None:
        request = self.request
        assert request is not None
        assert request.body is not None
        self._progress(request)
        size = len(data)
        if size <= self._remaining:
            self._remaining -= size
            request.body.feed(data)
            rest = b""
        else:
            request.body.feed(data[: self._remaining])
            rest = data[self._remaining :]
            self._remaining = 0
        if not self._remaining:
            self._end_body(rest, request.body)

    def _receive_chunked(self, data: bytes) -> None:
        request = self.request
        decoder = self._decoder
        assert request is not None
        assert request.body is not None
        assert decoder is not None
        self._progress(request)
        try:
            payload, rest = decoder.feed(data)
        except ChunkedError:
            self._fail_request(Fault.CLIENT_PROTOCOL)
            return
        limit = self.port.limits.request_body_bytes
        if limit is not None and request.body.received_bytes + len(payload) > limit:
            self._fail_request(Fault.TOO_LARGE)
            return
        request.body.feed(payload)
        if decoder.is_done:
            self._decoder = None
            request.body.trailers = decoder.trailers
            self._end_body(rest, request.body)

    def _end_body(self, rest: bytes, body: Body) -> None:
        self._receive = self._receive_ahead
        body.finish()
        request = self.request
        exchange = request.exchange if request is not None else None
        if exchange is None:
            self.deadline = math.inf
        elif exchange.answer is None:
            self._touch(exchange.clocks.response_s)
        if rest:
            self._receive_ahead(rest)

    def _receive_ahead(self, data: bytes) -> None:
        """Bytes of the next request, or of a tunnel that is not there yet, while this one is answered."""
        self._ahead += data
        if len(self._ahead) > _AHEAD_BYTES:
            self.pause_reading()

    def _ignore(self, data: bytes) -> None:
        """The connection is ending: what still comes is read, so that it need not be reset, and forgotten."""

    def _refuse(self, refusal: Problem) -> None:
        """Hand the story a request that it can only refuse; the connection is not read from any more."""
        self._receive = self._ignore
        self._ahead = bytearray()
        self.request = unreadable(self.port.request_type, refusal, self.peer_ip)
        self.port.active.add(self)
        self.story.wake()

    def _turn_away(self) -> None:
        """There are too many connections. Who comes far beyond the limit is not even told so: telling needs a place."""
        limit = self.port.limits.connections
        if self.port.crowd.total <= limit + max(64, limit // 8):
            self._refuse(problem.TOO_MANY_CONNECTIONS)
        else:
            self.port.on_limit(problem.TOO_MANY_CONNECTIONS.fault)
            self.transport.abort()

    def _expect_head(self) -> None:
        limit = self.port.limits.header_timeout_s
        self.deadline = math.inf if limit is None else now() + limit

    # Time, and ends

    def _progress(self, request: Request) -> None:
        exchange = request.exchange
        if exchange is not None:
            self._touch(exchange.clocks.idle_s)
        else:
            self._touch(self.port.limits.idle_timeout_s or math.inf)

    def _touch(self, seconds: float) -> None:
        self.deadline = now() + seconds

    def _is_waiting_for_client(self, request: Request, exchange: Exchange | None) -> bool:
        if exchange is None or exchange.answer is None:
            body = request.body
            if body is None or body.is_finished or body.is_paused:
                return False
            is_told = exchange is not None and exchange.has_bytes  # 100, for one that waits for it
            return is_told or body.received_bytes > 0 or b"expect" not in request.fields
        return exchange.body is not None and exchange.body.is_paused

    def _fail_request(self, fault: Fault) -> None:
        request = self.request
        if request is not None:
            self._receive = self._ignore
            if request.fault is None or fault is Fault.CLIENT_GONE:
                request.fault = fault
        self.story.wake()

    def _expire_without_request(self) -> None:
        if self._is_ending:
            self._expire_end()
        elif self._is_full:
            self.port.on_limit("slow_reader")
            self.transport.abort()
        elif self._ahead:
            self._refuse(problem.HEADER_TIMEOUT)
        else:
            if not self.port.is_draining:
                self.port.on_limit("idle_timeout")
            self._end(linger=False)

    def _expire_end(self) -> None:
        """End a connection whose last bytes have had their time; a client that reads on, slowly, has some more."""
        unsent = _unsent_bytes(self.transport)
        if 0 < unsent < self._unsent:
            self._unsent = unsent
            self._touch(_FLUSH_S)
        else:
            self.transport.abort()

    def _end(self, *, linger: bool) -> None:
        """Close, after what was written has left. `linger`: the client may still be sending; hear it out."""
        self._is_ending = True
        self._receive = self._ignore
        self._ahead = bytearray()
        if self.is_closed:
            return
        self.port.outbox.flush()
        self._unsent = _unsent_bytes(self.transport)
        self._touch(_LINGER_S if linger and not self._unsent else _FLUSH_S)
        if linger:
            self._resume()
            self.transport.write_eof()
        else:
            self.transport.close()
        self.story.wake()

    def _resume(self) -> None:
        if not self._is_reading and not self.is_closed:
            self._is_reading = True
            self.transport.resume_reading()

    def _reset_when_sent(self, until: float) -> None:
        """A reset throws away what has not left yet: wait for it, as long as the client reads."""
        if self.is_closed:
            return
        if now() < until and _unsent_bytes(self.transport):
            self.port.loop.call_later(_CUT_DELAY_S, self._reset_when_sent, until)
            return
        self._reset()

    def _reset(self) -> None:
        if not self.is_closed:
            peer: socket.socket | None = self.transport.get_extra_info("socket")
            if peer is not None:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()

    def _crash(self, crash: Exception) -> None:
        self.port.on_crash(crash)
        request = self.request
        if request is not None and request.exchange is not None:
            request.exchange.settle()
        self.cut()
