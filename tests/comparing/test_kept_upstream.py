"""Kept connections to scripted upstreams, over real sockets: which request goes onto which, and how it ends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from strangler.comparing.arm_request import Outgoing
from strangler.comparing.kept_upstream import KeptUpstream
from strangler.core.compare import Response
from strangler.core.fault import Fault
from strangler.core.settings import TimeoutSettings
from tests.factories import upstream, url
from tests.http1.scripted import (
    Connection,
    ScriptedUpstream,
    Step,
    close,
    drip,
    half_close,
    hang,
    in_turn,
    read_request,
    refused_port,
    reset,
    responding,
    send,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TIMEOUTS = TimeoutSettings(2.0, 5.0, 5.0)
Ask = Callable[..., Coroutine[Any, Any, Response]]


@asynccontextmanager
async def kept(port: int, **changes: object) -> AsyncIterator[tuple[KeptUpstream, Ask]]:
    """An upstream, and a function that asks it: `ask("ann", method=b"POST")`."""
    made = KeptUpstream(replace(upstream("orders", f"http://127.0.0.1:{port}"), **changes), max_idle=3)  # type: ignore[arg-type]

    async def ask(
        caller: str = "ann", method: bytes = b"GET", timeouts: TimeoutSettings = TIMEOUTS, max_bytes: int = 1000
    ) -> Response:
        url = made.pick(caller)
        return await made.ask(caller, Outgoing(url, method, b"/a", ((b"Host", b"shop"),)), timeouts, max_bytes)

    try:
        yield made, ask
    finally:
        await made.close()


BODIES = [
    pytest.param(OK, 200, b"ok", True, id="a length"),
    pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True, id="no body"),
    pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b"", True, id="a 304 has none"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nX-T: 1\r\n\r\n",
        200, b"ok", True, id="chunks and trailers",
    ),
    pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok", True, id="an interim response before it"),
    pytest.param(OK.replace(b"OK\r", b"OK\r\nConnection: close\r"), 200, b"ok", False, id="the last"),
    pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False, id="HTTP/1.0"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "status", "body", "is_kept"), BODIES)
@pytest.mark.parametrize("is_slow", [False, True], ids=["at once", "byte by byte"])
async def test_a_sound_response_leaves_its_connection_for_the_next(
    raw: bytes, status: int, body: bytes, is_kept: bool, is_slow: bool
) -> None:
    async with ScriptedUpstream(responding(drip(raw) if is_slow else send(raw))) as to, kept(to.port) as (_, ask):
        responses = [await ask() for _ in range(3)]
        assert [(each.status, each.body, each.fault) for each in responses] == [(status, body, None)] * 3
        assert len(to.connections) == (1 if is_kept else 3)


async def test_a_response_that_is_longer_than_it_says_is_the_last_on_its_connection() -> None:
    async with ScriptedUpstream(responding(send(OK + b"more"))) as to, kept(to.port) as (_, ask):
        assert [(await ask()).body for _ in range(2)] == [b"ok", b"ok"]
        assert len(to.connections) == 2


async def test_a_body_that_ends_with_its_connection_is_whole() -> None:
    script = in_turn(read_request(), send(b"HTTP/1.1 200 OK\r\n\r\nok"), half_close())
    async with ScriptedUpstream(script) as to, kept(to.port) as (_, ask):
        assert [(await ask()).body for _ in range(2)] == [b"ok", b"ok"]
        assert len(to.connections) == 2


BROKEN: list[tuple[tuple[Step, ...], Fault]] = [
    ((reset(),), Fault.RESET),
    ((close(),), Fault.RESET),
    ((send(OK[:-1]), close()), Fault.RESET),
    ((send(b"SMTP ready\r\n"),), Fault.BAD_RESPONSE),
    ((send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok"),), Fault.BAD_RESPONSE),
    ((send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),), Fault.BAD_RESPONSE),
    ((send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),), Fault.BAD_RESPONSE),
]


@pytest.mark.parametrize(("steps", "fault"), BROKEN, ids=range(len(BROKEN)))
async def test_what_is_no_response_is_a_fault_and_never_sent_again_on_a_new_connection(
    steps: tuple[Step, ...], fault: Fault
) -> None:
    async with ScriptedUpstream(in_turn(read_request(), *steps)) as to, kept(to.port) as (made, ask):
        assert (await ask()).fault is fault
        assert (made.sent_again, made.failures, len(to.requests)) == (0, 1, 1)


async def test_nobody_there_is_a_fault() -> None:
    async with refused_port() as port, kept(port) as (_, ask):
        assert (await ask()).fault is Fault.CONNECT


async def test_of_a_failure_whose_body_is_cut_the_status_counts() -> None:
    script = in_turn(read_request(), send(OK.replace(b"200", b"503")[:-1]), close())
    async with ScriptedUpstream(script) as to, kept(to.port) as (_, ask):
        response = await ask()
    assert (response.status, response.fault, response.is_too_large) == (503, None, True)


LARGE = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
]


@pytest.mark.parametrize("raw", LARGE, ids=["by its length", "by its chunks", "by what came"])
async def test_what_is_over_the_limit_is_not_read_to_its_end(raw: bytes) -> None:
    async with ScriptedUpstream(responding(send(raw))) as to, kept(to.port) as (_, ask):
        response = await ask()
    assert (response.status, response.body, response.is_too_large, response.fault) == (200, b"", True, None)


async def test_an_event_stream_is_not_read() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"
    async with ScriptedUpstream(responding(send(raw))) as to, kept(to.port) as (_, ask):
        assert (await ask()).is_streaming
        assert await to.connections[0].read_end() in ("eof", "reset")


@pytest.mark.parametrize(
    "steps",
    [(hang(),), (send(OK[:-1]), hang()), (drip(OK[:-1] + b" " * 0), hang())],
    ids=["no response", "no end", "no end, and it dripped"],
)
@pytest.mark.parametrize("timeouts", [TimeoutSettings(2.0, 0.2, 5.0), TimeoutSettings(2.0, 0.2, 0.2)])
async def test_what_takes_too_long_is_a_fault(steps: tuple[Step, ...], timeouts: TimeoutSettings) -> None:
    async with ScriptedUpstream(in_turn(read_request(), *steps)) as to, kept(to.port) as (made, ask):
        asking = asyncio.create_task(ask(timeouts=timeouts))
        async with asyncio.timeout(10):
            await to.wait_for_connection()
            while not asking.done():
                made.expire(asyncio.get_running_loop().time())
                await asyncio.wait([asking], timeout=0.02)
        assert (await asking).fault is Fault.TIMEOUT


async def test_bytes_that_nobody_asked_for_close_the_connection_and_are_no_response() -> None:
    async def script(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(OK)
        if connection.number == 0:
            await go.wait()
            await connection.send(OK.replace(b"ok", b"!!"))

    go = asyncio.Event()
    async with ScriptedUpstream(script) as to, kept(to.port) as (_, ask):
        assert (await ask()).body == b"ok"
        go.set()
        assert await to.connections[0].ended.wait()
        assert (await ask()).body == b"ok"
        assert len(to.connections) == 2


@pytest.mark.parametrize(("method", "sent_again"), [(b"GET", 1), (b"POST", 0), (b"PUT", 0)])
async def test_a_safe_request_whose_connection_was_closed_meanwhile_is_sent_once_more(
    method: bytes, sent_again: int
) -> None:
    async def script(connection: Connection) -> None:
        while True:
            await connection.read_request()
            if connection.number == 0 and len(connection.requests) == 2:
                connection.close()
                return
            await connection.send(OK)

    async with ScriptedUpstream(script) as to, kept(to.port) as (made, ask):
        await ask()
        response = await ask(method=method)
    assert (made.sent_again, response.fault) == (sent_again, None if sent_again else Fault.RESET)
    assert len(to.requests) == 2 + sent_again


def test_a_field_that_overrides_the_method_makes_a_write() -> None:
    def is_safe(*headers: tuple[bytes, bytes]) -> bool:
        return Outgoing(url("http://127.0.0.1"), b"GET", b"/", headers).is_safe

    assert is_safe((b"Host", b"a"))
    assert is_safe((b"X-HTTP-Method-Override", b"head"))
    assert not is_safe((b"X-HTTP-Method-Override", b"GET"), (b"x-http-method-override", b"DELETE"))


async def test_a_caller_has_its_connection_until_it_is_released() -> None:
    async with ScriptedUpstream(responding(send(OK))) as to, kept(to.port) as (made, ask):
        await ask("ann")
        await ask("bob")
        assert len(to.connections) == 2, "ann's is hers"
        made.release("ann")
        await ask("eve")
        await ask("bob")
        assert [each.connection for each in to.requests] == [0, 1, 0, 1]


async def test_idle_connections_are_bounded() -> None:
    async with ScriptedUpstream(responding(send(OK))) as to, kept(to.port) as (_, ask):
        for number in range(9):
            await ask(f"caller {number}")
        async with asyncio.timeout(10):
            await asyncio.gather(*(to.connections[number].ended.wait() for number in range(6)))
        assert not any(each.ended.is_set() for each in to.connections[6:])


async def test_a_connection_idle_for_longer_than_it_lasts_is_not_used() -> None:
    async with ScriptedUpstream(responding(send(OK))) as to, kept(to.port, keepalive_s=0.0) as (_, ask):
        await ask()
        await ask()
        assert len(to.connections) == 2


async def test_giving_a_request_up_closes_its_connection() -> None:
    async with ScriptedUpstream(in_turn(read_request(), hang())) as to, kept(to.port) as (_, ask):
        asking = asyncio.create_task(ask())
        connection = await to.wait_for_connection()
        assert await connection.has_received(b"GET")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await connection.read_end() in ("eof", "reset")


async def test_a_name_that_nobody_knows_is_no_connection() -> None:
    async with kept(1, urls=(url("http://nowhere.invalid"),)) as (_, ask):
        assert [(await ask()).fault for _ in range(3)] == [Fault.CONNECT] * 3
