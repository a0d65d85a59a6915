"""Tunnels, events and long bodies: bytes that pass while they come."""

import asyncio

import pytest

from tests.http1.proxies import Proxy
from tests.http1.raw import OK, PROBE, PROBE_BODY, crlf, get, passed, respond, returned, run
from tests.http1.raw_steps import client_of, ended, until
from tests.http1.scripted import Connection, Script, ScriptedUpstream, in_turn, read_request, send
from tests.http1.strict_reader import read_requests, read_responses

pytestmark = pytest.mark.asyncio(loop_scope="session")

# -- tunnels -----------------------------------------------------------------------------------------------------------

_UPGRADE = crlf(
    b"GET /chat HTTP/1.1",
    b"Host: a",
    b"Upgrade: websocket",
    b"Connection: keep-alive, Upgrade",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Protocol: a, b",
    b"Sec-WebSocket-Extensions: permessage-deflate",
)
_SWITCHED = crlf(
    b"HTTP/1.1 101 Switching Protocols",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    b"Sec-WebSocket-Protocol: b",
)


async def _echo(connection: Connection) -> None:
    """Send back what comes, in upper case, till the peer ends its side; then end too."""
    while data := await connection.read_some():
        await connection.send(data.upper())
    connection.half_close()


def _switching(glued: bytes = b"") -> Script:
    async def script(connection: Connection) -> None:
        head = await connection.read_head()
        connection.taken += len(head)
        await connection.send(_SWITCHED + glued)
        behind = bytes(connection.received[connection.taken :])
        await connection.send(behind.upper())
        await _echo(connection)

    return script


async def test_an_upgrade_becomes_a_tunnel(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9110 section 7.8, RFC 6455: any bytes, both ways."""
    async with client_of(ours, raw_upstream, _switching()) as client:
        await client.send(_UPGRADE)
        await until(client, b"\r\n\r\n")
        for piece in (b"hello", b"\x00\xff GET / HTTP/1.1\r\n\r\n", b"x" * 200_000):
            before = len(client.received)
            await client.send(piece)
            await client.wait_for(lambda b=before, p=piece: len(client.received) == b + len(p))  # type: ignore[misc]
            assert bytes(client.received[before:]) == piece.upper()
    seen = read_requests(bytes(raw_upstream.connections[0].received))[0]
    assert seen.values(b"upgrade") == [b"websocket"]
    assert [v.lower() for v in seen.values(b"connection")] == [b"upgrade"]
    assert seen.values(b"sec-websocket-extensions") == [b"permessage-deflate"]
    responded = read_responses(bytes(client.received), [b"GET"], False)[0]
    assert responded.status == 101
    assert responded.values(b"sec-websocket-protocol") == [b"b"]
    assert responded.values(b"upgrade") == [b"websocket"]
    assert [v.lower() for v in responded.values(b"connection")] == [b"upgrade"]


@pytest.mark.parametrize("delivery", ["whole", "byte by byte"])
async def test_bytes_glued_to_either_handshake_are_not_lost(
    delivery: str, ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """RFC 9110 section 7.8: whatever follows the heads belongs to the new protocol."""
    async with client_of(ours, raw_upstream, _switching(b"welcome ")) as client:
        await client.send(_UPGRADE + b"glued", "whole" if delivery == "whole" else "byte by byte")
        await until(client, b"welcome GLUED")


async def test_another_protocol_is_tunnelled_too(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    request = crlf(
        b"POST /rpc HTTP/1.1", b"Host: a", b"Connection: Upgrade", b"Upgrade: Custom/2", b"Content-Length: 0"
    )
    switched = crlf(b"HTTP/1.1 101 Go On", b"Connection: upgrade", b"Upgrade: Custom/2")
    async with client_of(ours, raw_upstream, in_turn(read_request(), send(switched), _echo)) as client:
        await client.send(request)
        await until(client, b"\r\n\r\n")
        await client.send(b"abc")
        await until(client, b"ABC")
    assert client.received.startswith(b"HTTP/1.1 101 Go On\r\n")


@pytest.mark.parametrize("side", ["client", "upstream"])
async def test_either_side_of_a_tunnel_can_end_first_and_still_listen(
    side: str, ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    """A half-close passes through a tunnel; the other direction goes on (RFC 9293 section 3.6)."""

    async def upstream_first(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(_SWITCHED + b"bye")
        connection.half_close()
        await connection.read_end()

    async with client_of(ours, raw_upstream, _switching() if side == "client" else upstream_first) as client:
        await client.send(_UPGRADE)
        await until(client, b"\r\n\r\n")
        if side == "client":
            await client.send(b"last words")
            client.half_close()
            await ended(client)
            assert client.received.endswith(b"LAST WORDS")
        else:
            await ended(client)
            assert client.received.endswith(b"bye")
            await client.send(b"still here")
            await asyncio.sleep(0.05)
            client.half_close()
        connection = raw_upstream.connections[0]
        await asyncio.wait_for(connection.ended.wait(), 1.5)
    assert client.end == "eof"


async def test_a_reset_tunnel_ends_the_other_side(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    async with client_of(ours, raw_upstream, _switching()) as client:
        await client.send(_UPGRADE)
        await until(client, b"\r\n\r\n")
        raw_upstream.connections[0].reset()
        await ended(client)


async def test_a_refused_upgrade_is_an_ordinary_answer(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """RFC 9110 section 7.8: the server may ignore Upgrade; the connection stays HTTP."""
    async with client_of(ours, raw_upstream, respond(OK)) as client:
        await client.send(_UPGRADE)
        await until(client, b"ok")
        await client.send(PROBE)
        await until(client, PROBE_BODY)


async def test_http_is_not_tunnelled_past_the_routing(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """An upgrade to h2c would carry further requests that nobody routes: it is not offered to the upstream."""
    request = get(
        b"/", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
    )
    async with client_of(ours, raw_upstream, respond(OK)) as client:
        await client.send(request)
        await until(client, b"ok")
    seen = read_requests(bytes(raw_upstream.connections[0].received))[0]
    assert not seen.values(b"upgrade")
    assert not seen.values(b"http2-settings")


# -- streaming ---------------------------------------------------------------------------------------------------------

_EVENT_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"


@pytest.mark.parametrize("framing", ["chunked", "until close"])
async def test_events_arrive_one_by_one(framing: str, ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    """Each event is passed on before the next one is sent: the upstream waits for the client to have it."""
    gate = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.read_request()
        chunked = framing == "chunked"
        await connection.send(_EVENT_STREAM + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n"))
        for number in range(4):
            event = b"data: %d\n\n" % number
            await connection.send(b"%x\r\n%s\r\n" % (len(event), event) if chunked else event)
            await gate.wait()
            gate.clear()
        if chunked:
            await connection.send(b"0\r\n\r\n")
        connection.half_close()

    async with client_of(ours, raw_upstream, script) as client:
        await client.send(get(b"/events"))
        for number in range(4):
            await until(client, b"data: %d\n\n" % number)
            gate.set()
        await client.wait_for(lambda: client.received.endswith(b"\r\n0\r\n\r\n"))
    responded = read_responses(bytes(client.received), [b"GET"], client.end != "open")[0]
    assert responded.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\n"
    assert responded.is_complete


async def test_an_upload_arrives_while_it_runs(ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    async with client_of(ours, raw_upstream, respond(OK)) as client:
        await client.send(crlf(b"POST / HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked", body=b"5\r\nfirst\r\n"))
        connection = await raw_upstream.wait_for_connection()
        assert await connection.has_received(b"first")
        await client.send(b"4\r\nlast\r\n0\r\n\r\n")
        await until(client, b"ok")


@pytest.mark.parametrize("direction", ["download", "upload"])
async def test_a_megabyte_passes_unchanged(direction: str, ours: Proxy, raw_upstream: ScriptedUpstream) -> None:
    body = bytes(range(256)) * 4096
    sent = crlf(b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), body=body)
    upload = crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), body=body)
    case = returned("1 MiB", "", sent) if direction == "download" else passed("1 MiB", "", upload)
    await run(case, ours, raw_upstream)
