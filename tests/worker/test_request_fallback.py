"""Legacy answers what the candidate failed, when that is safe; else the client gets the error (DESIGN section 8)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from strangler.core.settings import BulkheadSettings, Settings, StickySource
from tests.factories import breaker, split, upstream
from tests.http1.scripted import (
    ScriptedUpstream,
    hang,
    in_turn,
    pause,
    read_request,
    refused_port,
    reset,
    responding,
    send,
)
from tests.http1.strict_reader import Message
from tests.worker.conftest import Serve
from tests.worker.plane import (
    RunningPlane,
    at,
    fallback,
    full_backlog,
    request,
    response,
    timeouts,
    two_arms,
)

UNSENT = ("connect", "open", "full")
CAUSES = ("connect", "connect_timeout", "reset", "timeout", "bad_response", "open", "full", "502", "503", "504")
METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE", "PATCH")
SAFE = ("GET", "HEAD", "OPTIONS")

OWN_STATUS = {"connect": 502, "reset": 502, "timeout": 504, "bad_response": 502, "open": 503, "full": 503}


@asynccontextmanager
async def failing(
    cause: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, **changes: Any
) -> AsyncIterator[RunningPlane]:
    """A plane whose candidate fails the next request by `cause`."""
    change: dict[str, Any] = {"fallback": fallback(), **changes}

    async def start(port: int | ScriptedUpstream = candidate, **options: Any) -> RunningPlane:
        return await serve(two_arms(legacy, port, **{"timeouts": timeouts(0.1, 0.1, 0.1), **options, **change}))

    if cause == "connect":
        async with refused_port() as port:
            yield await start(port)
    elif cause == "connect_timeout":
        async with full_backlog() as port:
            yield await start(port)
    elif cause == "open":
        running = await start(breaker=breaker(counts=(500,)))
        candidate.script = responding(send(response(500)))
        await running.ask(request(method="GET"))
        await candidate.renew()
        yield running
    elif cause == "full":
        running = await start(bulkhead=BulkheadSettings(1, 0, 0.0), timeouts=timeouts())
        candidate.script = in_turn(read_request(), hang())
        holder = await running.client()
        await holder.send(request("/api/slow"))
        await running.until(lambda: candidate.requests)
        yield running
        await holder.close()
    else:
        candidate.script = {
            "reset": in_turn(read_request(), reset()),
            "timeout": in_turn(read_request(), hang()),
            "bad_response": responding(send(b"SSH-2.0-OpenSSH_9.6\r\n")),
        }.get(cause) or responding(send(response(int(cause), b"failed")))
        yield await start()


def is_from_legacy(reply: Message) -> bool:
    return reply.status == 200 and reply.values(b"x-strangler-arm") == [b"legacy"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cause", CAUSES)
async def test_a_safe_method_falls_back_and_another_only_if_it_was_never_sent(
    cause: str, method: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    async with failing(cause, serve, legacy, candidate) as running:
        name = cause.removesuffix("_timeout") if cause == "connect_timeout" else cause
        body = b"x" * 10 if method in ("PUT", "POST", "PATCH") else None
        reply = await running.ask(request(method=method, body=body))
        line = (await running.lines(2 if cause == "open" else 1))[-1]
        if method in SAFE or name in UNSENT:
            assert is_from_legacy(reply)
            assert (line["arm"], line["upstream"], line["fallback"], line["attempts"]) == ("legacy", "legacy", True, 2)
            assert (line["status"], line["fault"]) == (200, None)
            assert running.counted("strangler_fallbacks_total") == {("orders", name): 1}
            assert [r.raw.endswith(body or b"\r\n\r\n") for r in legacy.requests] == [True]
        else:
            assert reply.status == OWN_STATUS.get(name, int(name) if name.isdigit() else 0)
            assert legacy.connections == []
            assert (line["arm"], line["no_fallback"], line["attempts"]) == ("candidate", "method", 1)
            assert running.counted("strangler_fallbacks_total") == {}


@pytest.mark.parametrize("cause", CAUSES)
async def test_without_fallback_the_client_gets_the_error(
    cause: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    async with failing(cause, serve, legacy, candidate, fallback=None) as running:
        reply = await running.ask(request())
        name = cause.removesuffix("_timeout") if cause == "connect_timeout" else cause
        assert reply.status == OWN_STATUS.get(name, int(name) if name.isdigit() else 0)
        assert legacy.connections == []
        line = (await running.lines(2 if cause == "open" else 1))[-1]
        assert line["fault"] == (None if name.isdigit() else name)


async def test_only_listed_causes_fall_back(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    async with failing("503", serve, legacy, candidate, fallback=fallback((502, "connect"))) as running:
        assert (await running.ask(request())).status == 503
        assert legacy.connections == []


@pytest.mark.parametrize(
    "started",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nabc",
    ],
    ids=["length", "chunked", "until close"],
)
async def test_an_answer_that_has_started_is_cut_and_never_replaced(
    started: bytes, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), send(started), pause(0.02), reset())
    running = await serve(two_arms(legacy, candidate, fallback=fallback()))
    client = await running.client()
    await client.send(request())
    await client.wait_for(lambda: b"abc" in client.received)
    reply = await client.response_or_cut()
    assert (reply.status, reply.body, reply.is_complete) == (200, b"abc", False)
    assert client.end == "eof"
    assert legacy.connections == []
    line = await running.line()
    assert (line["status"], line["fault"], line["attempts"]) == (200, "reset", 1)


@pytest.mark.parametrize("size", [10, 50_000, 100_000, 1_000_000])
@pytest.mark.parametrize("cause", ["connect", "connect_timeout", "open", "full"])
async def test_a_body_of_any_size_that_was_never_sent_goes_to_legacy_whole(
    cause: str, size: int, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    async with failing(cause, serve, legacy, candidate) as running:
        body = bytes(range(256)) * (size // 256 + 1)
        reply = await running.ask(request(method="POST", body=body[:size]))
        assert is_from_legacy(reply)
        assert legacy.requests[-1].raw.endswith(b"\r\n\r\n" + body[:size])


async def test_a_kept_body_is_sent_to_legacy_from_its_first_byte(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    async with failing("503", serve, legacy, candidate) as running:
        reply = await running.ask(request(method="OPTIONS", body=b"0123456789"))
        assert is_from_legacy(reply)
        assert legacy.requests[-1].raw.endswith(b"\r\n\r\n0123456789")


async def test_a_body_that_was_sent_and_not_kept_cannot_fall_back(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    async with failing("503", serve, legacy, candidate) as running:
        reply = await running.ask(request(method="OPTIONS", body=bytes(200_000)))
        assert reply.status == 503
        assert (await running.line())["no_fallback"] == "body"
        assert legacy.connections == []


async def test_a_put_that_died_on_an_idle_connection_does_not_run_on_legacy_too(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """It reached the candidate, which took it and crashed: that the next connect is refused proves nothing."""

    async def take_two_and_crash(connection: object) -> None:
        await candidate.connections[0].read_request()
        await candidate.connections[0].send(response())
        await candidate.connections[0].read_request()
        await candidate.stop_listening()
        candidate.connections[0].reset()

    candidate.script = take_two_and_crash
    running = await serve(two_arms(legacy, candidate, fallback=fallback()))
    client = await running.client()
    await client.ask(request())
    reply = await client.ask(request(method="PUT", body=b"v=1"))
    assert len(candidate.requests) == 2
    assert legacy.connections == []
    assert reply.status == 502


async def test_a_slow_wait_at_legacy_is_not_the_clients_fault(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """The response timeout of the candidate ends with its attempt; it must not run on while legacy is waited for."""
    legacy.script = in_turn(read_request(), hang())
    settings = two_arms(
        upstream("legacy", at(legacy), bulkhead=BulkheadSettings(1, 1, 2.0)),
        candidate,
        timeouts=timeouts(0.1, 0.15, 0.15),
        fallback=fallback(),
    )
    running = await serve(settings)
    holder = await running.client()
    await holder.send(request("/elsewhere"))
    await running.until(lambda: legacy.requests)
    candidate.script = responding(send(response(503)))
    legacy.script = responding(send(response(200, b"legacy")))
    client = await running.client()
    await client.send(request())
    await running.until(lambda: running.held().get("legacy: waiting"))
    await asyncio.sleep(0.25)  # beyond the candidate's response timeout
    await holder.close()
    assert is_from_legacy(await client.response())


def fenced(legacy: ScriptedUpstream, candidate: ScriptedUpstream, fence_s: float = 60.0) -> Settings:
    return two_arms(legacy, candidate, fallback=fallback(fence_s=fence_s))


@pytest.mark.parametrize(
    ("write", "status", "reader", "is_fenced"),
    [
        pytest.param("POST", 201, "ana", True, id="after its write a caller gets the error"),
        pytest.param("PUT", 302, "ana", True, id="a redirect is a write that was taken"),
        pytest.param("POST", 201, "bob", False, id="another caller is not fenced"),
        pytest.param("POST", 409, "ana", False, id="a refused write fences nobody"),
        pytest.param("GET", 200, "ana", False, id="a read fences nobody"),
    ],
)
async def test_a_caller_that_wrote_is_not_shown_legacys_older_state(
    write: str,
    status: int,
    reader: str,
    is_fenced: bool,
    serve: Serve,
    legacy: ScriptedUpstream,
    candidate: ScriptedUpstream,
) -> None:
    running = await serve(fenced(legacy, candidate))
    candidate.script = responding(send(response(status)))
    assert (await running.ask(request("/api", "X-User-Id: ana", method=write))).status == status
    await candidate.renew()
    candidate.script = responding(send(response(503, b"failed")))
    reply = await running.ask(request("/api", f"X-User-Id: {reader}"))
    line = (await running.lines(2))[-1]
    if is_fenced:
        assert (reply.status, reply.body, legacy.connections) == (503, b"failed", [])
        assert line["no_fallback"] == "fence"
    else:
        assert is_from_legacy(reply)


def sticky_by_cookie(legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> Settings:
    sources = (StickySource("cookie", "sid"), StickySource("client_ip", ""))
    return two_arms(legacy, candidate, fallback=fallback(), split=replace(split(100), sticky=sources))


@pytest.mark.parametrize(
    ("cookie", "set_cookie", "then"),
    [
        pytest.param(None, "sid=1; Path=/; HttpOnly", "sid=1", id="a first write begins the session"),
        pytest.param("sid=1", "sid=2; Path=/", "sid=2", id="a write that changes the session"),
        pytest.param("sid=1", "other=x", "sid=1", id="a write that sets another cookie"),
        pytest.param("sid=1", "sid=2", "sid=1", id="a client that keeps its old cookie"),
        pytest.param("sid=1", "sid=; Max-Age=0", None, id="a write that ends the session"),
        pytest.param("sid=1", "sid=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT", None, id="or lets it expire"),
    ],
)
async def test_a_fence_follows_the_cookie_that_the_answer_sets(
    cookie: str | None,
    set_cookie: str,
    then: str | None,
    serve: Serve,
    legacy: ScriptedUpstream,
    candidate: ScriptedUpstream,
) -> None:
    running = await serve(sticky_by_cookie(legacy, candidate))
    candidate.script = responding(send(response(201, b"ok", f"Set-Cookie: {set_cookie}")))
    before = [f"Cookie: {cookie}"] if cookie else []
    assert (await running.ask(request("/api", *before, method="POST"))).status == 201
    await candidate.renew()
    candidate.script = responding(send(response(503, b"failed")))
    after = [f"Cookie: {then}"] if then else []
    reply = await running.ask(request("/api", *after))
    assert (reply.status, reply.body, legacy.connections) == (503, b"failed", [])


async def test_a_fence_follows_a_login_at_legacy(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(sticky_by_cookie(legacy, candidate))
    await running.ask(request("/api", "Cookie: sid=1", method="POST"))
    legacy.script = responding(send(response(302, b"", "Set-Cookie: sid=2; Path=/")))
    assert (await running.ask(request("/login", "Cookie: sid=1", method="POST"))).status == 302
    await candidate.renew()
    candidate.script = responding(send(response(503, b"failed")))
    assert (await running.ask(request("/api", "Cookie: sid=2"))).body == b"failed"
    await legacy.renew()
    legacy.script = responding(send(response(200, b"legacy")))
    assert is_from_legacy(await running.ask(request("/api", "Cookie: sid=3")))


async def test_a_fence_of_zero_is_none(serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> None:
    running = await serve(fenced(legacy, candidate, fence_s=0.0))
    await running.ask(request("/api", "X-User-Id: ana", method="POST"))
    await candidate.renew()
    candidate.script = responding(send(response(503)))
    assert is_from_legacy(await running.ask(request("/api", "X-User-Id: ana")))


async def test_legacy_that_fails_after_the_candidate_is_the_error(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    legacy.script = in_turn(read_request(), reset())
    async with failing("503", serve, legacy, candidate) as running:
        reply = await running.ask(request())
        assert reply.status == 502
        line = await running.line()
        assert (line["arm"], line["fallback"], line["fault"], line["attempts"]) == ("legacy", True, "reset", 2)


async def test_the_route_without_a_candidate_never_falls_back(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    legacy.script = responding(send(response(503)))
    running = await serve(replace(two_arms(legacy, candidate), routes=()))
    assert (await running.ask(request())).status == 503
    assert len(legacy.requests) == 1
