"""A flood of connections from one address leaves the others served; and each limit is counted."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.http1.scripted import ScriptedUpstream, in_turn, read_request, responding, send
from tests.worker.conftest import Serve
from tests.worker.plane import RunningPlane, Visitor, request, response, two_arms

REFUSED = "strangler_refused_total"
LIMIT = 8
FLOOD, ANA, BOB = "127.0.0.1", "127.0.0.2", "127.0.0.3"

Connect = Callable[[RunningPlane, str], Awaitable[Visitor]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects to a plane from one of the many addresses of this machine."""
    visitors: list[Visitor] = []

    async def connect_from(running: RunningPlane, address: str) -> Visitor:
        sock = socket.socket()
        sock.bind((address, 0))
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", running.number))
        visitors.append(Visitor(sock))
        return visitors[-1]

    yield connect_from
    for visitor in visitors:
        visitor.reset()


async def flooded(serve: Serve, legacy: ScriptedUpstream, connect: Connect) -> tuple[RunningPlane, list[Visitor]]:
    """All connections are taken by one address; each has had an answer."""
    running = await serve(two_arms(legacy, legacy, limits={"connections": LIMIT, "header_timeout_s": 60.0}))
    flood = [await connect(running, FLOOD) for _ in range(LIMIT)]
    for visitor in flood:
        assert (await visitor.ask(request())).status == 200
    return running, flood


async def test_one_address_may_have_all_connections_but_not_one_more(
    serve: Serve, legacy: ScriptedUpstream, connect: Connect
) -> None:
    running, _ = await flooded(serve, legacy, connect)
    one_more = await connect(running, FLOOD)
    reply = await one_more.response()
    assert (reply.status, reply.values(b"retry-after")) == (503, [b"1"])
    assert running.counted(REFUSED) == {("connections",): 1}
    assert len(running.port.connections) <= LIMIT + 1


async def test_others_take_the_places_of_its_idle_connections(
    serve: Serve, legacy: ScriptedUpstream, connect: Connect
) -> None:
    running, flood = await flooded(serve, legacy, connect)
    others = [await connect(running, address) for address in (ANA, BOB, ANA)]
    for visitor in others:
        assert (await visitor.ask(request())).status == 200
    assert running.counted(REFUSED) == {("crowded_out",): 3}
    await running.until(lambda: running.port.connection_limit.total == LIMIT)
    for visitor in flood[:3]:
        assert await visitor.ended() == "eof", "those that came first"
    assert (await flood[-1].ask(request())).status == 200


async def test_slow_heads_are_idle_connections_too(serve: Serve, legacy: ScriptedUpstream, connect: Connect) -> None:
    running = await serve(two_arms(legacy, legacy, limits={"connections": LIMIT, "header_timeout_s": 60.0}))
    for _ in range(LIMIT):
        await (await connect(running, FLOOD)).send(b"GET / HTTP/1.1\r\nHost: sh")
    await running.until(lambda: running.port.connection_limit.total == LIMIT)
    ana = await connect(running, ANA)
    assert (await ana.ask(request())).status == 200


async def test_a_request_under_way_is_never_ended_for_another_client(
    serve: Serve, legacy: ScriptedUpstream, connect: Connect
) -> None:
    legacy.script = responding(send(response(200, b"", "Connection: close")))
    running, flood = await flooded(serve, legacy, connect)
    legacy.script = in_turn(read_request())
    for visitor in flood:
        await visitor.send(request())
    await running.until(lambda: len(running.port.active) == LIMIT)
    ana = await connect(running, ANA)
    assert (await ana.response()).status == 503
    assert len(running.port.active) >= LIMIT


async def test_far_beyond_the_limit_connections_are_closed_without_a_word(
    serve: Serve, legacy: ScriptedUpstream, connect: Connect
) -> None:
    """Those that are told linger until they have heard; so many at once would be a limit of their own."""
    running, _ = await flooded(serve, legacy, connect)
    late = [await connect(running, FLOOD) for _ in range(100)]
    await running.until(lambda: running.counted(REFUSED) == {("connections",): 100})
    await running.until(lambda: running.port.connection_limit.total <= LIMIT + 64)
    reported = [visitor for visitor in late if (await visitor.response_or_cut()).start]
    assert 0 < len(reported) <= 64


async def test_what_limits_end_is_counted(serve: Serve, legacy: ScriptedUpstream) -> None:
    limits = {"header_timeout_s": 0.1, "idle_timeout_s": 0.1, "request_body_bytes": 4, "header_bytes": 2048}
    running = await serve(two_arms(legacy, legacy, limits=limits))
    for sent in (
        b"GET / HTTP/1.1\r\nHost: sh",
        b"nonsense\r\n\r\n",
        request("/", "X-Long: " + "x" * 3000),
        request("/" + "x" * 3000),
        request(method="POST", body=b"12345"),
        request(method="BREW"),
        request(),
    ):
        client = await running.client()
        await client.send(sent)
        assert await client.ended() == "eof"
    assert {reason: count for (reason,), count in running.counted(REFUSED).items()} == {
        "header_timeout": 1,
        "malformed": 1,
        "header_too_large": 1,
        "target_too_long": 1,
        "too_large": 1,
        "unknown_method": 1,
        "idle_timeout": 1,
    }
