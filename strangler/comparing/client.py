"""The client of an upstream for comparisons: own connections, own breaker, own timeout, and never a second try.

Requests are written as bytes and responses are read by the workers' parsers, so that a shadow reaches whatever a
client's request reaches, and what workers reject is rejected here.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from strangler.comparing.arm_request import Outgoing
from strangler.comparing.connector import NoConnectionError, UpstreamConnector
from strangler.core.compare import Response
from strangler.core.fault import Fault
from strangler.core.resilience.breaker import Breaker
from strangler.core.resilience.endpoints import EndpointKey, Endpoints
from strangler.core.result import Result
from strangler.core.settings import BreakerSettings, UpstreamSettings, Url
from strangler.http1.upstream_stream import BadResponseError, UpstreamStream

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


class _WithheldError(Exception):
    """The request must no longer be sent."""


class ArmUpstream:
    """One upstream as shadows use it. It must be closed."""

    def __init__(
        self,
        settings: UpstreamSettings,
        is_healthy: Callable[[str, Url], bool] = lambda upstream, url: True,
        files: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """Take the settings, `is_healthy`, the result of active checks of a URL of the upstream, and the content of the
        files that the settings name."""
        self.settings = settings
        self._connector = UpstreamConnector(settings, files)
        self.tls = self._connector.tls
        self._is_healthy = is_healthy
        self._endpoints = Endpoints([EndpointKey(url, url.connect_host) for url in settings.urls])
        self.breaker = Breaker(settings.name, BREAKER)
        self.failures = 0
        """The failures so far. After each, another process may be behind it, which must confirm dry runs again."""

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
        await self._connector.close()

    async def _ask(self, request: Outgoing, timeout_s: float, max_bytes: int, may_send: Callable[[], bool]) -> Response:
        try:
            async with asyncio.timeout(timeout_s):
                # a connection for each request: an idle one may hold unrequested bytes that would be the next response
                stream = await self._connector.connect(request.url, UpstreamStream.open)
                try:
                    if not may_send():
                        raise _WithheldError
                    return await _exchange(stream, request, max_bytes)
                finally:
                    stream.abort()
        except TimeoutError:
            return Response(0, fault=Fault.TIMEOUT)
        except NoConnectionError:
            return Response(0, fault=Fault.CONNECT)
        except BadResponseError:
            return Response(0, fault=Fault.BAD_RESPONSE)
        except OSError:
            return Response(0, fault=Fault.RESET)


async def _exchange(stream: UpstreamStream, request: Outgoing, max_bytes: int) -> Response:
    """Send a request and read its response. Raises OSError if the connection breaks."""
    stream.write(request.encode())
    sent = time.monotonic()
    head, rest = await stream.read_head(is_head=request.method == b"HEAD")
    duration_s = time.monotonic() - sent
    headers = head.headers()
    if head.has_stream_type:
        return Response(head.status, headers, duration_s=duration_s, is_streaming=True)
    try:
        body = await stream.read_body(head, rest, max_bytes)
    except (OSError, BadResponseError):
        if head.status < 500:
            raise
        body = None  # the status alone makes it a failure, whatever becomes of its body
    if body is None:
        return Response(head.status, headers, duration_s=duration_s, is_too_large=True)
    return Response(head.status, headers, body, duration_s=duration_s)
