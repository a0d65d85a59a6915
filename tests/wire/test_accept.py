"""Workers that share a listening socket share the connections too."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from strangler.wire.accept import Acceptor, ConnectionCounts, empty_page
from strangler.wire.start import unnamed_file


class _Worker(asyncio.Protocol):
    """One worker's side: an acceptor, and how many connections it has."""

    def __init__(self, index: int, page: int) -> None:
        self.connections = 0
        self.counts = ConnectionCounts(page)
        loop = asyncio.get_running_loop()
        self.acceptor = Acceptor(loop, index, self.counts, lambda: self.connections, lambda: self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections -= 1


@asynccontextmanager
async def _workers(count: int) -> AsyncIterator[tuple[socket.socket, list[_Worker]]]:
    """Workers 0 to count - 1, none of which accepts yet, and the socket they share."""
    page = unnamed_file(empty_page())
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        workers = [_Worker(index, page) for index in range(count)]
        try:
            yield listener, workers
        finally:
            for worker in workers:
                worker.acceptor.stop()
                worker.counts.close()


def _connect(listener: socket.socket, count: int) -> contextlib.ExitStack:
    held = contextlib.ExitStack()
    for _ in range(count):
        held.enter_context(socket.create_connection(listener.getsockname()))
    return held


async def _accepted(workers: list[_Worker], count: int) -> list[int]:
    async with asyncio.timeout(5):
        while sum(worker.connections for worker in workers) < count:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)
    return [worker.connections for worker in workers]


async def test_connections_that_come_together_are_shared_evenly() -> None:
    async with _workers(2) as (listener, workers):
        for worker in workers:
            worker.acceptor.start([listener.dup()])
        with _connect(listener, 64):
            spread = await _accepted(workers, 64)
    assert max(spread) - min(spread) <= 4


async def test_a_worker_that_comes_later_gets_the_next_ones() -> None:
    async with _workers(2) as (listener, workers):
        first, second = workers
        first.acceptor.start([listener.dup()])
        with _connect(listener, 40):
            assert await _accepted(workers, 40) == [40, 0]
            second.acceptor.start([listener.dup()])
            with _connect(listener, 30):
                await _accepted(workers, 70)
                assert second.connections >= 25


async def test_a_worker_that_hangs_keeps_nobody_waiting() -> None:
    """Worker 1 says that it has no connection, and accepts none."""
    async with _workers(2) as (listener, workers):
        workers[1].counts.tell(1, 0)
        workers[0].acceptor.start([listener.dup()])
        with _connect(listener, 300):
            async with asyncio.timeout(1):
                assert await _accepted(workers, 300) == [300, 0]


async def test_nobody_holds_back_for_a_worker_that_is_gone() -> None:
    async with _workers(1) as (_, [worker]):
        worker.counts.tell(0, 9)
        worker.counts.tell(7, 5)
        assert worker.counts.fewest() == 5
        worker.counts.tell(7, None)
        assert worker.counts.fewest() == 9


async def test_after_stop_nothing_is_accepted() -> None:
    async with _workers(2) as (listener, workers):
        for worker in workers:
            worker.acceptor.start([listener.dup()])
        workers[0].acceptor.stop()
        with _connect(listener, 20):
            assert await _accepted(workers, 20) == [0, 20]
