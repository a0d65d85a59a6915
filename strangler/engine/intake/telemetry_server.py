"""The sockets that Envoy's access records come to: one for each Envoy, with a connection for each of its threads."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec
import structlog

from strangler.engine.intake.message_ends import GarbageError, MessageSplitter
from strangler.engine.intake.record_values import Record

MAX_CONNECTIONS: Final = 1024
"""Two for each thread of an Envoy are needed."""
LAST_READ_S: Final = 1.0
"""How long what an Envoy has written before its end is read, at most."""
SILENCE_S: Final = 0.1
"""How long nothing may come until all of it has been read."""

log = structlog.get_logger()
_decoder = msgspec.msgpack.Decoder()


def records_of(message: bytes) -> tuple[str, list[Record]]:
    """Return the tag of a message of Fluentd's forward mode, and its records. Raises GarbageError for anything else."""
    try:
        decoded: Any = _decoder.decode(message)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise GarbageError(f"not a message: {error}") from error
    if not isinstance(decoded, list) or len(decoded) not in (2, 3) or not isinstance(decoded[0], str):
        raise GarbageError("not a list of a tag and entries")
    if not isinstance(decoded[1], list):
        raise GarbageError("the entries are no list")
    records = [entry[1] for entry in decoded[1] if isinstance(entry, list) and len(entry) == 2]
    if len(records) != len(decoded[1]) or not all(isinstance(record, dict) for record in records):
        raise GarbageError("an entry is no pair of a time and a record")
    return decoded[0], records


class _Connection(asyncio.Protocol):
    """One connection: what it sends is counted as it comes, so nothing waits but a message that is not whole yet."""

    def __init__(self, server: "TelemetryServer", origin: int) -> None:
        self.origin = origin
        self._server = server
        self._splitter = MessageSplitter()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._server.note_read()
        try:
            for message in self._splitter.feed(data):
                tag, records = records_of(message)
                for record in records:
                    self._server.take(tag, record)
        except GarbageError as error:
            self._server.note_garbage(str(error))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class TelemetryServer:
    """Owns the sockets and their connections. `take` is called for each record, with its tag."""

    def __init__(self, loop: asyncio.AbstractEventLoop, take: Callable[[str, Record], object]) -> None:
        self.connections: set[_Connection] = set()
        self.garbage = 0
        """The connections that were closed for what they sent."""
        self.take = take
        self._loop = loop
        self._read_at = 0.0
        self._accepting: dict[socket.socket, asyncio.Task[None]] = {}
        self._releasing: set[asyncio.Task[None]] = set()

    def serve(self, listener: socket.socket) -> None:
        """Accept connections of a listening, non-blocking socket, until it is released."""
        self._accepting[listener] = self._loop.create_task(self._accept(listener))

    def release(self, listener: socket.socket) -> None:
        """Read what still waits at a socket whose Envoy has ended, and close it."""
        task = self._loop.create_task(self._release(listener))
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    def note_read(self) -> None:
        """Note that something has come."""
        self._read_at = self._loop.time()

    def note_garbage(self, reason: str) -> None:
        """Note that a connection was closed for what it sent."""
        self.garbage += 1
        log.warning("telemetry.garbage", reason=reason, way_out="only Envoy may write to telemetry.sock")

    async def close(self) -> None:
        """Read what has come, and close everything."""
        for listener in list(self._accepting):
            self.release(listener)
        await asyncio.gather(*self._releasing)
        for connection in list(self.connections):
            connection.close()

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                accepted, _ = await self._loop.sock_accept(listener)
            except OSError as error:
                log.warning("telemetry.accept_failed", error=str(error))
                await asyncio.sleep(0.1)
                continue
            if len(self.connections) >= MAX_CONNECTIONS:
                accepted.close()
                continue
            await self._adopt(accepted, listener)

    async def _adopt(self, accepted: socket.socket, listener: socket.socket) -> None:
        accepted.setblocking(False)
        await self._loop.connect_accepted_socket(lambda: _Connection(self, id(listener)), accepted)

    async def _release(self, listener: socket.socket) -> None:
        """End when the connections of the socket have ended or say nothing, or after a second."""
        begun = self._loop.time()
        while self._loop.time() < min(max(self._read_at, begun) + SILENCE_S, begun + LAST_READ_S):
            await asyncio.sleep(0.02)
            if not any(connection.origin == id(listener) for connection in self.connections):
                break
        accepting = self._accepting.pop(listener, None)
        if accepting is not None:
            accepting.cancel()
        for connection in list(self.connections):
            if connection.origin == id(listener):
                connection.close()
        listener.close()
