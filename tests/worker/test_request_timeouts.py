"""Every wait has an end, and the one who made the other wait gets the blame (DESIGN section 8)."""

import asyncio
import time
from dataclasses import replace

import pytest

from strangler.core.settings import TimeoutSettings
from tests.factories import breaker
from tests.http1.scripted import (
    Script,
    ScriptedUpstream,
    drip,
    hang,
    in_turn,
    pause,
    read_head,
    read_request,
    responding,
    send,
)
from tests.worker.conftest import Serve
from tests.worker.plane import full_backlog, request, response, timeouts, two_arms

LATE = 0.15
"""Seconds of each timeout under test; all others are much longer."""


async def test_a_connection_that_is_not_made_in_time_is_a_fault_of_connect(
    serve: Serve, legacy: ScriptedUpstream
) -> None:
    async with full_backlog() as port:
        running = await serve(two_arms(legacy, port, timeouts=timeouts(connect_s=LATE), fallback=None))
        assert (await running.ask(request())).status == 502
        line = await running.line()
        assert line["fault"] == "connect"
        assert 100 < line["duration_ms"] < 1000


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(in_turn(read_request()), id="no byte"),
        pytest.param(in_turn(read_request(), send(b"HTTP/1.1 2")), id="half a status line"),
        pytest.param(in_turn(read_request(), send(b"HTTP/1.1 200 OK\r\nX-A: b\r\n")), id="half a head"),
        pytest.param(
            in_turn(read_request(), drip(b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 9, 0.02)), id="a head that drips"
        ),
        pytest.param(in_turn(read_request(), send(b"HTTP/1.1 103 Early Hints\r\n\r\n")), id="hints and no more"),
        pytest.param(in_turn(read_request(), drip(b"HTTP/1.1 102 Processing\r\n\r\n" * 2, 0.01)), id="endless hints"),
    ],
)
async def test_the_response_clock_runs_to_the_end_of_the_head(
    script: Script, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = script
    running = await serve(two_arms(legacy, candidate, timeouts=timeouts(response_s=LATE, idle_s=5.0), fallback=None))
    reply = await running.ask(request())
    assert (reply.status, b'"fault":"timeout"' in reply.body) == (504, True)
    assert 100 < (await running.line())["duration_ms"] < 1000
    await running.until(lambda: candidate.connections[0].ended.is_set())


async def test_the_response_clock_starts_when_the_request_is_fully_sent(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate, timeouts=timeouts(response_s=LATE, idle_s=5.0), fallback=None))
    client = await running.client()
    whole = request(method="POST", body=b"0123456789")
    await client.send(whole[:-5])
    await asyncio.sleep(2 * LATE)
    await client.send(whole[-5:])
    assert (await client.response(b"POST")).status == 200


async def test_an_answer_that_stalls_is_cut(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), hang())
    running = await serve(two_arms(legacy, candidate, timeouts=timeouts(idle_s=LATE), breaker=breaker(), fallback=None))
    client = await running.client()
    await client.send(request())
    reply = await client.response_or_cut()
    assert (reply.body, reply.is_complete, client.end) == (b"abc", False, "eof")
    line = await running.line()
    assert (line["status"], line["fault"]) == (200, "timeout")


async def test_an_answer_that_drips_is_not_cut(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), drip(response(200, bytes(10)), 0.01))
    running = await serve(two_arms(legacy, candidate, timeouts=timeouts(response_s=5.0, idle_s=LATE), fallback=None))
    assert (await running.ask(request())).body == bytes(10)


async def test_a_stream_may_last_longer_than_any_clock(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    head = send(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n")
    candidate.script = in_turn(read_request(), head, drip(bytes(40), 0.02))
    running = await serve(two_arms(legacy, candidate, timeouts=timeouts(0.3, 0.3, LATE), fallback=None))
    began = time.monotonic()
    assert (await running.ask(request())).body == bytes(40)
    assert time.monotonic() - began > 0.6


@pytest.mark.parametrize("fields", [(), ("Expect: 100-continue",)], ids=["plain", "behind a 100"])
async def test_a_client_that_stops_sending_gets_408(
    fields: tuple[str, ...], serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_head(), send(b"HTTP/1.1 100 Continue\r\n\r\n" if fields else b""))
    running = await serve(two_arms(legacy, candidate, timeouts=timeouts(idle_s=LATE), breaker=breaker(), fallback=None))
    client = await running.client()
    await client.send(request("/api", *fields, method="POST", body=b"0123456789")[:-5])
    reply = await client.response(b"POST")
    assert (reply.status, reply.values(b"connection")) == (408, [b"close"])
    assert (await running.line())["fault"] == "client_timeout"
    assert running.upstreams["orders"].admission.breaker.state == "closed"
    await running.until(lambda: candidate.connections[0].ended.is_set())


async def test_an_upstream_that_never_says_100_is_the_one_that_is_late(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """The client waits for leave to send its body, as it said it would (RFC 9110 section 10.1.1)."""
    candidate.script = in_turn(read_head(), hang())
    running = await serve(
        two_arms(legacy, candidate, timeouts=timeouts(response_s=LATE, idle_s=LATE), breaker=breaker(), fallback=None)
    )
    client = await running.client()
    await client.send(request("/api", "Expect: 100-continue", "Content-Length: 5", method="POST"))
    assert (await client.response(b"POST")).status == 504


async def test_an_upstream_that_does_not_read_gets_the_blame(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_head(), hang())
    running = await serve(
        two_arms(legacy, candidate, timeouts=timeouts(response_s=9.0, idle_s=LATE), breaker=breaker(), fallback=None)
    )
    client = await running.client()
    upload = asyncio.ensure_future(client.send(request(method="PUT", body=bytes(30_000_000))))
    reply = await client.response(b"PUT")
    assert (reply.status, reply.values(b"connection")) == (504, [b"close"])
    assert (await running.line())["fault"] == "timeout"
    assert running.upstreams["orders"].admission.breaker.state == "open"
    upload.cancel()


async def test_a_client_that_does_not_read_is_cut_and_the_upstream_is_not_blamed(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), send(response(200, bytes(8_000_000))))
    running = await serve(
        two_arms(legacy, candidate, timeouts=timeouts(idle_s=LATE), breaker=breaker(), fallback=None), send_buffer=4096
    )
    sock = await running.deaf_client()
    await running.loop.sock_sendall(sock, request())
    line = await running.line()
    assert (line["status"], line["fault"]) == (200, "client_timeout")
    assert running.upstreams["orders"].admission.breaker.state == "closed"
    await running.until(lambda: not running.port.connections)


async def test_a_connection_whose_last_answer_is_not_read_is_closed(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """The request is over, as far as its upstream goes; what holds the memory then is the idle timeout."""
    candidate.script = responding(send(response(200, bytes(60_000))))
    running = await serve(two_arms(legacy, candidate, limits={"idle_timeout_s": LATE}), send_buffer=4096)
    sock = await running.deaf_client()
    await running.loop.sock_sendall(sock, request() * 5)
    await running.until(lambda: running.unwritten() > 60_000)
    await running.until(lambda: not running.port.connections)
    assert len(candidate.requests) < 5


@pytest.mark.parametrize(
    ("zero", "status"),
    [
        pytest.param(TimeoutSettings(0.0, 1.0, 1.0), 502, id="connect"),
        pytest.param(TimeoutSettings(1.0, 0.0, 1.0), 504, id="response"),
    ],
)
async def test_zero_is_no_time_at_all(
    zero: TimeoutSettings, status: int, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), pause(0.2), send(response()))
    running = await serve(two_arms(legacy, candidate, timeouts=zero, fallback=None))
    assert (await running.ask(request())).status == status


async def test_none_is_no_limit(serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> None:
    candidate.script = in_turn(read_request(), pause(0.2), drip(response(), 0.005))
    running = await serve(two_arms(legacy, candidate, timeouts=TimeoutSettings(None, None, None), fallback=None))
    assert (await running.ask(request())).status == 200


async def test_a_route_may_have_clocks_of_its_own_for_its_candidate(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = legacy.script = in_turn(read_request(), pause(0.3), send(response()))
    settings = two_arms(legacy, candidate, fallback=None)
    (route,) = settings.routes
    running = await serve(replace(settings, routes=(replace(route, timeouts=timeouts(response_s=LATE)),)))
    assert (await running.ask(request())).status == 504
    assert (await running.ask(request("/else"))).status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"GET /api HT", 408, id="half a request line"),
        pytest.param(b"GET /api HTTP/1.1\r\nHost: a\r\n", 408, id="half a head"),
    ],
)
async def test_a_head_must_arrive_in_time(
    sent: bytes, status: int | None, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate, limits={"header_timeout_s": LATE}))
    client = await running.client()
    await client.send(sent)
    assert await client.ended() == "eof"
    assert client.received.startswith(b"HTTP/1.1 408") is (status == 408)
    assert legacy.connections == []


async def test_an_idle_client_is_closed(serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> None:
    running = await serve(two_arms(legacy, candidate, limits={"idle_timeout_s": LATE}))
    client = await running.client()
    await client.ask(request())
    size = len(client.received)
    assert await client.ended() == "eof"
    assert len(client.received) == size
