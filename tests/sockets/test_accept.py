"""Workers that share a listening socket share the connections too."""

import asyncio
import contextlib
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.sockets.accept import (
    Accepted,
    Acceptor,
    Beginning,
    ConnectionCounts,
    empty_page,
    fair_share,
    waiting_at,
    waiting_connections,
)
from strangler.unnamed_files import unnamed_file

counts = st.integers(0, 50)


@pytest.mark.parametrize(
    ("own", "others", "waiting", "share"),
    [
        pytest.param(0, [], 64, 64, id="alone: all"),
        pytest.param(0, [0], 64, 32, id="none has any: half"),
        pytest.param(32, [0], 32, 0, id="they are all for the other"),
        pytest.param(0, [32], 32, 32, id="they are all for me"),
        pytest.param(10, [4], 10, 2, id="the other comes up to me first"),
        pytest.param(3, [3], 1, 1, id="one that cannot be divided is anybody's"),
        pytest.param(4, [3], 1, 0, id="one for the lower"),
        pytest.param(5, [9, 0, 1], 6, 0, id="above the level"),
        pytest.param(0, [9, 5, 1], 6, 4, id="below the level"),
    ],
)
def test_those_that_wait_are_for_the_workers_that_have_fewest(
    own: int, others: list[int], waiting: int, share: int
) -> None:
    assert fair_share(own, others, waiting) == share


@given(st.lists(counts, min_size=1, max_size=5), st.integers(1, 100))
def test_one_after_the_other_the_workers_take_all_and_end_as_level_as_can_be(held: list[int], waiting: int) -> None:
    rest, after = waiting, list(held)
    for at in range(len(held)):
        if rest:
            share = fair_share(after[at], after[:at] + after[at + 1 :], rest)
            after[at] += share
            rest -= share
    one_by_one = list(held)
    for _ in range(waiting):
        one_by_one[one_by_one.index(min(one_by_one))] += 1
    assert rest == 0
    assert sorted(after) == sorted(one_by_one)


class _Worker(asyncio.Protocol):
    """One worker's side: an acceptor, and how many connections it has."""

    def __init__(self, index: int, page: int) -> None:
        self.connections = 0
        self.counts = ConnectionCounts(page)
        loop = asyncio.get_running_loop()
        self.acceptor = Acceptor(loop, index, self.counts, lambda: self.connections, self._connect)
        self._loop = loop

    def _connect(self, accepted: Accepted, address: str) -> Beginning:
        assert address == "here"
        assert accepted.family == socket.AF_INET
        return cast(Beginning, self._loop.connect_accepted_socket(lambda: self, accepted.bare()))

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


@contextlib.contextmanager
def _connect(listener: socket.socket, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as held:
        yield [held.enter_context(socket.create_connection(listener.getsockname()[:2])) for _ in range(count)]


async def _accepted(workers: list[_Worker], count: int) -> list[int]:
    async with asyncio.timeout(5):
        while sum(worker.connections for worker in workers) < count:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)
    return [worker.connections for worker in workers]


async def test_connections_that_come_together_are_shared_evenly() -> None:
    async with _workers(2) as (listener, workers):
        for worker in workers:
            worker.acceptor.start([(listener.dup(), "here")])
        with _connect(listener, 64):
            assert await _accepted(workers, 64) == [32, 32]


async def test_a_worker_that_is_busy_gets_its_share_all_the_same() -> None:
    """The one has all its time for accepting, the other looks only every 5 ms, as under load."""
    async with _workers(2) as (listener, workers):
        workers[0].acceptor.start([(listener.dup(), "here")])
        workers[1].counts.publish(1, 0)
        with _connect(listener, 64):
            async with asyncio.timeout(1):
                while workers[0].connections < 32:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0.005)
            workers[1].acceptor.start([(listener.dup(), "here")])
            assert await _accepted(workers, 64) == [32, 32]


async def test_a_worker_that_comes_later_gets_the_next_ones() -> None:
    async with _workers(2) as (listener, workers):
        first, second = workers
        first.acceptor.start([(listener.dup(), "here")])
        with _connect(listener, 40):
            assert await _accepted(workers, 40) == [40, 0]
            second.acceptor.start([(listener.dup(), "here")])
            with _connect(listener, 30):
                await _accepted(workers, 70)
                assert second.connections >= 25


async def test_a_worker_that_hangs_keeps_nobody_waiting() -> None:
    """Worker 1 says that it has no connection, and accepts none."""
    async with _workers(2) as (listener, workers):
        workers[1].counts.publish(1, 0)
        workers[0].acceptor.start([(listener.dup(), "here")])
        with _connect(listener, 300):
            async with asyncio.timeout(1):
                assert await _accepted(workers, 300) == [300, 0]


async def test_nobody_holds_back_for_a_worker_that_is_gone() -> None:
    async with _workers(1) as (_, [worker]):
        worker.counts.publish(0, 9)
        worker.counts.publish(7, 511)
        assert worker.counts.others(0) == [511]
        assert worker.counts.others(7) == [9]
        worker.counts.publish(7, None)
        assert worker.counts.others(0) == []


async def test_after_stop_nothing_is_accepted() -> None:
    async with _workers(2) as (listener, workers):
        for worker in workers:
            worker.acceptor.start([(listener.dup(), "here")])
        workers[0].acceptor.stop()
        with _connect(listener, 20):
            assert await _accepted(workers, 20) == [0, 20]


async def test_with_no_more_file_descriptors_connections_wait_until_there_are() -> None:
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with _workers(1) as (listener, [worker]):
        worker.acceptor.start([(listener.dup(), "here")])
        with _connect(listener, 10):
            resource.setrlimit(resource.RLIMIT_NOFILE, (_next_descriptor(), allowed[1]))
            try:
                await asyncio.sleep(0.02)
                assert worker.connections == 0
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
            assert await _accepted([worker], 10) == [10]


def _next_descriptor() -> int:
    with socket.socket() as sock:
        return sock.fileno()


async def test_at_the_end_all_that_wait_are_accepted_and_whoever_comes_later_is_refused() -> None:
    async with _workers(2) as (listener, workers):
        address = listener.getsockname()
        workers[0].acceptor.start([(listener.dup(), "here")])
        workers[1].counts.publish(1, 0)  # half is for this one, which takes none
        with _connect(listener, 40) as clients:
            listener.close()
            started = time.monotonic()
            await workers[0].acceptor.finish()
            assert await _accepted(workers, 40) == [40, 0]
            assert time.monotonic() - started < 1
            for client in clients:
                client.setblocking(False)
                with pytest.raises(BlockingIOError):  # neither reset nor closed
                    client.recv(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere sockets have no filters")
async def test_a_connection_that_comes_during_the_end_is_refused_and_not_reset() -> None:
    async with _workers(1) as (listener, [worker]):
        address = listener.getsockname()
        worker.acceptor.start([(listener.dup(), "here")])
        listener.close()
        finishing = asyncio.create_task(worker.acceptor.finish())
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.to_thread(socket.create_connection, address, 5)
        await finishing
    assert worker.connections == 0


async def test_a_connection_that_was_just_accepted_has_its_protocol_once_settled() -> None:
    async with _workers(1) as (listener, [worker]):
        worker.acceptor.start([(listener.dup(), "here")])
        with _connect(listener, 8):
            while worker.counts.others(1) == [0]:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0)
            assert worker.connections == 0  # accepted, and no more than that
            worker.acceptor.stop()
            await worker.acceptor.settle()
            assert worker.connections == 8


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_linux_tells_how_many_wait(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, backlog=16) as listener:
        assert waiting_at(listener) == 0
        with _connect(listener, 3):
            assert waiting_at(listener) == 3


@pytest.mark.parametrize(
    "found", [pytest.param(bytes(32), id="all zero"), pytest.param(bytes(8), id="short"), pytest.param(b"", id="none")]
)
def test_where_the_system_does_not_tell_one_is_said_to_wait(found: bytes) -> None:
    assert waiting_connections(found) == 1
