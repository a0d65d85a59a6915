"""One end of a connection that carries frames, for use in an event loop."""

import asyncio
from types import UnionType
from typing import Generic, TypeVar, cast

from strangler.ipc.messages import FrameError, FrameReader, Message, encode_frame

_M = TypeVar("_M")


class FrameProtocol(asyncio.Protocol, Generic[_M]):
    """Decodes incoming bytes into messages of one union of types, and sends messages. Garbage ends the connection.

    A subclass handles the messages, and the other events if it needs them.
    """

    def __init__(self, kind: type[_M] | UnionType) -> None:
        self._frames: FrameReader[_M] = FrameReader(kind)
        self._transport: asyncio.Transport | None = None
        self._is_cut = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._frames.feed(data)
        except FrameError as error:
            self.on_garbage(error)
            self.abort()
            return
        for message in messages:
            if self._is_cut:
                return
            self.on_message(message)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self.on_lost()

    def on_message(self, message: _M) -> None:
        """Handle a message. Not called after the connection was cut."""
        raise NotImplementedError

    def on_garbage(self, error: FrameError) -> None:
        """Note that the other end does not speak this protocol; the connection is cut right after this."""

    def on_lost(self) -> None:
        """Note that the connection has ended, from whichever end."""

    def has_room(self, max_buffered_bytes: int) -> bool:
        """Return True if there is a connection, and fewer than `max_buffered_bytes` wait to be sent."""
        return self._transport is not None and self._transport.get_write_buffer_size() < max_buffered_bytes

    def send(self, message: Message) -> None:
        """Send a message, or drop it if the connection is lost. Raises FrameError if it is too large for a frame."""
        if self._transport is not None:
            self._transport.write(encode_frame(message))

    def finish(self) -> None:
        """Close the connection once all that was sent has left."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection: nothing more is sent, and no further message is handled."""
        self._is_cut = True
        if self._transport is not None:
            self._transport.abort()
