"""A connection to an upstream by itself: what it makes of a request, and of being lost."""

import asyncio

import pytest

from strangler.core.fault import Fault
from strangler.core.http.trust import TrustedProxies
from strangler.core.settings import TimeoutSettings
from strangler.http1.client_connection import ClientConnection
from strangler.http1.exchange import Clocks, Exchange
from strangler.http1.request import Request
from strangler.http1.server_state import ServerState
from strangler.http1.upstream_connection import UpstreamConnection
from tests.http1.scripted import Connection, ScriptedUpstream
from tests.http1.test_client_connection import LIMITS
from tests.http1.test_pool import connected, listening, made

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def exchange() -> tuple[Exchange, asyncio.Event]:
    """Return an exchange for a client, and what is set whenever that client's story is woken."""
    is_woken = asyncio.Event()

    async def wait(client: ClientConnection) -> None:
        while True:
            await client.task
            is_woken.set()

    server = ServerState(asyncio.get_running_loop(), LIMITS, Request, wait, TrustedProxies(()), _raise)
    client = ClientConnection(server)
    client.task.begin(wait(client))
    begun = Exchange()
    begun.begin(client, is_head=False, may_upgrade=False)
    begun.clocks = Clocks(TimeoutSettings(1.0, 1.0, 1.0))
    return begun, is_woken


def _raise(crash: Exception) -> None:
    raise crash


async def response(connection: Connection) -> None:
    while not connection.is_closed:
        got = await connection.read_request()
        how = got.target.removeprefix(b"/")
        responses = {
            b"length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
            b"chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
            b"more": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcdeHTTP/1.1 200 OK\r\n",
        }
        head, end, body = responses[how].partition(b"\r\n\r\n")
        await connection.send(head + end)
        await asyncio.sleep(0.01)
        await connection.send(body)


@pytest.mark.parametrize(("how", "is_kept"), [("length", True), ("chunked", True), ("more", False)])
async def test_a_connection_is_kept_if_nothing_is_behind_the_response(how: str, is_kept: bool) -> None:
    async with ScriptedUpstream(response) as upstream:
        pool = made(upstream.port)
        connection = await connected(pool)
        pool.give_back(connection)
        for _ in range(2 if is_kept else 1):
            assert pool.take(once=False) is connection
            begun, is_woken = exchange()
            connection.send(begun, GET.replace(b"/", f"/{how}".encode(), 1), None, chunked=False)
            async with asyncio.timeout(5):
                while not begun.is_done:
                    await is_woken.wait()
                    is_woken.clear()
            assert begun.body is not None
            assert (begun.body.received_bytes, begun.fault) == (5, None)
        assert (connection.is_closed, pool.idle_count) == (not is_kept, int(is_kept))
        pool.close()


@pytest.mark.parametrize("way", ["closed by us", "reset by the upstream"])
async def test_a_request_on_a_connection_that_was_lost_meanwhile_fails_at_once(way: str) -> None:
    """It would never be woken again: nothing more happens on that connection."""
    async with listening() as (upstream, pool):
        connection: UpstreamConnection = await connected(pool)
        if way == "closed by us":
            connection.close()
        else:
            (await upstream.wait_for_connection()).reset()
            async with asyncio.timeout(5):
                while not connection.is_closed:  # noqa: ASYNC110 - what is waited for has no event
                    await asyncio.sleep(0.002)
        begun, _ = exchange()
        connection.send(begun, GET, None, chunked=False)
        assert (begun.fault, begun.connection) == (Fault.RESET, None)
