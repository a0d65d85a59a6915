# Compiled with mypyc: see docs/hot-path.md.
"""A tunnel after a 101: bytes both ways, each direction closing for itself, with no timeout of its own."""

import asyncio
import socket

from strangler.http1.downstream import ClientSide
from strangler.http1.websocket import CLOSE_GOING_AWAY, CLOSE_GOING_AWAY_MASKED, FrameBoundary

_FLUSH_S = 10.0
"""How long what the client said last may take to leave."""

_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""A peer that has vanished is found after two minutes (tcp(7)); where the system has none of these, by its defaults."""


class UpstreamSide:
    """An upstream's connection, as its exchange and a tunnel see it."""

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
        """Read no more for now."""
        raise NotImplementedError

    def resume_reading(self) -> None:
        """Read on."""
        raise NotImplementedError

    def start_tunnel(self, tunnel: "Tunnel") -> bytes:
        """Hand all further bytes to the tunnel, and return those that came behind the 101."""
        raise NotImplementedError


class Tunnel:
    """Joins a client's and an upstream's connection. The client's story is woken when it is over."""

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
        """Write the 101, and what has come behind it. `ahead`: bytes that the client has sent already."""
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
        self.sent_bytes += len(data)
        if self._from_upstream is None:
            self.client.transport.write(data)
            return
        if not self._is_going_away:
            self._from_upstream.feed(data)
            self.client.transport.write(data)

    def eof_from_client(self) -> bool:
        """The client has closed its direction. True keeps the other one open."""
        self._has_client_ended = True
        is_one_way = self.upstream.transport.can_write_eof()  # not over TLS
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
        self.client.transport.write_eof()
        return self.upstream.transport.can_write_eof()

    def client_lost(self) -> None:
        """End the tunnel. The last bytes of a client that ended by itself still go to the upstream."""
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
        """The proxy shuts down: websockets hear 1001 (RFC 6455 section 7.4.1) where a frame may begin; others end."""
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
    if peer is None:
        return
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE.items():
        if hasattr(socket, option):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
