"""After a 101: bytes both ways, ends that do not lose what was said last, and nothing left open."""

import asyncio
import socket

import pytest

from strangler.clock import now
from tests.http1.scripted import Connection, ScriptedUpstream, in_turn, pause, read_request, read_until, send
from tests.open_connections import open_connections
from tests.worker.conftest import Serve
from tests.worker.plane import RunningPlane, Visitor, request, timeouts, two_arms

SWITCH = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
UPGRADE = request("/api", "Connection: Upgrade", "Upgrade: raw")
LONG = bytes(range(256)) * 8000


async def upgraded(running: RunningPlane) -> Visitor:
    client = await running.client()
    await client.send(UPGRADE)
    async with asyncio.timeout(10):
        await client.wait_for(lambda: b"\r\n\r\n" in client.received)
    return client


async def test_bytes_pass_both_ways_whole(serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> None:
    async def echo(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(SWITCH)
        while data := await connection.read_some():
            await connection.send(data)
        connection.close()

    candidate.script = echo
    running = await serve(two_arms(legacy, candidate))
    client = await upgraded(running)
    await client.send(LONG)
    await client.wait_for(lambda: client.received.endswith(b"\r\n\r\n" + LONG))
    client.half_close()
    assert await client.ended() == "eof"
    line = await running.line()
    assert (line["status"], line["fault"], line["bytes"]) == (101, None, len(LONG))


async def test_what_the_upstream_says_behind_the_clients_end_arrives_whole(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    async def respond_at_end(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(SWITCH)
        await connection.read_end()
        await connection.send(LONG)
        connection.close()

    candidate.script = respond_at_end
    running = await serve(two_arms(legacy, candidate))
    client = await upgraded(running)
    client.half_close()
    assert await client.ended() == "eof"
    assert client.received.endswith(b"\r\n\r\n" + LONG)


async def test_what_the_client_says_behind_the_upstreams_end_arrives_whole(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """The last of it waits in the process for a slow reader when the client ends."""
    goes_on = asyncio.Event()

    async def end_and_read_late(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(SWITCH)
        connection.half_close()
        await goes_on.wait()

    candidate.script = end_and_read_late
    running = await serve(two_arms(legacy, candidate))
    sock = await running.deaf_client()
    await running.loop.sock_sendall(sock, UPGRADE)
    await running.until(lambda: any(c._tunnel for c in open_connections(running.port)))
    (connection,) = open_connections(running.port)
    tunnel = connection._tunnel
    assert tunnel is not None
    sent = 0
    async with asyncio.timeout(5):
        while not tunnel.upstream.transport.get_write_buffer_size():
            await running.loop.sock_sendall(sock, LONG[:50_000])
            sent += 50_000
            await asyncio.sleep(0.002)
    sock.shutdown(socket.SHUT_WR)
    await running.until(lambda: tunnel.is_over, 0.2, must=False)  # unless the process had no room for the end, too
    goes_on.set()
    upstream_side = candidate.connections[0]
    await running.until(lambda: upstream_side.end != "open", 5.0)
    head_bytes = upstream_side.received.index(b"\r\n\r\n") + 4
    assert (upstream_side.end, len(upstream_side.received) - head_bytes) == ("eof", sent)


async def test_a_peer_that_vanishes_is_found_by_keep_alive(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """Nothing else ends a tunnel that is silent (DESIGN section 8)."""
    candidate.script = in_turn(read_request(), send(SWITCH))
    running = await serve(two_arms(legacy, candidate))
    await upgraded(running)
    (connection,) = open_connections(running.port)
    tunnel = connection._tunnel
    assert tunnel is not None
    for transport in (connection.transport, tunnel.upstream.transport):
        sock = transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


async def test_a_tunnel_is_not_cut_for_being_idle(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), send(SWITCH), read_until(b"are you there"), send(b"yes"))
    running = await serve(two_arms(legacy, candidate, timeouts=timeouts(0.1, 0.1, 0.1), limits={"idle_timeout_s": 0.1}))
    client = await upgraded(running)
    await asyncio.sleep(0.4)
    await client.send(b"are you there")
    await client.wait_for(lambda: client.received.endswith(b"yes"))


@pytest.mark.parametrize("side", ["client", "upstream"])
async def test_a_tunnel_stops_for_a_side_that_does_not_read(
    side: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    if side == "client":
        candidate.script = in_turn(read_request(), send(SWITCH + bytes(8_000_000)))
    else:
        candidate.script = in_turn(read_request(), send(SWITCH), pause(0.6))
    running = await serve(two_arms(legacy, candidate), send_buffer=4096)
    sock = await running.deaf_client()
    await running.loop.sock_sendall(sock, UPGRADE)
    upload = None
    if side == "upstream":
        await candidate.wait_for_connection()
        upload = asyncio.ensure_future(running.loop.sock_sendall(sock, bytes(30_000_000)))
    await asyncio.sleep(0.3)
    (connection,) = open_connections(running.port)
    tunnel = connection._tunnel
    assert tunnel is not None
    waiting = connection.transport.get_write_buffer_size() + tunnel.upstream.transport.get_write_buffer_size()
    assert 0 < waiting < 700_000
    if upload is not None:
        upload.cancel()


async def test_a_client_that_does_not_read_the_last_words_is_closed_in_the_end(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    async def speak_and_leave(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(SWITCH + bytes(60_000))
        await asyncio.sleep(0.05)
        connection.reset()

    candidate.script = speak_and_leave
    running = await serve(two_arms(legacy, candidate), send_buffer=4096)
    sock = await running.deaf_client()
    await running.loop.sock_sendall(sock, UPGRADE)
    await running.until(lambda: candidate.connections and candidate.connections[0].is_closed)
    await asyncio.sleep(0.1)
    (connection,) = open_connections(running.port)
    assert connection.deadline < now() + 60, "nobody would ever close it"
