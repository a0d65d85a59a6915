"""One connection of an HTTP/1.1 client, kept alive. It never retries, so that no lost request is hidden."""

import asyncio
import socket
import struct
from contextlib import suppress

FAILURES = (OSError, EOFError, ValueError, asyncio.LimitOverrunError, TimeoutError)
"""The errors when the other end is gone, or does not speak HTTP."""


class Line:
    """A connection on which to send a request, read the head, then the body; and so on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.port: int = writer.get_extra_info("sockname")[1]

    @classmethod
    async def to(cls, port: int) -> "Line":
        """Return a new connection to this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, method: str, path: str, fields: str = "", body: bytes = b"") -> None:
        """Send a request. `fields`: header lines, each with its CRLF. A body adds its Content-Length."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: shop\r\n{fields}{length}\r\n".encode() + body)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Return the status and the fields, their names in lower case."""
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        return int(first.split()[1]), {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }

    async def body(self, fields: dict[str, str], pause_s: float = 0.0) -> bytes:
        """Return the whole body. `pause_s`: the pause after each 20 kB of a body whose length is known."""
        if "content-length" in fields:
            return await self._exactly(int(fields["content-length"]), pause_s)
        pieces = []
        while length := int((await self.reader.readuntil(b"\r\n")), 16):
            pieces.append((await self.reader.readexactly(length + 2))[:-2])
        await self.reader.readuntil(b"\r\n")
        return b"".join(pieces)

    async def _exactly(self, length: int, pause_s: float) -> bytes:
        pieces = []
        while length:
            piece = await self.reader.readexactly(min(length, 20_000) if pause_s else length)
            pieces.append(piece)
            length -= len(piece)
            await asyncio.sleep(pause_s)
        return b"".join(pieces)

    @property
    def is_over(self) -> bool:
        return self.reader.at_eof() or self.writer.is_closing()

    def close(self, reset: bool = False) -> None:
        if reset:
            sock: socket.socket = self.writer.get_extra_info("socket")
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.close()
