# Compiled with mypyc: see docs/hot-path.md.
"""The beginning of a connection that a TCP load balancer has made: its header of the PROXY protocol.

The header is read off the socket, and not a byte more, before the connection gets a transport: so it may stand in front
of a TLS handshake, too. What comes in pieces is waited for, within `limits.header_timeout`.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from strangler.core.http.addresses import peer_address
from strangler.core.http.problem import Problem
from strangler.core.http.proxy_protocol import MAX_V2_BYTES, SIGNATURE_V2, ProxyProtocolError, is_beginning, read_header
from strangler.core.resilience.connection_limit import client_key
from strangler.http1.downstream import ClientSide
from strangler.http1.listener_state import ListenerState
from strangler.http1.server_state import ServerState, first_deadline

_REASON = "proxy_protocol"
_LOOK_AGAIN_S = 0.005
"""Bytes that may yet become a header, or a request without one, stay in the socket meanwhile."""


class ProxyHeaderReader(ClientSide):
    """A connection that has not said who its client is. It counts as one of its TCP peer."""

    __slots__ = ("_accepted", "_begin", "_client", "_head", "_is_closed", "_listener", "_server", "_timer")

    def __init__(
        self,
        server: ServerState,
        listener: ListenerState,
        accepted: socket.socket,
        begin: Callable[[socket.socket, str, float], None],
    ) -> None:
        """`begin` is called with the socket, the client's address, empty where that is the peer's, and the time when
        a TLS handshake has to be over as well."""
        self._server = server
        self._listener = listener
        self._accepted = accepted
        self._begin = begin
        self._client = b""
        self._head = b""
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self.loop = server.loop
        self.deadline = first_deadline(server)

    def start(self) -> None:
        """Wait for the header if the peer may send one, and for nothing else if it may not."""
        try:
            peer = peer_address(self._accepted.getpeername())
        except OSError:  # it is gone already
            self._close()
            return
        balancers = self._listener.balancers
        if balancers is None or not balancers.includes(peer):
            if self._listener.is_header_required:
                self._fail()
            else:
                self._is_closed = True
                self._begin(self._accepted, "", self.deadline)
            return
        self._client = client_key(peer)
        if not self._server.enter(self, self._client):
            self._fail()
            return
        self.loop.add_reader(self._accepted, self._look)

    def _look(self) -> None:
        try:
            data = self._accepted.recv(MAX_V2_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            self._close()
            return
        if not data:
            self._close()
            return
        self._take(data)

    def _take(self, data: bytes) -> None:
        whole = self._head + data
        if not is_beginning(whole) and not self._head and not self._listener.is_header_required:
            self._finish("")
            return
        try:
            header = read_header(whole)
        except ProxyProtocolError:
            self._fail()
            return
        if header is not None:
            self._accepted.recv(header.length - len(self._head))
            self._finish("" if header.source is None else header.source[0])
        elif self._listener.is_header_required or len(whole) >= len(SIGNATURE_V2):
            self._accepted.recv(len(data))
            self._head = whole
        else:
            self.loop.remove_reader(self._accepted)
            self._timer = self.loop.call_later(_LOOK_AGAIN_S, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self.loop.add_reader(self._accepted, self._look)
        self._look()

    def _finish(self, client: str) -> None:
        self._leave()
        self._begin(self._accepted, client, self.deadline)

    def _fail(self) -> None:
        """Close a connection whose header is broken or late, or whose peer may not send one."""
        self._server.on_limit(_REASON)
        self._close()

    def _close(self) -> None:
        self._leave()
        with suppress(OSError):
            self._accepted.close()

    def _leave(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._client:
            self.loop.remove_reader(self._accepted)
            self._server.leave(self, self._client)

    # ClientSide

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def is_idle(self) -> bool:
        return True

    def expire(self, now: float) -> None:
        self._fail()

    def refuse(self, refusal: Problem) -> None:
        self._fail()

    def give_way(self) -> None:
        self._close()

    def go_away(self) -> None:
        self._close()

    def abort(self) -> None:
        self._close()
