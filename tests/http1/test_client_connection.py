"""A client's connection by itself: what it makes of bytes, what it lets wait, and how it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from strangler.clock import now
from strangler.core.http.trust import TrustedProxies
from strangler.core.settings import LimitSettings
from strangler.http1.client_connection import ClientConnection
from strangler.http1.request import Request
from strangler.http1.server_state import ServerState
from tests.http1.raw import Client
from tests.open_connections import open_connections

LIMITS = LimitSettings(1024, 10.0, 75.0, None, 4096, 100, 1.0)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

Answerer = Callable[[ClientConnection, Request], Awaitable[None]]


class Listening:
    """A port whose story answers by `response`, and what it has seen."""

    def __init__(self, response: Answerer, limits: LimitSettings) -> None:
        self.requests: list[Request] = []
        self.crashes: list[Exception] = []
        self.limited: list[str] = []
        self._respond = response
        self.port = ServerState(
            asyncio.get_running_loop(),
            limits,
            Request,
            self._serve,
            TrustedProxies(()),
            self.crashes.append,
            self.limited.append,
        )

    async def _serve(self, client: ClientConnection) -> None:
        while (request := await client.next_request()) is not None:
            self.requests.append(request)
            if request.refusal is not None:
                client.write_problem(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % request.refusal.status)
                client.end_request(keep=False)
            else:
                await self._respond(client, request)

    def accept(self) -> asyncio.Protocol:
        return cast(asyncio.Protocol, ClientConnection(self.port))


async def at_once(client: ClientConnection, _: Request) -> None:
    client.begin_response(OK, None, chunked=False)
    client.end_request(keep=True)


async def never(client: ClientConnection, request: Request) -> None:
    while request.fault is None:
        await client.task
    client.cut()


@asynccontextmanager
async def listening(response: Answerer = at_once, **limits: Any) -> AsyncIterator[tuple[Listening, Client]]:
    made = Listening(response, replace(LIMITS, **limits))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(made.accept, "127.0.0.1", 0)
    client = await Client.connect(server.sockets[0].getsockname()[1])
    try:
        async with asyncio.timeout(5):
            yield made, client
    finally:
        await client.close()
        server.close()
        made.port.abort()
        await asyncio.sleep(0.01)
    assert made.crashes == []


async def reached(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.002)


async def test_empty_lines_before_a_request_are_ignored() -> None:
    async with listening() as (there, client):
        await client.send(b"\r\n\r\n" + GET + b"\r\n" + GET, "byte by byte")
        await client.wait_for(lambda: client.received == OK * 2)
        assert len(there.requests) == 2


async def test_a_pipelined_flood_is_not_read_while_a_request_is_under_way() -> None:
    """The first request is held; what waits behind it in the process is bounded, the rest stays with the client."""
    async with listening(never) as (there, client):
        await client.send(GET)
        await reached(lambda: bool(there.requests))
        flood = asyncio.ensure_future(client.send(GET * 1_500_000))
        await asyncio.sleep(0.3)
        (connection,) = open_connections(there.port)
        assert len(connection._ahead) < 512 * 1024
        assert not flood.done()
        flood.cancel()


async def test_requests_that_waited_are_read_on_in_order() -> None:
    goes_on = asyncio.Event()

    def go_on(client: ClientConnection) -> None:
        goes_on.set()
        client.task.wake()

    async def hold_the_first(client: ClientConnection, request: Request) -> None:
        if request.target == b"/0":
            asyncio.get_running_loop().call_later(0.05, go_on, client)
            while not goes_on.is_set():
                await client.task
        await at_once(client, request)

    async with listening(hold_the_first) as (there, client):
        targets = [b"/%d" % number for number in range(5000)]
        await client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target for target in targets))
        await client.wait_for(lambda: len(client.received) == len(OK) * 5000)
        assert [r.target for r in there.requests] == targets


@pytest.mark.parametrize("way", ["whole", "byte by byte"])
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"GET /" + b"x" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, id="a long target"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2000 + b"\r\n\r\n", 431, id="a long field"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 400 + b"\r\n", 431, id="many fields"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", 400, id="TLS"),
        pytest.param(b"SSH-2.0-OpenSSH\n", 400, id="LF alone"),
        pytest.param(b"\r\r\n", 400, id="CR alone"),
    ],
)
async def test_what_cannot_become_a_request_is_refused_as_soon_as_that_is_sure(
    sent: bytes, status: int, way: Any
) -> None:
    async with listening() as (_, client):
        await client.send(sent, way)
        await client.wait_for(lambda: False)
        assert client.received.startswith(b"HTTP/1.1 %d " % status)
        assert client.received.count(b"HTTP/1.1") == 1
        assert client.end == "eof"


async def test_a_head_of_exactly_the_limit_passes() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX: "
    padded = head + b"x" * (1024 - len(head) - 4) + b"\r\n\r\n"
    async with listening() as (_, client):
        await client.send(padded)
        await client.wait_for(lambda: bool(client.received))
        assert client.received == OK


async def test_the_deadline_of_a_connection_says_what_it_waits_for() -> None:
    async with listening(header_timeout_s=10.0, idle_timeout_s=75.0) as (there, client):
        await reached(lambda: bool(there.port.connections))
        (connection,) = open_connections(there.port)
        assert 9 < connection.deadline - now() <= 10  # for a first head
        await client.send(GET)
        await client.wait_for(lambda: bool(client.received))
        assert 74 < connection.deadline - now() <= 75  # for the next request
        await client.send(b"GET /")
        await reached(lambda: bool(connection._ahead))
        assert 9 < connection.deadline - now() <= 10  # for the rest of a head
        await client.send(b"x HTTP/1.1\r\n")
        await reached(lambda: len(connection._ahead) > 10)
        assert connection.deadline - now() < 10  # which does not start over with each byte


async def test_without_limits_there_is_no_deadline() -> None:
    async with listening(header_timeout_s=None, idle_timeout_s=None) as (there, client):
        await client.send(GET)
        await client.wait_for(lambda: bool(client.received))
        (connection,) = open_connections(there.port)
        assert connection.deadline == float("inf")


async def test_an_answer_before_the_body_is_read_is_not_lost_to_a_reset() -> None:
    """The client still sends: it is heard out for a while, so that it can read why it was refused."""

    async def refuse(client: ClientConnection, _: Request) -> None:
        client.begin_response(OK, None, chunked=False)
        client.end_request(keep=True)

    async with listening(refuse) as (_, client):
        await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        await client.send(bytes(1_000_000))
        await client.wait_for(lambda: False)
        assert (bytes(client.received), client.end) == (OK, "eof")


async def test_a_cut_is_seen_as_one() -> None:
    async def cut(client: ClientConnection, _: Request) -> None:
        client.begin_response(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", None, chunked=False)
        client.cut()

    async with listening(cut) as (_, client):
        await client.send(GET)
        await client.wait_for(lambda: False)
        assert (client.received.endswith(b"abc"), client.end) == (True, "reset")
