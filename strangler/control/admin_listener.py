"""The sockets of the admin listener: each connection begins as the settings in force say, with TLS or in clear."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from strangler.control.reload import InForce
from strangler.core.listener_settings import ServerTlsSettings
from strangler.core.settings import Settings
from strangler.tls.chain import ChainError
from strangler.tls.own_certificate import own_certificate
from strangler.tls.server_context import server_context

HANDSHAKE_S: Final = 10.0
"""The time that a client has for its handshake, its first byte included."""

CLOSE_S: Final = 5.0
"""The time that a client has to confirm that a TLS connection ends."""

MAX_BEGINNING: Final = 200
"""The most connections whose handshake is not complete. A new one always gets in; the oldest is closed for it."""

_ACCEPTS_AT_ONCE: Final = 64
_PAUSE_S: Final = 1.0
_HANDSHAKE: Final = b"\x16"  # a TLS connection's first byte: the content type of a handshake (RFC 8446 section 5.1)
_DISCARDED: Final = 64 * 1024
_IN_CLEAR: Final = (
    b'{"type":"about:blank","title":"Bad Request","status":400,"detail":"this listener takes TLS only: use https://"}\n'
)
_RESPONSE_IN_CLEAR: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b" % (len(_IN_CLEAR), _IN_CLEAR)
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The TLS settings of the admin listener, with the content of its files."""

    tls: ServerTlsSettings | None
    files: dict[str, bytes] = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "_Wanted":
        tls = settings.admin.tls
        pairs = tls.certificates if tls is not None else ()
        return cls(tls, {path: settings.files.get(path, b"") for pair in pairs for path in (pair.cert, pair.key)})


class AdminTls:
    """Owns the TLS context for new connections. A context that replaces it is made in a thread, and closes nothing.

    `on_change` is called with the certificates that clients may get from then on, as PEM; with none without TLS.
    """

    def __init__(self, settings: Settings, on_change: Callable[[tuple[str, ...]], None]) -> None:
        self.is_on = settings.admin.tls is not None
        self.context: ssl.SSLContext | None = None
        """None where `is_on`: there is no usable certificate, and every connection is closed."""
        self._on_change = on_change
        self._wanted = _Wanted.of(settings)
        self._made: _Wanted | None = None
        self._has_changed = asyncio.Event()

    def adopt(self, in_force: InForce) -> None:
        """Have these settings followed, by `run`."""
        self._wanted = _Wanted.of(in_force.settings)
        self._has_changed.set()

    async def run(self) -> None:
        """Follow the settings until cancelled."""
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            await self.follow()

    async def follow(self) -> None:
        """Begin to use the latest settings, unless OpenSSL refuses them."""
        wanted = self._wanted
        if wanted == self._made:
            return
        context = None
        if wanted.tls is not None:
            try:
                context = await asyncio.to_thread(server_context, wanted.tls, wanted.files)
            except (ssl.SSLError, ValueError, ChainError) as error:
                log.error("admin.tls_failed", reason=str(error), way_out="check the files of admin.tls")
                return
        self._made, self.context, self.is_on = wanted, context, wanted.tls is not None
        pairs = wanted.tls.certificates if wanted.tls is not None else ()
        found = (own_certificate(wanted.files[pair.cert]) for pair in pairs)
        self._on_change(tuple(text for text in found if text is not None))


class AdminListener:
    """Accepts at the sockets. A server of the loop is not used: it would keep the TLS context that it began with, and
    would not count connections whose handshake is under way."""

    def __init__(
        self, sockets: Sequence[socket.socket], tls: AdminTls, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._sockets = sockets
        self._tls = tls
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._beginning: dict[asyncio.Task[None], None] = {}  # in the order in which they came
        self._is_closed = False

    def start(self) -> None:
        """Accept from now on."""
        for listener in self._sockets:
            listener.setblocking(False)
            self._loop.add_reader(listener, self._accept, listener)

    async def close(self, patience_s: float) -> None:
        """Accept no more. Handshakes under way have a moment to complete; the others are ended."""
        self._is_closed = True
        for listener in self._sockets:
            self._loop.remove_reader(listener)
            listener.close()
        if self._beginning:
            _, late = await asyncio.wait(self._beginning, timeout=patience_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._pause(listener, error)
                return  # none is left, or it has gone meanwhile: the loop looks again if there are more
            connection.setblocking(False)
            task = self._loop.create_task(self._begin(connection))
            self._beginning[task] = None
            task.add_done_callback(self._forget)
            if len(self._beginning) > MAX_BEGINNING:
                oldest = next(iter(self._beginning))
                del self._beginning[oldest]
                self._beginning[oldest] = None  # the last in turn: it ends soon
                oldest.cancel()

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        log.warning("admin.accept_failed", reason=error.strerror, again_in_s=_PAUSE_S)
        self._loop.remove_reader(listener)
        self._loop.call_later(_PAUSE_S, self._resume, listener)

    def _resume(self, listener: socket.socket) -> None:
        if not self._is_closed:
            self._loop.add_reader(listener, self._accept, listener)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._beginning.pop(task, None)

    async def _begin(self, connection: socket.socket) -> None:
        """Hand the connection over to aiohttp, or close it. What clients do wrong is no error of ours."""
        is_ours = True
        try:
            with suppress(OSError):  # ssl.SSLError and TimeoutError are OSErrors
                async with asyncio.timeout(HANDSHAKE_S):
                    if connection.family != socket.AF_UNIX:
                        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    if self._tls.is_on and not await self._is_handshake(connection):
                        return
                    context = self._tls.context
                    if self._tls.is_on and context is None:
                        return
                    is_ours = False
                    await self._loop.connect_accepted_socket(
                        self._protocol,
                        connection,
                        ssl=context,
                        ssl_handshake_timeout=None if context is None else HANDSHAKE_S,
                        ssl_shutdown_timeout=None if context is None else CLOSE_S,
                    )
        finally:
            if is_ours:
                connection.close()

    async def _is_handshake(self, connection: socket.socket) -> bool:
        """Return whether the connection begins with TLS. A request in clear is told what to use instead."""
        await self._readable(connection)
        first = connection.recv(1, socket.MSG_PEEK)
        if first.isalpha():
            connection.recv(_DISCARDED)  # bytes left unread would turn the close into a reset
            connection.send(_RESPONSE_IN_CLEAR)
            connection.shutdown(socket.SHUT_WR)
        return first == _HANDSHAKE

    async def _readable(self, connection: socket.socket) -> None:
        is_readable = asyncio.Event()
        self._loop.add_reader(connection, is_readable.set)
        try:
            await is_readable.wait()
        finally:
            self._loop.remove_reader(connection)
