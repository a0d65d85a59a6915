"""One end of a connection that carries frames, against another end that sends raw bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from strangler.ipc.frames import FrameProtocol
from strangler.ipc.messages import (
    Draining,
    FrameError,
    FrameReader,
    FromSupervisor,
    Reload,
    Started,
    ToSupervisor,
    encode_frame,
)


class Listening(FrameProtocol[FromSupervisor]):
    """Keeps what comes; `most` messages, then it cuts the connection."""

    def __init__(self) -> None:
        super().__init__(FromSupervisor)
        self.most = 100
        self.heard: list[FromSupervisor] = []
        self.garbage: list[str] = []
        self.lost = asyncio.Event()

    def on_message(self, message: FromSupervisor) -> None:
        self.heard.append(message)
        if len(self.heard) >= self.most:
            self.abort()

    def on_garbage(self, error: FrameError) -> None:
        self.garbage.append(str(error))

    def on_lost(self) -> None:
        self.lost.set()


@dataclass
class Ends:
    """A connection: the end that is tested, and the raw socket at the other one."""

    end: Listening
    other: socket.socket

    async def say(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.other, data)

    async def read(self) -> bytes:
        async with asyncio.timeout(5):
            return await asyncio.get_running_loop().sock_recv(self.other, 65536)

    async def lost(self) -> None:
        async with asyncio.timeout(5):
            await self.end.lost.wait()


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    frame = Listening()
    await asyncio.get_running_loop().connect_accepted_socket(lambda: frame, ours)
    yield Ends(frame, theirs)
    frame.abort()
    theirs.close()


async def test_messages_come_in_order_however_they_are_cut(ends: Ends) -> None:
    for byte in encode_frame(Reload()) + encode_frame(Draining()):
        await ends.say(bytes([byte]))
    ends.other.shutdown(socket.SHUT_WR)
    await ends.lost()
    assert ends.end.heard == [Reload(), Draining()]


async def test_garbage_is_told_and_cuts_the_connection(ends: Ends) -> None:
    await ends.say(b"\xff" * 100)
    await ends.lost()
    assert (len(ends.end.garbage), ends.end.heard) == (1, [])
    assert await ends.read() == b""


async def test_nothing_is_taken_in_after_the_connection_was_cut(ends: Ends) -> None:
    ends.end.most = 1
    await ends.say(encode_frame(Reload()) + encode_frame(Draining()))
    await ends.lost()
    assert ends.end.heard == [Reload()]


async def test_what_is_sent_is_a_frame_and_finish_lets_it_leave(ends: Ends) -> None:
    ends.end.send(Started())
    ends.end.finish()
    frames: FrameReader[ToSupervisor] = FrameReader(ToSupervisor)
    assert frames.feed(await ends.read()) == [Started()]
    assert await ends.read() == b""


async def test_what_is_sent_to_a_lost_connection_is_dropped(ends: Ends) -> None:
    assert ends.end.has_room(1)
    ends.other.close()
    await ends.lost()
    ends.end.send(Started())
    assert not ends.end.has_room(1 << 20)
