"""The talk between a supervisor and the one after it, and with the process that the service manager knows.

A message is a JSON object in a line: programs of two versions speak it with each other, so that keys that are not known
are passed over, and one that is missing has no meaning.
"""

import os
import selectors
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

MAX_LINE_BYTES = 1024 * 1024
"""Above the names of 256 workers; a line beyond it is garbage."""

Message = dict[str, Any]


class Peer:
    """One end of a socket pair. Nothing is waited for."""

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
        """Hand on each message as it comes, from the owner's loop, and the end of all messages, until `close`."""
        self._selector = selector
        selector.register(self.socket, selectors.EVENT_READ, lambda events: self._on_readable(on_message, on_closed))

    def send(self, **message: Any) -> None:
        """Send, if somebody still listens."""
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
        """Close the end, once; nothing is handed on any more."""
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
    """Our end, and the socket to pass on."""
    ours, theirs = socket.socketpair()
    return Peer(ours), theirs


def restore_stderr(descriptor: int) -> None:
    """Have standard error go where `descriptor` does, and what has been written to it so far, too."""
    with suppress(OSError):
        size = os.fstat(2).st_size
        written = os.pread(2, size, 0)
        os.dup2(descriptor, 2)
        os.close(descriptor)
        os.write(2, written)
