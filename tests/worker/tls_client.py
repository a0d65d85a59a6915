"""A client by TLS that sees what usual ones hide: the alert, and whether the end was a close_notify or a cut."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Self

from tests.http1.raw import Delivery
from tests.worker.plane import TIMEOUT_S, RunningPlane, Visitor

RECORD_BYTES = 16 * 1024


class TlsVisitor(Visitor):
    """`end` is `eof` after a close_notify, `reset` after any other end; `error`: what TLS says of it."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, name: str | None, session: ssl.SSLSession | None):
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name, session=session)
        self.is_secure = False
        self.error = ""
        self.may_read = asyncio.Event()
        self.may_read.set()
        super().__init__(sock)

    async def _read(self) -> None:
        await self._step()
        while self.end == "open":
            await self.may_read.wait()
            try:
                data = await self._loop.sock_recv(self._sock, 65536)
            except OSError as error:
                self.end, self.error = "reset", self.error or str(error)
            else:
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
                await self._step()
                if not data and self.end == "open":
                    self.end, self.error = "reset", self.error or "ended without a close_notify"
            self._changed.set()

    async def _step(self) -> None:
        try:
            if not self.is_secure:
                self.tls.do_handshake()
                self.is_secure = True
            while True:
                data = self.tls.read(65536)
                if not data:
                    self.end = "eof"
                    break
                self.received += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.end = "eof"
        except ssl.SSLError as error:
            self.end, self.error = "reset", error.reason or str(error)
        await self._flush()

    async def _flush(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._outgoing.read():
                await self._loop.sock_sendall(self._sock, data)

    async def secure(self) -> Self:
        """Wait for the end of the handshake, or of the connection."""
        async with asyncio.timeout(TIMEOUT_S):
            await self.wait_for(lambda: self.is_secure)
        return self

    async def send(self, data: bytes, delivery: Delivery = "whole") -> None:
        await self.secure()
        step = 1 if delivery == "byte by byte" else RECORD_BYTES
        for at in range(0, len(data), step):
            if self.end != "open":
                return
            self.tls.write(data[at : at + step])
            await self._flush()
            await asyncio.sleep(0)

    async def notify(self) -> None:
        """Close the client's direction by a close_notify, as a FIN does without TLS."""
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        await self._flush()


async def tls_client(
    plane: RunningPlane,
    context: ssl.SSLContext,
    name: str | None = "shop.example",
    *,
    address: str = "127.0.0.1",
    session: ssl.SSLSession | None = None,
    receive_buffer: int | None = None,
    first: bytes = b"",
) -> TlsVisitor:
    """Connect from `address`. `first`: bytes before the handshake. Wait with `secure` for it."""
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.bind((address, 0))
    await plane.loop.sock_connect(sock, ("127.0.0.1", plane.number))
    if first:
        await plane.loop.sock_sendall(sock, first)
    client = TlsVisitor(sock, context, name, session)
    plane.keep(client)
    return client


@contextlib.asynccontextmanager
async def connected(
    plane: RunningPlane, context: ssl.SSLContext, name: str | None = "shop.example"
) -> AsyncIterator[TlsVisitor]:
    """A connection whose handshake is complete; closed afterwards."""
    client = await (await tls_client(plane, context, name)).secure()
    try:
        yield client
    finally:
        await client.close()
