# Compiled with mypyc: see docs/hot-path.md.
"""A tunnel after a 101: bytes both ways, each direction closed on its own, and no timeout."""

import asyncio
import socket

from strangler.http1.downstream import ClientSide
from strangler.http1.websocket import CLOSE_GOING_AWAY, CLOSE_GOING_AWAY_MASKED, FrameBoundary

_FLUSH_S = 10.0
"""How long the client's last bytes may take to leave."""

_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""A vanished peer is found after two minutes (tcp(7)); a system without these options uses its defaults."""


class UpstreamSide:
    """An upstream connection, as its exchange and a tunnel see it."""

    __slots__ = ("transport",)

    transport: asyncio.Transport

    @property
    def is_closed(self) -> bool:
        """True once the connection is lost."""
        raise NotImplementedError

    def drop(self) -> None:
        """End the exchange without its response."""
        raise NotImplementedError

    def close(self) -> None:
        """Close at once."""
        raise NotImplementedError

    def pause_reading(self) -> None:
        """Stop reading for now."""
        raise NotImplementedError

    def resume_reading(self) -> None:
        """Continue reading."""
        raise NotImplementedError

    def start_tunnel(self, tunnel: "Tunnel") -> bytes:
        """Hand all further bytes to the tunnel, and return those that came behind the 101."""
        raise NotImplementedError


class Tunnel:
    """Joins a client and an upstream connection. The client's task is woken when it is over."""

    def __init__(self, client: ClientSide, upstream: UpstreamSide, *, is_websocket: bool) -> None:
        self.client = client
        self.upstream = upstream
        self.is_over = False
        self.sent_bytes = 0
        self._has_client_ended = False
        self._has_upstream_ended = False
        self._is_going_away = False
        self._from_upstream = FrameBoundary() if is_websocket else None
        self._from_client = FrameBoundary() if is_websocket else None
        _keep_alive(client.transport)
        _keep_alive(upstream.transport)

    def begin(self, head: bytes, ahead: bytes) -> None:
        """Write the 101 and the bytes that came behind it. `ahead`: bytes that the client has sent already."""
        glued = self.upstream.start_tunnel(self)
        self.client.transport.write(head)
        if glued:
            self.receive_from_upstream(glued)
        if ahead:
            self.receive_from_client(ahead)

    def receive_from_client(self, data: bytes) -> None:
        if self._is_going_away:
            return
        if self._from_client is not None:
            self._from_client.feed(data)
        self.upstream.transport.write(data)

    def receive_from_upstream(self, data: bytes) -> None:
        if self.is_over:
            return
        self.sent_bytes += len(data)
        if self._from_upstream is None:
            self.client.transport.write(data)
            return
        if not self._is_going_away:
            self._from_upstream.feed(data)
            self.client.transport.write(data)

    def eof_from_client(self) -> bool:
        """Pass on that the client has closed its direction. Return True to keep the other direction open."""
        self._has_client_ended = True
        is_one_way = self.upstream.transport.can_write_eof() and self.client.transport.can_write_eof()  # not over TLS
        if self._has_upstream_ended or self.upstream.is_closed or not is_one_way:
            self.end()
            return False
        self.upstream.transport.write_eof()
        return True

    def eof_from_upstream(self) -> bool:
        self._has_upstream_ended = True
        if self._has_client_ended or self.client.is_closed:
            self.end()
            return False
        if not self.client.transport.can_write_eof():
            self.client.transport.close()
            self.end()
            return False
        self.client.transport.write_eof()
        return self.upstream.transport.can_write_eof()

    def client_lost(self) -> None:
        """End the tunnel. If the client closed its direction first, its last bytes still go to the upstream."""
        if self._has_client_ended and not self.upstream.is_closed:
            self.upstream.transport.close()
            self.client.loop.call_later(_FLUSH_S, self.upstream.close)
        else:
            self.upstream.close()
        self.end()

    def upstream_lost(self) -> None:
        """End the tunnel. The last bytes of the upstream still go to the client."""
        if not self.client.is_closed:
            self.client.transport.close()
        self.end()

    def go_away(self) -> None:
        """End for a shutdown, with status 1001 in websockets where a frame may begin (RFC 6455 section 7.4.1)."""
        if self._is_going_away:
            return
        self._is_going_away = True
        if self._from_upstream is not None and self._from_upstream.is_between_frames:
            self.client.transport.write(CLOSE_GOING_AWAY)
        if self._from_client is not None and self._from_client.is_between_frames:
            self.upstream.transport.write(CLOSE_GOING_AWAY_MASKED)
        self.upstream.transport.close()
        self.client.transport.close()

    def end(self) -> None:
        if not self.is_over:
            self.is_over = True
            self.client.task.wake()


def _keep_alive(transport: asyncio.Transport) -> None:
    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is None or peer.family == socket.AF_UNIX:
        return
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE.items():
        if hasattr(socket, option):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
