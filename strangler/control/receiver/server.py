"""The server of the receiver, in the event loop of control. It reads requests as strictly as a worker does."""

import asyncio
import os
import socket
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast

import structlog

from strangler.control.own_metrics import OwnMetrics
from strangler.control.receiver.receiving import Receiving
from strangler.control.receiver.serving import serve
from strangler.control.reload import InForce
from strangler.core.http.addresses import peer_address
from strangler.core.http.trust import TrustedProxies
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import LimitSettings, Settings
from strangler.http1.client_connection import ClientConnection
from strangler.http1.request import Request
from strangler.http1.server_state import ServerState
from strangler.ipc.process import raise_file_limit
from strangler.sockets.accept import Accepted, Acceptor, Beginning, ConnectionCounts, empty_page
from strangler.unnamed_files import unnamed_file

OTHER_FILES: Final = 1000
"""Descriptors other than those of mirroring proxies: connections to the arms, the admin listener, the store."""

TICK_S: Final = 0.05
"""How late a timeout of a request may be noticed."""

IDLE_TICKS: Final = 5
"""Idle connections are looked at every so many ticks."""

LAST_S: Final = 1.5
"""The time that connections have to end at the end of control."""

log = structlog.get_logger()


class ReceiverServer:
    """Owns the connections of mirroring proxies. Call `start` once, and `close` at the end."""

    def __init__(self, settings: Settings, receiving: Receiving, own: OwnMetrics) -> None:
        loop = asyncio.get_running_loop()
        self._receiving = receiving
        self._own = own
        self._server = ServerState(
            loop,
            _limits(settings),
            Request,
            lambda client: serve(client, receiving),
            TrustedProxies(settings.trusted_proxies),
            self._crashed,
            self._count_refused,
        )
        page = unnamed_file(empty_page())
        self._counts = ConnectionCounts(page)
        os.close(page)
        self._acceptor = Acceptor(loop, 0, self._counts, lambda: len(self._server.connections), self._connect)
        self._wanted: InForce | None = None
        self._has_changed = asyncio.Event()

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept from now on."""
        allowed, wanted = raise_file_limit(), self._server.limits.connections
        if allowed < wanted + OTHER_FILES:
            way_out = "raise `ulimit -n`, or lower the limit"
            log.warning("receiver.few_files", allowed=allowed, connections=wanted, way_out=way_out)
        self._acceptor.start([(listener, "") for listener in sockets])

    def adopt(self, in_force: InForce) -> None:
        """Have these settings followed, by `run`."""
        self._wanted = in_force
        self._has_changed.set()

    async def run(self) -> None:
        """Watch the clocks of connections, and follow the settings, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick())
            group.create_task(self._follow())

    async def close(self, *, is_last: bool) -> None:
        """Accept no more, and let requests under way end. `is_last`: nobody else will accept at the sockets."""
        self._server.drain()
        if is_last:
            await self._acceptor.finish()
        else:
            self._acceptor.stop()
        await self._acceptor.settle()
        until = self._server.loop.time() + LAST_S
        while self._server.connections and self._server.loop.time() < until:
            self._server.sweep_all(self._server.loop.time())
            await asyncio.sleep(TICK_S)
        self._server.abort()
        await asyncio.sleep(0)
        self._counts.close()

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            ticks += 1
            now = self._server.loop.time()
            self._server.sweep_active(now)
            if ticks % IDLE_TICKS == 0:
                self._server.sweep_all(now)

    async def _follow(self) -> None:
        """Adopt new settings. A thread prepares them: 10,000 routes take half a second."""
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            if self._wanted is None:
                continue
            settings, generation = self._wanted.settings, self._wanted.generation
            self._receiving.snapshot = await asyncio.to_thread(Snapshot, settings, generation)
            self._server.limits = _limits(settings)
            self._server.trusted = TrustedProxies(settings.trusted_proxies)

    def _connect(self, accepted: Accepted, address: str) -> Beginning:
        client = ClientConnection(self._server, None, peer_address(accepted.peer))
        protocol = cast(asyncio.Protocol, client)
        return cast(Beginning, self._server.loop.connect_accepted_socket(lambda: protocol, accepted.bare()))

    def _count_refused(self, reason: str) -> None:
        self._own.counter("strangler_refused_total", reason).inc()

    def _crashed(self, crash: Exception) -> None:
        """Log a bug in the task of a connection: that connection ends, the others go on."""
        log.error("receiver.crash", error=repr(crash), traceback="".join(traceback.format_exception(crash)))


def _limits(settings: Settings) -> LimitSettings:
    """Return the limits. A body may have any length: what is too large to be compared is thrown away."""
    return replace(settings.limits, request_body_bytes=None)
