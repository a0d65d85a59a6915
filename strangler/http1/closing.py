# Compiled with mypyc: see docs/hot-path.md.
"""The end of a client connection: what was written leaves first, and what the client still sends is read."""

import asyncio
import fcntl
import functools
import socket
import struct
import sys
import termios
from typing import Protocol

from strangler.clock import now

FLUSH_S = 10.0
"""How long what was written may take to leave a closing connection."""

LINGER_S = 2.0
"""How long reading goes on after the proxy closes its direction, so that a reset does not destroy the response."""

_CUT_DELAY_S = 0.01
"""How often a connection that is to be reset is checked for unsent bytes."""

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST


class Closing:
    """A close under way. `linger`: the client may still be sending, so only the proxy's direction is closed.

    A TLS transport cannot close one direction: it sends what was written and its close_notify, and discards what comes
    until the client has closed as well. So there, every close lingers.
    """

    __slots__ = ("_transport", "_unsent_bytes", "wait_s")

    wait_s: float
    """How long the close may take."""

    def __init__(self, transport: asyncio.Transport, *, linger: bool) -> None:
        self._transport = transport
        if transport.can_write_eof() and not linger and not transport.get_write_buffer_size():
            self._unsent_bytes = 0  # the system has all of it, and the transport is gone at once
            self.wait_s = FLUSH_S
        elif transport.can_write_eof():
            self._unsent_bytes = unsent_bytes(transport)
            self.wait_s = LINGER_S if linger and not self._unsent_bytes else FLUSH_S
        else:
            self._unsent_bytes = sys.maxsize  # what its socket's transport holds back is unknown
            self.wait_s = LINGER_S
        if linger and transport.can_write_eof():
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


def reset_when_sent(
    loop: asyncio.AbstractEventLoop, connection: Resettable, until: float, *, was_sent: bool = False
) -> None:
    """Reset a connection once all bytes have left, which a reset would destroy; at the latest at `until`.

    Over TLS all must have left at two looks in a row: the first may fall between the buffers of TLS and of the system.
    """
    if connection.is_closed:
        return
    transport = connection.transport
    is_sent = not unsent_bytes(transport)
    if now() < until and not (is_sent and (was_sent or transport.can_write_eof())):
        look_again = functools.partial(reset_when_sent, loop, connection, until, was_sent=is_sent)
        loop.call_later(_CUT_DELAY_S, look_again)
        return
    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def unsent_bytes(transport: asyncio.Transport) -> int:
    """Return how many of the written bytes the client's system has not acknowledged (tcp(7), SIOCOUTQ)."""
    waiting = transport.get_write_buffer_size()
    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is None or not hasattr(termios, "TIOCOUTQ"):
        return waiting
    try:
        outcome = fcntl.ioctl(peer.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except (OSError, ValueError):  # closed meanwhile
        return 0
    return waiting + int.from_bytes(outcome, sys.byteorder)
