"""A scripted upstream: a real loopback listener that records every byte and answers as it is told.

    async with ScriptedUpstream() as upstream:
        upstream.script = answering(send(OK))          # whole request in, OK out, for every request
        ...                                            # drive the proxy that points at upstream.port
        assert upstream.requests[0].raw.startswith(b"GET / HTTP/1.1\r\n")

A script is `async def script(connection)`; it is started for each accepted connection and may do anything a good or a
hostile server does: drip, stall, half-close, reset, lie about lengths, answer before the upload is read. When it
returns, the connection stays open and goes on recording, until its peer or the test ends it. Everything runs on the
caller's loop, on plain sockets: nothing is read or written that the script did not ask for.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Literal, Self

CRLF = b"\r\n"
_READ_BYTES = 65536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST (socket(7))

End = Literal["open", "eof", "reset"]
"""How the peer left its sending side: not yet, by FIN, by RST."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived, head and body, and the number of the connection that it came on."""

    raw: bytes
    connection: int

    @property
    def target(self) -> bytes:
        return self.raw.split(b" ", 2)[1]


class PeerLeftError(ConnectionError):
    """The peer ended the connection before the script had what it waited for."""


@dataclass(slots=True)
class Connection:
    """One accepted connection, as a script sees it."""

    number: int
    sock: socket.socket
    loop: asyncio.AbstractEventLoop
    requests: list[Request]
    """Where whole requests are recorded: one list for all connections of an upstream."""
    drips: bool = False
    """True: `send` writes one byte at a time."""
    received: bytearray = field(default_factory=bytearray)
    """Every byte that was read, from the first."""
    end: End = "open"
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the peer has ended its side, as far as it was read, or this side has closed."""
    taken: int = 0
    """How many bytes of `received` belong to requests already handed out."""
    _is_closed: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def read_some(self, limit: int = _READ_BYTES) -> bytes:
        """Up to `limit` bytes; empty once the peer ended its side, see `end`."""
        if self.end != "open":
            return b""
        try:
            data = await self.loop.sock_recv(self.sock, limit)
        except OSError:
            self.end = "reset"
            self.ended.set()
            return b""
        if not data:
            self.end = "eof"
            self.ended.set()
        self.received += data
        self._changed.set()
        return data

    async def read_until(self, pattern: bytes, start: int | None = None) -> int:
        """Read till `pattern` stands at or after `start` in `received`; returns the index behind it."""
        begin = self.taken if start is None else start
        while (at := self.received.find(pattern, begin)) < 0:
            await self._need_more()
        return at + len(pattern)

    async def read_exactly(self, count: int) -> None:
        """Read till `received` holds `count` bytes in all."""
        while len(self.received) < count:
            await self._need_more(count - len(self.received))

    async def read_head(self) -> bytes:
        """The next request's head, its empty line included; the body is left to the caller."""
        end = await self.read_until(CRLF + CRLF)
        return bytes(self.received[self.taken : end])

    async def read_request(self) -> Request:
        """The next request, whole, and recorded: by Content-Length, by chunks, or the head alone (RFC 9112 6.3)."""
        head = await self.read_head()
        end = self.taken + len(head)
        lower = head.lower()
        if b"\ntransfer-encoding:" in lower:
            end = await self._read_chunks(end)
        elif b"\ncontent-length:" in lower:
            end += int(lower.split(b"\ncontent-length:", 1)[1].split(CRLF, 1)[0])
            await self.read_exactly(end)
        request = Request(bytes(self.received[self.taken : end]), self.number)
        self.taken = end
        self.requests.append(request)
        return request

    async def has_received(self, pattern: bytes, timeout_s: float = 10.0) -> bool:
        """True as soon as what the script has read holds `pattern`; False if it does not come in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while pattern not in self.received:
                    self._changed.clear()
                    await self._changed.wait()
        return pattern in self.received

    async def read_end(self) -> End:
        """Read on till the peer ends its side; returns how."""
        while await self.read_some():
            pass
        return self.end

    async def send(self, data: bytes) -> None:
        step = 1 if self.drips else len(data) or 1
        with contextlib.suppress(ConnectionError):  # the peer may leave at any moment: the records say so
            for at in range(0, len(data), step):
                await self.loop.sock_sendall(self.sock, data[at : at + step])
                await asyncio.sleep(0)

    def half_close(self) -> None:
        """FIN: nothing more will be sent, reading goes on."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """RST, whatever is still in flight."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.close()

    def close(self) -> None:
        self._is_closed = True
        self.ended.set()
        self.sock.close()

    @property
    def is_closed(self) -> bool:
        """True once this side has closed."""
        return self._is_closed

    async def _need_more(self, limit: int = _READ_BYTES) -> None:
        if not await self.read_some(max(limit, 4096)):
            raise PeerLeftError(f"the peer ended by {self.end} after {len(self.received)} bytes")

    async def _read_chunks(self, start: int) -> int:
        at = start
        while True:
            line_end = await self.read_until(CRLF, at)
            size = int(bytes(self.received[at : line_end - 2]).split(b";", 1)[0], 16)
            if size == 0:
                break
            at = line_end + size + 2
            await self.read_exactly(at)
        at = line_end
        while (line_end := await self.read_until(CRLF, at)) > at + 2:  # trailers, up to the empty line
            at = line_end
        return line_end


Script = Callable[[Connection], Awaitable[None]]
Step = Callable[[Connection], Awaitable[None]]


class ScriptedUpstream:
    """A listener on 127.0.0.1. `script` may be replaced any time; it counts for connections accepted from then on."""

    def __init__(self, script: Script | None = None, port: int = 0) -> None:
        self.script: Script = script or responding(send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
        self.connections: list[Connection] = []
        self.requests: list[Request] = []
        """Whole requests that scripts have read, on any connection, in order."""
        self.drips = False
        """True: connections accepted from then on send one byte at a time."""
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._arrival = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listener.listen(256)
        self._own(self._accept())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self.connections:
            connection.close()

    async def stop_listening(self) -> None:
        """Refuse connections from now on; those that are there go on."""
        accepting = [task for task in self._tasks if task.get_name() == "accept"]
        for task in accepting:
            task.cancel()
        await asyncio.gather(*accepting, return_exceptions=True)
        self._listener.close()

    async def renew(self, grace_s: float = 2.0) -> None:
        """Forget all records and end all connections, so that the next case starts with none.

        Each gets a FIN and is closed when the peer has answered it with its own: a proxy that pools connections has
        then noticed, and cannot take a dead one for the next request.
        """
        for task in self._connection_tasks():
            task.cancel()
        await asyncio.gather(*self._connection_tasks(), return_exceptions=True)
        ending = [asyncio.create_task(self._end(c)) for c in self.connections if not c.is_closed]
        if ending:
            _, late = await asyncio.wait(ending, timeout=grace_s)
            for task in late:
                task.cancel()
        for connection in self.connections:
            connection.close()
        self.connections.clear()
        self.requests.clear()

    async def wait_for_connection(self, number: int = 0, timeout_s: float = 10.0) -> Connection:
        """The connection with that number, once it has been accepted."""
        async with asyncio.timeout(timeout_s):
            while len(self.connections) <= number:
                self._arrival.clear()
                await self._arrival.wait()
        return self.connections[number]

    async def _end(self, connection: Connection) -> None:
        connection.half_close()
        await connection.read_end()

    def _connection_tasks(self) -> list[asyncio.Task[None]]:
        return [task for task in self._tasks if task.get_name() == "connection"]

    def _own(self, work: Coroutine[object, object, None], name: str = "accept") -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._listener)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(len(self.connections), sock, loop, self.requests, self.drips)
            self.connections.append(connection)
            self._arrival.set()
            self._own(self._serve(connection), name="connection")

    async def _serve(self, connection: Connection) -> None:
        with contextlib.suppress(PeerLeftError):
            await self.script(connection)
        if not connection.is_closed:
            await connection.read_end()


def in_turn(*steps: Step) -> Script:
    """A script that takes `steps` once, one after the other."""

    async def script(connection: Connection) -> None:
        for step in steps:
            await step(connection)

    return script


def responding(*steps: Step) -> Script:
    """A script that reads each request whole, then takes `steps`, again and again on one connection."""

    async def script(connection: Connection) -> None:
        while not connection.is_closed:
            await connection.read_request()
            for step in steps:
                await step(connection)

    return script


def send(data: bytes) -> Step:
    async def step(connection: Connection) -> None:
        await connection.send(data)

    return step


def drip(data: bytes, pause_s: float = 0.0) -> Step:
    """Send one byte at a time."""

    async def step(connection: Connection) -> None:
        for index in range(len(data)):
            await connection.send(data[index : index + 1])
            await asyncio.sleep(pause_s)

    return step


def pause(seconds: float) -> Step:
    async def step(_: Connection) -> None:
        await asyncio.sleep(seconds)

    return step


def hang() -> Step:
    """Neither read nor write any more, until the test ends."""

    async def step(_: Connection) -> None:
        await asyncio.Event().wait()

    return step


def read_request() -> Step:
    """Read the next request whole."""

    async def step(connection: Connection) -> None:
        await connection.read_request()

    return step


def read_head() -> Step:
    """Read up to the end of the head; the body may stay unread."""

    async def step(connection: Connection) -> None:
        await connection.read_head()

    return step


def read_until(pattern: bytes) -> Step:
    async def step(connection: Connection) -> None:
        await connection.read_until(pattern, 0)

    return step


def read_slowly(count: int, chunk: int, pause_s: float) -> Step:
    """Read `count` bytes in all, `chunk` at a time, resting between."""

    async def step(connection: Connection) -> None:
        while len(connection.received) < count and await connection.read_some(chunk):  # noqa: ASYNC110 — slowness is meant
            await asyncio.sleep(pause_s)

    return step


def half_close() -> Step:
    async def step(connection: Connection) -> None:
        connection.half_close()

    return step


def close() -> Step:
    async def step(connection: Connection) -> None:
        connection.close()

    return step


def reset() -> Step:
    async def step(connection: Connection) -> None:
        connection.reset()

    return step


def read_end() -> Step:
    """Read on till the peer ends its side."""

    async def step(connection: Connection) -> None:
        await connection.read_end()

    return step


@contextlib.asynccontextmanager
async def refused_port() -> AsyncIterator[int]:
    """A port that is bound but does not listen: every connect is refused as long as this lasts."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]
