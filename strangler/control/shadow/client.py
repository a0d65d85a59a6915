"""The client of an upstream for comparisons: own connections, own breaker, own timeout, and never a second try.

Requests are written as bytes and responses are read by the workers' parsers, so that a shadow reaches whatever a
client's request reaches, and what workers reject is rejected here.
"""

import asyncio
import random
import ssl
import time
from collections.abc import Callable

from strangler.control.shadow.request import Outgoing
from strangler.core.compare import Response
from strangler.core.fault import Fault
from strangler.core.http.framing import Kind
from strangler.core.resilience.breaker import Breaker
from strangler.core.resilience.endpoints import EndpointKey, Endpoints
from strangler.core.result import Result
from strangler.core.settings import BreakerSettings, UpstreamSettings, Url
from strangler.http1.chunked import ChunkedDecoder, ChunkedError
from strangler.http1.pool import tls_context
from strangler.http1.response import ResponseHead as Head
from strangler.http1.response import mend_line_ends, parse_response
from strangler.sockets.dns import HostNames

BREAKER = BreakerSettings(
    failure_rate=0.5,
    min_requests=20,
    window_s=30.0,
    consecutive=5,
    slow_call_s=None,
    cooldown_s=10.0,
    max_cooldown_s=300.0,
    trials=1,
    counts=(Fault.CONNECT.value, Fault.RESET.value, Fault.TIMEOUT.value),
)
"""The breaker of shadows only: a 5xx response is worth comparing, a silent arm is not worth asking."""

MAX_HEAD_BYTES = 256 * 1024
_READ_BYTES = 64 * 1024


class _ConnectError(Exception):
    """No connection was made, so nothing was sent."""


class _WithheldError(Exception):
    """The request must no longer be sent."""


class _BadResponseError(Exception):
    """The received bytes are not a response that a worker would pass on."""


class ShadowUpstream:
    """One upstream as shadows use it. It must be closed."""

    def __init__(
        self, settings: UpstreamSettings, is_healthy: Callable[[str, Url], bool] = lambda upstream, url: True
    ) -> None:
        """Take the settings, and `is_healthy`, the result of active checks of a URL of the upstream."""
        self.settings = settings
        self._is_healthy = is_healthy
        self._endpoints = Endpoints([EndpointKey(url, url.host) for url in settings.urls])
        self.breaker = Breaker(settings.name, BREAKER)
        self.failures = 0
        """The failures so far. After each, another process may be behind it, which must confirm dry runs again."""
        self._names: HostNames | None = None
        self._tls: ssl.SSLContext | None = None

    def pick(self) -> Url:
        """Return one of its URLs as a live request would: at random, but not an unhealthy or ejected one."""
        at, endpoints = time.monotonic(), self._endpoints
        for state in endpoints.states:
            is_healthy = self._is_healthy(self.settings.name, state.key.url)
            if is_healthy is not state.is_healthy:
                endpoints.set_health(state.key, is_healthy, "active checks", at)
        state = endpoints.pick(at, random.random)
        endpoints.give_back(state)
        return state.key.url

    async def ask(
        self, request: Outgoing, timeout_s: float, max_bytes: int, may_send: Callable[[], bool] = lambda: True
    ) -> Response:
        """Return the response, faults included. Its time is from the request sent to the response's header section.

        `may_send` is called once there is a connection; if it is False, nothing is sent and the fault is OPEN.
        """
        permit = self.breaker.try_acquire(time.monotonic())
        if permit is None:
            return Response(0, fault=Fault.OPEN)
        started = time.monotonic()
        try:
            response = await self._ask(request, timeout_s, max_bytes, may_send)
        except asyncio.CancelledError:
            self.breaker.give_back(permit)
            raise
        except _WithheldError:
            self.breaker.give_back(permit)
            return Response(0, fault=Fault.OPEN)
        self.failures += response.fault is not None
        now = time.monotonic()
        result = Result(response.fault, response.status or None, now - started)
        state = next(state for state in self._endpoints.states if state.key.url == request.url)
        state.in_flight += 1
        self._endpoints.report(state, result, now)
        if self._endpoints.is_own_failure(state, result, now):
            self.breaker.give_back(permit)
        else:
            self.breaker.report(permit, result, now, random.random)
        return response

    async def close(self) -> None:
        if self._names is not None:
            await self._names.close()
            self._names = None

    async def _ask(self, request: Outgoing, timeout_s: float, max_bytes: int, may_send: Callable[[], bool]) -> Response:
        try:
            async with asyncio.timeout(timeout_s):
                # a connection for each request: an idle one may hold unrequested bytes that would be the next response
                reader, writer = await self._connect(request.url)
                try:
                    if not may_send():
                        raise _WithheldError
                    return await _exchange(reader, writer, request, max_bytes)
                finally:
                    writer.transport.abort()
        except TimeoutError:
            return Response(0, fault=Fault.TIMEOUT)
        except _ConnectError:
            return Response(0, fault=Fault.CONNECT)
        except _BadResponseError:
            return Response(0, fault=Fault.BAD_RESPONSE)
        except OSError:
            return Response(0, fault=Fault.RESET)

    async def _connect(self, url: Url) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection to the first address that accepts it, in random order. Raises _ConnectError."""
        addresses = list(self._watched().addresses(url.host))
        random.shuffle(addresses)
        for address in addresses:
            try:
                async with asyncio.timeout(self.settings.timeouts.connect_s):
                    return await self._open(url, address)
            except (OSError, UnicodeError):  # timeouts, TLS and host name errors are among them
                continue
        self._watched().hint(url.host)
        raise _ConnectError

    async def _open(self, url: Url, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if url.scheme != "https":
            return await asyncio.open_connection(address, url.port)
        if self._tls is None:
            self._tls = tls_context(self.settings.tls)  # here, since the CA file may have gone since `check`
        return await asyncio.open_connection(address, url.port, ssl=self._tls, server_hostname=url.server_name)

    def _watched(self) -> HostNames:
        if self._names is None:
            self._names = HostNames(asyncio.get_running_loop(), lambda _: None)
            self._names.watch({url.host for url in self.settings.urls})
        self._names.sweep(time.monotonic())
        return self._names


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Outgoing, max_bytes: int
) -> Response:
    """Send a request and read its response. Raises OSError if the connection breaks."""
    writer.write(request.encode())
    sent = time.monotonic()
    head, rest = await _read_head(reader, is_head=request.method == b"HEAD")
    duration_s = time.monotonic() - sent
    headers = head.headers()
    if head.has_stream_type:
        return Response(head.status, headers, duration_s=duration_s, is_streaming=True)
    try:
        body = await _read_body(reader, head, rest, max_bytes)
    except (OSError, _BadResponseError):
        if head.status < 500:
            raise
        body = None  # the status alone makes it a failure, whatever becomes of its body
    if body is None:
        return Response(head.status, headers, duration_s=duration_s, is_too_large=True)
    return Response(head.status, headers, body, duration_s=duration_s)


async def _read_head(reader: asyncio.StreamReader, *, is_head: bool) -> tuple[Head, bytes]:
    """Return the head of the final response, and the bytes after it."""
    data = b""
    while True:
        end = data.find(b"\r\n\r\n") + 4
        if max(end, len(data) if end < 4 else 0) > MAX_HEAD_BYTES or not _is_http(data):
            raise _BadResponseError
        if end < 4:
            data = mend_line_ends(data) or data + await _read_some(reader)
            continue
        head = parse_response(data[:end], is_head_response=is_head)
        mended = mend_line_ends(data) if head is None else None
        if mended is not None:
            data = mended
            continue
        if head is None or head.status == 101:  # no upgrade is ever requested
            raise _BadResponseError
        data = data[end:]
        if head.status >= 200:
            return head, data


def _is_http(data: bytes) -> bool:
    return data.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(data)


async def _read_body(reader: asyncio.StreamReader, head: Head, rest: bytes, max_bytes: int) -> bytes | None:
    """Return the whole body without framing; None if it is over `max_bytes`."""
    kind, length = head.framing
    if kind is Kind.NONE:
        return b""
    if kind is Kind.CHUNKED:
        return await _read_chunks(reader, rest, max_bytes)
    if length > max_bytes:
        return None
    parts, size = [rest], len(rest)
    while size <= max_bytes and (kind is Kind.CLOSE or size < length):
        data = await reader.read(_READ_BYTES)
        if not data and kind is Kind.CLOSE:
            break
        if not data:
            raise ConnectionResetError
        parts.append(data)
        size += len(data)
    body = b"".join(parts)
    if kind is Kind.LENGTH:
        return body[:length]
    return body if size <= max_bytes else None


async def _read_chunks(reader: asyncio.StreamReader, rest: bytes, max_bytes: int) -> bytes | None:
    decoder, parts, size = ChunkedDecoder(), list[bytes](), 0
    while True:
        try:
            payload, _ = decoder.feed(rest)
        except ChunkedError as error:
            raise _BadResponseError from error
        parts.append(payload)
        size += len(payload)
        if size > max_bytes:
            return None
        if decoder.is_done:
            return b"".join(parts)
        rest = await _read_some(reader)


async def _read_some(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(_READ_BYTES)
    if not data:
        raise ConnectionResetError
    return data
