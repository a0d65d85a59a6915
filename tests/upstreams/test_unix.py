"""Upstreams on unix sockets: everything that TCP gives, over a path."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.config.urls import base_url
from strangler.core import settings as s
from strangler.core.fault import Fault
from strangler.core.settings import TlsSettings
from strangler.http1.pool import Pool
from strangler.http1.upstream_connection import UpstreamConnection
from strangler.tls.client_context import ClientTlsState
from tests.factories import route, settings, upstream
from tests.http1.scripted import ScriptedUpstream
from tests.worker.conftest import Serve
from tests.worker.plane import at, request, response, two_arms

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(path: Path, talk: Talk) -> AsyncIterator[None]:
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer)

    server = await asyncio.start_unix_server(accept, path)
    try:
        yield
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


def replying(body: bytes, *fields: str, status: int = 200) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            await reader.readexactly(size)
            writer.write(response(status, body, *fields))

    return talk


def on_socket(path: Path, base: str = "", name: str = "orders") -> s.UpstreamSettings:
    url = replace(base_url(f"unix:{path}"), path=base)
    return replace(upstream(name), urls=(url,))


async def connected(pool: Pool) -> UpstreamConnection:
    outcome: asyncio.Future[UpstreamConnection | Fault] = asyncio.get_running_loop().create_future()
    pool.connect(5.0, outcome.set_result)
    connection = await asyncio.wait_for(outcome, 10)
    assert isinstance(connection, UpstreamConnection)
    return connection


def pool_of(path: Path) -> Pool:
    url = on_socket(path).urls[0]
    return Pool(asyncio.get_running_loop(), url, url.connect_host, ClientTlsState(TlsSettings(None, True), {}), 1000)


@pytest.mark.parametrize("has_ended", [False, True], ids=["open", "ended"])
async def test_a_write_takes_an_idle_connection_only_if_its_peer_is_there(has_ended: bool, tmp_path: Path) -> None:
    """The kernel knows of the end while the loop has not come to it."""
    ended = asyncio.Event()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if has_ended:
            writer.close()
        ended.set()

    async with listening(tmp_path / "s", talk):
        pool = pool_of(tmp_path / "s")
        connection = await connected(pool)
        connection.pause_reading()  # as if the loop were busy
        await ended.wait()
        await asyncio.sleep(0.01)
        pool.give_back(connection)
        connection.idle_since -= 0.7
        assert (pool.take(once=True) is connection) is not has_ended
        connection.close()
        pool.close()


async def test_a_path_that_is_too_long_is_a_connect_fault(tmp_path: Path) -> None:
    """libuv would cut it, and connect to whatever listens there."""
    folder = tmp_path / ("x" * 100)
    pool = pool_of(folder / "socket")
    outcome: asyncio.Future[UpstreamConnection | Fault] = asyncio.get_running_loop().create_future()
    pool.connect(5.0, outcome.set_result)
    assert await outcome is Fault.CONNECT


async def test_bodies_pass_and_connections_are_kept(tmp_path: Path, serve: Serve, legacy: ScriptedUpstream) -> None:
    async with listening(tmp_path / "s", replying(b"x" * 500_000)):
        running = await serve(two_arms(legacy, on_socket(tmp_path / "s"), fallback=None))
        client = await running.client()
        for size in (0, 10, 500_000):
            assert len((await client.ask(request(method="POST", body=b"y" * size))).body) == 500_000
        assert running.connections("orders") == 1


async def test_an_upgrade_becomes_a_tunnel(tmp_path: Path, serve: Serve, legacy: ScriptedUpstream) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    async with listening(tmp_path / "s", echo):
        running = await serve(two_arms(legacy, on_socket(tmp_path / "s"), fallback=None))
        client = await running.client()
        await client.send(request("/api", "Connection: Upgrade", "Upgrade: raw"))
        await client.wait_for(lambda: b"\r\n\r\n" in client.received)
        await client.send(b"hello")
        await client.wait_for(lambda: client.received.endswith(b"hello"))
        client.half_close()
        assert await client.ended() == "eof"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/base/api/7", b"/api/7"),
        ("http://localhost/base/api/7", b"/api/7"),
        ("http://shop/base/api/7", b"http://shop/api/7"),
        ("http://elsewhere/base/api/7", b"http://elsewhere/base/api/7"),
    ],
)
async def test_redirects_lead_to_the_public_path(
    location: str, expected: bytes, tmp_path: Path, serve: Serve, legacy: ScriptedUpstream
) -> None:
    heads: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(response(302, b"", f"Location: {location}", "Set-Cookie: a=1; Domain=localhost; Path=/base/api"))

    async with listening(tmp_path / "s", talk):
        running = await serve(two_arms(legacy, on_socket(tmp_path / "s", "/base"), fallback=None))
        reply = await running.ask(request("/api/7"))
        assert reply.values(b"location") == [expected]
        assert b"localhost" not in reply.values(b"set-cookie")[0]
        assert heads[0].startswith(b"GET /base/api/7 HTTP/1.1\r\n")
        assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in heads[0]
        assert b"\r\nHost: shop\r\n" in heads[0]


async def test_parts_of_an_aggregate_may_be_on_sockets(tmp_path: Path, serve: Serve, legacy: ScriptedUpstream) -> None:
    parts = tuple(s.AggregatePart(name, name, f"/{name}", True, None) for name in ("a", "b"))
    async with (
        listening(tmp_path / "a", replying(b'{"a": 1}', "Content-Type: application/json")),
        listening(tmp_path / "b", replying(b'{"b": 2}', "Content-Type: application/json")),
    ):
        made = settings(
            routes=[route("both", prefix="/both", candidate=None, aggregate=parts)],
            upstreams=[
                upstream("legacy", at(legacy)),
                on_socket(tmp_path / "a", name="a"),
                on_socket(tmp_path / "b", name="b"),
            ],
        )
        running = await serve(made)
        assert (await running.ask(request("/both"))).body == b'{"a":{"a": 1},"b":{"b": 2}}'


async def test_a_socket_that_is_gone_is_a_connect_fault_and_found_again(
    tmp_path: Path, serve: Serve, legacy: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, on_socket(tmp_path / "s"), fallback=None))
    assert (await running.ask(request())).status == 502
    assert (await running.line())["fault"] == "connect"
    async with listening(tmp_path / "s", replying(b"there")):
        assert (await running.ask(request())).body == b"there"
