"""An upstream that does what a test says: it responds, refuses, resets, hangs, lies, and counts what it has run."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ssl import SSLContext

import h11

Exchange = Callable[["Seen", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the upstream got it; names of fields as they came."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str | None:
        values = [value for each, value in self.fields if each.lower() == name.lower()]
        return ", ".join(values) if values else None


@dataclass(slots=True)
class Scripted:
    """A server of one behaviour at a time: a status, or `reset`, `hang`, `garbage`, `slow`."""

    name: str
    behaviour: int | str = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    body: bytes | None = None
    release: asyncio.Event = field(default_factory=asyncio.Event)
    server: asyncio.Server | None = None
    port: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self, port: int = 0, ssl: SSLContext | None = None, path: str | None = None) -> None:
        """Serve at a port of this machine, or at a unix socket."""
        if path is not None:
            self.server = await asyncio.start_unix_server(self._serve, path)
            return
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", port or self.port, ssl=ssl)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse all connections from now on."""
        self.release.set()
        if self.server is not None:
            self.server.close()
            for writer in self.writers:
                writer.close()
            await self.server.wait_closed()
            self.server = None

    def close(self) -> None:
        """Close what is open, without waiting."""
        self.release.set()
        for writer in self.writers:
            writer.close()
        if self.server is not None:
            self.server.close()

    def runs(self, method: str) -> int:
        """How many requests of a method came here."""
        return sum(each.method == method for each in self.seen)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        with suppress(ConnectionError, h11.RemoteProtocolError):
            await self._converse(reader, writer)
        self.writers.discard(writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while True:
            request = await self._request(connection, reader)
            if request is None:
                return
            self.seen.append(request)
            if not await self._respond(connection, request, writer):
                return
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()

    async def _request(self, connection: h11.Connection, reader: asyncio.StreamReader) -> Seen | None:
        head: h11.Request | None = None
        body = b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                fields = [(name.decode(), value.decode("latin-1")) for name, value in head.headers.raw_items()]
                return Seen(head.method.decode(), head.target.decode("latin-1"), fields, body)
            else:
                return None

    async def _respond(self, connection: h11.Connection, request: Seen, writer: asyncio.StreamWriter) -> bool:
        behaviour = self.behaviour
        if behaviour == "hang":
            await self.release.wait()
            return False
        if behaviour == "reset":
            writer.transport.abort()
            return False
        if behaviour == "garbage":
            writer.write(b"this is no HTTP\r\n\r\n")
            return False
        if behaviour == "slow":
            await self.release.wait()
            behaviour = 200
        assert isinstance(behaviour, int)
        body = self.body if self.body is not None else f"{self.name} {request.method} {request.target}".encode()
        headers = [("Content-Length", str(len(body))), *self.headers]
        writer.write(connection.send(h11.Response(status_code=behaviour, headers=headers)) or b"")
        if request.method != "HEAD":
            writer.write(connection.send(h11.Data(data=body)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        return True
