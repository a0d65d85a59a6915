# Compiled with mypyc: see docs/hot-path.md.
"""The end of a client connection: what was written leaves first, and what the client still sends is read."""

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from typing import Protocol

from strangler.clock import now

FLUSH_S = 10.0
"""How long what was written may take to leave a closing connection."""

_LINGER_S = 2.0
"""How long reading goes on after the proxy closes its direction, so that a reset does not destroy the response."""

_CUT_DELAY_S = 0.01
"""How often a connection that is to be reset is checked for unsent bytes."""

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST


class Closing:
    """A close under way. `linger`: the client may still be sending, so only the proxy's direction is closed."""

    __slots__ = ("_transport", "_unsent_bytes", "wait_s")

    def __init__(self, transport: asyncio.Transport, *, linger: bool) -> None:
        self._transport = transport
        self._unsent_bytes = unsent_bytes(transport)
        self.wait_s = _LINGER_S if linger and not self._unsent_bytes else FLUSH_S
        """How long the close may take."""
        if linger:
            transport.write_eof()
        else:
            transport.close()

    def try_extend(self) -> bool:
        """Give a client that still reads, slowly, more time. Return False if it has read nothing meanwhile."""
        left_bytes = unsent_bytes(self._transport)
        is_read = 0 < left_bytes < self._unsent_bytes
        if is_read:
            self._unsent_bytes = left_bytes
            self.wait_s = FLUSH_S
        return is_read


class Resettable(Protocol):
    """A connection that can be reset."""

    transport: asyncio.Transport

    @property
    def is_closed(self) -> bool: ...


def reset_when_sent(loop: asyncio.AbstractEventLoop, connection: Resettable, until: float) -> None:
    """Reset a connection once all bytes have left, which a reset would destroy; at the latest at `until`."""
    if connection.is_closed:
        return
    transport = connection.transport
    if now() < until and unsent_bytes(transport):
        loop.call_later(_CUT_DELAY_S, reset_when_sent, loop, connection, until)
        return
    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def unsent_bytes(transport: asyncio.Transport) -> int:
    """Return how many of the written bytes the client's system has not acknowledged (tcp(7), SIOCOUTQ)."""
    waiting = transport.get_write_buffer_size()
    peer: socket.socket | None = transport.get_extra_info("socket")
    if waiting or peer is None or not hasattr(termios, "TIOCOUTQ"):
        return waiting
    try:
        outcome = fcntl.ioctl(peer.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except (OSError, ValueError):  # closed meanwhile
        return 0
    return int.from_bytes(outcome, sys.byteorder)
