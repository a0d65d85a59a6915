"""The supervisor's end of the channel to control: a local socket, without a loop of its own, never waited for."""

import selectors
import socket
from collections.abc import Callable

from strangler.ipc.messages import FrameReader, FromSupervisor, ToSupervisor, encode_frame

MAX_UNSENT_BYTES = 1024 * 1024


class Channel:
    """A channel that registers with the owner's selector, for writability only while something is unsent."""

    def __init__(
        self, connection: socket.socket, selector: selectors.BaseSelector, on_ready: Callable[[int], object]
    ) -> None:
        """`on_ready` is what the owner's loop calls with the events of the selector; it calls `turn`."""
        connection.setblocking(False)
        self._socket = connection
        self._selector = selector
        self._frames: FrameReader[ToSupervisor] = FrameReader(ToSupervisor)
        self._unsent = b""
        self._on_ready = on_ready
        selector.register(connection, selectors.EVENT_READ, on_ready)

    def send(self, message: FromSupervisor) -> None:
        """Send now or as soon as there is room; drop the message if control has long stopped reading."""
        if len(self._unsent) < MAX_UNSENT_BYTES:
            self._unsent += encode_frame(message)
        self._flush()

    def turn(self, events: int) -> list[ToSupervisor]:
        """Read and write what the selector reports as possible; return the messages that came.

        Raises FrameError for garbage, EOFError if the other end is closed.
        """
        if events & selectors.EVENT_WRITE:
            self._flush()
        if not events & selectors.EVENT_READ:
            return []
        try:
            data = self._socket.recv(1024 * 1024)
        except BlockingIOError:
            return []
        except OSError as error:
            raise EOFError(str(error)) from error
        if not data:
            raise EOFError("closed by control")
        return self._frames.feed(data)

    def close(self) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._unsent) if self._unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:  # the other end is gone, which reading will report
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._socket, wanted, self._on_ready)
