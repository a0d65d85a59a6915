# Compiled with mypyc: see docs/hot-path.md.
"""The part of a client's connection that knows nothing of requests: peer, state, deadline, flow control, end."""

import asyncio
from math import inf
from typing import cast

from strangler.clock import now
from strangler.core.http.addresses import peer_address
from strangler.core.http.headers import ForwardedFields
from strangler.core.resilience.connection_limit import client_key
from strangler.core.transitions import next_state
from strangler.http1.client_states import CLOSED, HEAD, TRANSITIONS, ClientEvent, ClientState
from strangler.http1.closing import FLUSH_S, Closing, reset_when_sent, unsent_bytes
from strangler.http1.downstream import ClientSide
from strangler.http1.listener_state import ListenerState
from strangler.http1.server_state import ServerState
from strangler.http1.tls_transport import begin_tls

_SURELY_SENT_BYTES = 2048
"""While fewer bytes than this are unsent, all of them are in the buffer of the socket, which is larger."""


class ClientLifecycle(ClientSide):
    """The base of `ClientConnection`, below its requests. States and their table: `client_states.py`."""

    __slots__ = (
        "_certificate",
        "_client",
        "_closing",
        "_is_full",
        "_is_reading",
        "_state",
        "listener",
        "peer_ip",
        "server",
    )

    def __init__(self, server: ServerState, listener: ListenerState | None, address: str) -> None:
        """`address`: the client's, as a load balancer has named it; empty: that of the connection's peer."""
        self.server = server
        self.listener = server.plain if listener is None else listener
        self.loop = server.loop
        self.write_batch = server.write_batch
        self.deadline = inf
        self.peer_ip = address.encode()
        self._certificate = b""  # of the client, as DER, if its handshake has shown one that is valid
        self._client = b""  # what counts as one client where connections are counted
        self._state: ClientState = HEAD
        self._closing: Closing | None = None
        self._is_full = False  # the client does not read: nothing more may be written
        self._is_reading = True

    @property
    def is_closed(self) -> bool:
        return self._state is CLOSED

    @property
    def is_idle(self) -> bool:
        """True while no request is under way; the head of the next may be coming in."""
        return self._state is HEAD

    def abort(self) -> None:
        self.transport.abort()

    def pause_reading(self) -> None:
        if self._is_reading and self._state is not CLOSED:
            self._is_reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._is_reading and self._state is not CLOSED:
            self._is_reading = True
            self.transport.resume_reading()

    def _begin(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.listener.tls is not None:
            self._certificate = begin_tls(self.transport)
        if not self.peer_ip:
            self.peer_ip = peer_address(transport.get_extra_info("peername")).encode()
        self._client = client_key(self.peer_ip.decode())
        self._follow_trust()

    def _follow_trust(self) -> None:
        """Adopt the proxies that the settings trust now: a connection may outlive the settings it began with."""
        server = self.server
        scheme, trusted = self.listener.scheme, server.trusted
        self.forwarded = ForwardedFields(self.peer_ip.decode(), scheme, trusted, self._certificate)

    def _move(self, event: ClientEvent) -> None:
        self._state = next_state(TRANSITIONS, self._state, event)

    def _limit(self, seconds: float | None) -> None:
        """Limit what is under way to `seconds`; None: no limit."""
        self.deadline = inf if seconds is None else now() + seconds

    def _close(self, *, linger: bool) -> None:
        """Close, once what was written has left. `linger`: the client may still be sending; read that first."""
        if self._state is CLOSED:
            return
        self.server.write_batch.flush()
        if linger:
            self.resume_reading()
        self._closing = Closing(self.transport, linger=linger)
        self._limit(self._closing.wait_s)

    def _reset(self) -> None:
        """Break the connection, once what was written has left."""
        if self._state is not CLOSED:
            self.server.write_batch.flush()
            reset_when_sent(self.server.loop, self, now() + FLUSH_S)

    @property
    def _awaits_notify(self) -> bool:
        """True if a close lasts until the client responds to it, though all that was written has left: over TLS."""
        return self.listener.tls is not None and unsent_bytes(self.transport) < _SURELY_SENT_BYTES

    def _expire_close(self) -> None:
        """End a connection whose last bytes have had their time; a client that still reads, slowly, gets more."""
        if self._closing is not None and self._closing.try_extend():
            self._limit(self._closing.wait_s)
        else:
            self.transport.abort()
