"""A connection by TLS after its handshake: how it ends, tunnels, slow readers, limits, drain and reload."""

import asyncio
import socket
import ssl
from dataclasses import replace

import pytest

from strangler.core import settings as s
from strangler.core.listener_settings import ProxyProtocolSettings
from tests.certificates import client_context, make_pair
from tests.http1.scripted import Connection, ScriptedUpstream, hang, in_turn, read_request, send
from tests.open_connections import open_connections
from tests.worker.conftest import Serve
from tests.worker.plane import RunningPlane, request, response, two_arms
from tests.worker.test_listener_tls import CA, SHOP, over_tls
from tests.worker.tls_client import TlsVisitor, connected, tls_client

UPGRADE = request("/", "Connection: Upgrade", "Upgrade: raw")
SWITCH = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
LONG = bytes(range(256)) * 8000


@pytest.fixture(scope="module")
def trusting() -> ssl.SSLContext:
    return client_context(CA)


# Ends


async def test_our_end_is_a_close_notify(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    async with connected(plane, trusting) as client:
        assert (await client.ask(request("/", "Connection: close"))).body == b"legacy"
        assert await client.ended() == "eof"
    await plane.until(lambda: not plane.port.connections)


async def test_an_idle_connection_ends_by_a_close_notify(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate, limits={"idle_timeout_s": 0.1})))
    async with connected(plane, trusting) as client:
        await client.ask(request("/"))
        assert await client.ended() == "eof"


async def test_a_client_that_never_answers_our_close_is_left(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    client = await (await tls_client(plane, trusting)).secure()
    await client.ask(request("/", "Connection: close"))
    await client.ended()  # it has read our close_notify, and keeps the socket open
    await plane.until(lambda: not plane.port.connections)


async def test_a_close_notify_of_the_client_is_its_fin(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    async with connected(plane, trusting) as client:
        await client.ask(request("/"))
        await client.notify()
        assert await client.ended() == "eof"
    await plane.until(lambda: not plane.port.connections)
    candidate.script = in_turn(read_request(), hang())
    async with connected(plane, trusting) as client:
        await client.send(request("/api"))
        await plane.until(lambda: candidate.requests)
        await client.notify()
        assert await client.ended() == "eof"
    assert (await plane.lines(2))[1]["fault"] == "client_gone"


async def test_a_client_that_is_cut_off_is_gone(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    legacy.script = in_turn(read_request(), hang())
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    for end in (TlsVisitor.half_close, TlsVisitor.reset):
        client = await (await tls_client(plane, trusting)).secure()
        before = len(legacy.requests)
        await client.send(request("/"))
        await plane.until(lambda before=before: len(legacy.requests) > before)
        end(client)
        await plane.until(lambda: not plane.port.connections)
    assert {line["fault"] for line in await plane.lines(2)} == {"client_gone"}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_a_response_without_a_length_that_is_cut_has_no_clean_end(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, version: ssl.TLSVersion
) -> None:
    context = client_context(CA)
    context.minimum_version = context.maximum_version = version
    body = b"x" * 300_000

    async def cut(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(b"HTTP/1.0 200 OK\r\n\r\n" + body)
        await asyncio.sleep(0.05)
        connection.reset()

    legacy.script = cut
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    async with connected(plane, context) as client:
        await client.send(request("/").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert await client.ended() == "reset"
        assert client.received.endswith(body)


@pytest.mark.parametrize(
    "head", [b"Content-Length: 100\r\n", b"Transfer-Encoding: chunked\r\n"], ids=["by length", "chunked"]
)
async def test_a_framed_response_that_is_cut_is_seen_by_its_framing(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext, head: bytes
) -> None:
    async def cut(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n5\r\nabcde\r\n")
        await asyncio.sleep(0.05)
        connection.reset()

    legacy.script = cut
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    async with connected(plane, trusting) as client:
        await client.send(request("/"))
        assert not (await client.response_or_cut()).is_complete
        assert b"abcde" in client.received


async def test_an_upload_that_is_refused_gets_its_response(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate, limits={"request_body_bytes": 1000})))
    async with connected(plane, trusting) as client:
        head = b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"
        sending = asyncio.create_task(client.send(head + b"%x\r\n" % len(LONG) + LONG))
        assert (await client.response()).status == 413
        assert await client.ended() == "eof"
        await sending


# Bodies


async def test_large_bodies_pass_whole_both_ways(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    legacy.script = in_turn(read_request(), send(response(200, LONG)), hang())
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    async with connected(plane, trusting) as client:
        assert (await client.ask(request("/", method="POST", body=LONG))).body == LONG
    assert legacy.requests[0].raw.endswith(LONG)


async def test_a_reader_that_stops_is_not_buffered_for(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    sent = 0

    async def endless(connection: Connection) -> None:
        nonlocal sent
        await connection.read_request()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while sent < 100_000_000:
            await connection.send(b"x" * 65536)
            sent += 65536

    legacy.script = endless
    plane = await serve(over_tls(two_arms(legacy, candidate)), send_buffer=65536)
    client = await (await tls_client(plane, trusting, receive_buffer=4096)).secure()
    await client.send(request("/"))
    await client.wait_for(lambda: len(client.received) > 1000)
    client.may_read.clear()
    last = -1
    while last != sent:
        last = sent
        await asyncio.sleep(0.2)
    assert sent < 20_000_000  # the buffers of the system
    assert plane.unwritten() < 512 * 1024
    client.reset()


async def test_a_client_that_sends_and_sends_is_not_buffered_for(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    """An upstream that does not read holds the client up, and gets all of it in the end."""
    goes_on = asyncio.Event()

    async def read_late(connection: Connection) -> None:
        await connection.read_head()
        await goes_on.wait()
        await connection.read_request()
        await connection.send(response(200, b"late"))

    legacy.script = read_late
    body = LONG * 5
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    async with connected(plane, trusting) as client:
        sending = asyncio.create_task(client.send(request("/", method="POST", body=body)))
        await asyncio.sleep(0.5)
        assert plane.unwritten() < 1024 * 1024
        goes_on.set()
        await sending
        assert (await client.response()).body == b"late"
    assert legacy.requests[0].raw.endswith(body)


async def test_a_client_that_reads_slowly_has_the_end_of_its_response(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    """Longer than the time that a close has without progress."""
    legacy.script = in_turn(read_request(), send(response(200, LONG[:400_000])), hang())
    plane = await serve(over_tls(two_arms(legacy, candidate)), send_buffer=65536)
    client = await (await tls_client(plane, trusting, receive_buffer=4096)).secure()
    await client.send(request("/", "Connection: close"))
    await client.wait_for(lambda: len(client.received) > 1000)
    client.may_read.clear()
    await asyncio.sleep(3)
    client.may_read.set()
    assert await client.ended() == "eof", client.error
    assert client.received.endswith(LONG[:400_000])


async def test_pipelined_requests_are_answered_in_order(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    async with connected(plane, trusting) as client:
        await client.send(request("/") + request("/api") + request("/"))
        assert [(await client.response()).body for _ in range(3)] == [b"legacy", b"candidate", b"legacy"]


# Tunnels


async def upgraded(plane: RunningPlane, context: ssl.SSLContext) -> TlsVisitor:
    client = await (await tls_client(plane, context)).secure()
    await client.send(UPGRADE)
    await client.wait_for(lambda: b"\r\n\r\n" in client.received)
    return client


async def test_a_tunnel_passes_bytes_both_ways_until_the_client_ends(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    async def echo(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(SWITCH)
        while data := await connection.read_some():
            await connection.send(data)
        connection.close()

    legacy.script = echo
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    client = await upgraded(plane, trusting)
    await client.send(LONG)
    await client.wait_for(lambda: client.received.endswith(b"\r\n\r\n" + LONG))
    await client.notify()
    assert await client.ended() == "eof"
    line = await plane.line()
    assert (line["status"], line["fault"], line["bytes"]) == (101, None, len(LONG))


async def test_what_the_client_says_last_reaches_the_upstream_of_a_tunnel(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    async def read_all(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(SWITCH)
        await connection.read_end()

    legacy.script = read_all
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    client = await upgraded(plane, trusting)
    await client.send(LONG)
    await client.notify()
    await client.ended()
    connection = await legacy.wait_for_connection()
    await plane.until(lambda: connection.end != "open")
    assert bytes(connection.received).endswith(LONG)


async def test_what_the_client_says_last_reaches_an_upstream_that_reads_late(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    goes_on = asyncio.Event()

    async def read_late(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(SWITCH)
        await goes_on.wait()
        await connection.read_end()

    legacy.script = read_late
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    client = await upgraded(plane, trusting)
    last = LONG * 5
    sending = asyncio.create_task(client.send(last))
    await plane.until(lambda: not any(each._is_reading for each in open_connections(plane.port)))
    goes_on.set()
    await sending
    await client.notify()
    client.half_close()
    await client.ended()
    connection = await legacy.wait_for_connection()
    await plane.until(lambda: connection.end != "open")
    assert bytes(connection.received).endswith(last)


async def test_the_last_bytes_of_a_client_wait_while_the_upstream_does_not_read(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    """Its end must not overtake them within TLS."""
    goes_on = asyncio.Event()

    async def read_late(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(SWITCH)
        await goes_on.wait()
        await connection.read_end()

    legacy.script = read_late
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    client = await upgraded(plane, trusting)
    sent = b""
    while all(each._is_reading for each in open_connections(plane.port)):
        piece = bytes([len(sent) // 65536 % 251]) * 65536
        await client.send(piece)
        sent += piece
        await asyncio.sleep(0.01)
    await client.send(b"last words")
    await client.notify()
    client.half_close()
    await asyncio.sleep(0.2)
    goes_on.set()
    await client.ended()
    connection = await legacy.wait_for_connection()
    await plane.until(lambda: connection.end != "open")
    assert bytes(connection.received).endswith(sent + b"last words")


@pytest.mark.parametrize("end", [Connection.half_close, Connection.close], ids=["half close", "close"])
async def test_what_the_upstream_says_last_reaches_the_client_of_a_tunnel(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext, end: object
) -> None:
    async def speak(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(SWITCH + LONG)
        end(connection)  # type: ignore[operator]
        await asyncio.sleep(0.1)

    legacy.script = speak
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    client = await upgraded(plane, trusting)
    assert await client.ended() == "eof"
    assert client.received.endswith(b"\r\n\r\n" + LONG)
    await plane.until(lambda: not plane.port.connections)


async def test_a_slow_client_holds_up_its_tunnel(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    async def flood(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(SWITCH)
        for _ in range(1000):
            await connection.send(b"x" * 65536)

    legacy.script = flood
    plane = await serve(over_tls(two_arms(legacy, candidate)), send_buffer=65536)
    client = await (await tls_client(plane, trusting, receive_buffer=4096)).secure()
    await client.send(UPGRADE)
    await client.wait_for(lambda: len(client.received) > 1000)
    client.may_read.clear()
    await asyncio.sleep(0.5)
    assert plane.unwritten() < 512 * 1024
    client.reset()


async def test_a_drain_ends_a_websocket_by_a_close_frame(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    legacy.script = in_turn(read_request(), send(SWITCH.replace(b"raw", b"websocket")), hang())
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    client = await (await tls_client(plane, trusting)).secure()
    await client.send(UPGRADE.replace(b"raw", b"websocket"))
    await client.wait_for(lambda: b"\r\n\r\n" in client.received)
    plane.port.drain()
    assert await client.ended() == "eof"
    assert client.received.endswith(b"\x88\x02\x03\xe9")


# Limits and drain


async def test_silent_connections_keep_nobody_out(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate, limits={"connections": 200})))
    silent = [await tls_client_silent(plane, "127.0.0.2") for _ in range(1000)]
    try:
        await plane.until(lambda: plane.counted("strangler_refused_total").get(("connections",), 0) >= 790)
        for _ in range(20):
            async with connected(plane, trusting) as client:
                assert (await client.ask(request("/"))).status == 200
        assert len(plane.port.connections) <= 201
    finally:
        for sock in silent:
            sock.close()


async def tls_client_silent(plane: RunningPlane, address: str) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.bind((address, 0))
    await plane.loop.sock_connect(sock, ("127.0.0.1", plane.number))
    return sock


@pytest.mark.parametrize("first", [b"\x16", b"\x16\x03\x01\x02\0\x01"])
async def test_handshakes_under_way_give_way(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext, first: bytes
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate, limits={"connections": 10})))
    others = [await tls_client_silent(plane, "127.0.0.2") for _ in range(10)]
    for sock in others:
        await plane.loop.sock_sendall(sock, first)
    await plane.until(lambda: len(plane.port.connections) == 10)
    async with connected(plane, trusting) as client:
        assert (await client.ask(request("/"))).status == 200
        assert plane.counted("strangler_refused_total") == {("crowded_out",): 1}
    for sock in others:
        sock.close()


async def test_idle_connections_give_way_at_once(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    """A client that never answers a close_notify holds no place."""
    plane = await serve(over_tls(two_arms(legacy, candidate, limits={"connections": 5})))
    idle = [await (await tls_client(plane, trusting, address="127.0.0.2")).secure() for _ in range(5)]
    for client in idle:
        client.may_read.clear()
    for _ in range(5):
        async with connected(plane, trusting) as client:
            assert (await client.ask(request("/"))).status == 200
            await plane.until(lambda: len(plane.port.connections) <= 5, 1.0)
        await plane.until(lambda: len(plane.port.connections) <= 5, 1.0)


async def test_who_gives_way_still_gets_what_was_written(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    legacy.script = in_turn(read_request(), send(response(200, LONG[:60_000])), hang())
    plane = await serve(over_tls(two_arms(legacy, candidate, limits={"connections": 2})), send_buffer=4096)
    slow = await (await tls_client(plane, trusting, address="127.0.0.2", receive_buffer=4096)).secure()
    slow.may_read.clear()
    await slow.send(request("/"))
    await plane.lines(1)
    other = await (await tls_client(plane, trusting, address="127.0.0.2")).secure()
    await other.ask(request("/api"))
    await slow.send(b"")
    async with connected(plane, trusting) as client:
        assert (await client.ask(request("/api"))).status == 200
        assert plane.counted("strangler_refused_total") == {("crowded_out",): 1}
        slow.may_read.set()
        assert await slow.ended() == "eof", slow.error
    assert slow.received.endswith(LONG[:60_000])


async def test_a_drain_waits_a_moment_for_a_handshake_and_its_request(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    plane = await serve(over_tls(two_arms(legacy, candidate)))
    silent = await plane.client()
    await plane.until(lambda: len(plane.port.connections) == 1)
    client = await tls_client(plane, trusting)
    await plane.until(lambda: len(plane.port.connections) == 2)
    plane.port.drain()
    assert (await client.ask(request("/"))).body == b"legacy"
    assert await client.ended() == "eof"
    await silent.ended()
    assert plane.counted("strangler_refused_total") == {}


# Reload


async def test_new_certificates_are_for_new_handshakes(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    settings = two_arms(legacy, candidate)
    plane = await serve(over_tls(settings))
    waiting = await plane.client()
    async with connected(plane, trusting) as client:
        assert client.tls.getpeercert(binary_form=True) == SHOP.der
        renewed = make_pair(["shop.example"], "rsa", ca=CA)
        plane.adopt(over_tls(settings, renewed))
        assert (await client.ask(request("/"))).status == 200
        async with connected(plane, trusting) as later:
            assert later.tls.getpeercert(binary_form=True) == renewed.der
    await waiting.close()


async def test_sessions_survive_reloads_that_do_not_concern_them(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    settings = over_tls(two_arms(legacy, candidate))
    plane = await serve(settings)
    async with connected(plane, trusting) as client:
        await client.ask(request("/"))
        session = client.tls.session
    plane.adopt(replace(settings, expose_arm=False))
    again = await (await tls_client(plane, trusting, session=session)).secure()
    assert again.tls.session_reused
    plane.adopt(over_tls(two_arms(legacy, candidate), min_version="1.3"))
    other = await (await tls_client(plane, trusting, session=session)).secure()
    assert not other.tls.session_reused


async def test_a_pair_that_openssl_refuses_leaves_the_former_in_force(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    settings = over_tls(two_arms(legacy, candidate))
    plane = await serve(settings)
    broken = dict.fromkeys(settings.files, b"no certificate")
    plane.adopt(replace(settings, files=broken))
    async with connected(plane, trusting) as client:
        assert (await client.ask(request("/"))).status == 200
    assert plane.logged("listener.tls_failed")[0]["listen"] == "127.0.0.1:0"


async def test_a_listener_without_a_usable_pair_serves_nobody(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    settings = over_tls(two_arms(legacy, candidate))
    plane = await serve(replace(settings, files=dict.fromkeys(settings.files, b"")))
    client = await tls_client(plane, trusting)
    assert await client.ended() in ("eof", "reset")
    assert not client.is_secure
    assert "no certificate" in plane.logged("client.tls_failed")[0]["reason"]


# PROXY protocol


V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes((203, 0, 113, 9, 192, 0, 2, 1)) + b"\0\1\0\2"


def behind_balancer(settings: s.Settings, *, required: bool = True) -> s.Settings:
    (listener,) = settings.listeners
    protocol = ProxyProtocolSettings(("127.0.0.0/8",), required)
    return replace(settings, listeners=(replace(listener, proxy_protocol=protocol),))


@pytest.mark.parametrize("first", [V2, b"PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n"], ids=["version 2", "version 1"])
@pytest.mark.parametrize("required", [True, False])
async def test_the_handshake_follows_the_proxy_header(
    serve: Serve,
    legacy: ScriptedUpstream,
    candidate: ScriptedUpstream,
    trusting: ssl.SSLContext,
    first: bytes,
    required: bool,
) -> None:
    plane = await serve(behind_balancer(over_tls(two_arms(legacy, candidate)), required=required))
    client = await (await tls_client(plane, trusting, first=first)).secure()
    assert (await client.ask(request("/"))).status == 200
    assert b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n" in legacy.requests[0].raw
    if not required:
        async with connected(plane, trusting) as other:
            assert (await other.ask(request("/"))).status == 200


async def test_header_and_handshake_share_their_time(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    limits = {"header_timeout_s": 0.6}
    plane = await serve(behind_balancer(over_tls(two_arms(legacy, candidate, limits=limits))))
    client = await plane.client()
    started = plane.loop.time()
    await client.send(V2[:20])
    await asyncio.sleep(0.3)
    await client.send(V2[20:] + b"\x16\x03")
    await client.ended()
    assert 0.5 < plane.loop.time() - started < 0.88
    assert plane.counted("strangler_refused_total") == {("tls_handshake",): 1}


async def test_a_redirecting_listener_redirects_over_tls_too(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    settings = over_tls(two_arms(legacy, candidate))
    (listener,) = settings.listeners
    plane = await serve(replace(settings, listeners=(replace(listener, redirect_port=8443),)))
    async with connected(plane, trusting) as client:
        found = await client.ask(request("/a?b"))
    assert found.status == 308
    assert found.values(b"location") == [b"https://shop:8443/a?b"]


async def test_a_trusted_proxy_names_the_scheme(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, trusting: ssl.SSLContext
) -> None:
    settings = replace(over_tls(two_arms(legacy, candidate)), trusted_proxies=("127.0.0.1",))
    plane = await serve(settings)
    async with connected(plane, trusting) as client:
        await client.ask(request("/", "X-Forwarded-Proto: http"))
        await client.ask(request("/", "Forwarded: for=192.0.2.7;proto=http"))
        await client.ask(b"GET http://shop/a HTTP/1.1\r\nHost: shop\r\n\r\n")
    first, second, third = (each.raw for each in legacy.requests)
    assert b"X-Forwarded-Proto: http\r\n" in first
    assert b'Forwarded: for=192.0.2.7;proto=http, for=127.0.0.1;proto=https;host="shop"\r\n' in second
    assert b"X-Forwarded-Proto: https\r\n" in third
