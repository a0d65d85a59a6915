"""Long bodies: what one side does not read, the other does not send, and no connection is left stopped."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from strangler.core.settings import BulkheadSettings
from tests.http1.scripted import (
    Connection,
    Script,
    ScriptedUpstream,
    close,
    in_turn,
    pause,
    read_head,
    read_request,
    responding,
    send,
)
from tests.http1.strict_reader import read_responses
from tests.worker.conftest import Serve
from tests.worker.plane import RunningPlane, request, response, two_arms

MOST_BYTES = 700_000
"""The bytes that may wait in the process for one client: two reads of uvloop, and the mark at which it pauses."""

LONG = 3 * 1024 * 1024


async def read_all(running: RunningPlane, sock: socket.socket, enough: Callable[[bytes], bool]) -> bytes:
    data = bytearray()
    async with asyncio.timeout(5):
        while not enough(bytes(data[-200:]) if len(data) > 10_000_000 else bytes(data)):
            piece = await running.loop.sock_recv(sock, 1 << 20)
            if not piece:
                break
            data += piece
    return bytes(data)


def chunked(body: bytes, size: int = 100_000) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


FRAMINGS: dict[str, bytes] = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LONG + bytes(LONG),
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(bytes(LONG)),
    "until close": b"HTTP/1.1 200 OK\r\n\r\n" + bytes(LONG),
}


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_what_a_client_does_not_read_is_not_read_from_the_upstream(
    framing: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """Its small buffers are full with the first piece already, before the body was attached."""
    candidate.script = in_turn(read_request(), send(FRAMINGS[framing]))
    running = await serve(two_arms(legacy, candidate), send_buffer=4096)
    sock = await running.deaf_client()
    await running.loop.sock_sendall(sock, request())
    await running.until(lambda: running.unwritten() > 0)
    await asyncio.sleep(0.2)
    assert running.unwritten() < MOST_BYTES


async def test_pipelined_answers_wait_for_a_client_that_does_not_read(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = responding(send(response(200, bytes(100_000))))
    running = await serve(two_arms(legacy, candidate), send_buffer=4096)
    sock = await running.deaf_client()
    await running.loop.sock_sendall(sock, request() * 30)
    await running.until(lambda: candidate.requests)
    await asyncio.sleep(0.2)
    assert running.unwritten() < MOST_BYTES
    assert len(candidate.requests) < 10
    data = await read_all(running, sock, lambda data: data.count(b"HTTP/1.1") == 30 and data.endswith(bytes(100_000)))
    responses = read_responses(data, [b"GET"] * 30, False)
    assert [len(a.body) for a in responses if a.is_complete] == [100_000] * 30


async def test_requests_that_come_one_by_one_wait_for_a_client_that_does_not_read(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = responding(send(response(200, bytes(100_000))))
    running = await serve(two_arms(legacy, candidate), send_buffer=4096)
    sock = await running.deaf_client()
    for _ in range(30):
        await running.loop.sock_sendall(sock, request())
        await asyncio.sleep(0.01)
    assert running.unwritten() < MOST_BYTES
    assert len(candidate.requests) < 10


async def test_a_streamed_answer_waits_behind_one_that_is_not_read(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """The transport says only once that it is full: the next body must be told as well."""
    candidate.script = in_turn(
        read_request(),
        send(response(200, bytes(150_000))),
        read_request(),
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LONG),
        pause(0.05),
        send(bytes(LONG)),
    )
    running = await serve(two_arms(legacy, candidate), send_buffer=4096)
    sock = await running.deaf_client()
    await running.loop.sock_sendall(sock, request() * 2)
    await asyncio.sleep(0.4)
    assert running.unwritten() < MOST_BYTES
    data = await read_all(running, sock, lambda data: len(data) >= LONG)
    assert data.count(b"HTTP/1.1 200") >= 1


async def test_early_hints_for_a_client_that_does_not_read_are_not_kept(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </%b>\r\n\r\n" % (b"x" * 1000)
    candidate.script = in_turn(read_request(), send(hint * 10_000))
    running = await serve(two_arms(legacy, candidate), send_buffer=4096)
    sock = await running.deaf_client()
    await running.loop.sock_sendall(sock, request())
    await running.until(lambda: running.unwritten() > 0)
    await asyncio.sleep(0.2)
    assert running.unwritten() < MOST_BYTES


def long_last_piece(head: bytes, first: bytes, last: bytes) -> Script:
    async def script(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(head + first)
        await asyncio.sleep(0.05)
        await connection.send(last)
        while not connection.is_closed:
            await connection.read_request()
            await connection.send(response(200, b"next"))

    return script


FIRST, LAST = bytes(30_000), bytes(60_000)
"""The bytes that the client's buffers take, and those up to the mark: in one piece on loopback."""

LAST_PIECES = {
    "length": long_last_piece(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", FIRST, LAST),
    "chunked": long_last_piece(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"7530\r\n%b\r\n" % FIRST,
        b"ea60\r\n%b\r\n0\r\n\r\n" % LAST,
    ),
}


@pytest.mark.parametrize("framing", LAST_PIECES)
async def test_a_connection_that_was_stopped_by_a_slow_client_goes_on_with_the_next_request(
    framing: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """The last piece of an answer fills the client's buffers: the upstream's connection is done, and not at fault."""
    candidate.script = LAST_PIECES[framing]
    running = await serve(two_arms(legacy, candidate), send_buffer=4096)
    sock = await running.deaf_client()
    await running.loop.sock_sendall(sock, request())
    await running.until(lambda: running.connections("orders"))
    assert (await running.ask(request())).body == b"next"
    assert len(candidate.connections) == 1
    await read_all(running, sock, lambda data: len(data) > 90_000)


async def test_what_an_upstream_does_not_read_is_not_read_from_the_client(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_head(), pause(0.5))
    running = await serve(two_arms(legacy, candidate))
    client = await running.client()
    upload = asyncio.ensure_future(client.send(request(method="PUT", body=bytes(40 * 1024 * 1024))))
    await running.until(lambda: running.unwritten() > 0)
    await asyncio.sleep(0.1)
    assert running.unwritten() < MOST_BYTES
    assert not upload.done()
    upload.cancel()


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_of_ten_megabytes_arrives_whole_both_ways(
    framing: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    body = b"".join(number.to_bytes(4, "big") for number in range(2_500_000))

    async def echo(connection: Connection) -> None:
        got = await connection.read_request()
        sent = got.raw.split(b"\r\n\r\n", 1)[1]
        if framing == "length":
            await connection.send(response(200, sent))
        else:
            await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent)

    candidate.script = echo
    running = await serve(two_arms(legacy, candidate))
    client = await running.client()
    if framing == "length":
        await client.send(request(method="PUT", body=body))
    else:
        await client.send(request("/api", "Transfer-Encoding: chunked", method="PUT") + chunked(body))
    data = client.received
    async with asyncio.timeout(10):
        await client.wait_for(lambda: len(data) > len(body) and (framing == "length" or data.endswith(b"0\r\n\r\n")))
    (reply,) = read_responses(bytes(data), [b"PUT"], False)
    assert reply.body == body


# What is cut short reaches the client as far as it came

CUT: dict[str, tuple[bytes, bytes, str]] = {
    "length": (b"HTTP/1.1", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (2 * LONG), "eof"),
    "chunked": (b"HTTP/1.1", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (2 * LONG), "eof"),
    "length, an old client": (b"HTTP/1.0", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (2 * LONG), "eof"),
    "chunked, an old client": (
        b"HTTP/1.0",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (2 * LONG),
        "reset",
    ),
}


@pytest.mark.parametrize("framing", CUT)
async def test_a_client_that_reads_late_has_all_that_came_before_the_cut(
    framing: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    version, head, end = CUT[framing]
    candidate.script = in_turn(read_request(), send(head + bytes(LONG)), close())
    running = await serve(two_arms(legacy, candidate, fallback=None))
    sock = await running.deaf_client(receive_buffer=1 << 16)
    await running.loop.sock_sendall(sock, b"GET /api " + version + b"\r\nHost: a\r\n\r\n")
    connection = await candidate.wait_for_connection()
    await running.until(lambda: connection.is_closed or running.unwritten() > 0)
    received, ended = bytearray(), "eof"
    async with asyncio.timeout(10):
        try:
            while piece := await running.loop.sock_recv(sock, 1 << 16):
                received += piece
        except ConnectionResetError:
            ended = "reset"
    assert ended == end
    assert received.count(0) == LONG
    assert not received.endswith(b"0\r\n\r\n")


# What has no end is not in flight

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n"
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "a websocket": (
        request("/api/live", "Connection: Upgrade", "Upgrade: websocket"),
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ),
    "events": (request("/api/live"), EVENTS),
    "events until the connection closes": (
        request("/api/live"),
        b"HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream; charset=utf-8\r\n\r\ndata:",
    ),
    "a camera": (
        request("/api/live"),
        b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n--b",
    ),
}


def endless(head: bytes) -> Script:
    """Answers requests for /api/live with a stream and all others at once."""

    async def script(connection: Connection) -> None:
        while True:
            this_request = await connection.read_request()
            if this_request.target == b"/api/live":
                await connection.send(head)
                await connection.read_end()
                return
            await connection.send(response(200, b"page"))

    return script


@pytest.mark.parametrize("kind", ENDLESS)
async def test_streams_take_no_place_from_pages(
    kind: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    requested, head = ENDLESS[kind]
    candidate.script = endless(head)
    running = await serve(two_arms(legacy, candidate, bulkhead=BulkheadSettings(1, 0, 0.0), fallback=None))
    clients = [await running.client() for _ in range(5)]
    for number, client in enumerate(clients, 1):
        await client.send(requested)
        await running.until(lambda number=number: running.held().get("orders: streams") == number)
        assert (await running.ask(request())).body == b"page"
    for client in clients:
        client.reset()
    await running.quiet()


@pytest.mark.parametrize("kind", ENDLESS)
async def test_streams_beyond_their_limit_are_refused(
    kind: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    requested, head = ENDLESS[kind]
    candidate.script = endless(head)
    limited = BulkheadSettings(10, 0, 0.0, streams=1)
    running = await serve(two_arms(legacy, candidate, bulkhead=limited, fallback=None))
    first = await running.client()
    await first.send(requested)
    await running.until(lambda: running.held().get("orders: streams") == 1)
    refused = await running.ask(requested)
    assert refused.status == 503
    assert b'"fault":"full"' in refused.body
    assert (await running.ask(request())).body == b"page"
    first.reset()
    await running.until(lambda: not running.held().get("orders: streams"))
    again = await running.client()
    await again.send(requested)
    await running.until(lambda: running.held().get("orders: streams") == 1)
    again.reset()
