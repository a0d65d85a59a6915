"""The calls that a worker counts for the ledger, by real sockets: nothing missed, nothing twice, nothing personal."""

import asyncio
import socket
from dataclasses import replace
from typing import Any

import pytest

from strangler.core.ledger_settings import LedgerSettings
from strangler.core.retire_settings import RetireSettings
from strangler.core.settings import AggregatePart, Settings
from tests.factories import route, settings, upstream
from tests.http1.scripted import Connection, ScriptedUpstream, hang, in_turn, read_request, responding, send
from tests.worker.conftest import Serve
from tests.worker.ledger_control import KeepingControl
from tests.worker.plane import at, fallback, request, response, two_arms

NONE = "(none)"


def with_ledger(made: Settings, **changes: Any) -> Settings:
    return replace(made, ledger=LedgerSettings(**changes))


# ── what is counted ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_calls_are_counted_by_endpoint_route_arm_status_and_caller(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    legacy.script = responding(send(response(404, b"")))
    control = KeepingControl()
    running = await serve(two_arms(legacy, candidate), link=control)
    client = await running.client()
    for target in ("/api/items/7", "/api/items/8?page=2", "/api/items/9;jsessionid=A1", "/api/items"):
        await client.ask(request(target, "User-Agent: okhttp/4.9.1"))
    await client.ask(request("/api/items/7", "User-Agent: okhttp/4.12.0", method="DELETE"))
    await client.ask(request("/api/items/7", "User-Agent: curl/8.5.0"))
    await client.ask(request("/api/items/7"))
    await client.ask(request("/wp-login.php", "User-Agent: curl/8.5.0"))
    await client.ask(request("http://shop/help/", method="GET"))
    await client.ask(request("*", method="OPTIONS"))
    assert await control.counted(running, 10) == {
        ("GET", "/api/items/{}", "orders", "candidate", 200, "okhttp/4"): 3,
        ("GET", "/api/items", "orders", "candidate", 200, "okhttp/4"): 1,
        ("DELETE", "/api/items/{}", "orders", "candidate", 200, "okhttp/4"): 1,
        ("GET", "/api/items/{}", "orders", "candidate", 200, "curl/8"): 1,
        ("GET", "/api/items/{}", "orders", "candidate", 200, NONE): 1,
        ("GET", "/wp-login.php", "", "legacy", 404, "curl/8"): 1,
        ("GET", "/help/", "", "legacy", 404, NONE): 1,
        ("OPTIONS", "*", "", "legacy", 404, NONE): 1,
    }


async def test_a_fallback_is_legacys_call(serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> None:
    candidate.script = responding(send(response(503, b"")))
    control = KeepingControl()
    running = await serve(two_arms(legacy, candidate, fallback=fallback()), link=control)
    await running.ask(request("/api"))
    await running.ask(request("/api", method="POST", body=b"x"))
    assert await control.counted(running, 2) == {
        ("GET", "/api", "orders", "legacy", 200, NONE): 1,
        ("POST", "/api", "orders", "candidate", 503, NONE): 1,
    }


async def test_a_call_that_retire_refuses_is_neither_arms(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    control = KeepingControl()
    made = two_arms(legacy, candidate, retire=RetireSettings(1, 0, None, 410, ()))
    running = await serve(made, link=control)
    await running.ask(request("/api/7", "User-Agent: curl/8.5.0"))
    assert await control.counted(running, 1) == {("GET", "/api/{}", "orders", "", 410, "curl/8"): 1}


async def test_an_aggregate_is_the_candidates_call(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = responding(send(response(200, b"{}", "Content-Type: application/json")))
    control = KeepingControl()
    parts = (AggregatePart("order", "orders", "/order", True, None),)
    page = route("page", path="/page/{id}", candidate=None, aggregate=parts)
    upstreams = [upstream("legacy", at(legacy)), upstream("orders", at(candidate))]
    running = await serve(settings([page], upstreams), link=control)
    await running.ask(request("/page/7"))
    assert await control.counted(running, 1) == {("GET", "/page/{}", "page", "candidate", 200, NONE): 1}


async def test_a_call_without_an_upstream_has_the_status_that_the_client_got(
    serve: Serve, candidate: ScriptedUpstream
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        control = KeepingControl()
        running = await serve(two_arms(closed.getsockname()[1], candidate), link=control)
        await running.ask(request("/old"))
        assert await control.counted(running, 1) == {("GET", "/old", "", "legacy", 502, NONE): 1}


async def test_a_client_that_leaves_before_the_response_has_no_status(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    legacy.script = in_turn(read_request(), hang())
    control = KeepingControl()
    running = await serve(two_arms(legacy, candidate), link=control)
    client = await running.client()
    await client.send(request("/report"))
    await legacy.wait_for_connection()
    await running.until(lambda: legacy.requests)
    await client.close()
    assert await control.counted(running, 1) == {("GET", "/report", "", "legacy", 0, NONE): 1}


async def test_what_no_arm_was_asked_for_is_no_call(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """The proxy itself refuses malformed heads, odd targets, large bodies; another proxy's shadow is nobody's call."""
    control = KeepingControl()
    made = two_arms(legacy, candidate, limits={"request_body_bytes": 4}, general={"trusted_proxies": ("127.0.0.1/32",)})
    running = await serve(made, link=control)
    for refused in (
        b"nonsense\r\n\r\n",
        b"GET /a HTTP/1.1\r\nno colon\r\n\r\n",
        request("/a", method="TRACE"),
        request("/a%00b"),
        request("/a", method="POST", body=b"too long"),
    ):
        assert (await running.ask(refused)).status >= 400
    await running.ask(request("/shadowed", "X-Strangler-Shadow: 1"))
    await running.ask(request("/last"))
    assert await control.counted(running, 1) == {("GET", "/last", "", "legacy", 200, NONE): 1}


async def test_anybody_else_cannot_hide_a_call_as_a_shadow(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    control = KeepingControl()
    running = await serve(two_arms(legacy, candidate), link=control)
    await running.ask(request("/a", "X-Strangler-Shadow: 1"))
    assert await control.counted(running, 1) == {("GET", "/a", "", "legacy", 200, NONE): 1}


UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n"
ENDLESS = [
    pytest.param(request("/live", "Connection: Upgrade", "Upgrade: raw"), UPGRADE, b"", 101, id="a tunnel"),
    pytest.param(request("/live"), EVENTS, b"0\r\n\r\n", 200, id="an event stream"),
]


@pytest.mark.parametrize(("opening", "begins", "ends", "status"), ENDLESS)
async def test_an_endless_response_counts_once_and_when_it_begins(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream,
    opening: bytes, begins: bytes, ends: bytes, status: int,
) -> None:  # fmt: skip
    may_end = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(begins)
        await may_end.wait()
        await connection.send(ends)
        connection.close()

    legacy.script = script
    control = KeepingControl()
    running = await serve(two_arms(legacy, candidate), link=control)
    client = await running.client()
    await client.send(opening)
    counted = {("GET", "/live", "", "legacy", status, NONE): 1}
    assert await control.counted(running, 1) == counted
    may_end.set()
    await client.close()
    await running.lines(1)
    await running.ask(request("/api"))
    assert await control.counted(running, 2) == counted | {("GET", "/api", "orders", "candidate", 200, NONE): 1}


async def test_times_are_in_the_buckets_of_the_metrics(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    may_respond = asyncio.Event()

    async def slow_second(connection: Connection) -> None:
        await connection.read_request()
        await connection.send(response())
        await connection.read_request()
        await may_respond.wait()
        await connection.send(response())

    legacy.script = slow_second
    control = KeepingControl()
    running = await serve(two_arms(legacy, candidate), link=control)
    client = await running.client()
    await client.ask(request("/a"))
    await client.send(request("/a"))
    await asyncio.sleep(0.3)
    may_respond.set()
    await client.response()
    await control.counted(running, 2)
    buckets = [sum(counts) for counts in zip(*(each.buckets for each in control.sums), strict=True)]
    cells = [cell for cell in next(running.numbers.report_all()).histograms if cell.labels[1] == "legacy"]
    assert buckets == [sum(counts) for counts in zip(*(cell.buckets for cell in cells), strict=True)]
    assert sum(buckets[7:]) == 1, "one call took longer than 250 ms"


# ── how it is named ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_values_of_parameters_and_fields_split_a_path(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    control = KeepingControl()
    made = with_ledger(two_arms(legacy, candidate), by=("query:action", "header:SOAPAction"))
    running = await serve(made, link=control)
    client = await running.client()
    await client.ask(request("/index.php?id=7&action=list"))
    await client.ask(request("/index.php?action=edit&id=7"))
    await client.ask(request("/index.php?action=list&id=8"))
    await client.ask(request("/index.php"))
    await client.ask(request("/ws", 'SoapAction: "http://shop.example/Orders#GetOrder"', method="POST", body=b""))
    assert await control.counted(running, 5) == {
        ("GET", "/index.php?action=list", "", "legacy", 200, NONE): 2,
        ("GET", "/index.php?action=edit", "", "legacy", 200, NONE): 1,
        ("GET", "/index.php", "", "legacy", 200, NONE): 1,
        ("POST", "/ws#SOAPAction=GetOrder", "", "legacy", 200, NONE): 1,
    }


async def test_a_field_of_the_operator_names_callers_and_secrets_are_not_kept(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    control = KeepingControl()
    running = await serve(with_ledger(two_arms(legacy, candidate), callers="x-client-id"), link=control)
    client = await running.client()
    await client.ask(request("/a", "X-Client-Id: billing", "User-Agent: curl/8.5.0"))
    await client.ask(request("/a", "X-Client-Id: jane@example.com"))
    await client.ask(request("/a", "User-Agent: curl/8.5.0"))
    assert await control.counted(running, 3) == {
        ("GET", "/a", "", "legacy", 200, "billing"): 1,
        ("GET", "/a", "", "legacy", 200, "(other)"): 1,
        ("GET", "/a", "", "legacy", 200, NONE): 1,
    }


async def test_words_that_the_operator_spells_out_are_no_values(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    control = KeepingControl()
    running = await serve(two_arms(legacy, candidate, fold=("/sales/2024/{}",)), link=control)
    await running.ask(request("/sales/2024/7"))
    await running.ask(request("/sales/2025/7"))
    assert await control.counted(running, 2) == {
        ("GET", "/sales/2024/{}", "", "legacy", 200, NONE): 1,
        ("GET", "/sales/{}/{}", "", "legacy", 200, NONE): 1,
    }


async def test_an_endpoint_has_one_example_without_what_is_secret(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    control = KeepingControl()
    running = await serve(two_arms(legacy, candidate), link=control)
    client = await running.client()
    await client.ask(request("/users/jane@example.com/reset/9f8e7d6c5b4a?token=s3cr3t"))
    await control.counted(running, 1)
    await client.ask(request("/users/joe@example.com/reset/1a2b3c4d5e6f", "User-Agent: curl/8.5.0"))
    await client.ask(request("/users/joe@example.com/reset/1a2b3c4d5e6f", method="DELETE"))
    await control.counted(running, 3)
    examples = [(each.method, each.example) for each in control.sums if each.example]
    assert examples == [("GET", "/users/*@*/reset/*"), ("DELETE", "/users/*@*/reset/*")]
    sent = repr(control.batches)
    assert not [secret for secret in ("jane", "joe", "9f8e", "1a2b", "s3cr3t") if secret in sent]


async def test_of_a_huge_path_and_caller_little_is_kept(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    control = KeepingControl()
    running = await serve(two_arms(legacy, candidate), link=control)
    target = "/a/" + "x" * 12_000 + "/b?q=" + "y" * 4000
    await running.ask(request(target, "User-Agent: " + "z" * 8000))
    assert await control.counted(running, 1) == {("GET", "/a/{}", "", "legacy", 200, "(other)"): 1}
    assert len(repr(control.batches)) < 1000


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_without_a_ledger_nothing_is_counted_and_with_one_from_then_on(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    control = KeepingControl()
    made = two_arms(legacy, candidate)
    running = await serve(replace(made, ledger=None), link=control)
    await running.ask(request("/before"))
    await running.lines(1)
    running.adopt(made)
    await running.ask(request("/while"))
    assert await control.counted(running, 1) == {("GET", "/while", "", "legacy", 200, NONE): 1}
    running.adopt(replace(made, ledger=None), 3)
    await running.ask(request("/after"))
    await running.lines(3)
    running.adopt(made, 4)
    await running.ask(request("/again"))
    counted = await control.counted(running, 2)
    assert {template for _, template, *_ in counted} == {"/while", "/again"}
    assert [batch.number for batch in control.batches] == [1, 2]


async def test_new_settings_name_the_calls_from_then_on(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    control = KeepingControl()
    control.is_connected = False
    made = two_arms(legacy, candidate)
    running = await serve(made, link=control)
    called = request("/i.php?do=list", "User-Agent: curl/8.5.0", "X-Client-Id: billing")
    await running.ask(called)
    await running.lines(1)
    running.adopt(with_ledger(made, callers="x-client-id", by=("query:do",)))
    await running.ask(called)
    control.is_connected = True
    assert await control.counted(running, 2) == {
        ("GET", "/i.php", "", "legacy", 200, "curl/8"): 1,
        ("GET", "/i.php?do=list", "", "legacy", 200, "billing"): 1,
    }
