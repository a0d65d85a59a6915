"""Ways to an upstream at a real Envoy: TLS, unix sockets, names, several URLs, HTTP/2, tunnels, large bodies."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import websockets

from strangler.core import settings as s
from strangler.core.listener_settings import Address, ListenerSettings
from tests import factories
from tests.certificates import make_ca, make_pair
from tests.envoy.clients import fetch
from tests.envoy.running_clusters import RunningEnvoy, running
from tests.envoy.scripted import Scripted

NAME = "127.0.0.1:0"
WHEN = s.FallbackSettings(("connect", "timeout", "open", "full", 500, 502, 503, 504), 60.0)
WRITTEN = s.TimeoutSettings(1.0, 5.0, 5.0, ("upstream", "upstream", "upstream"))
MEBIBYTE = 1 << 20


@pytest.fixture
async def orders() -> AsyncIterator[Scripted]:
    server = Scripted("orders")
    yield server
    await server.stop()


def settings_for(
    legacy: Scripted, *urls: s.Url, listener: ListenerSettings | None = None, **changes: Any
) -> s.Settings:
    orders = factories.upstream("orders", **{"urls": urls, **changes})
    upstreams = [factories.upstream("legacy", f"http://127.0.0.1:{legacy.port}"), orders]
    listeners = (listener or ListenerSettings(Address("127.0.0.1", 0)),)
    return factories.settings([factories.route("orders", fallback=WHEN)], upstreams, listeners=listeners)


def own_context(folder: Path, pair: Any, clients: Any = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair.write(folder, "server"))
    if clients is not None:
        context.load_verify_locations(cadata=clients.cert.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize(
    ("names", "changes", "arm"),
    [
        (["127.0.0.1"], {}, "candidate"),
        (["orders.internal"], {"server_name": "orders.internal"}, "candidate"),
        (["orders.internal"], {}, "legacy"),
        (["orders.internal"], {"verify": False}, "candidate"),
        (["127.0.0.1"], {"ca": "other.pem"}, "legacy"),
    ],
    ids=["an address", "a name", "another name", "anybody", "another authority"],
)
async def test_the_certificate_of_an_upstream_is_verified(
    legacy: Scripted, orders: Scripted, tmp_path: Path, names: list[str], changes: dict[str, Any], arm: str
) -> None:
    ca = make_ca()
    (tmp_path / "ca.pem").write_bytes(ca.cert)
    (tmp_path / "other.pem").write_bytes(make_ca("Other").cert)
    await orders.start(ssl=own_context(tmp_path, make_pair(names, ca=ca)))
    changes = {**changes, "ca": str(tmp_path / changes.get("ca", "ca.pem"))}
    tls = s.TlsSettings(**{"verify": True, **changes})
    async with running(settings_for(legacy, factories.url(f"https://127.0.0.1:{orders.port}"), tls=tls)) as envoy:
        got = await fetch(envoy, "/orders", "POST", body=b"x")
        assert (got.status, got.arm) == (200, arm), envoy.log


async def test_an_upstream_may_ask_for_our_certificate(legacy: Scripted, orders: Scripted, tmp_path: Path) -> None:
    ca, clients = make_ca(), make_ca("Clients")
    (tmp_path / "ca.pem").write_bytes(ca.cert)
    await orders.start(ssl=own_context(tmp_path, make_pair(["127.0.0.1"], ca=ca), clients))
    cert, key = make_pair(["proxy"], ca=clients).write(tmp_path, "own")
    tls = s.TlsSettings(str(tmp_path / "ca.pem"), verify=True, cert=cert, key=key)
    async with running(settings_for(legacy, factories.url(f"https://127.0.0.1:{orders.port}"), tls=tls)) as envoy:
        assert (await fetch(envoy, "/orders")).arm == "candidate"


async def test_a_unix_socket(legacy: Scripted, orders: Scripted, tmp_path: Path) -> None:
    path = str(tmp_path / "orders.sock")
    await orders.start(path=path)
    url = s.Url("http", "localhost", 80, "", unix_path=path)
    async with running(settings_for(legacy, url, host="upstream")) as envoy:
        assert (await fetch(envoy, "/orders")).arm == "candidate"
        assert orders.seen[0]["Host"] == "localhost"


async def test_a_name(legacy: Scripted, orders: Scripted) -> None:
    await orders.start()
    async with running(settings_for(legacy, factories.url(f"http://localhost:{orders.port}"))) as envoy:
        assert (await fetch(envoy, "/orders")).arm == "candidate"


async def test_a_name_that_is_unknown_falls_back(legacy: Scripted) -> None:
    async with running(settings_for(legacy, factories.url("http://nowhere.invalid:80"))) as envoy:
        assert (await fetch(envoy, "/orders", "POST", body=b"x")).arm == "legacy"


@pytest.mark.parametrize("timeouts", [None, WRITTEN], ids=["plain", "gate"])
async def test_one_of_several_urls_is_dead(
    legacy: Scripted, orders: Scripted, timeouts: s.TimeoutSettings | None
) -> None:
    await orders.start()
    retry = s.RetrySettings(attempts=3, when=("connect", "reset"), backoff_s=0.001, max_backoff_s=0.002, budget=1.0)
    urls = (factories.url(f"http://127.0.0.1:{orders.port}"), factories.url("http://127.0.0.1:1"))
    changes: dict[str, Any] = {} if timeouts is None else {"timeouts": timeouts}
    breaker = factories.breaker(consecutive=2, cooldown_s=30.0, max_cooldown_s=30.0, counts=("connect",))
    settings = settings_for(legacy, *urls, retry=retry, breaker=breaker, host="upstream", **changes)
    async with running(settings) as envoy:
        arms = [(await fetch(envoy, "/orders", "POST", body=b"x")).arm for _ in range(12)]
        assert arms == ["candidate"] * 12
        assert {each["Host"] for each in orders.seen} == {f"127.0.0.1:{orders.port}"}


async def test_http_2_to_an_upstream(legacy: Scripted) -> None:
    """Another Envoy is the upstream, at a listener that takes HTTP/2 without TLS."""
    inner = settings_for(
        legacy, factories.url("http://127.0.0.1:1"), listener=ListenerSettings(Address("127.0.0.1", 0), http2=True)
    )
    async with running(inner) as behind:
        url = factories.url(f"http://127.0.0.1:{behind.ports[NAME]}")
        for timeouts in (WRITTEN, s.TimeoutSettings(2.0, 60.0, 60.0)):
            async with running(settings_for(legacy, url, http2=True, timeouts=timeouts)) as envoy:
                got = await fetch(envoy, "/orders/7", "POST", body=b"hello")
                assert (got.status, legacy.seen[-1].body) == (200, b"hello")
                assert (await behind.records.request())[-1]["v"] == "HTTP/2"


@pytest.mark.parametrize("timeouts", [None, WRITTEN], ids=["plain", "gate"])
async def test_a_websocket(legacy: Scripted, timeouts: s.TimeoutSettings | None) -> None:
    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    changes: dict[str, Any] = {} if timeouts is None else {"timeouts": timeouts}
    async with websockets.serve(echo, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        settings = settings_for(legacy, factories.url(f"http://127.0.0.1:{port}"), **changes)
        async with (
            running(settings) as envoy,
            websockets.connect(f"ws://127.0.0.1:{envoy.ports[NAME]}/orders") as client,
        ):
            for size in (5, 100_000):
                await client.send("x" * size)
                assert await client.recv() == "x" * size


async def _pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, go: asyncio.Event) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
    )
    await go.wait()
    writer.write(b"6\r\nsecond\r\n0\r\nX-Trailer: 1\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("timeouts", [None, WRITTEN], ids=["plain", "gate"])
async def test_a_stream_passes_as_it_comes(legacy: Scripted, timeouts: s.TimeoutSettings | None) -> None:
    go = asyncio.Event()
    server = await asyncio.start_server(lambda reader, writer: _pieces(reader, writer, go), "127.0.0.1", 0)
    changes: dict[str, Any] = {} if timeouts is None else {"timeouts": timeouts}
    url = factories.url(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server, running(settings_for(legacy, url, **changes)) as envoy, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", envoy.ports[NAME])
        writer.write(b"GET /orders HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
        assert b"first" in await reader.readuntil(b"first")
        go.set()
        assert (await reader.readuntil(b"1\r\n\r\n")).lower().endswith(b"6\r\nsecond\r\n0\r\nx-trailer: 1\r\n\r\n")
        writer.close()


async def _swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond with the digest of a body, and as much as it had."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    digest, left = hashlib.sha256(), size
    while left:
        chunk = await reader.read(min(left, MEBIBYTE))
        digest.update(chunk)
        left -= len(chunk)
    writer.write(f"HTTP/1.1 200 OK\r\nX-Digest: {digest.hexdigest()}\r\nContent-Length: {size}\r\n\r\n".encode())
    for _ in range(size // MEBIBYTE):
        writer.write(b"z" * MEBIBYTE)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize("timeouts", [None, WRITTEN], ids=["plain", "gate"])
async def test_large_bodies_pass_both_ways(legacy: Scripted, timeouts: s.TimeoutSettings | None) -> None:
    count = 100
    server = await asyncio.start_server(_swallow, "127.0.0.1", 0)
    changes: dict[str, Any] = {} if timeouts is None else {"timeouts": timeouts}
    url = factories.url(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server, running(settings_for(legacy, url, **changes)) as envoy, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", envoy.ports[NAME], limit=4 * MEBIBYTE)
        writer.write(f"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: {count * MEBIBYTE}\r\n\r\n".encode())
        digest = hashlib.sha256()
        for at in range(count):
            part = bytes([at]) * MEBIBYTE
            digest.update(part)
            writer.write(part)
            await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        assert digest.hexdigest().encode() in head
        got = await reader.readexactly(count * MEBIBYTE)
        assert got == b"z" * (count * MEBIBYTE)
        writer.close()
        assert await _peak_mib(envoy) < 120, "nothing is kept whole"


async def _peak_mib(envoy: RunningEnvoy) -> float:
    return await envoy.stat("server.memory_allocated") / MEBIBYTE


async def test_a_body_of_a_refused_candidate_is_sent_to_legacy(legacy: Scripted, orders: Scripted) -> None:
    async with running(settings_for(legacy, factories.url("http://127.0.0.1:1"))) as envoy:
        body = bytes(range(256)) * 2000
        assert (await fetch(envoy, "/orders", "POST", body=body)).arm == "legacy"
        assert legacy.seen[0].body == body
