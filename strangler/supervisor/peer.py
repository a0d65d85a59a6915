"""The messages between a supervisor and its successor, and with the process that the service manager knows.

A message is a JSON object in a line. Programs of two versions exchange them, so unknown keys are ignored, and a missing
key means nothing.
"""

import os
import selectors
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

MAX_LINE_BYTES = 1024 * 1024
"""More than the names of 256 workers; a longer line is garbage."""

Message = dict[str, Any]


class Peer:
    """One end of a socket pair, which never waits."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.socket = connection
        self.is_open = True
        self._received = b""
        self._selector: selectors.BaseSelector | None = None

    @classmethod
    def at(cls, descriptor: int) -> "Peer":
        return cls(socket.socket(fileno=descriptor))

    def watch(
        self,
        selector: selectors.BaseSelector,
        on_message: Callable[[Message], object],
        on_closed: Callable[[], object],
    ) -> None:
        """Call back, from the owner's loop, for each message and at the end of the connection, until `close`."""
        self._selector = selector
        selector.register(self.socket, selectors.EVENT_READ, lambda events: self._on_readable(on_message, on_closed))

    def send(self, **message: Any) -> None:
        """Send a message, if the other end is still open."""
        with suppress(OSError):
            self.socket.sendall(msgspec.json.encode(message) + b"\n")

    def receive(self) -> list[Message]:
        """Return the messages that have come by now. Raises EOFError if no more can come."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return []
        except OSError as error:
            raise EOFError(str(error)) from error
        *lines, self._received = (self._received + data).split(b"\n")
        if not data or len(self._received) > MAX_LINE_BYTES:
            raise EOFError("closed")
        try:
            return [msgspec.json.decode(line, type=Message) for line in lines]
        except msgspec.DecodeError as error:
            raise EOFError(str(error)) from error

    def close(self) -> None:
        """Close this end, once; no callback follows."""
        if self.is_open and self._selector is not None:
            self._selector.unregister(self.socket)
        self.is_open = False
        self.socket.close()

    def _on_readable(self, on_message: Callable[[Message], object], on_closed: Callable[[], object]) -> None:
        if not self.is_open:  # closed by what happened in the same turn of the loop
            return
        try:
            messages = self.receive()
        except EOFError:
            on_closed()
            return
        for message in messages:
            if self.is_open:
                on_message(message)


def pair() -> tuple[Peer, socket.socket]:
    """Return our end, and the socket to pass on."""
    ours, theirs = socket.socketpair()
    return Peer(ours), theirs


def restore_stderr(descriptor: int) -> None:
    """Redirect standard error to `descriptor`, along with what has been written to it so far."""
    with suppress(OSError):
        size = os.fstat(2).st_size
        written = os.pread(2, size, 0)
        os.dup2(descriptor, 2)
        os.close(descriptor)
        os.write(2, written)
