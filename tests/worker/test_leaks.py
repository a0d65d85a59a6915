"""Leaks: nothing is left after thousands of requests, and little is held during a long body."""

import asyncio
import gc
import random
import tracemalloc
from collections import Counter

import pytest

from strangler.core.settings import BulkheadSettings
from strangler.http1.body import Body
from strangler.http1.client_connection import ClientConnection
from strangler.http1.exchange import Exchange
from strangler.http1.request import Request
from strangler.http1.tunnel import Tunnel
from strangler.http1.upstream_connection import UpstreamConnection
from tests.factories import breaker, upstream
from tests.http1.scripted import Connection, ScriptedUpstream
from tests.worker.conftest import Serve
from tests.worker.plane import RunningPlane, at, fallback, request, response, retry, timeouts, two_arms

MEGABYTE = 1024 * 1024
LONG_MB = 200
MOST_ADDED_MB = 20


async def behave_oddly(connection: Connection) -> None:
    """Answer, fail, break and stall, as the target says."""
    while not connection.is_closed:
        got = await connection.read_request()
        how = got.target.rsplit(b"/", 1)[1]
        if how == b"reset":
            connection.reset()
        elif how == b"cut":
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ncut")
            connection.close()
        elif how == b"stall":
            await connection.read_end()
        elif how == b"nonsense":
            await connection.send(b"nonsense\r\n\r\n")
        elif how == b"chunks":
            await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
        elif how == b"switch":
            await connection.send(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
            await connection.read_end()
            connection.close()
        else:
            await connection.send(response(int(how)))


HOWS = ("200", "200", "200", "404", "500", "503", "reset", "cut", "stall", "nonsense", "chunks", "switch", "leave")


async def ask_oddly(running: RunningPlane, chance: random.Random) -> None:
    how = chance.choice(HOWS)
    method = chance.choice(("GET", "GET", "POST", "PUT", "HEAD"))
    side = chance.choice(("/api", "/else"))
    body = bytes(chance.choice((0, 10, 100_000))) if method in ("POST", "PUT") else None
    client = await running.client()
    if how == "leave":
        await client.send(request(f"{side}/stall", method=method, body=body))
        await asyncio.sleep(chance.random() * 0.01)
        client.reset()
    elif how == "switch":
        await client.send(request(f"{side}/switch", "Connection: Upgrade", "Upgrade: raw"))
        await asyncio.sleep(0.005)
        client.reset()
    else:
        await client.send(request(f"{side}/{how}", method=method, body=body))
        await client.response_or_cut(method.encode())
    await client.close()
    running._clients.remove(client)


def living() -> Counter[str]:
    gc.collect()
    kinds = (ClientConnection, UpstreamConnection, Request, Exchange, asyncio.Task)
    return Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, kinds))


async def test_two_thousand_requests_leave_nothing_behind(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = legacy.script = behave_oddly
    quick = {"timeouts": timeouts(0.5, 0.05, 0.05), "bulkhead": BulkheadSettings(20, 20, 0.1)}
    settings = two_arms(
        upstream("legacy", at(legacy), **quick),
        upstream("orders", at(candidate), **quick, retry=retry(), breaker=breaker(consecutive=50, cooldown_s=0.05)),
        fallback=fallback(),
    )
    running = await serve(settings)
    chance = random.Random(1)

    async def visit(count: int) -> None:
        for _ in range(count):
            await ask_oddly(running, chance)

    async def round_of(count: int) -> Counter[str]:
        await asyncio.gather(*(visit(count // 20) for _ in range(20)))
        await running.quiet()
        assert running.held() == {}
        await running.until(lambda: not running.port.connections)
        await candidate.renew()
        await legacy.renew()
        await running.until(lambda: not running.connections("orders") + running.connections("legacy"))
        running._lines.text = b""
        return living()

    before = await round_of(400)
    after = await round_of(2000)
    assert after == before
    assert after["ClientConnection"] == after["UpstreamConnection"] == after["Call"] == after["Attempt"] == 0


def uncollected() -> Counter[str]:
    """Count what lives, without a collection: a worker hardly ever makes one."""
    kinds = (ClientConnection, UpstreamConnection, Tunnel, Body)
    return Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, kinds))


async def end_early(running: RunningPlane, way: str) -> None:
    client = await running.client()
    if way == "tunnel":
        await client.send(request("/api/switch", "Connection: Upgrade", "Upgrade: raw"))
        assert await client.wait_for(lambda: b" 101 " in client.received)
    elif way == "upload":
        await client.send(request("/api/stall", "Content-Length: 100000", method="PUT") + bytes(10))
    else:
        await client.send(request(f"/api/{way}"))
        await client.response_or_cut(b"GET")
    await asyncio.sleep(0.01)
    client.reset()
    await client.close()
    running._clients.remove(client)


@pytest.mark.parametrize("way", ["200", "chunks", "cut", "tunnel", "upload"])
async def test_connections_are_freed_without_a_collection(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, way: str
) -> None:
    candidate.script = behave_oddly
    running = await serve(two_arms(legacy, candidate))
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            await end_early(running, way)
        await running.quiet()
        await running.until(lambda: not running.port.connections)
        await candidate.renew()
        await running.until(lambda: not running.connections("orders"))
        assert uncollected() == {}
    finally:
        gc.enable()


class Growth:
    """Traced memory, at most, since it was begun."""

    def __enter__(self) -> "Growth":
        gc.collect()
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.peak_mb = tracemalloc.get_traced_memory()[1] / MEGABYTE
        tracemalloc.stop()


async def test_a_long_download_to_a_slow_client_takes_little_memory(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    piece = bytes(MEGABYTE)

    async def send_long(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (LONG_MB * MEGABYTE))
        for _ in range(LONG_MB):
            await connection.send(piece)

    candidate.script = send_long
    running = await serve(two_arms(legacy, candidate), send_buffer=64 * 1024)
    sock = await running.deaf_client(256 * 1024)
    await running.loop.sock_sendall(sock, request())
    got = 0
    buffer = bytearray(MEGABYTE)
    with Growth() as growth:
        while got < LONG_MB * MEGABYTE:
            got += await running.loop.sock_recv_into(sock, buffer)
            if got % 7 == 0:
                await asyncio.sleep(0.002)
    assert growth.peak_mb < MOST_ADDED_MB


async def test_a_long_upload_to_a_slow_upstream_takes_little_memory(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    size = LONG_MB * MEGABYTE
    buffer = bytearray(MEGABYTE)

    async def read_slowly(connection: Connection) -> None:
        await connection.read_head()
        got = len(connection.received) - connection.received.index(b"\r\n\r\n") - 4
        while got < size:
            got += await connection.loop.sock_recv_into(connection.sock, buffer)
            if got % 7 == 0:
                await asyncio.sleep(0.002)
        await connection.send(response(200, b"%d" % got))

    candidate.script = read_slowly
    running = await serve(two_arms(legacy, candidate))
    client = await running.client()
    piece = bytes(MEGABYTE)
    with Growth() as growth:
        await client.send(request("/api", f"Content-Length: {size}", method="PUT"))
        for _ in range(LONG_MB):
            await client.send(piece)
        async with asyncio.timeout(10):
            reply = await client.response(b"PUT")
    assert reply.body == b"%d" % size
    assert growth.peak_mb < MOST_ADDED_MB
