"""The client of shadows against scripted upstreams, over real sockets."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from strangler.comparing.arm_request import Outgoing
from strangler.comparing.client import ArmUpstream
from strangler.core.compare import Response
from strangler.core.fault import Fault
from strangler.core.settings import Url
from strangler.http1.upstream_stream import MAX_HEAD_BYTES
from tests.factories import upstream
from tests.http1.scripted import (
    ScriptedUpstream,
    Step,
    close,
    drip,
    half_close,
    in_turn,
    read_request,
    refused_port,
    reset,
    responding,
    send,
)

CHUNKED = b"Transfer-Encoding: chunked\r\n"


@asynccontextmanager
async def shadows(port: int, host: str = "127.0.0.1") -> AsyncIterator[ArmUpstream]:
    made = ArmUpstream(upstream("orders", f"http://{host}:{port}"))
    try:
        yield made
    finally:
        await made.close()


def request(to: ArmUpstream, method: bytes = b"GET", body: bytes = b"") -> Outgoing:
    return Outgoing(to.pick(), method, b"/a", ((b"Host", b"shop"), (b"Connection", b"close")), body)


async def response_from(
    *steps: Step, method: bytes = b"GET", max_bytes: int = 1000, timeout_s: float = 5.0
) -> Response:
    async with ScriptedUpstream(in_turn(read_request(), *steps)) as to, shadows(to.port) as shadow_upstream:
        return await shadow_upstream.ask(request(shadow_upstream, method), timeout_s, max_bytes)


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", id="a length"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", id="no body"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b"", id="a 304 has none"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nX-T: 1\r\n\r\n",
            200, b"ok", id="chunks and trailers",
        ),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
            b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok", 201, b"ok", id="interim responses before it",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more", 200, b"ok", id="more than its length"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_slow", [False, True], ids=["at once", "byte by byte"])
async def test_a_response_is_read_as_a_worker_reads_it(raw: bytes, status: int, body: bytes, is_slow: bool) -> None:
    response = await response_from(drip(raw) if is_slow else send(raw))
    assert (response.status, response.body, response.fault) == (status, body, None)
    assert response.duration_s is not None


async def test_a_body_without_length_ends_with_the_connection() -> None:
    response = await response_from(send(b"HTTP/1.0 200 OK\r\n\r\nok"), half_close())
    assert (response.status, response.body, response.fault) == (200, b"ok", None)


async def test_the_answer_to_head_has_no_body() -> None:
    response = await response_from(send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), method=b"HEAD")
    assert (response.status, response.body, response.fault) == (200, b"", None)


async def test_header_fields_come_as_they_are_and_codings_stay_on() -> None:
    body = gzip.compress(b"ok")
    fields = b"X-odd-CASE: caf\xe9\r\nx-odd-case: 2\r\nContent-Encoding: gzip\r\n"
    head = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (fields, len(body))
    response = await response_from(send(head + body))
    assert list(response.headers)[:2] == [(b"X-odd-CASE", b"caf\xe9"), (b"x-odd-case", b"2")]
    assert response.body == body


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", id="by its length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n", id="by its chunks"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 1001, id="by what came"),
    ],
)
async def test_what_is_over_the_limit_is_not_read_to_its_end(raw: bytes) -> None:
    response = await response_from(send(raw))
    assert (response.status, response.body, response.is_too_large, response.fault) == (200, b"", True, None)


async def test_what_is_as_large_as_the_limit_is_read() -> None:
    response = await response_from(send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000))
    assert (len(response.body), response.is_too_large) == (1000, False)


async def test_an_event_stream_is_not_read() -> None:
    response = await response_from(send(b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream;charset=utf-8\r\n\r\n"))
    assert (response.status, response.is_streaming, response.fault) == (200, True, None)


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        pytest.param((reset(),), Fault.RESET, id="a reset"),
        pytest.param((close(),), Fault.RESET, id="an end without a response"),
        pytest.param((send(b"HTTP/1.1 200 O"), close()), Fault.RESET, id="an end in the head"),
        pytest.param((send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), close()), Fault.RESET, id="in the body"),
        pytest.param(
            (send(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n9\r\nok"), close()), Fault.RESET, id="in a chunk"
        ),
        pytest.param((send(b"SMTP ready\r\n"),), Fault.BAD_RESPONSE, id="no HTTP"),
        pytest.param((send(b"HTTP/2 200\r\n\r\n"),), Fault.BAD_RESPONSE, id="another version"),
        pytest.param(
            (send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok"),), Fault.BAD_RESPONSE,
            id="two lengths",
        ),
        pytest.param(
            (send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),), Fault.BAD_RESPONSE, id="no chunks"
        ),
        pytest.param(
            (send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),),
            Fault.BAD_RESPONSE, id="an upgrade that nobody asked for",
        ),
        pytest.param((send(b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES),), Fault.BAD_RESPONSE, id="a huge head"),
    ],
)  # fmt: skip
async def test_what_is_no_response_is_a_fault_and_counted(steps: tuple[Step, ...], fault: Fault) -> None:
    async with ScriptedUpstream(in_turn(read_request(), *steps)) as to, shadows(to.port) as shadow_upstream:
        response = await shadow_upstream.ask(request(shadow_upstream), 5.0, 1000)
        assert (response.status, response.fault, shadow_upstream.failures) == (0, fault, 1)


async def test_one_that_does_not_answer_is_a_timeout() -> None:
    assert (await response_from(timeout_s=0.1)).fault is Fault.TIMEOUT


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "no-such-name.invalid"])
async def test_one_that_cannot_be_connected_to_is_a_connect_fault(host: str) -> None:
    async with refused_port() as port, shadows(port, host) as shadow_upstream:
        assert (await shadow_upstream.ask(request(shadow_upstream), 5.0, 1000)).fault is Fault.CONNECT


async def test_what_may_not_be_sent_any_more_is_not_sent() -> None:
    async with (
        ScriptedUpstream(responding(send(b"HTTP/1.1 204 No Content\r\n\r\n"))) as to,
        shadows(to.port) as shadow_upstream,
    ):
        response = await shadow_upstream.ask(request(shadow_upstream, b"POST", b"x"), 5.0, 1000, lambda: False)
        assert (response.fault, shadow_upstream.failures) == (Fault.OPEN, 0)
        connection = await to.wait_for_connection()
        await connection.ended.wait()
        assert (bytes(connection.received), to.requests) == (b"", [])


async def test_one_that_is_given_up_leaves_nothing_open() -> None:
    async with ScriptedUpstream(in_turn(read_request())) as to, shadows(to.port) as shadow_upstream:
        task = asyncio.create_task(shadow_upstream.ask(request(shadow_upstream), 5.0, 1000))
        connection = await to.wait_for_connection()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await connection.read_end() in ("eof", "reset")


async def test_a_head_whose_lines_end_in_bare_lf_is_read_as_workers_read_it() -> None:
    response = await response_from(send(b"HTTP/1.1 200 OK\nX: 1\nContent-Length: 2\n\nok"))
    assert (response.status, response.body, response.fault) == (200, b"ok", None)
    response = await response_from(drip(b"HTTP/1.0 200 OK\nX: 1\n\nok\r\n\r\n"), close())
    assert (response.status, response.body, response.fault) == (200, b"ok\r\n\r\n", None)


async def test_urls_that_checks_or_shadows_found_unwell_are_left_out() -> None:
    async with ScriptedUpstream(responding(send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))) as well:
        dead, sick = "http://127.0.0.1:1", "http://127.0.0.1:2"
        settings = upstream("orders", f"http://127.0.0.1:{well.port}", dead, sick)
        made = ArmUpstream(settings, lambda name, url: (name, url.port) != ("orders", 2))
        responses = [await made.ask(request(made), 5.0, 1000) for _ in range(60)]
        await made.close()
    assert sum(response_head.fault is None for response_head in responses) >= 50
    assert {made.pick().port for _ in range(100)} == {well.port}


def test_it_picks_one_of_its_urls() -> None:
    shadow_upstream = ArmUpstream(upstream("orders"))
    assert isinstance(shadow_upstream.pick(), Url)


@pytest.mark.parametrize(
    ("status", "fault"), [(503, None), (200, Fault.RESET)], ids=["a failure is one by its status", "a success is none"]
)
@pytest.mark.parametrize("end", [close(), reset()], ids=["closed", "reset"])
async def test_a_body_that_breaks_off_is_a_fault_but_of_a_failure(status: int, fault: Fault | None, end: Step) -> None:
    response = await response_from(send(b"HTTP/1.1 %d Told\r\nContent-Length: 99\r\n\r\nabc" % status), end)
    assert (response.status, response.fault) == ((status, None) if fault is None else (0, fault))
