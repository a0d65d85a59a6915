"""New settings while requests are under way: those finish as they began, and nothing is lost or left behind."""

import asyncio
from dataclasses import replace

import pytest

from strangler.core.settings import BulkheadSettings, HeaderEdits, Settings
from tests.factories import breaker, route, settings, upstream
from tests.http1.scripted import Connection, ScriptedUpstream, hang, in_turn, read_request, reset, responding, send
from tests.worker.conftest import Serve
from tests.worker.plane import at, fallback, request, response, retry, timeouts, two_arms


def gated(gate: asyncio.Event, reply: bytes) -> object:
    async def script(connection: Connection) -> None:
        while not connection.is_closed:
            await connection.read_request()
            await gate.wait()
            await connection.send(reply)

    return script


async def test_a_request_under_way_finishes_where_it_began(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    gate = asyncio.Event()
    candidate.script = gated(gate, response(200, b"as it began"))  # type: ignore[assignment]
    running = await serve(two_arms(legacy, candidate))
    client = await running.client()
    await client.send(request())
    await running.until(lambda: candidate.requests)
    running.adopt(settings(upstreams=[upstream("legacy", at(legacy))]))
    gate.set()
    assert (await client.response()).body == b"as it began"
    assert (await client.ask(request())).body == b"legacy"
    assert [line["upstream"] for line in await running.lines(2)] == ["orders", "legacy"]
    await running.until(lambda: candidate.connections[0].ended.is_set())  # nobody keeps it for later


async def test_pools_and_breakers_of_unchanged_upstreams_survive(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    before = two_arms(legacy, candidate, breaker=breaker(), fallback=fallback())
    running = await serve(before)
    await running.ask(request("/else"))
    candidate.script = in_turn(read_request(), reset())
    await running.ask(request())
    assert running.upstreams["orders"].admission.breaker.state == "open"

    for generation in range(2, 30):
        percent = replace(before.routes[0], split=replace(before.routes[0].split, percent=50 + generation / 100))
        running.adopt(replace(before, routes=(percent,)), generation)
    running.adopt(before, 30)
    assert (await running.ask(request())).body == b"legacy"
    assert (await running.ask(request("/else"))).body == b"legacy"
    assert (len(legacy.connections), len(candidate.connections)) == (1, 1)
    assert running.logged("breaker.changed")[-1]["after"] == "open"


@pytest.mark.parametrize("change", ["removed", "moved", "other tls"])
async def test_connections_of_an_upstream_that_went_are_closed(
    change: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    before = two_arms(legacy, candidate)
    running = await serve(before)
    await running.ask(request())
    orders = before.upstreams["orders"]
    after: Settings = {
        "removed": settings(upstreams=[before.upstreams["legacy"]]),
        "moved": two_arms(legacy, replace(orders, urls=(replace(orders.urls[0], port=legacy.port),))),
        "other tls": two_arms(legacy, replace(orders, tls=replace(orders.tls, verify=False))),
    }[change]
    running.adopt(after)
    await running.until(lambda: candidate.connections[0].ended.is_set())
    expected = {"removed": b"legacy", "moved": b"legacy", "other tls": b"candidate"}[change]
    assert (await running.ask(request())).body == expected


async def test_an_upstream_that_is_removed_while_its_requests_wait_keeps_no_connection(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    gate = asyncio.Event()
    candidate.script = gated(gate, response(200, b"candidate"))  # type: ignore[assignment]
    running = await serve(two_arms(legacy, candidate, bulkhead=BulkheadSettings(1, 5, 2.0)))
    first, second = await running.client(), await running.client()
    await first.send(request())
    await running.until(lambda: candidate.requests)
    await second.send(request())
    await running.until(lambda: running.held().get("orders: waiting"))
    running.adopt(settings(upstreams=[upstream("legacy", at(legacy))]))
    gate.set()
    assert (await first.response()).body == b"candidate"
    assert (await second.response()).body == b"candidate"
    await running.until(lambda: all(c.ended.is_set() for c in candidate.connections))


async def test_a_retry_after_the_upstream_was_removed_keeps_no_connection(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    responses = [response(503, b"no", "Retry-After: 1"), response(200, b"candidate")]

    async def script(connection: Connection) -> None:
        while not connection.is_closed:
            await connection.read_request()
            await connection.send(responses.pop(0))

    candidate.script = script
    running = await serve(two_arms(legacy, candidate, retry=retry(max_backoff_s=1.0)))
    client = await running.client()
    await client.send(request())
    await running.until(lambda: len(responses) == 1)
    running.adopt(settings(upstreams=[upstream("legacy", at(legacy))]))
    assert (await client.response()).body == b"candidate"
    await running.until(lambda: all(c.ended.is_set() for c in candidate.connections))


async def test_a_breaker_that_is_switched_off_closes(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = responding(send(response(500)))
    running = await serve(two_arms(legacy, candidate, breaker=breaker(), fallback=None))
    assert [(await running.ask(request())).status for _ in range(2)] == [500, 503]
    running.adopt(two_arms(legacy, candidate, breaker=None, fallback=None))
    assert (await running.ask(request())).status == 500
    assert running.logged("breaker.changed")[-1]["reason"] == "settings changed"


async def test_a_wider_bulkhead_lets_in_who_waits(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    gate = asyncio.Event()
    candidate.script = gated(gate, response())  # type: ignore[assignment]
    running = await serve(two_arms(legacy, candidate, bulkhead=BulkheadSettings(1, 5, 3.0)))
    clients = [await running.client() for _ in range(3)]
    for client in clients:
        await client.send(request())
    await running.until(lambda: running.held().get("orders: waiting") == 2)
    running.adopt(two_arms(legacy, candidate, bulkhead=BulkheadSettings(9, 5, 3.0)))
    await running.until(lambda: len(candidate.requests) == 3)
    gate.set()
    assert [(await client.response()).status for client in clients] == [200] * 3


async def test_an_old_request_does_not_bring_back_the_rules_of_its_time(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """It asks for its route's rules after the reload: they are its own, and not those of the requests that follow."""
    gate = asyncio.Event()
    candidate.script = gated(gate, response(503))  # type: ignore[assignment]
    running = await serve(two_arms(legacy, candidate, fallback=fallback()))
    client = await running.client()
    await client.send(request())
    await running.until(lambda: candidate.requests)
    running.adopt(two_arms(legacy, candidate, fallback=None))
    gate.set()
    assert (await client.response()).status == 200  # it began with fallback on
    assert (await client.ask(request())).status == 503


async def test_an_old_retry_does_not_bring_back_the_clocks_of_its_time(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    responses = [response(503, b"no", "Retry-After: 1"), response(200, b"candidate")]

    async def script(connection: Connection) -> None:
        while not connection.is_closed:
            await connection.read_request()
            if not responses:
                await hang()(connection)
            await connection.send(responses.pop(0))

    candidate.script = script
    before = two_arms(legacy, candidate, retry=retry(max_backoff_s=1.0), fallback=None)
    slow = replace(before, routes=(replace(before.routes[0], timeouts=timeouts(response_s=30.0)),))
    quick = replace(before, routes=(replace(before.routes[0], timeouts=timeouts(response_s=0.1)),))
    running = await serve(slow)
    client = await running.client()
    await client.send(request())
    await running.until(lambda: len(responses) == 1)
    running.adopt(quick)
    assert (await client.response()).status == 200
    await candidate.renew()
    assert (await client.ask(request())).status == 504


async def test_header_edits_take_effect_with_the_reload(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    plain = upstream("orders", at(candidate))
    running = await serve(two_arms(legacy, plain))
    await running.ask(request())
    edited = replace(plain, headers=HeaderEdits(set=(("X-Env", "blue"),), remove=()))
    running.adopt(two_arms(legacy, edited))
    await running.ask(request())
    assert [b"\r\nX-Env: blue\r\n" in r.raw for r in candidate.requests] == [False, True]
    assert len(candidate.connections) == 1


async def test_a_route_that_is_disabled_and_the_kill_switch_send_all_to_legacy(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate))
    running.policies.is_killed = True
    assert (await running.ask(request())).body == b"legacy"
    running.policies.is_killed = False
    running.adopt(two_arms(legacy, candidate, enabled=False))
    assert (await running.ask(request())).body == b"legacy"
    running.adopt(two_arms(legacy, candidate))
    assert (await running.ask(request())).body == b"candidate"
    assert [line["reason"] for line in await running.lines(3)] == ["kill_switch", "disabled", "percent"]


async def test_the_kill_switch_of_a_route_leaves_the_others_and_holds_over_new_settings(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    both = two_arms(legacy, candidate)
    both = replace(both, routes=(*both.routes, route("users", prefix="/users")))
    running = await serve(both)
    client = await running.client()
    running.policies.killed_routes = frozenset({"orders"})
    assert [(await client.ask(request(path))).body for path in ("/api", "/users", "/else")] == [
        b"legacy", b"candidate", b"legacy",
    ]  # fmt: skip
    running.adopt(replace(both, routes=both.routes[::-1]))
    assert [(await client.ask(request(path))).body for path in ("/api", "/users")] == [b"legacy", b"candidate"]
    running.policies.killed_routes = frozenset({"users"})
    assert [(await client.ask(request(path))).body for path in ("/api", "/users")] == [b"candidate", b"legacy"]
    assert [line["reason"] for line in await running.lines(7)] == [
        "kill_switch", "percent", "no_route", "kill_switch", "percent", "percent", "kill_switch",
    ]  # fmt: skip


async def test_the_kill_switch_of_a_route_ends_no_request_under_way(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    gate = asyncio.Event()
    candidate.script = gated(gate, response(200, b"as it began"))  # type: ignore[assignment]
    running = await serve(two_arms(legacy, candidate))
    client = await running.client()
    await client.send(request())
    await running.until(lambda: candidate.requests)
    running.policies.killed_routes = frozenset({"orders"})
    gate.set()
    assert (await client.response()).body == b"as it began"
    assert (await client.ask(request())).body == b"legacy"


async def test_limits_count_from_the_next_request_on(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate))
    client = await running.client()
    assert (await client.ask(request(method="POST", body=bytes(100)))).status == 200
    running.adopt(two_arms(legacy, candidate, limits={"request_body_bytes": 10}))
    assert (await client.ask(request(method="POST", body=bytes(100)))).status == 413


async def test_reloads_under_load_lose_nothing(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    this_settings = two_arms(legacy, candidate, percent=30, sticky=())
    other = settings(
        routes=[route("other", prefix="/api", candidate="new", percent=60, sticky=())],
        upstreams=[upstream("legacy", at(legacy)), upstream("new", at(candidate))],
    )
    running = await serve(this_settings)
    seen: list[int] = []

    async def ask_on() -> None:
        client = await running.client()
        seen.extend([(await client.ask(request())).status for _ in range(100)])

    asking = [asyncio.ensure_future(ask_on()) for _ in range(5)]
    generation = 2
    while not all(task.done() for task in asking):
        running.adopt((this_settings, other)[generation % 2], generation)
        generation += 1
        await asyncio.sleep(0.002)
    await asyncio.gather(*asking)
    assert (seen, generation > 20) == ([200] * 500, True)


async def test_an_open_connection_follows_new_trust_from_its_next_request_on(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    trusting = two_arms(legacy, candidate, general={"trusted_proxies": ("127.0.0.0/8",)})
    running = await serve(trusting)
    client = await running.client()
    chain = request("/api", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https")
    await client.ask(chain)
    running.adopt(replace(trusting, trusted_proxies=()), 2)
    await client.ask(chain)
    running.adopt(trusting, 3)
    await client.ask(chain)
    seen = [each_request.raw.lower() for each_request in candidate.requests]
    assert [b"x-forwarded-for: 203.0.113.7, 127.0.0.1" in head for head in seen] == [True, False, True]
    assert [b"x-forwarded-proto: https" in head for head in seen] == [True, False, True]
    assert b"x-forwarded-for: 127.0.0.1\r\n" in seen[1]
    assert len(running.port.connections) == 1


async def test_an_open_connection_follows_new_limits_from_its_next_request_on(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    wide = two_arms(legacy, candidate)
    running = await serve(wide)
    client = await running.client()
    big = request("/api", method="POST", body=bytes(5000))
    assert (await client.ask(big)).status == 200
    running.adopt(replace(wide, limits=replace(wide.limits, request_body_bytes=1000)), 2)
    assert (await client.ask(big)).status == 413
