"""Retries at the same upstream, the one resend for a connection that had died idle, and what is never sent twice."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable

import pytest

from tests.factories import upstream
from tests.http1.scripted import (
    Connection,
    Script,
    ScriptedUpstream,
    close,
    hang,
    in_turn,
    pause,
    read_head,
    read_request,
    read_until,
    refused_port,
    reset,
    responding,
    send,
)
from tests.worker.conftest import Serve
from tests.worker.plane import at, fallback, request, response, retry, timeouts, two_arms


def in_order(*scripts: Script) -> Script:
    """Each connection gets the next script; the last one repeats."""
    left = list(scripts)

    async def script(connection: Connection) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(connection)

    return script


OK = responding(send(response(200, b"at last")))
BROKEN: dict[str, Script] = {
    "reset": in_turn(read_request(), reset()),
    "timeout": in_turn(read_request(), hang()),
    "bad_response": in_turn(read_request(), send(b"nonsense\r\n\r\n")),
    "502": responding(send(response(502))),
    "503": responding(send(response(503))),
}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"])
@pytest.mark.parametrize("cause", BROKEN)
async def test_only_idempotent_methods_are_retried_once_they_were_sent(
    cause: str, method: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_order(BROKEN[cause], OK)
    if cause in ("502", "503"):
        candidate.script = responding_in_turn(response(int(cause)), response(200, b"at last"))
    running = await serve(two_arms(legacy, candidate, retry=retry(), timeouts=timeouts(response_s=0.1), fallback=None))
    reply = await running.ask(request(method=method, body=b"v=1" if method in ("PUT", "POST", "PATCH") else None))
    line = await running.line()
    if method in ("POST", "PATCH"):
        assert len(candidate.requests) == 1
        assert (reply.status >= 500, line["attempts"]) == (True, 1)
        return
    first, second = candidate.requests
    assert first.raw == second.raw  # X-Request-Id and traceparent too
    assert (reply.status, line["attempts"], line["fault"]) == (200, 2, None)
    assert running.counted("strangler_attempts_total") == {
        ("orders", "5xx" if cause.isdigit() else cause): 1,
        ("orders", "2xx"): 1,
    }


def responding_in_turn(*responses: bytes) -> Script:
    """Each request, on whatever connection, gets the next answer; the last one repeats."""
    left = list(responses)

    async def script(connection: Connection) -> None:
        while not connection.is_closed:
            await connection.read_request()
            await connection.send(left.pop(0) if len(left) > 1 else left[0])

    return script


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_was_never_sent_is_retried_for_any_method(
    method: str, serve: Serve, legacy: ScriptedUpstream
) -> None:
    async with refused_port() as port:
        running = await serve(two_arms(legacy, port, retry=retry(3), fallback=None))
        reply = await running.ask(request(method=method, body=b"v=1"))
        assert (reply.status, (await running.line())["attempts"]) == (502, 3)
        assert running.counted("strangler_attempts_total") == {("orders", "connect"): 3}


@pytest.mark.parametrize(
    ("changes", "attempts"),
    [
        pytest.param({"attempts": 1}, 1, id="attempts count the first"),
        pytest.param({"attempts": 4}, 4, id="so many in all"),
        pytest.param({"when": (502,)}, 1, id="only what is listed"),
        pytest.param({"when": (503,), "attempts": 3}, 3, id="a listed status"),
    ],
)
async def test_retries_end(
    changes: dict[str, int], attempts: int, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = BROKEN["503"]
    running = await serve(two_arms(legacy, candidate, retry=retry(**changes), fallback=None))  # type: ignore[arg-type]
    assert (await running.ask(request())).status == 503
    assert len(candidate.requests) == attempts


async def test_the_budget_bounds_the_retries_of_all_requests(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = BROKEN["503"]
    running = await serve(two_arms(legacy, candidate, retry=retry(2, budget=0.0), fallback=None))
    client = await running.client()
    for _ in range(50):
        await client.ask(request())
    assert len(candidate.requests) == 50 + 30  # the floor: 3 a second over 10 s
    reported = [line.get("no_retry") for line in await running.lines(50)]
    assert reported == ["attempts"] * 30 + ["budget"] * 20


@pytest.mark.parametrize(
    ("retry_after", "attempts"),
    [
        pytest.param("0", 2, id="at once"),
        pytest.param("3600", 1, id="later than anyone waits"),
        pytest.param("Mon, 01 Jan 2001 00:00:00 GMT", 2, id="a date in the past"),
        pytest.param("Mon, 01 Jan 2999 00:00:00 GMT", 1, id="a date far off"),
        pytest.param("soon", 2, id="unreadable: as if it were not there"),
        pytest.param("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", 2, id="a year that no clock has"),
        pytest.param("Mon, 01 Jan 0000 00:00:00 GMT", 2, id="the year 0"),
        pytest.param("Mon, 01 Jan 2999 00:00:00 +9999999999", 2, id="a zone that no place has"),
    ],
)
async def test_retry_after_is_honoured_up_to_the_deadline(
    retry_after: str, attempts: int, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = responding(send(response(503, b"no", f"Retry-After: {retry_after}")))
    running = await serve(two_arms(legacy, candidate, retry=retry(max_backoff_s=0.05), fallback=None))
    assert (await running.ask(request())).status == 503
    assert len(candidate.requests) == attempts


async def test_a_backoff_ends_by_itself(serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> None:
    """Forty backoffs of 0 to 8 ms: one whose timer rings a moment early must not wait for ever."""
    candidate.script = responding_in_turn(*[response(503), response(200)] * 40)
    running = await serve(two_arms(legacy, candidate, retry=retry(backoff_s=0.008, max_backoff_s=0.008), fallback=None))
    client = await running.client()
    began = time.monotonic()
    for _ in range(40):
        assert (await client.ask(request())).status == 200
    assert time.monotonic() - began < 4.0


async def test_a_client_that_leaves_in_a_backoff_is_not_served_again(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = responding(send(response(503, b"no", "Retry-After: 5")))
    running = await serve(two_arms(legacy, candidate, retry=retry(max_backoff_s=10.0)))
    client = await running.client()
    await client.send(request())
    await running.until(lambda: candidate.requests and not running.held().get("orders: slots"))
    client.reset()
    await running.quiet()
    assert (await running.line())["fault"] == "client_gone"
    assert (len(candidate.requests), legacy.connections) == (1, [])


@pytest.mark.parametrize(
    ("response_body", "status"),
    [
        pytest.param(b"short", 503, id="that came whole"),
        pytest.param(bytes(300_000), 502, id="that did not"),
    ],
)
async def test_a_body_that_grew_too_long_while_a_retry_waited_gets_the_first_answer(
    response_body: bytes, status: int, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """The upload goes on during the backoff; once it is too long to be kept, there is nothing to send again."""
    candidate.script = in_turn(read_until(b"0123"), send(response(503, response_body, "Retry-After: 1")))
    running = await serve(two_arms(legacy, candidate, retry=retry(max_backoff_s=1.0)))
    client = await running.client()
    whole = request(method="PUT", body=b"0123" + bytes(199_996))
    await client.send(whole[: whole.find(b"0123") + 4])
    await running.until(lambda: candidate.connections and candidate.connections[0].ended.is_set())
    await client.send(whole[whole.find(b"0123") + 4 :])
    assert (await client.response(b"PUT")).status == status
    assert len(candidate.connections) == 1


POINTS: dict[str, Script] = {
    "before the head": in_turn(reset()),
    "in the head": in_turn(read_until(b"POST /ap"), reset()),
    "behind the head": in_turn(read_head(), reset()),
    "in the body": in_turn(read_until(b"0123"), reset()),
    "after the body, by reset": in_turn(read_request(), reset()),
    "after the body, by close": in_turn(read_request(), close()),
    "in the status line": in_turn(read_request(), send(b"HTTP/1.1 2"), close()),
    "in the answer's head": in_turn(read_request(), send(b"HTTP/1.1 200 OK\r\nX-A: "), reset()),
    "in the answer's body": in_turn(read_request(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), close()),
    "by no answer": in_turn(read_request(), hang()),
    "by nonsense": in_turn(read_request(), send(b"nonsense\r\n\r\n")),
    "by 503": in_turn(read_request(), send(response(503))),
}


KEPT = {"new connection": False, "idle connection": True}


@pytest.mark.parametrize(
    ("point", "is_kept"),
    [
        pytest.param(point, is_kept, id=f"{point}-{how}")
        for point in POINTS
        for how, is_kept in KEPT.items()
        if not (is_kept and point == "before the head")  # then it is noticed in time, and a new one is made
    ],
)
@pytest.mark.parametrize("arm", ["candidate", "legacy"])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_post_is_sent_once_wherever_its_connection_breaks(
    method: str,
    point: str,
    arm: str,
    is_kept: bool,
    serve: Serve,
    legacy: ScriptedUpstream,
    candidate: ScriptedUpstream,
) -> None:
    """With retries and fallback for everything, at both arms: the upstreams count what reached them."""
    broken, other = (candidate, legacy) if arm == "candidate" else (legacy, candidate)
    script = POINTS[point]
    if point == "in the head":
        script = in_turn(read_until(f"{method} /".encode()), reset())
    broken.script = in_turn(read_request(), send(response()), script) if is_kept else script
    settings = two_arms(
        upstream("legacy", at(legacy), retry=retry(3), timeouts=timeouts(response_s=0.1)),
        upstream("orders", at(candidate), retry=retry(3), timeouts=timeouts(response_s=0.1)),
        fallback=fallback(),
    )
    running = await serve(settings)
    target = "/api" if arm == "candidate" else "/else"
    client = await running.client()
    if is_kept:
        await client.ask(request(target))
    await client.send(request(target, method=method, body=b"0123456789"))
    reply = await client.response_or_cut(method.encode())
    assert reply.status in (200, 502, 503, 504)
    assert len(broken.connections) == 1
    assert other.connections == []
    assert running.connections("orders") + running.connections("legacy") == (1 if point == "by 503" else 0)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("point", [point for point in POINTS if point != "in the head"])
async def test_an_idempotent_write_that_may_have_run_stays_with_its_upstream(
    point: str, method: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = POINTS[point]
    settings = two_arms(legacy, candidate, retry=retry(2), timeouts=timeouts(response_s=0.1), fallback=fallback())
    running = await serve(settings)
    client = await running.client()
    await client.send(request(method=method, body=b"0123456789"))
    await client.response_or_cut(method.encode())
    assert legacy.connections == []
    assert 1 <= len(candidate.connections) <= 2


# The connection that had died while it was idle (RFC 9110 section 9.2.2)


def closing_idle(how: Callable[[], Script]) -> Script:
    """The first connection answers one request, and ends as the second one arrives; later ones answer."""
    return in_order(in_turn(read_request(), send(response()), read_head(), how()), OK)


@pytest.mark.parametrize("how", [close, reset], ids=["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"])
async def test_a_request_on_a_connection_that_had_died_is_sent_once_more_if_it_is_idempotent(
    how: Callable[[], Script], method: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = closing_idle(how)
    running = await serve(two_arms(legacy, candidate, fallback=None))
    client = await running.client()
    await client.ask(request())
    reply = await client.ask(request(method=method, body=b"v=1" if method in ("PUT", "POST", "PATCH") else None))
    if method in ("POST", "PATCH"):
        assert (reply.status, len(candidate.connections)) == (502, 1)
    else:
        assert (reply.status, len(candidate.connections)) == (200, 2)
        assert (await running.lines(2))[1]["attempts"] == 1


async def test_the_resend_happens_once(serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> None:
    again = in_turn(read_request(), reset())
    candidate.script = in_order(in_turn(read_request(), send(response()), read_request(), reset()), again, again)
    running = await serve(two_arms(legacy, candidate, fallback=None))
    client = await running.client()
    await client.ask(request())
    assert (await client.ask(request())).status == 502
    assert len(candidate.connections) == 2


async def test_no_resend_once_a_byte_came_back(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_order(
        in_turn(read_request(), send(response()), read_request(), send(b"H"), pause(0.02), reset()), OK
    )
    running = await serve(two_arms(legacy, candidate, fallback=None))
    client = await running.client()
    await client.ask(request())
    assert (await client.ask(request())).status == 502
    assert len(candidate.connections) == 1


async def test_an_idle_connection_that_the_upstream_closed_is_not_used(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_order(in_turn(read_request(), send(response()), close()), OK)
    running = await serve(two_arms(legacy, candidate, fallback=None))
    client = await running.client()
    await client.ask(request())
    await running.until(lambda: not running.connections("orders"))
    assert (await client.ask(request(method="POST", body=b"v=1"))).status == 200


async def test_a_close_that_comes_with_the_answer_keeps_the_connection_from_a_post(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """The answer and the FIN behind it are read in one turn of the loop, and the next request is there already."""
    candidate.script = in_order(in_turn(read_request(), send(response()), close()), OK)
    running = await serve(two_arms(legacy, candidate, fallback=None))
    client = await running.client()
    await client.send(request() + request(method="POST", body=b"v=1"))
    assert (await client.response()).status == 200
    assert (await client.response(b"POST")).status in (200, 502)  # 502: the FIN came a moment later
    assert len([r for r in candidate.requests if r.raw.startswith(b"POST")]) <= 1


async def test_the_clock_of_the_first_sending_does_not_end_the_second(serve: Serve, legacy: ScriptedUpstream) -> None:
    """Connecting anew takes longer than an answer may: a full queue of connections, and a SYN that comes again."""
    loop = asyncio.get_running_loop()
    with socket.socket() as listener, contextlib.ExitStack() as sockets:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        listener.setblocking(False)
        running = await serve(
            two_arms(legacy, listener.getsockname()[1], timeouts=timeouts(5.0, 0.2, 0.2), fallback=None)
        )
        client = await running.client()

        async def accept() -> socket.socket:
            return sockets.enter_context((await loop.sock_accept(listener))[0])

        async def reply(sock: socket.socket) -> None:
            while b"\r\n\r\n" not in await loop.sock_recv(sock, 9999):
                pass
            await loop.sock_sendall(sock, response(200, b"at last"))

        first = asyncio.ensure_future(client.ask(request()))
        kept = await accept()
        await reply(kept)
        await first
        for _ in range(2):
            await fill_queue(sockets.enter_context(socket.socket()), listener.getsockname())
        await client.send(request())
        await loop.sock_recv(kept, 9999)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        kept.close()
        await asyncio.sleep(0.4)
        for _ in range(2):
            await accept()
        await reply(await accept())
        assert (await client.response()).body == b"at last"


async def fill_queue(sock: socket.socket, address: tuple[str, int]) -> None:
    sock.setblocking(False)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.get_running_loop().sock_connect(sock, address)
