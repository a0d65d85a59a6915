"""An upstream that can be made to misbehave under load, and remembers which writes it ran."""

import asyncio
import socket
import struct
from collections import Counter
from contextlib import suppress
from enum import Enum

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST
_DRIP_S = 0.01


class Mode(Enum):
    """The behaviour after a request was read whole."""

    WELL = "responds"
    HANGS = "does not respond"
    RESETS_IN_HEAD = "breaks off in the head"
    RESETS_IN_BODY = "breaks off in the body"
    DRIPS = "sends a byte every 10 ms"
    SAYS_500 = "responds with 500"
    SAYS_503 = "responds with 503"
    SENDS_LESS = "ends before its Content-Length"
    SENDS_MORE = "sends more than its Content-Length"
    IS_SLOW = "responds after a while"


class FaultyUpstream:
    """A server on 127.0.0.1. `ran` counts the writes that came whole, by request id."""

    def __init__(self, name: str, slow_s: float) -> None:
        self.mode = Mode.WELL
        self.ran: Counter[str] = Counter()
        self.port = 0
        self._name = name.encode()
        self._slow_s = slow_s
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen, at the same port each time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on, and reset the open ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError, EOFError, RuntimeError, asyncio.CancelledError):  # RuntimeError: uvloop, of a closed one
            while await self._respond(reader, writer):
                pass
        self._writers.discard(writer)
        writer.close()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and act according to the mode; return True if the connection may serve another."""
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(_field(head, b"content-length") or 0))
        if head.startswith(b"POST"):
            self.ran[_field(head, b"x-request-id").decode()] += 1
        status = {Mode.SAYS_500: 500, Mode.SAYS_503: 503}.get(self.mode, 200)
        body = b'{"from":"%b","id":7,"items":[1,2,3]}' % self._name
        start = b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        return await self._misbehave(writer, start, body)

    async def _misbehave(self, writer: asyncio.StreamWriter, start: bytes, body: bytes) -> bool:
        match self.mode:
            case Mode.HANGS:
                await asyncio.sleep(3600)
            case Mode.RESETS_IN_HEAD:
                writer.write(start[:20])
                await asyncio.sleep(0.002)
                _reset(writer)
                return False
            case Mode.RESETS_IN_BODY:
                writer.write(start + body[:5])
                await asyncio.sleep(0.002)
                _reset(writer)
                return False
            case Mode.SENDS_LESS:
                writer.write(start + body[:5])
                return False
            case Mode.DRIPS:
                for byte in start + body:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(_DRIP_S)
            case Mode.IS_SLOW:
                await asyncio.sleep(self._slow_s)
                writer.write(start + body)
            case Mode.SENDS_MORE:
                writer.write(start + body + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            case _:
                writer.write(start + body)
        return True


def _field(head: bytes, name: bytes) -> bytes:
    return head.lower().partition(b"\r\n%b:" % name)[2].partition(b"\r\n")[0].strip()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
