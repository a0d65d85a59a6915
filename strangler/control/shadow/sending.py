"""Asking an upstream for a comparison: own connections, own breaker, own time limit, and never a second try."""

import asyncio
import random
import time
from types import SimpleNamespace
from typing import Any

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    InvalidURL,
    TCPConnector,
    TraceConfig,
)
from yarl import URL

from strangler.control.shadow.outgoing import Outgoing
from strangler.core.breaker import Breaker
from strangler.core.compare import Answer
from strangler.core.fault import Fault
from strangler.core.result import Result
from strangler.core.settings import BreakerSettings, UpstreamSettings, Url
from strangler.wire.pool import tls_context

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
"""Of shadows alone: an arm that answers 5xx is worth comparing, one that does not answer is not worth asking."""

_ADDED_BY_THE_LIBRARY = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_HEAD_BYTES = 256 * 1024
_STREAMS = ("text/event-stream", "multipart/x-mixed-replace")


class ShadowUpstream:
    """One upstream as shadows see it. `close` it."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self.settings = settings
        self.breaker = Breaker(settings.name, BREAKER)
        self._session: ClientSession | None = None

    def pick(self) -> Url:
        """One of its URLs, by chance."""
        return random.choice(self.settings.urls)  # noqa: S311 - no secret

    async def ask(self, request: Outgoing, timeout_s: float, max_bytes: int) -> Answer:
        """What it answers, faults included. The time is that from the request sent to the answer's head."""
        permit = self.breaker.try_acquire(time.monotonic())
        if permit is None:
            return Answer(0, fault=Fault.OPEN)
        started = time.monotonic()
        try:
            answer = await self._ask(request, timeout_s, max_bytes)
        except asyncio.CancelledError:
            self.breaker.give_back(permit)
            raise
        now = time.monotonic()
        result = Result(answer.fault, answer.status or None, now - started)
        self.breaker.report(permit, result, now, random.random)
        return answer

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, request: Outgoing, timeout_s: float, max_bytes: int) -> Answer:
        clock = SimpleNamespace(sent=time.monotonic())
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._opened().request(
                    request.method,
                    _url(request),
                    headers=request.headers,
                    data=request.body or None,
                    allow_redirects=False,
                    trace_request_ctx=clock,
                ) as response,
            ):
                return await _read(response, time.monotonic() - clock.sent, max_bytes)
        except TimeoutError:
            return Answer(0, fault=Fault.TIMEOUT)
        except ClientConnectorError:
            return Answer(0, fault=Fault.CONNECT)
        except (ClientResponseError, InvalidURL, ValueError):
            return Answer(0, fault=Fault.BAD_RESPONSE)
        except (ClientError, OSError):
            return Answer(0, fault=Fault.RESET)

    def _opened(self) -> ClientSession:
        if self._session is None:
            is_tls = any(url.scheme == "https" for url in self.settings.urls)
            # a connection for each request: what an upstream sends unasked on an idle one would answer the next
            connector = TCPConnector(limit=0, force_close=True, ssl=tls_context(self.settings.tls) if is_tls else True)
            self._session = ClientSession(
                connector=connector,
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=_ADDED_BY_THE_LIBRARY,
                timeout=ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
                max_line_size=_HEAD_BYTES,
                max_field_size=_HEAD_BYTES,
                trace_configs=[_when_sent()],
            )
            self._session._retry_connection = False  # or idempotent requests are sent twice (aiohttp 3.14)
        return self._session


def _when_sent() -> TraceConfig:
    """Notes the moment when a request's head has left: connecting is not the upstream's time to answer."""
    trace = TraceConfig()

    async def sent(_: ClientSession, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.sent = time.monotonic()

    trace.on_request_headers_sent.append(sent)
    return trace


def _url(request: Outgoing) -> URL:
    path, question, query = request.target.partition("?")
    url = request.url
    return URL.build(
        scheme=url.scheme, host=url.host, port=url.port, path=path, query_string=query if question else "", encoded=True
    )


async def _read(response: ClientResponse, duration_s: float, max_bytes: int) -> Answer:
    headers = list(response.raw_headers)
    if response.content_type in _STREAMS:
        response.close()
        return Answer(response.status, headers, duration_s=duration_s, is_streaming=True)
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > max_bytes:
            response.close()
            return Answer(response.status, headers, duration_s=duration_s, is_too_large=True)
        parts.append(part)
    return Answer(response.status, headers, b"".join(parts), duration_s=duration_s)
