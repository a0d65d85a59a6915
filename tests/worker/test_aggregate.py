"""Several services answer together: what each is asked, how the answers are joined, and what a failed part does."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from strangler.core.routing.aggregate import MAX_PART_BYTES
from strangler.core.settings import AggregatePart, BulkheadSettings, Settings
from tests.factories import breaker, route, settings, upstream
from tests.http1.scripted import (
    ScriptedUpstream,
    close,
    drip,
    hang,
    in_turn,
    pause,
    read_request,
    refused_port,
    reset,
    responding,
    send,
)
from tests.http1.strict_reader import read_requests
from tests.worker.conftest import Serve
from tests.worker.plane import RunningPlane, at, fallback, request, response, retry, timeouts

JSON = "Content-Type: application/json"
PAGE = "/pages/7"


def log_line(body: bytes, *fields: str, status: int = 200) -> bytes:
    return response(status, body, JSON, *fields)


def page(
    legacy: ScriptedUpstream,
    orders: ScriptedUpstream | int,
    payments: ScriptedUpstream | int,
    *,
    required: bool = False,
    timeout_s: float | None = None,
    of_payments: dict[str, Any] | None = None,
    **changes: Any,
) -> Settings:
    """`/pages/{id}` is answered by `order`, and by `payment`, which is optional."""
    parts = (
        AggregatePart("order", "orders", "/v2/orders/{id}?full=1", True, None),
        AggregatePart("payment", "payments", "/payments/{id}", required, timeout_s),
    )
    changes = {"fallback": None, "aggregate": parts, **changes}
    return settings(
        routes=[route("page", path="/pages/{id}", candidate=None, methods=("GET", "HEAD"), **changes)],
        upstreams=[
            upstream("legacy", at(legacy)),
            upstream("orders", at(orders)),
            upstream("payments", at(payments), **{"timeouts": timeouts(1.0, 1.0, 0.3), **(of_payments or {})}),
        ],
    )


@pytest.fixture
def orders(candidate: ScriptedUpstream) -> ScriptedUpstream:
    candidate.script = responding(send(log_line(b'{"id":7}')))
    return candidate


@pytest.fixture
async def payments() -> Any:
    async with ScriptedUpstream(responding(send(log_line(b'{"paid":true}')))) as this_upstream:
        yield this_upstream


async def test_the_answers_are_joined_in_the_order_written(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    orders.script = responding(pause(0.05), send(log_line(b'{"id":7}')))
    running = await serve(page(legacy, orders, payments))
    reply = await running.ask(request(PAGE))
    assert (reply.status, reply.body) == (200, b'{"order":{"id":7},"payment":{"paid":true}}')
    assert reply.values(b"content-type") == [b"application/json"]
    assert reply.values(b"x-strangler-arm") == [b"candidate"]
    assert reply.values(b"x-strangler-partial") == []
    assert len(reply.values(b"date")) == 1
    line = await running.line()
    assert (line["route"], line["arm"], line["upstream"]) == ("page", "candidate", "aggregate")
    assert (line["status"], line["attempts"], line["bytes"]) == (200, 2, len(reply.body))
    assert running.counted("strangler_attempts_total") == {("orders", "2xx"): 1, ("payments", "2xx"): 1}
    assert running.counted("strangler_requests_total") == {("page", "candidate", "aggregate", "2xx"): 1}
    assert legacy.connections == []


async def test_parts_are_asked_at_the_same_time(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    """Each answers once the other has its request, too."""

    def waiting_for(other: ScriptedUpstream) -> Any:
        async def step(_: Any) -> None:
            async with asyncio.timeout(10):
                while not other.requests:  # noqa: ASYNC110 - a test
                    await asyncio.sleep(0.001)

        return step

    orders.script = responding(waiting_for(payments), send(log_line(b"1")))
    payments.script = responding(waiting_for(orders), send(log_line(b"2")))
    running = await serve(page(legacy, orders, payments))
    assert (await running.ask(request(PAGE))).body == b'{"order":1,"payment":2}'


async def test_what_the_parts_are_asked(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    """The name's bytes as they came, the query behind the part's own, the client's fields but for those that are
    about the whole answer."""
    running = await serve(page(legacy, orders, payments))
    fields = ("Cookie: sid=1", "Accept: text/html", "If-None-Match: x", "Range: bytes=0-1", "Accept-Encoding: gzip",
              "If-Modified-Since: y", "Expect: 100-continue")  # fmt: skip
    await running.ask(request("/pages/%C3%A9%207?lang=de&x", *fields))
    (message,) = read_requests(orders.requests[0].raw)
    (other,) = read_requests(payments.requests[0].raw)
    assert message.start == b"GET /v2/orders/%C3%A9%207?full=1&lang=de&x HTTP/1.1"
    assert other.start == b"GET /payments/%C3%A9%207?lang=de&x HTTP/1.1"
    for request_path in (message, other):
        names = [name.lower() for name, _ in request_path.fields]
        assert not {b"if-none-match", b"range", b"if-modified-since", b"expect"} & set(names)
        assert request_path.values(b"accept-encoding") == [b"identity"]
        assert (request_path.values(b"cookie"), request_path.values(b"accept")) == ([b"sid=1"], [b"text/html"])
        assert (request_path.values(b"host"), request_path.values(b"x-forwarded-for")) == ([b"shop"], [b"127.0.0.1"])
    assert message.values(b"x-request-id") == other.values(b"x-request-id")
    assert message.values(b"traceparent") == other.values(b"traceparent")


BODIES = {
    "a number that no double holds": b'{"n":12345678901234567890.1234567890123456789e400}',
    "order, spaces and doubles of keys": b'{ "b" : 1,\t"a":[1 , 2],"b":2 }',
    "a text with escapes": '"\\u00e9\\n é"'.encode(),
    "null": b"null",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_part_is_put_in_as_it_came(
    body: bytes, serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    orders.script = responding(send(log_line(b"\xef\xbb\xbf\r\n " + body + b"\n")))
    running = await serve(page(legacy, orders, payments))
    assert (await running.ask(request(PAGE))).body == b'{"order":' + body + b',"payment":{"paid":true}}'


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/hal+json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSED = b"HTTP/1.1 200 OK\r\nContent-Type: APPLICATION/JSON\r\n\r\n"
FRAMINGS = {
    "length, in drips": [drip(log_line(b'{"id":7}'))],
    "chunks": [drip(CHUNKED + b'4\r\n{"id\r\n4\r\n":7}\r\n0\r\n\r\n')],
    "to the end of the connection": [send(CLOSED + b'{"id":7}'), close()],
    "a 1xx before": [send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + log_line(b'{"id":7}'))],
}


@pytest.mark.parametrize("steps", FRAMINGS.values(), ids=FRAMINGS)
async def test_however_a_part_is_framed(
    steps: Any, serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    orders.script = in_turn(read_request(), *steps)
    running = await serve(page(legacy, orders, payments))
    client = await running.client()
    assert (await client.ask(request(PAGE))).body == b'{"order":{"id":7},"payment":{"paid":true}}'
    assert b"103" not in client.received.split(b"\r\n\r\n")[0]


async def test_a_part_of_any_size_up_to_the_limit_is_joined(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    text = b'"%b"' % (b"x" * (MAX_PART_BYTES - 2))
    orders.script = responding(send(log_line(text)))
    running = await serve(page(legacy, orders, payments))
    assert (await running.ask(request(PAGE))).body == b'{"order":' + text + b',"payment":{"paid":true}}'


async def test_head_is_answered_as_get_without_the_body(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    running = await serve(page(legacy, orders, payments))
    client = await running.client()
    got = await client.ask(request(PAGE))
    head = await client.ask(request(PAGE, method="HEAD"))
    assert [each for each in head.fields if each[0] != b"Date"] == [each for each in got.fields if each[0] != b"Date"]
    assert head.body == b""
    assert (await client.ask(request(PAGE))).body == got.body
    assert {each_request.raw.split(b" ")[0] for each_request in orders.requests} == {b"GET"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_another_method_is_legacy_s(
    method: str, serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    running = await serve(page(legacy, orders, payments))
    assert (await running.ask(request(PAGE, method=method))).body == b"legacy"
    assert orders.connections == payments.connections == []


@pytest.mark.parametrize("target", ["/pages/a%2Fb", "/pages/..%2fadmin", "/pages/7;x=1", "/pages/%252e", "/pages/%ff"])
async def test_a_name_that_can_be_read_in_two_ways_is_put_into_no_path(
    target: str, serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    running = await serve(page(legacy, orders, payments))
    assert (await running.ask(request(target))).body == b"legacy"
    assert orders.connections == payments.connections == []


async def test_a_body_that_comes_with_a_get_reaches_no_part(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    running = await serve(page(legacy, orders, payments))
    client = await running.client()
    assert (await client.ask(request(PAGE, body=b"x" * 10))).status == 200
    assert (await client.ask(request(PAGE))).status == 200
    assert orders.requests[0].raw.endswith(b"\r\n\r\n")
    assert b"ontent-" not in orders.requests[0].raw


# What a part that fails does

FAILURES: dict[str, tuple[Any, str, int]] = {
    # steps, the reason, and the status of the answer if it is required
    "reset": ([reset()], "reset", 502),
    "timeout": ([hang()], "timeout", 504),
    "no HTTP": ([send(b"SSH-2.0-OpenSSH_9.6\r\n")], "bad_response", 502),
    "404": ([send(log_line(b"{}", status=404))], "404", 502),
    "500": ([send(log_line(b"{}", status=500))], "500", 502),
    "503": ([send(log_line(b"{}", "Retry-After: 7", status=503))], "503", 503),
    "504": ([send(log_line(b"{}", status=504))], "504", 504),
    "302": ([send(log_line(b"{}", "Location: /login", status=302))], "302", 502),
    "204": ([send(b"HTTP/1.1 204 No Content\r\nContent-Type: application/json\r\n\r\n")], "not_json", 502),
    "HTML": ([send(response(200, b"{}", "Content-Type: text/html"))], "not_json", 502),
    "no type": ([send(response(200, b"{}"))], "not_json", 502),
    "broken JSON": ([send(log_line(b'{"a":1'))], "not_json", 502),
    "two texts": ([send(log_line(b"{} {}"))], "not_json", 502),
    "escapes its field": ([send(log_line(b'1},"order":{"x":1'))], "not_json", 502),
    "no UTF-8": ([send(log_line(b'"\xff"'))], "not_json", 502),
    "deep": ([send(log_line(b"[" * 100_000 + b"]" * 100_000))], "not_json", 502),
    "gzip": ([send(log_line(b"\x1f\x8b", "Content-Encoding: gzip"))], "coded", 502),
    "too long": ([send(log_line(b'"%b"' % (b"x" * MAX_PART_BYTES)))], "too_large", 502),
    "endless": ([send(CLOSED + b'"'), *([send(b"x" * 1024 * 1024)] * 5), hang()], "too_large", 502),
    "cut short": ([send(log_line(b'{"a":1}')[:-3]), reset()], "reset", 502),
    "stalls": ([send(log_line(b'{"a":1}')[:-3]), hang()], "timeout", 504),
}


@pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES)
async def test_an_optional_part_that_fails_is_null_and_told(
    case: Any, serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    steps, reason, _ = case
    payments.script = in_turn(read_request(), *steps)
    running = await serve(page(legacy, orders, payments, of_payments={"timeouts": timeouts(0.2, 0.2, 0.2)}))
    reply = await running.ask(request(PAGE))
    assert (reply.status, reply.body) == (200, b'{"order":{"id":7},"payment":null}')
    assert reply.values(b"x-strangler-partial") == [b"payment;reason=" + reason.encode()]
    assert reply.values(b"cache-control") == [b"no-store"]
    line = await running.line()
    assert (line["status"], line["fault"], line["failed_parts"]) == (200, None, f"payment;reason={reason}")
    assert running.counted("strangler_failed_parts_total") == {("page", "payment", reason): 1}


@pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES)
async def test_a_required_part_that_fails_is_the_answer(
    case: Any, serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    steps, reason, status = case
    payments.script = in_turn(read_request(), *steps)
    of_payments = {"timeouts": timeouts(0.2, 0.2, 0.2)}
    running = await serve(page(legacy, orders, payments, required=True, of_payments=of_payments))
    reply = await running.ask(request(PAGE))
    problem = json.loads(reply.body)
    assert (reply.status, problem["status"]) == (status, status)
    assert reply.values(b"content-type") == [b"application/problem+json"]
    assert problem["fault"] == (reason if reason in ("reset", "timeout") else "bad_response")
    assert reply.values(b"retry-after") == ([b"7"] if reason == "503" else [])
    line = await running.line()
    assert (line["status"], line["upstream"], line["failed_parts"]) == (status, "aggregate", f"payment;reason={reason}")


async def refused(running: RunningPlane, reason: str, status: int) -> None:
    reply = await running.ask(request(PAGE))
    assert (reply.status, json.loads(reply.body)["fault"]) == (status, reason)


async def test_a_part_that_cannot_be_reached_is_502(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream
) -> None:
    async with refused_port() as port:
        await refused(await serve(page(legacy, orders, port, required=True)), "connect", 502)


async def test_an_open_breaker_of_a_part_is_503_and_nothing_is_sent(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    payments.script = in_turn(read_request(), reset())
    running = await serve(page(legacy, orders, payments, required=True, of_payments={"breaker": breaker()}))
    await refused(running, "reset", 502)
    await payments.renew()
    await refused(running, "open", 503)
    assert payments.connections == []


async def test_a_full_bulkhead_of_a_part_is_503(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    payments.script = in_turn(read_request(), hang())
    narrow = {"bulkhead": BulkheadSettings(1, 0, 0.0), "timeouts": timeouts()}
    running = await serve(page(legacy, orders, payments, required=True, of_payments=narrow))
    holder = await running.client()
    await holder.send(request(PAGE))
    await running.until(lambda: payments.requests)
    await refused(running, "full", 503)
    await holder.close()


async def test_a_part_waits_for_its_turn_in_its_bulkhead(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    payments.script = responding(pause(0.05), send(log_line(b"1")))
    narrow = {"bulkhead": BulkheadSettings(1, 4, 1.0)}
    running = await serve(page(legacy, orders, payments, of_payments=narrow))
    responses = await asyncio.gather(*(running.ask(request(PAGE)) for _ in range(3)))
    assert {reply.body for reply in responses} == {b'{"order":{"id":7},"payment":1}'}


async def test_a_part_is_tried_again_as_its_upstream_says(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    payments.script = in_turn(
        read_request(), send(log_line(b"{}", status=503)), read_request(), send(log_line(b'{"paid":true}'))
    )
    running = await serve(page(legacy, orders, payments, of_payments={"retry": retry()}))
    assert (await running.ask(request(PAGE))).body.endswith(b'"payment":{"paid":true}}')
    assert (await running.line())["attempts"] == 3


@pytest.mark.parametrize("when", ["head", "body", "turn"])
async def test_the_time_of_a_part_is_over_whatever_it_waits_for(
    when: str, serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    steps = [send(log_line(b'{"a":1}')[:-3]), hang()] if when == "body" else [hang()]
    payments.script = in_turn(read_request(), *steps)
    slow: dict[str, Any] = {"timeouts": timeouts(5.0, 5.0, 5.0), "bulkhead": BulkheadSettings(1, 4, 5.0)}
    running = await serve(page(legacy, orders, payments, timeout_s=0.15, of_payments={**slow, "retry": retry()}))
    if when == "turn":
        running.upstreams["payments"].admission.bulkhead.try_enter()
    started = running.loop.time()
    reply = await running.ask(request(PAGE))
    assert reply.values(b"x-strangler-partial") == [b"payment;reason=timeout"]
    assert 0.14 <= running.loop.time() - started < 1.0
    if when == "turn":
        running.upstreams["payments"].admission.bulkhead.leave()


async def test_the_first_required_part_that_fails_ends_the_others(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    orders.script = in_turn(read_request(), pause(0.02), send(log_line(b"{}", status=404)))
    payments.script = in_turn(read_request(), hang())
    running = await serve(page(legacy, orders, payments, of_payments={"timeouts": timeouts()}))
    assert (await running.ask(request(PAGE))).status == 502
    assert running.counted("strangler_failed_parts_total") == {("page", "order", "404"): 1}
    assert running.held() == {}


async def test_a_client_that_leaves_ends_all_parts(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    orders.script = payments.script = in_turn(read_request(), hang())
    running = await serve(page(legacy, orders, payments, of_payments={"breaker": breaker()}))
    client = await running.client()
    await client.send(request(PAGE))
    await running.until(lambda: orders.requests and payments.requests)
    await client.close()
    line = await running.line()
    assert (line["fault"], line["upstream"]) == ("client_gone", "aggregate")
    assert running.held() == {}
    assert running.counted("strangler_failed_parts_total") == {}
    assert running.upstreams["payments"].admission.breaker.state.value == "closed"


# Arms, fallback, fields of the answer


@pytest.mark.parametrize(("percent", "body"), [(0, b"legacy"), (100, b'{"order":{"id":7},"payment":{"paid":true}}')])
async def test_the_split_decides_as_for_a_candidate(
    percent: float, body: bytes, serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream,
    payments: ScriptedUpstream,
) -> None:  # fmt: skip
    running = await serve(page(legacy, orders, payments, percent=percent, override="X-Arm"))
    assert (await running.ask(request(PAGE))).body == body
    assert (await running.ask(request(PAGE, "X-Arm: candidate"))).body.startswith(b'{"order"')
    assert (await running.ask(request(PAGE, "X-Arm: legacy"))).body == b"legacy"


@pytest.mark.parametrize("how", ["404", "connect", "timeout"])
async def test_legacy_answers_in_place_of_a_required_part_that_failed(
    how: str, serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    steps = [send(log_line(b"{}", status=404))] if how == "404" else [hang()]
    payments.script = in_turn(read_request(), *steps)
    of_payments = {"timeouts": timeouts(0.2, 0.1, 0.2)}
    async with refused_port() as port:
        at_fault = port if how == "connect" else payments
        running = await serve(
            page(legacy, orders, at_fault, required=True, of_payments=of_payments, fallback=fallback())
        )
        reply = await running.ask(request(PAGE))
    assert (reply.status, reply.body, reply.values(b"x-strangler-arm")) == (200, b"legacy", [b"legacy"])
    assert reply.values(b"x-strangler-partial") == []
    line = await running.line()
    assert (line["arm"], line["upstream"], line["fallback"]) == ("legacy", "legacy", True)
    cause = "502" if how == "404" else how
    assert running.counted("strangler_fallbacks_total") == {("page", cause): 1}
    assert legacy.requests[0].target == PAGE.encode()


async def test_cookies_of_all_parts_reach_the_client(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    orders.script = responding(send(log_line(b"1", "Set-Cookie: a=1", "set-cookie: b=2", "ETag: x", "Server: y")))
    payments.script = responding(send(log_line(b"2", "Set-Cookie: c=3")))
    running = await serve(page(legacy, orders, payments))
    reply = await running.ask(request(PAGE))
    assert reply.values(b"set-cookie") == [b"a=1", b"b=2", b"c=3"]
    assert reply.values(b"etag") == reply.values(b"server") == []


@pytest.mark.parametrize(
    ("left", "right", "whole"),
    [
        ("application/json; charset=utf-8", "application/json; charset=utf-8", b"application/json; charset=utf-8"),
        ("application/json; charset=utf-8", "application/json", b"application/json"),
        ("application/hal+json", "application/hal+json", b"application/json"),
    ],
)
async def test_the_type_is_told_as_all_parts_tell_it(
    left: str, right: str, whole: bytes, serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream,
    payments: ScriptedUpstream,
) -> None:  # fmt: skip
    orders.script = responding(send(response(200, b"1", f"Content-Type: {left}")))
    payments.script = responding(send(response(200, b"2", f"Content-Type: {right}")))
    running = await serve(page(legacy, orders, payments))
    assert (await running.ask(request(PAGE))).values(b"content-type") == [whole]


@pytest.mark.parametrize(
    ("left", "right", "whole"),
    [
        ("max-age=60", "max-age=60", [b"max-age=60"]),
        ("max-age=60", "max-age=5", [b"no-store"]),
        ("max-age=60", None, [b"no-store"]),
        (None, None, []),
    ],
)
async def test_the_whole_is_stored_as_all_parts_say_or_not_at_all(
    left: str | None, right: str | None, whole: list[bytes], serve: Serve, legacy: ScriptedUpstream,
    orders: ScriptedUpstream, payments: ScriptedUpstream,
) -> None:  # fmt: skip
    for request_path, values in ((orders, left), (payments, right)):
        fields = [] if values is None else [f"Cache-Control: {values}", "Vary: Accept-Language"]
        request_path.script = responding(send(log_line(b"1", *fields)))
    running = await serve(page(legacy, orders, payments))
    reply = await running.ask(request(PAGE))
    assert reply.values(b"cache-control") == whole
    assert reply.values(b"vary") == ([b"Accept-Language"] if left or right else [])


async def test_connections_are_kept_on_both_sides(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    running = await serve(page(legacy, orders, payments))
    client = await running.client()
    for _ in range(5):
        assert (await client.ask(request(PAGE))).status == 200
    assert (len(orders.connections), len(payments.connections)) == (1, 1)


async def test_pipelined_requests_are_answered_in_order(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    running = await serve(page(legacy, orders, payments))
    client = await running.client()
    await client.send(request(PAGE) * 20 + request("/other"))
    bodies = [(await client.response()).body for _ in range(21)]
    assert bodies == [b'{"order":{"id":7},"payment":{"paid":true}}'] * 20 + [b"legacy"]


async def test_two_parts_may_ask_one_upstream(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    twice = (
        AggregatePart('a "b"\n', "orders", "/a", True, None),
        AggregatePart("c", "orders", "/c/{id}", True, None),
    )
    running = await serve(page(legacy, orders, payments, aggregate=twice))
    reply = await running.ask(request(PAGE))
    assert json.loads(reply.body) == {'a "b"\n': {"id": 7}, "c": {"id": 7}}
    assert {each_request.target for each_request in orders.requests} == {b"/a", b"/c/7"}


async def test_a_reload_does_not_change_a_request_under_way(
    serve: Serve, legacy: ScriptedUpstream, orders: ScriptedUpstream, payments: ScriptedUpstream
) -> None:
    payments.script = responding(pause(0.1), send(log_line(b"2")))
    made = page(legacy, orders, payments)
    running = await serve(made)
    client = await running.client()
    await client.send(request(PAGE))
    await running.until(lambda: payments.requests)
    running.adopt(replace(made, routes=()))
    assert (await client.response()).body == b'{"order":{"id":7},"payment":2}'
    assert (await client.ask(request(PAGE))).body == b"legacy"
