"""A proxy before a PostgreSQL that cuts a connection between a COMMIT and its response."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class CuttingProxy:
    """Passes bytes on. While `is_armed`, the next COMMIT reaches the server, and its response nobody."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.is_armed = False
        self.cuts = 0
        self._server_port = port
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None] | None] = []

    async def close(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(task for task in self._tasks if task is not None), return_exceptions=True)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._writers += (writer, to_server)
        self._tasks.append(asyncio.current_task())
        is_cut = asyncio.Event()
        with suppress(OSError):
            await asyncio.gather(self._up(reader, to_server, is_cut), self._down(from_server, writer, is_cut))

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_cut: asyncio.Event) -> None:
        while data := await reader.read(1 << 16):
            if self.is_armed and b"COMMIT" in data:
                self.is_armed = False
                is_cut.set()
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_cut: asyncio.Event) -> None:
        while data := await reader.read(1 << 16):
            if is_cut.is_set():
                self.cuts += 1
                break
            writer.write(data)
            await writer.drain()
        writer.close()
        with suppress(OSError):
            while await reader.read(1 << 16):
                pass


@asynccontextmanager
async def cutting(port: int) -> AsyncIterator[CuttingProxy]:
    """Put a proxy before a port."""
    proxy = CuttingProxy(port)
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
