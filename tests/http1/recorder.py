"""An upstream that keeps what it was sent, one request a connection, and a client that sends bytes and looks on."""

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from typing import Self

from tests.http1.corpus import Bytes, mark

_MARK = re.compile(rb"zz(\d{4})zz")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r", re.IGNORECASE)
_SIZE = re.compile(rb"\s*([0-9A-Fa-f]+)[^\n]*\n")
_LAST = re.compile(rb"\s*0+[^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n")
_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_AFTERWARDS_S = 0.03
"""How long a connection is still read from, once it is answered: what comes then was not part of the request."""


@dataclass(slots=True)
class Forwarded:
    """All the bytes of one upstream connection. `is_whole`: a request came to its end."""

    raw: bytearray = field(default_factory=bytearray)
    is_whole: bool = False


class Recorder:
    """Answers whatever looks like a whole request, read as leniently as can be, and ends the connection."""

    def __init__(self) -> None:
        self.connections: list[Forwarded] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def of(self, number: int) -> list[Forwarded]:
        """Whole requests of the case with this number."""
        return [c for c in self.connections if c.is_whole and mark(number) in c.raw]

    def unmarked(self) -> list[bytes]:
        return [bytes(c.raw) for c in self.connections if c.raw and _MARK.search(c.raw) is None]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        forwarded = Forwarded()
        self.connections.append(forwarded)
        with contextlib.suppress(OSError):
            while not _is_whole(forwarded.raw):
                data = await reader.read(65536)
                if not data:
                    return writer.close()
                forwarded.raw += data
            forwarded.is_whole = True
            writer.write(_RESPONSE)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AFTERWARDS_S):
                    while data := await reader.read(65536):
                        forwarded.raw += data
        return writer.close()


def _is_whole(raw: bytearray) -> bool:
    head, end, body = bytes(raw).partition(b"\r\n\r\n")
    if not end:
        return False
    if b"transfer-encoding" in head.lower():
        return _ends_in_chunks(body)
    length = _LENGTH.search(head + b"\r\n")
    return length is None or len(body) >= int(length[1])


def _ends_in_chunks(body: bytes) -> bool:
    while size := _SIZE.match(body):
        if not int(size[1], 16):
            return _LAST.match(body) is not None
        body = body[size.end() + int(size[1], 16) :].removeprefix(b"\r\n")
    return False


async def play(case: Bytes, number: int, port: int, quiet_s: float) -> bytes:
    """Send the case; return what came back, once the connection has ended or nothing came for `quiet_s`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    responded = b""
    with contextlib.suppress(OSError, TimeoutError):
        writer.write(case.marked(number))
        while True:
            async with asyncio.timeout(quiet_s):
                data = await reader.read(65536)
            if not data:
                break
            responded += data
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return responded


async def play_all(cases: dict[int, Bytes], port: int, quiet_s: float, at_once: int) -> dict[int, bytes]:
    """Many cases, each on a connection of its own; number to what came back."""
    places = asyncio.Semaphore(at_once)

    async def item(number: int, case: Bytes) -> bytes:
        async with places:
            return await play(case, number, port, quiet_s)

    responses = await asyncio.gather(*(item(number, case) for number, case in cases.items()))
    return dict(zip(cases, responses, strict=True))
