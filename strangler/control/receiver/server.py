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
from strangler.control.receiver.senders import OtherProxies, OwnEnvoy, Sender
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

ADDED_BYTES: Final = 4096
"""How much longer than a client's the head of a request may be that our own Envoy mirrors."""

_OTHERS: Final = ""
_OWN: Final = "mirrors"

log = structlog.get_logger()


class ReceiverServer:
    """Owns the connections of mirroring proxies. Call `start` once, and `close` at the end."""

    def __init__(self, settings: Settings, receiving: Receiving, own: OwnMetrics) -> None:
        self._loop = asyncio.get_running_loop()
        self._receiving = receiving
        self._own = own
        self._of_others = self._state(OtherProxies(receiving), settings, _limits(settings))
        self._of_own = self._state(OwnEnvoy(receiving), settings, _limits_of_own(settings))
        self._servers = (self._of_others, self._of_own)
        page = unnamed_file(empty_page())
        self._counts = ConnectionCounts(page)
        os.close(page)
        self._acceptor = Acceptor(self._loop, 0, self._counts, self._connections, self._connect)
        self._wanted: InForce | None = None
        self._has_changed = asyncio.Event()

    def start(self, sockets: Sequence[socket.socket], mirrors: socket.socket | None = None) -> None:
        """Accept from now on. `mirrors`: where our own Envoy sends what it has sampled; None: there is none."""
        if sockets:
            self._look_at_file_limit()
        listeners = [(listener, _OTHERS) for listener in sockets]
        self._acceptor.start(listeners if mirrors is None else [*listeners, (mirrors, _OWN)])

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
        for server in self._servers:
            server.drain()
        if is_last:
            await self._acceptor.finish()
        else:
            self._acceptor.stop()
        await self._acceptor.settle()
        until = self._loop.time() + LAST_S
        while self._connections() and self._loop.time() < until:
            self._sweep_all()
            await asyncio.sleep(TICK_S)
        for server in self._servers:
            server.abort()
        await asyncio.sleep(0)
        self._counts.close()

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            ticks += 1
            for server in self._servers:
                server.sweep_active(self._loop.time())
            if ticks % IDLE_TICKS == 0:
                self._sweep_all()

    def _sweep_all(self) -> None:
        for server in self._servers:
            server.sweep_all(self._loop.time())

    async def _follow(self) -> None:
        """Adopt new settings. A thread prepares them: 10,000 routes take half a second."""
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            if self._wanted is None:
                continue
            settings, generation = self._wanted.settings, self._wanted.generation
            self._receiving.snapshot = await asyncio.to_thread(Snapshot, settings, generation)
            self._of_others.limits, self._of_own.limits = _limits(settings), _limits_of_own(settings)
            for server in self._servers:
                server.trusted = TrustedProxies(settings.trusted_proxies)

    def _state(self, sender: Sender, settings: Settings, limits: LimitSettings) -> ServerState:
        return ServerState(
            self._loop,
            limits,
            Request,
            lambda client: serve(client, self._receiving, sender),
            TrustedProxies(settings.trusted_proxies),
            self._crashed,
            self._count_refused,
        )

    def _connections(self) -> int:
        return sum(len(server.connections) for server in self._servers)

    def _look_at_file_limit(self) -> None:
        allowed, wanted = raise_file_limit(), self._of_others.limits.connections
        if allowed < wanted + OTHER_FILES:
            way_out = "raise `ulimit -n`, or lower the limit"
            log.warning("receiver.few_files", allowed=allowed, connections=wanted, way_out=way_out)

    def _connect(self, accepted: Accepted, address: str) -> Beginning:
        server = self._of_own if address == _OWN else self._of_others
        client = ClientConnection(server, None, peer_address(accepted.peer))
        protocol = cast(asyncio.Protocol, client)
        return cast(Beginning, self._loop.connect_accepted_socket(lambda: protocol, accepted.bare()))

    def _count_refused(self, reason: str) -> None:
        self._own.counter("strangler_refused_total", reason).inc()

    def _crashed(self, crash: Exception) -> None:
        """Log a bug in the task of a connection: that connection ends, the others go on."""
        log.error("receiver.crash", error=repr(crash), traceback="".join(traceback.format_exception(crash)))


def _limits(settings: Settings) -> LimitSettings:
    """Return the limits. A body may have any length: what is too large to be compared is thrown away."""
    return replace(settings.limits, request_body_bytes=None)


def _limits_of_own(settings: Settings) -> LimitSettings:
    """Return the limits of our own Envoy. It has kept clients to theirs, and adds fields to what they send."""
    limits = _limits(settings)
    return replace(limits, header_bytes=limits.header_bytes + ADDED_BYTES)
