"""A relay in front of a test's PostgreSQL, that can be cut: to its node, the store is away then."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

import psycopg

_SOCKET = ".s.PGSQL.5432"


class Relay:
    """One way to the server. `url` is what its node connects to."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.url = f"postgresql://tests@/postgres?host={folder}"
        self._socket = folder / _SOCKET
        self._target = target
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None] | None] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._socket)

    def cut(self) -> None:
        """End all connections, and let none begin."""
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections begin again."""
        self._is_cut = False

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*(task for task in self._serving if task is not None))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        self._serving.add(asyncio.current_task())
        server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        self._writers |= {writer, server_writer}
        try:
            await asyncio.gather(_copy(reader, server_writer), _copy(server_reader, writer))
        finally:
            self._writers -= {writer, server_writer}
            self._serving.discard(asyncio.current_task())


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def relay(postgres: psycopg.Connection) -> AsyncIterator[Relay]:
    """Open a way of its own to the server that this connection is to."""
    folder = Path(mkdtemp(prefix="relay-", dir="/tmp"))
    found = Relay(folder, Path(postgres.info.host) / _SOCKET)
    try:
        await found.open()
        yield found
        await found.close()
    finally:
        shutil.rmtree(folder)
