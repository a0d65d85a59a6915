# Compiled with mypyc: see docs/hot-path.md.
"""The beginning of a connection by TLS: its first byte, and the handshake.

A connection that stays silent is a socket and this object: TLS has no state before there is a byte to handle. A request
without TLS gets its response in clear. A handshake that fails ends with its alert.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from strangler.clock import now
from strangler.core.http.addresses import peer_address
from strangler.core.http.problem import TOO_MANY_CONNECTIONS, Problem
from strangler.core.resilience.connection_limit import client_key
from strangler.http1.client_connection import LAST_REQUEST_S, ClientConnection
from strangler.http1.closing import LINGER_S
from strangler.http1.downstream import ClientSide
from strangler.http1.listener_state import ListenerState
from strangler.http1.server_state import ServerState
from strangler.tls.server_context import ON_ALERT

_HANDSHAKE = 0x16
"""The first byte of a TLS connection: the content type of a handshake record (RFC 8446 section 5.1)."""

_REQUEST = re.compile(rb"[A-Z][A-Z-]*(?: |\Z)")
_LOOKED_AT = 24  # bytes: the longest registered method has 17
_DISCARDED_AT_ONCE = 64 * 1024

_NEVER_S = 1e6
"""The time that uvloop gives a handshake, and a close: the deadlines of our own connections are shorter."""


class TlsHandshake(ClientSide):
    """A connection whose handshake is not over. It counts as one of its client, and may have to give way."""

    __slots__ = (
        "_accepted",
        "_address",
        "_begin_in_clear",
        "_client",
        "_has_reader",
        "_is_closed",
        "_listener",
        "_on_failure",
        "_peer",
        "_rest",
        "_server",
        "_shaking",
        "_state",
    )

    def __init__(
        self,
        server: ServerState,
        listener: Callable[[], ListenerState],
        accepted: socket.socket,
        address: str,
        deadline: float,
        begin_in_clear: Callable[[socket.socket, str], None],
        on_failure: Callable[[str, str], None],
    ) -> None:
        """`address`: the client's, as a load balancer has named it; empty: that of the peer. `listener` is asked when
        the handshake begins. `on_failure` is called with the client's address and the reason."""
        self._server = server
        self._listener = listener
        self._accepted = accepted
        self._address = address
        self._begin_in_clear = begin_in_clear
        self._on_failure = on_failure
        self._peer = address
        self._client = b""
        self._is_closed = False
        self._has_reader = False
        self._state: ListenerState | None = None
        self._shaking: asyncio.Task[None] | None = None
        self._rest: socket.socket | None = None  # once the alert is sent
        self.loop = server.loop
        self.deadline = deadline

    def start(self) -> None:
        """Wait for the first byte, which may be here already."""
        try:
            self._peer = self._address or peer_address(self._accepted.getpeername())
        except OSError:  # it is gone already
            self._accepted.close()
            self._is_closed = True
            return
        self._client = client_key(self._peer)
        if not self._server.enter(self, self._client):
            self.refuse(TOO_MANY_CONNECTIONS)
            return
        if self._server.is_draining:
            self.go_away()
        self._look()

    def _look(self) -> None:
        try:
            data = self._accepted.recv(_LOOKED_AT, socket.MSG_PEEK)
        except BlockingIOError:
            if not self._has_reader:
                self._has_reader = True
                self.loop.add_reader(self._accepted, self._look)
            return
        except OSError:
            data = b""
        if not data:
            self._close()  # it has said nothing: a load balancer looks whether the port is open
        elif data[0] == _HANDSHAKE:
            self._begin_handshake()
        elif _REQUEST.match(data):
            self._leave()
            self._begin_in_clear(self._accepted, self._address)
        else:
            self._fail("neither TLS nor HTTP")

    def _begin_handshake(self) -> None:
        self._remove_reader()
        self._state = state = self._listener()
        if state.tls is None:
            self._fail("the listener has no certificate that can be used")
        else:
            self._shaking = self.loop.create_task(self._shake(state.tls))

    async def _shake(self, context: ssl.SSLContext) -> None:
        ON_ALERT.set(self._send_alert)
        try:
            await self.loop.connect_accepted_socket(
                self._protocol,
                self._accepted,
                ssl=context,
                ssl_handshake_timeout=_NEVER_S,
                ssl_shutdown_timeout=_NEVER_S,
            )
        except ssl.SSLError as error:
            self._fail(reason_of(error))
        except OSError:
            self._fail("ended by the client")
        else:
            self._fail("ended by the client")  # unless `connection_made` was called
        finally:
            self._shaking = None

    def _protocol(self) -> asyncio.BaseProtocol:
        return cast(asyncio.BaseProtocol, self)

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Hand the connection over: the handshake is complete."""
        if self._is_closed:
            transport.abort()
            return
        self._leave()
        connection = ClientConnection(self._server, self._state, self._address, is_admitted=True)
        transport.set_protocol(cast(asyncio.BaseProtocol, connection))
        connection.connection_made(transport)

    def _send_alert(self, data: bytes) -> None:
        """Send what TLS has to say of a failed handshake, and keep the connection until the client has read it.

        uvloop closes its descriptor. If bytes of the client met a closed connection, a reset would destroy the alert.
        """
        if self._is_closed or not data:
            return
        with suppress(OSError):
            self._rest = rest = self._accepted.dup()
            rest.send(data, socket.MSG_DONTWAIT)
            rest.shutdown(socket.SHUT_WR)

    def _discard(self) -> None:
        try:
            if self._rest is not None and self._rest.recv(_DISCARDED_AT_ONCE):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close()

    def _fail(self, reason: str) -> None:
        if self._is_closed:
            return
        self._on_failure(self._peer, reason)
        if self._rest is None:
            self._close()
        else:
            self.deadline = now() + LINGER_S
            self.loop.add_reader(self._rest, self._discard)

    def _close(self) -> None:
        if self._is_closed:
            return
        self._leave()
        with suppress(OSError):
            if self._rest is not None:
                self.loop.remove_reader(self._rest)
                self._rest.close()
            elif self._shaking is None:
                self._accepted.close()
            else:
                self._accepted.shutdown(socket.SHUT_RDWR)  # its transport notices, and closes it

    def _leave(self) -> None:
        self._is_closed = True
        self._remove_reader()
        self._server.leave(self, self._client)

    def _remove_reader(self) -> None:
        if self._has_reader:
            self._has_reader = False
            self.loop.remove_reader(self._accepted)

    # ClientSide

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def is_idle(self) -> bool:
        return True

    def expire(self, now: float) -> None:
        if self._rest is not None or self._server.is_draining:
            self._close()
        else:
            self._fail("not over within limits.header_timeout")

    def refuse(self, refusal: Problem) -> None:
        self._server.on_limit(refusal.fault)
        self._close()

    def give_way(self) -> None:
        self._close()

    def go_away(self) -> None:
        self.deadline = min(self.deadline, now() + LAST_REQUEST_S)

    def abort(self) -> None:
        self._close()


def reason_of(error: ssl.SSLError) -> str:
    """Return what went wrong in a handshake, in OpenSSL's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client's certificate: {error.verify_message}"
    return (error.reason or "unknown error").lower().replace("_", " ")
