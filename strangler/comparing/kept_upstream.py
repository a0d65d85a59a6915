"""An upstream as a replay asks it: a caller's requests on one kept connection, and a new one where none may be used."""

import random
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from strangler.comparing.arm_request import Outgoing
from strangler.comparing.connector import NoConnectionError, UpstreamConnector
from strangler.comparing.kept_connection import KeptConnection
from strangler.core.compare import Response
from strangler.core.fault import Fault
from strangler.core.settings import TimeoutSettings, UpstreamSettings, Url
from strangler.http1.pool import ONCE_S
from strangler.tls.client_context import ClientTlsState


def _always() -> bool:
    return True


class KeptUpstream:
    """One upstream and its connections. Call `expire` now and then, and `close` at the end."""

    def __init__(
        self,
        settings: UpstreamSettings,
        files: Mapping[str, bytes] = MappingProxyType({}),
        tls: ClientTlsState | None = None,
        max_idle: int = 256,
    ) -> None:
        """`files`, `tls`: as for the connector; `max_idle`: the most connections that are kept idle."""
        self.settings = settings
        self.failures = 0
        """The requests without a response so far."""
        self.sent_again = 0
        """Requests that were sent a second time, since the upstream had closed the first one's idle connection."""
        self._connector = UpstreamConnector(settings, files, tls)
        self._max_idle = max_idle
        self._of_caller: OrderedDict[str, KeptConnection] = OrderedDict()
        """The idle connections of callers with more requests to come, the one used longest ago first."""
        self._free: OrderedDict[KeptConnection, None] = OrderedDict()
        """The idle connections of no caller, the newest last."""
        self._busy: set[KeptConnection] = set()

    def pick(self, caller: str) -> Url:
        """Return the URL of the caller's connection, else one at random."""
        kept = self._of_caller.get(caller)
        urls = self.settings.urls
        return kept.url if kept is not None and kept.is_usable else urls[0] if len(urls) == 1 else random.choice(urls)  # noqa: S311

    async def ask(
        self,
        caller: str,
        request: Outgoing,
        timeouts: TimeoutSettings,
        max_bytes: int,
        may_send: Callable[[], bool] = _always,
    ) -> Response:
        """Return the response to a caller's request, faults included.

        `may_send` is called once there is a connection; if it is False, nothing is sent and the fault is OPEN. A safe
        request that found its connection closed by the upstream, and got nothing back, is sent once more.
        """
        is_safe = request.is_safe
        connection = self._take(caller, request.url, once=not is_safe)
        is_reused = connection is not None
        response = await self._ask(caller, connection, request, timeouts, max_bytes, may_send)
        if is_reused and is_safe and connection is not None and _is_untouched(response, connection):
            self.sent_again += 1
            response = await self._ask(caller, None, request, timeouts, max_bytes, may_send)
        self.failures += response.fault is not None
        return response

    def release(self, caller: str) -> None:
        """Let other callers have the connection of one that has no more requests for now."""
        kept = self._of_caller.pop(caller, None)
        if kept is not None:
            self._set_free(kept)

    def expire(self, now: float) -> None:
        """End the exchanges whose time is over."""
        for connection in [*self._busy]:
            connection.expire(now)

    async def close(self) -> None:
        """Close all connections at once."""
        for connection in (*self._of_caller.values(), *self._free, *self._busy):
            connection.abort()
        self._of_caller.clear()
        self._free.clear()
        await self._connector.close()

    async def _ask(
        self,
        caller: str,
        connection: KeptConnection | None,
        request: Outgoing,
        timeouts: TimeoutSettings,
        max_bytes: int,
        may_send: Callable[[], bool],
    ) -> Response:
        if connection is None:
            try:
                connection = await self._connector.connect(request.url, KeptConnection.open)
            except NoConnectionError:
                return Response(0, fault=Fault.CONNECT)
        self._busy.add(connection)
        try:
            if not may_send():
                return Response(0, fault=Fault.OPEN)
            return await connection.ask(request.encode(), timeouts, max_bytes, is_head=request.method == b"HEAD")
        finally:
            self._busy.discard(connection)
            if connection.is_usable:
                self._give_back(caller, connection)

    def _take(self, caller: str, url: Url, *, once: bool) -> KeptConnection | None:
        """Return an idle connection, the caller's own first. `once`: for a request that cannot be sent a second time.

        On one that was idle for longer, the upstream's close may be on its way already.
        """
        now = time.monotonic()
        kept = self._of_caller.pop(caller, None)
        while kept is not None or self._free:
            connection, kept = kept or self._free.popitem()[0], None
            is_recent = not once or now - connection.idle_since < ONCE_S
            lasts_s = min(self.settings.keepalive_s, connection.keep_s)
            is_usable = connection.is_usable and now - connection.idle_since < lasts_s
            if is_usable and is_recent and connection.url == url:
                return connection
            if connection.is_usable:
                connection.abort()
        return None

    def _give_back(self, caller: str, connection: KeptConnection) -> None:
        connection.idle_since = time.monotonic()
        before = self._of_caller.pop(caller, None)
        self._of_caller[caller] = connection
        if before is not None:  # a part of an aggregate had another one at the same time
            self._set_free(before)
        if len(self._of_caller) + len(self._free) > self._max_idle:
            oldest = self._free.popitem(last=False)[0] if self._free else self._of_caller.popitem(last=False)[1]
            if oldest.is_usable:
                oldest.abort()

    def _set_free(self, connection: KeptConnection) -> None:
        if connection.is_usable:
            self._free[connection] = None


def _is_untouched(response: Response, connection: KeptConnection) -> bool:
    return response.fault is Fault.RESET and not connection.has_bytes


@dataclass(frozen=True, slots=True)
class CallerUpstream:
    """An upstream as one caller's requests reach it."""

    upstream: KeptUpstream
    caller: str
    timeouts: TimeoutSettings

    @property
    def settings(self) -> UpstreamSettings:
        return self.upstream.settings

    def pick(self) -> Url:
        return self.upstream.pick(self.caller)

    async def ask(self, request: Outgoing, timeout_s: float, max_bytes: int) -> Response:
        """Return the response, faults included. `timeout_s`: until its head."""
        return await self.upstream.ask(self.caller, request, _within(self.timeouts, timeout_s), max_bytes)


def _within(timeouts: TimeoutSettings, timeout_s: float) -> TimeoutSettings:
    limit_s = timeout_s if timeouts.response_s is None else min(timeouts.response_s, timeout_s)
    return TimeoutSettings(timeouts.connect_s, limit_s, timeouts.idle_s)
