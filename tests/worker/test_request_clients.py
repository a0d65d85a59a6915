"""Clients that leave, that ask too much, and a worker that drains."""

import asyncio

import pytest

from strangler.core.settings import BulkheadSettings, ErrorSettings
from tests.factories import breaker
from tests.http1.scripted import (
    Connection,
    Script,
    ScriptedUpstream,
    hang,
    in_turn,
    pause,
    read_head,
    read_request,
    refused_port,
    responding,
    send,
)
from tests.worker.conftest import Serve
from tests.worker.plane import full_backlog, request, response, timeouts, two_arms

PART = send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
UPLOAD = request(method="POST", body=b"0123456789")

PHASES: dict[str, tuple[Script, bytes, bytes]] = {
    # what the upstream does, what the client sends, what the client has received when it leaves
    "while it uploads": (in_turn(read_head()), UPLOAD[:-5], b""),
    "behind a 100": (in_turn(read_head(), send(b"HTTP/1.1 100 Continue\r\n\r\n")), UPLOAD[:-5], b""),
    "before the answer": (in_turn(read_request()), request(), b""),
    "in the answer's head": (in_turn(read_request(), send(b"HTTP/1.1 200 OK\r\nX-")), request(), b""),
    "in the answer": (in_turn(read_request(), PART), request(), b"abc"),
    "in an endless answer": (
        in_turn(read_request(), send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")),
        request(),
        b"abc\r\n",
    ),
    "in an early answer": (in_turn(read_head(), PART), UPLOAD[:-5], b"abc"),
    "in a tunnel": (
        in_turn(read_request(), send(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nabc")),
        request("/api", "Connection: Upgrade", "Upgrade: x"),
        b"abc",
    ),
}


@pytest.mark.parametrize(
    ("phase", "how"),
    [
        pytest.param(phase, how, id=f"{phase}-{how}")
        for phase in PHASES
        for how in ("reset", "close")
        if (phase, how) != ("in a tunnel", "close")  # which ends one direction only
    ],
)
async def test_a_client_that_leaves_ends_the_upstream_request_and_blames_nobody(
    phase: str, how: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    script, sent, received = PHASES[phase]
    candidate.script = script
    running = await serve(two_arms(legacy, candidate, breaker=breaker(), bulkhead=BulkheadSettings(1, 0, 0.0)))
    client = await running.client()
    await client.send(sent)
    connection = await candidate.wait_for_connection()
    await client.wait_for(lambda: client.received.endswith(received))
    await running.until(lambda: b"\r\n\r\n" in connection.received)
    if how == "reset":
        client.reset()
    else:
        await client.close()
    async with asyncio.timeout(10):
        await connection.ended.wait()
    await running.quiet()
    assert running.held() == {}
    assert running.connections("orders") == 0
    assert running.upstreams["orders"].admission.breaker.state == "closed"
    assert legacy.connections == []
    line = await running.line()
    if phase == "in a tunnel":
        assert (line["status"], line["fault"]) == (101, None)
        return
    assert line["fault"] == "client_gone"
    assert line["status"] == (200 if received else None)
    ((labels, count),) = running.counted("strangler_requests_total").items()
    assert (labels, count) == (("orders", "candidate", "orders", "gone"), 1)


async def test_a_connection_that_came_too_late_for_its_client_serves_the_next(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate))
    client = await running.client()
    await client.send(request())
    client.reset()  # the connect may be under way, or done: either way nothing is lost
    await running.quiet()
    assert (await running.ask(request())).status == 200
    assert len(candidate.connections) <= 2


async def test_a_client_that_leaves_while_it_is_connected_for_is_let_go(serve: Serve, legacy: ScriptedUpstream) -> None:
    async with full_backlog() as port:
        running = await serve(two_arms(legacy, port, timeouts=timeouts(connect_s=0.3)))
        client = await running.client()
        await client.send(request())
        await running.until(lambda: running.held().get("orders: slots"))
        client.reset()
        await running.until(lambda: not running.held())
        assert (await running.line())["fault"] == "client_gone"
        await asyncio.sleep(0.3)  # the connect ends by itself, and finds nobody


async def test_a_half_close_before_the_answer_is_a_client_that_left(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request())
    running = await serve(two_arms(legacy, candidate))
    client = await running.client()
    await client.send(request())
    await candidate.wait_for_connection()
    client.half_close()
    assert await client.ended() in ("eof", "reset")
    assert (await running.line())["fault"] == "client_gone"


# Limits


@pytest.mark.parametrize(
    ("limit", "size", "status"),
    [
        pytest.param(10, 10, 200, id="at the limit"),
        pytest.param(10, 11, 413, id="one more"),
        pytest.param(10, 100_000, 413, id="many more"),
        pytest.param(0, 1, 413, id="0: none of it"),
        pytest.param(None, 300_000, 200, id="none: no limit"),
    ],
)
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_over_the_limit_is_refused(
    framing: str,
    limit: int | None,
    size: int,
    status: int,
    serve: Serve,
    legacy: ScriptedUpstream,
    candidate: ScriptedUpstream,
) -> None:
    running = await serve(
        two_arms(legacy, candidate, breaker=breaker(), limits={"request_body_bytes": limit}, fallback=None)
    )
    body = bytes(size)
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in (body[at : at + 5] for at in range(0, min(size, 50), 5)))
    whole = request(method="POST", body=body)
    if framing == "chunked":
        tail = b"%x\r\n%b\r\n" % (len(body[50:]), body[50:]) if size > 50 else b""
        whole = request("/api", "Transfer-Encoding: chunked", method="POST") + chunked + tail + b"0\r\n\r\n"
    client = await running.client()
    await client.send(whole)
    reply = await client.response(b"POST")
    assert reply.status == status
    if status == 413:
        assert reply.values(b"connection") == [b"close"]
        assert (await running.line())["fault"] == "too_large"
        assert await client.ended() == "eof"
        assert candidate.requests == []
    assert running.upstreams["orders"].admission.breaker.state == "closed"


async def test_a_connection_beyond_the_limit_is_told_and_closed(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), hang())
    running = await serve(two_arms(legacy, candidate, limits={"connections": 2}))
    busy = [await running.client() for _ in range(2)]
    for client in busy:
        await client.send(request())
    await running.until(lambda: len(candidate.requests) == 2)
    extra = await running.client()
    reply = await extra.response()
    assert (reply.status, reply.values(b"retry-after"), reply.values(b"connection")) == (503, [b"1"], [b"close"])
    assert await extra.ended() == "eof"
    for client in (*busy, extra):
        client.reset()
    await running.until(lambda: not running.port.connections)
    candidate.script = responding(send(response()))
    assert (await running.ask(request())).status == 200


# Draining


async def test_a_drain_lets_requests_finish_and_says_that_the_connection_ends(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), pause(0.1), send(response(200, b"finished")))
    running = await serve(two_arms(legacy, candidate))
    client = await running.client()
    await client.send(request())
    await running.until(lambda: candidate.requests)
    running.port.drain()
    reply = await client.response()
    assert (reply.body, reply.values(b"connection")) == (b"finished", [b"close"])
    assert await client.ended() == "eof"


async def test_a_drain_finishes_an_answer_that_has_begun(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), PART, pause(0.1), send(b"defghi"))
    running = await serve(two_arms(legacy, candidate))
    client = await running.client()
    await client.send(request() * 2)
    await client.wait_for(lambda: b"abc" in client.received)
    running.port.drain()
    assert (await client.response()).body == b"abcdefghi"
    assert await client.ended() in ("eof", "reset")
    assert len(candidate.requests) == 1  # the pipelined one is not begun


async def test_a_drain_closes_idle_connections_within_a_second_or_two(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate))
    used, unused = await running.client(), await running.client()
    await used.ask(request())
    await running.until(lambda: len(running.port.connections) == 2)
    running.port.drain()
    assert [await used.ended(), await unused.ended()] == ["eof", "eof"]


@pytest.mark.parametrize(
    ("prelude", "close_frame"),
    [
        pytest.param(b"", b"\x88\x02\x03\xe9", id="between frames"),
        pytest.param(b"\x82\x05abc", b"", id="within a frame"),
    ],
)
async def test_a_drain_tells_websockets_that_it_goes_away(
    prelude: bytes, close_frame: bytes, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    switch = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    candidate.script = in_turn(read_request(), send(switch + prelude))
    running = await serve(two_arms(legacy, candidate))
    client = await running.client()
    await client.send(request("/api", "Connection: Upgrade", "Upgrade: websocket"))
    await client.wait_for(lambda: client.received.endswith(b"\r\n\r\n" + prelude))
    before = len(client.received)
    running.port.drain()
    assert await client.ended() == "eof"
    assert bytes(client.received[before:]) == close_frame
    await running.until(lambda: candidate.connections[0].ended.is_set())
    assert candidate.connections[0].received.endswith(b"\x88\x82\x00\x00\x00\x00\x03\xe9")


# Connections


async def test_pipelined_requests_are_answered_in_order(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    async def respond_with_target(connection: Connection) -> None:
        while not connection.is_closed:
            await connection.send(response(200, (await connection.read_request()).target))

    candidate.script = legacy.script = respond_with_target
    running = await serve(two_arms(legacy, candidate))
    client = await running.client()
    targets = [f"/{'api' if number % 3 else 'else'}/{number}" for number in range(50)]
    await client.send(b"".join(request(target) for target in targets))
    await client.wait_for(lambda: client.received.count(b"HTTP/1.1 200") == 50)
    bodies = [part.split(b"HTTP/1.1")[0] for part in bytes(client.received).split(b"\r\n\r\n")[1:]]
    assert [body.decode() for body in bodies] == targets
    assert (len(candidate.connections), len(legacy.connections)) == (1, 1)


async def test_refusals_in_a_pipeline_are_answered_in_order(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate, breaker=breaker(counts=(500,)), fallback=None))
    candidate.script = responding(send(response(500)))
    client = await running.client()
    await client.ask(request())
    await client.send(request() * 100)  # the breaker is open: all are refused in one turn
    await client.wait_for(lambda: client.received.count(b"HTTP/1.1 503") == 100)
    assert len(candidate.requests) == 1


@pytest.mark.parametrize(
    ("accept", "media"),
    [("text/html,*/*;q=0.8", b"text/html; charset=utf-8"), ("*/*", b"application/problem+json")],
    ids=["a browser", "a program"],
)
async def test_browsers_get_a_page_for_our_own_errors(
    accept: str, media: bytes, serve: Serve, legacy: ScriptedUpstream
) -> None:
    async with refused_port() as port:
        page = ErrorSettings("sorry.html", "<p>sorry {{status}}")
        running = await serve(two_arms(legacy, port, fallback=None, general={"errors": page}))
        reply = await running.ask(request("/api", f"Accept: {accept}"))
        assert (reply.status, reply.values(b"content-type")) == (502, [media])
        assert (reply.body == b"<p>sorry 502") is media.startswith(b"text/html")
        empty = await running.ask(request("/api", f"Accept: {accept}", method="HEAD"))
        assert (empty.status, empty.body) == (502, b"")
