"""A connection to an upstream that is kept for one exchange after the other, read by the workers' parsers.

A protocol of its own, and no stream: a stream costs as much as all the rest of a small exchange.
"""

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import Self, cast

from strangler.core.compare import Response
from strangler.core.fault import Fault
from strangler.core.http.framing import Kind
from strangler.core.settings import TimeoutSettings, Url
from strangler.http1.chunked import ChunkedDecoder, ChunkedError
from strangler.http1.connect import connect
from strangler.http1.response import ResponseHead
from strangler.http1.upstream_stream import BadResponseError, final_head
from strangler.tls.client_context import ClientTlsState


@dataclass(slots=True)
class _Exchange:
    done: asyncio.Future[Response]
    timeouts: TimeoutSettings
    max_bytes: int
    is_head: bool
    sent_at: float
    ahead: bytes = b""
    """A head that is not complete."""
    head: ResponseHead | None = None
    duration_s: float = 0.0
    latest: float = math.inf
    """The time by which the body must be whole."""
    decoder: ChunkedDecoder | None = None
    body: list[bytes] = field(default_factory=list)
    size: int = 0


class KeptConnection(asyncio.Protocol):
    """One connection. Bytes that no request asked for close it."""

    def __init__(self, url: Url) -> None:
        self.url = url
        self.is_usable = True
        """Whether another exchange may follow."""
        self.keep_s = math.inf
        """How long it may be used again, by the upstream's Keep-Alive field."""
        self.idle_since = 0.0
        self.deadline = math.inf
        self.has_bytes = False
        """Whether any byte came back in the last exchange."""
        self._exchange: _Exchange | None = None
        self._may_end = url.scheme != "https"
        """Whether its end is sound: of TLS only after a close_notify, since anybody can forge another end."""

    @classmethod
    async def open(cls, url: Url, address: str, tls: ClientTlsState) -> Self:
        """Connect. Raises `connect.CONNECT_ERRORS`."""
        _, connection = await connect(lambda: cls(url), url, address, tls)
        return connection

    async def ask(self, request: bytes, timeouts: TimeoutSettings, max_bytes: int, *, is_head: bool) -> Response:
        """Return the response, faults included. Its time is from the request sent to the response's head.

        The body must be whole within the timeout of a response, too: no more of it than `max_bytes` is read. One ask
        at a time; `expire` must be called now and then.
        """
        self.has_bytes = False
        if not self.is_usable:
            return Response(0, fault=Fault.RESET)
        sent_at = time.monotonic()
        done: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        exchange = self._exchange = _Exchange(done, timeouts, max_bytes, is_head, sent_at)
        self.deadline = math.inf if timeouts.response_s is None else sent_at + timeouts.response_s
        self._transport.write(request)
        try:
            return await done
        finally:
            if self._exchange is exchange:  # given up
                self.abort()

    def expire(self, now: float) -> None:
        """End the exchange if its time is over."""
        if now >= self.deadline and self._exchange is not None:
            self._fail(self._exchange, Fault.TIMEOUT)

    def abort(self) -> None:
        """Close at once."""
        self.is_usable = False
        self._exchange = None
        self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self.abort()
            return
        self.has_bytes = True
        try:
            self._receive(exchange, data)
        except (BadResponseError, ChunkedError):
            self._fail(exchange, Fault.BAD_RESPONSE)

    def eof_received(self) -> bool:
        self._may_end = True
        self.is_usable = False
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_usable = False
        exchange = self._exchange
        if exchange is None:
            return
        is_sound = exc is None and self._may_end
        if is_sound and exchange.head is not None and exchange.head.framing.kind is Kind.CLOSE:
            self._end(exchange, b"".join(exchange.body), is_reusable=False)
        else:
            self._fail(exchange, Fault.RESET)

    # Reading a response

    def _receive(self, exchange: _Exchange, data: bytes) -> None:
        if exchange.head is None:
            head, data = final_head(exchange.ahead + data, is_head=exchange.is_head)
            if head is None:
                exchange.ahead = data
                return
            self._begin_response(exchange, head)
            if self._exchange is None:
                return
        elif exchange.timeouts.idle_s is not None:
            self.deadline = min(exchange.latest, time.monotonic() + exchange.timeouts.idle_s)
        self._receive_body(exchange, exchange.head, data)

    def _begin_response(self, exchange: _Exchange, head: ResponseHead) -> None:
        now = time.monotonic()
        exchange.head, exchange.duration_s = head, now - exchange.sent_at
        limits = exchange.timeouts
        exchange.latest = math.inf if limits.response_s is None else now + limits.response_s
        self.deadline = exchange.latest if limits.idle_s is None else min(exchange.latest, now + limits.idle_s)
        if head.has_stream_type:
            self._end(exchange, b"", is_reusable=False, is_streaming=True)
        elif head.framing.kind is Kind.LENGTH and head.framing.length > exchange.max_bytes:
            self._end(exchange, b"", is_reusable=False, is_too_large=True)
        elif head.framing.kind is Kind.CHUNKED:
            exchange.decoder = ChunkedDecoder()

    def _receive_body(self, exchange: _Exchange, head: ResponseHead | None, data: bytes) -> None:
        assert head is not None
        kind, length = head.framing
        if kind is Kind.NONE:
            self._end(exchange, b"", is_reusable=not data)
            return
        if kind is Kind.LENGTH and not exchange.size and len(data) == length:  # the usual case: whole, with the head
            self._end(exchange, data, is_reusable=True)
            return
        rest, is_done = b"", False
        if exchange.decoder is not None:
            data, rest = exchange.decoder.feed(data)
            is_done = exchange.decoder.is_done
        exchange.body.append(data)
        exchange.size += len(data)
        if exchange.size > exchange.max_bytes and kind is not Kind.LENGTH:
            self._end(exchange, b"", is_reusable=False, is_too_large=True)
        elif is_done:
            self._end(exchange, b"".join(exchange.body), is_reusable=not rest)
        elif kind is Kind.LENGTH and exchange.size >= length:
            self._end(exchange, b"".join(exchange.body)[:length], is_reusable=exchange.size == length)

    def _end(
        self,
        exchange: _Exchange,
        body: bytes,
        *,
        is_reusable: bool,
        is_streaming: bool = False,
        is_too_large: bool = False,
    ) -> None:
        head = exchange.head
        assert head is not None
        is_sent = not self._transport.get_write_buffer_size()
        self._leave(is_reusable=is_reusable and is_sent and head.keep_alive)
        self.keep_s = head.keep_s
        response = Response(
            head.status,
            head.headers(),
            body,
            duration_s=exchange.duration_s,
            is_too_large=is_too_large,
            is_streaming=is_streaming,
        )
        if not exchange.done.done():
            exchange.done.set_result(response)

    def _fail(self, exchange: _Exchange, fault: Fault) -> None:
        """End an exchange without its whole response; of a 5xx the status alone counts, whatever its body."""
        head = exchange.head
        if head is not None and head.status >= 500:
            self._end(exchange, b"", is_reusable=False, is_too_large=True)
            return
        self._leave(is_reusable=False)
        if not exchange.done.done():
            exchange.done.set_result(Response(0 if head is None else head.status, fault=fault))

    def _leave(self, *, is_reusable: bool) -> None:
        self._exchange = None
        self.deadline = math.inf
        if not is_reusable:
            self.abort()
