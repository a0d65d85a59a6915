"""Idle connections: who is taken, who is closed, and how new ones come to be."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from strangler.clock import now
from strangler.core.fault import Fault
from strangler.core.settings import TlsSettings, Url
from strangler.http1.pool import _MAX_IDLE, Pool
from strangler.http1.upstream_connection import UpstreamConnection
from strangler.tls.client_context import ClientTlsState
from tests.http1.scripted import ScriptedUpstream, in_turn, read_end, refused_port


def made(port: int) -> Pool:
    url = Url("http", "127.0.0.1", port, "")
    return Pool(asyncio.get_running_loop(), url, "127.0.0.1", ClientTlsState(TlsSettings(None, True), {}), 1000)


async def connect(pool: Pool, timeout_s: float | None = 1.0) -> UpstreamConnection | Fault:
    outcome: asyncio.Future[UpstreamConnection | Fault] = asyncio.get_running_loop().create_future()
    pool.connect(timeout_s, outcome.set_result)
    return await asyncio.wait_for(outcome, 10)


async def connected(pool: Pool) -> UpstreamConnection:
    connection = await connect(pool)
    assert isinstance(connection, UpstreamConnection)
    return connection


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[ScriptedUpstream, Pool]]:
    async with ScriptedUpstream(in_turn(read_end())) as upstream:
        pool = made(upstream.port)
        yield upstream, pool
        pool.close()
        await asyncio.sleep(0)


async def test_the_last_one_given_back_is_the_first_one_taken() -> None:
    async with listening() as (_, pool):
        first, second = await connected(pool), await connected(pool)
        assert pool.take(once=False) is None
        pool.give_back(first)
        pool.give_back(second)
        assert [pool.take(once=False) for _ in range(3)] == [second, first, None]
        first.close()
        second.close()


async def test_what_is_idle_for_too_long_is_closed_and_the_rest_is_kept() -> None:
    async with listening() as (_, pool):
        old, young = await connected(pool), await connected(pool)
        pool.give_back(old)
        pool.give_back(young)
        old.idle_until -= 30.0
        pool.sweep(now() + 0.5)
        assert (old.is_closed, young.is_closed, pool.idle_count) == (True, False, 1)


async def test_there_is_a_most_of_idle_connections() -> None:
    async with listening() as (_, pool):
        connections = [await connected(pool) for _ in range(_MAX_IDLE + 2)]
        for connection in connections:
            pool.give_back(connection)
        assert pool.idle_count == _MAX_IDLE
        assert [c.is_closed for c in connections[-3:]] == [False, True, True]


async def test_a_pool_that_is_closed_keeps_nothing() -> None:
    async with listening() as (upstream, pool):
        idle, busy = await connected(pool), await connected(pool)
        pool.give_back(idle)
        pool.close()
        assert (idle.is_closed, busy.is_closed, pool.idle_count) == (True, False, 0)
        pool.give_back(busy)
        assert (busy.is_closed, pool.idle_count) == (True, 0)
        for connection in upstream.connections:
            await asyncio.wait_for(connection.ended.wait(), 10)


@pytest.mark.parametrize("how", ["closed", "reset", "speaks"])
async def test_a_connection_that_its_peer_ended_or_that_speaks_unasked_is_not_taken(how: str) -> None:
    async with listening() as (upstream, pool):
        connection = await connected(pool)
        there = await upstream.wait_for_connection()
        pool.give_back(connection)
        if how == "closed":
            there.half_close()
        elif how == "reset":
            there.reset()
        else:
            await there.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        for _ in range(100):
            if not pool.idle_count:
                break
            await asyncio.sleep(0.01)
        assert pool.take(once=False) is None


async def test_a_close_that_was_not_read_yet_is_seen_before_a_request_that_goes_only_once() -> None:
    """The kernel knows of the FIN while the loop has not come to it: asked for connections that were idle a while."""
    async with listening() as (upstream, pool):
        connection = await connected(pool)
        there = await upstream.wait_for_connection()
        connection.pause_reading()  # as if the loop were busy
        there.half_close()
        await asyncio.sleep(0.01)
        pool.give_back(connection)
        connection.idle_since -= 0.7
        assert pool.take(once=True) is None
        assert connection.is_closed


async def test_a_request_that_goes_only_once_takes_a_connection_that_was_used_just_now() -> None:
    """The close of an upstream whose time is over may be on its way already."""
    async with listening() as (_, pool):
        connection = await connected(pool)
        pool.give_back(connection)
        connection.idle_since -= 1.1
        assert pool.take(once=True) is None
        assert not connection.is_closed, "others may have it"
        assert pool.take(once=False) is connection
        pool.give_back(connection)
        assert pool.take(once=True) is connection
        connection.close()


@pytest.mark.parametrize(
    ("keepalive_s", "keep_s", "after_s", "is_kept"),
    [
        (30.0, math.inf, 29.0, True),
        (30.0, math.inf, 31.0, False),
        (4.0, math.inf, 3.9, True),
        (4.0, math.inf, 4.1, False),
        (30.0, 4.0, 3.9, True),
        (30.0, 4.0, 4.1, False),
        (0.0, math.inf, 0.0, False),
        (30.0, 0.0, 0.0, False),
    ],
)
async def test_an_idle_connection_is_used_for_as_long_as_both_sides_say(
    keepalive_s: float, keep_s: float, after_s: float, is_kept: bool
) -> None:
    async with listening() as (_, pool):
        pool.keepalive_s = keepalive_s
        connection = await connected(pool)
        pool.give_back(connection, keep_s)
        connection.idle_until -= after_s
        assert (pool.take(once=False) is connection) is is_kept
        connection.close()


async def test_an_end_that_is_being_read_takes_a_connection_out_at_once() -> None:
    """A request of the same turn of the loop must not get it."""
    async with listening() as (_, pool):
        connection = await connected(pool)
        pool.give_back(connection)
        connection.eof_received()
        assert pool.take(once=False) is None
        connection.close()


async def test_a_refused_connect_is_a_fault() -> None:
    async with refused_port() as port:
        assert await connect(made(port)) is Fault.CONNECT


async def test_no_time_is_a_fault() -> None:
    async with listening() as (_, pool):
        assert await connect(pool, 0.0) is Fault.CONNECT


async def test_no_limit_connects() -> None:
    async with listening() as (_, pool):
        connection = await connect(pool, None)
        assert isinstance(connection, UpstreamConnection)
        connection.close()
