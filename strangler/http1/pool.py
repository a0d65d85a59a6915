# Compiled with mypyc: see docs/hot-path.md.
"""The connections to one URL of an upstream: idle connections, and how new ones are made."""

import asyncio
import contextlib
import math
import select
import socket
from collections.abc import Callable
from typing import cast

from strangler.clock import now
from strangler.core.fault import Fault
from strangler.core.settings import Url
from strangler.http1.connect import CONNECT_ERRORS, connect
from strangler.http1.upstream_connection import ConnectionOwner, UpstreamConnection
from strangler.tls.client_context import ClientTlsState

ONCE_S = 1.0
"""A request that cannot be sent twice only goes onto a connection that was used this recently, or a new one: on older
ones the upstream's close (gunicorn's after 2 s, uvicorn's and Node's after 5 s) may be on its way already."""

_MAX_IDLE = 256
_ESTABLISHED = 1  # TCP_INFO's first byte: tcpi_state
_PEER_CHECK_AFTER_S = 0.5
"""The state of a connection idle for this long is checked before a request that cannot be sent twice goes onto it."""

Connected = Callable[[UpstreamConnection | Fault], None]


class Pool(ConnectionOwner):
    """The connections to one URL. The last one given back is the first one taken, so that the rest can expire."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        url: Url,
        address: str,
        tls: ClientTlsState,
        max_head_bytes: int,
        keepalive_s: float = 30.0,
    ) -> None:
        self.url = url
        self.keepalive_s = keepalive_s
        self._address = address
        self.max_head_bytes = max_head_bytes
        self._loop = loop
        self._tls = tls
        self._idle: list[UpstreamConnection] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def take(self, *, once: bool) -> UpstreamConnection | None:
        """Return an idle connection, if there is one. `once`: for a request that cannot be sent a second time."""
        at = now() if self._idle else 0.0
        while self._idle:
            connection = self._idle[-1]
            if once and connection.idle_since < at - ONCE_S:
                return None  # the others are older still
            self._idle.pop()
            if at < connection.idle_until and (not once or self._is_alive(connection, at)):
                return connection
            connection.close()
        return None

    def connect(self, timeout_s: float | None, done: Connected) -> asyncio.Task[None]:
        """Make a new connection; `done` is called with it, or with the fault. The pool owns the task."""
        task = self._loop.create_task(self._connect(timeout_s, done))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return task

    def give_back(self, connection: UpstreamConnection, keep_s: float = math.inf) -> None:
        """Take back a free connection. `keep_s`: how long it may be used again, according to the upstream."""
        lasts_s = min(self.keepalive_s, keep_s)
        if self._is_closed or len(self._idle) >= _MAX_IDLE or lasts_s <= 0:
            connection.close()
            return
        connection.idle_since = at = now()
        connection.idle_until = at + lasts_s
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """Forget a connection that is closed, or about to be."""
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)

    def sweep(self, now: float) -> None:
        """Close connections that have been idle for too long. Called about once a second."""
        expired = [connection for connection in self._idle if connection.idle_until <= now]
        for connection in expired:
            self._idle.remove(connection)
            connection.close()

    def close(self) -> None:
        """Close idle connections; those in use close when their exchange ends."""
        self._is_closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    @property
    def idle_count(self) -> int:
        return len(self._idle)

    async def _connect(self, timeout_s: float | None, done: Connected) -> None:
        connection = UpstreamConnection(self)
        try:
            async with asyncio.timeout(timeout_s):
                await connect(lambda: cast(asyncio.Protocol, connection), self.url, self._address, self._tls)
        except CONNECT_ERRORS:
            done(Fault.CONNECT)
            return
        done(connection)

    def _is_alive(self, connection: UpstreamConnection, at: float) -> bool:
        """Return False if, by the kernel's state, the peer has closed: its FIN may be there, but not read yet."""
        if at - connection.idle_since < _PEER_CHECK_AFTER_S:
            return True
        peer: socket.socket | None = connection.transport.get_extra_info("socket")
        if peer is None:
            return False
        if self.url.unix_path is not None:
            return not _is_readable(peer)
        try:
            state = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        except OSError:
            return False
        return state[0] == _ESTABLISHED


def _is_readable(peer: socket.socket) -> bool:
    """Return True if bytes or an end have come: nothing else shows that the peer of a unix socket has closed."""
    events = select.poll()
    events.register(peer.fileno(), select.POLLIN)
    return bool(events.poll(0))
