"""Breaker and bulkhead, as requests meet them."""

import asyncio

import pytest

from strangler.core.settings import BulkheadSettings
from tests.factories import breaker, upstream
from tests.http1.scripted import (
    Connection,
    Script,
    ScriptedUpstream,
    hang,
    in_turn,
    pause,
    read_request,
    reset,
    responding,
    send,
)
from tests.worker.conftest import Serve
from tests.worker.plane import RunningPlane, Visitor, at, fallback, request, response, timeouts, two_arms


async def hold(running: RunningPlane, upstream: ScriptedUpstream, target: str = "/api/slow") -> Visitor:
    """Occupy a slot: a request that has reached `upstream`, whose script must not answer it."""
    before = len(upstream.requests)
    client = await running.client()
    await client.send(request(target))
    await running.until(lambda: len(upstream.requests) > before)
    return client


def holding() -> Script:
    """Answers all but targets that end in /slow."""

    async def script(connection: Connection) -> None:
        while not connection.is_closed:
            if not (await connection.read_request()).target.endswith(b"/slow"):
                await connection.send(response(200, b"candidate"))

    return script


# The breaker


async def test_a_breaker_opens_rests_tries_and_closes(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    settings = two_arms(
        legacy,
        candidate,
        breaker=breaker(consecutive=2, cooldown_s=0.25, max_cooldown_s=0.25, trials=2),
        fallback=None,
    )
    running = await serve(settings)
    candidate.script = responding(send(response(500, b"down")))
    client = await running.client()
    assert [(await client.ask(request())).status for _ in range(2)] == [500, 500]
    refused = await client.ask(request())
    assert (refused.status, refused.values(b"retry-after")) == (503, [b"1"])
    assert b'"fault":"open"' in refused.body
    assert len(candidate.requests) == 2

    await asyncio.sleep(0.3)
    await candidate.renew()
    candidate.script = responding(send(response(200)))
    assert [(await client.ask(request())).status for _ in range(4)] == [200] * 4
    assert [(e["before"], e["after"]) for e in running.logged("breaker.changed")] == [
        ("closed", "open"),
        ("open", "half_open"),
        ("half_open", "closed"),
    ]
    assert running.counted("strangler_attempts_total") == {
        ("orders", "5xx"): 2,
        ("orders", "open"): 1,
        ("orders", "2xx"): 4,
    }
    assert [line["fault"] for line in await running.lines(7)] == [None, None, "open", None, None, None, None]


async def test_a_failed_trial_opens_it_again(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = responding(send(response(500)))
    running = await serve(
        two_arms(legacy, candidate, breaker=breaker(cooldown_s=0.1, max_cooldown_s=9.0), fallback=None)
    )
    client = await running.client()
    await client.ask(request())
    await asyncio.sleep(0.12)
    assert [(await client.ask(request())).status for _ in range(2)] == [500, 503]
    assert [e["after"] for e in running.logged("breaker.changed")] == ["open", "half_open", "open"]


async def test_other_requests_are_refused_while_the_trial_is_out(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = responding(send(response(500)))
    running = await serve(
        two_arms(legacy, candidate, breaker=breaker(cooldown_s=0.05, max_cooldown_s=0.05), fallback=None)
    )
    await running.ask(request())
    await asyncio.sleep(0.07)
    await candidate.renew()
    candidate.script = holding()
    trial = await hold(running, candidate)
    assert (await running.ask(request())).status == 503
    trial.reset()
    await running.quiet()
    assert (await running.ask(request())).status == 200  # a trial that its client left is free again


@pytest.mark.parametrize(
    ("script", "is_open"),
    [
        pytest.param(in_turn(read_request(), reset()), True, id="reset"),
        pytest.param(in_turn(read_request(), hang()), True, id="timeout"),
        pytest.param(in_turn(read_request(), send(b"nonsense\r\n\r\n")), True, id="bad response"),
        pytest.param(responding(send(response(500))), True, id="500"),
        pytest.param(responding(send(response(501))), False, id="501 is not counted"),
        pytest.param(responding(send(response(404))), False, id="404 is not counted"),
        pytest.param(responding(send(response(200))), False, id="200"),
    ],
)
async def test_what_is_counted_opens_the_breaker(
    script: Script, is_open: bool, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = script
    running = await serve(
        two_arms(legacy, candidate, breaker=breaker(), timeouts=timeouts(response_s=0.1), fallback=None)
    )
    await running.ask(request())
    assert running.upstreams["orders"].admission.breaker.state == ("open" if is_open else "closed")


async def test_a_breaker_that_is_open_never_affects_the_other_upstream(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), reset())
    running = await serve(two_arms(legacy, candidate, breaker=breaker(), fallback=fallback()))
    for _ in range(3):
        assert (await running.ask(request())).body == b"legacy"
    assert (await running.ask(request("/else"))).body == b"legacy"
    assert len(candidate.requests) == 1


# The bulkhead


def bulkhead(in_flight: int = 1, waiting: int = 1, wait_s: float = 1.0) -> BulkheadSettings:
    return BulkheadSettings(in_flight, waiting, wait_s)


async def test_a_full_bulkhead_refuses_and_lets_others_wait_in_turn(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = holding()
    running = await serve(two_arms(legacy, candidate, bulkhead=bulkhead(1, 2, 2.0), fallback=None))
    holder = await hold(running, candidate)
    first, second = await running.client(), await running.client()
    await first.send(request("/api/first"))
    await running.until(lambda: running.held().get("orders: waiting") == 1)
    await second.send(request("/api/second"))
    await running.until(lambda: running.held().get("orders: waiting") == 2)

    refused = await running.ask(request())
    assert (refused.status, refused.values(b"retry-after")) == (503, [b"2"])
    assert b'"fault":"full"' in refused.body

    holder.reset()
    assert (await first.response()).status == 200
    assert (await second.response()).status == 200
    assert [r.target for r in candidate.requests] == [b"/api/slow", b"/api/first", b"/api/second"]


async def test_a_wait_that_is_over_is_refused(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = holding()
    running = await serve(two_arms(legacy, candidate, bulkhead=bulkhead(1, 30, 0.1), fallback=None))
    await hold(running, candidate)
    waiting = [await running.client() for _ in range(30)]
    for client in waiting:  # at different times within a millisecond: no timer may ring too early for its story
        await client.send(request())
    assert [(await client.response()).status for client in waiting] == [503] * 30
    line = (await running.lines(30))[-1]
    assert (line["fault"], line["attempts"]) == ("full", 1)
    assert 90 <= line["duration_ms"] < 600


async def test_a_client_that_leaves_while_it_waits_gives_its_place_to_the_next(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = holding()
    running = await serve(two_arms(legacy, candidate, bulkhead=bulkhead(1, 1, 2.0), fallback=None))
    holder = await hold(running, candidate)
    leaver = await running.client()
    await leaver.send(request("/api/left"))
    await running.until(lambda: running.held().get("orders: waiting") == 1)
    leaver.reset()
    await running.until(lambda: not running.held().get("orders: waiting"))
    after = await running.client()
    await after.send(request("/api/after"))
    await running.until(lambda: running.held().get("orders: waiting") == 1)
    holder.reset()
    assert (await after.response()).status == 200
    assert [r.target for r in candidate.requests] == [b"/api/slow", b"/api/after"]


async def test_a_slot_is_kept_until_the_last_byte_of_the_answer(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), hang())
    running = await serve(two_arms(legacy, candidate, bulkhead=bulkhead(1, 0, 0.0), fallback=None))
    client = await running.client()
    await client.send(request())
    await client.wait_for(lambda: b"abc" in client.received)
    assert (await running.ask(request())).status == 503
    client.reset()
    await running.quiet()
    assert running.held() == {}


async def test_many_that_wait_are_refused_at_once_when_the_breaker_opens(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """Each hands the slot on to the next: that must not be a call within a call, three hundred deep."""
    candidate.script = in_turn(read_request(), hang())
    settings = two_arms(
        legacy,
        candidate,
        bulkhead=bulkhead(1, 300, 3.0),
        breaker=breaker(),
        timeouts=timeouts(response_s=0.3),
        fallback=None,
    )
    running = await serve(settings)
    await hold(running, candidate)
    waiting = [await running.client() for _ in range(300)]
    for client in waiting:
        await client.send(request())
    await running.until(lambda: running.held().get("orders: waiting") == 300)
    assert {(await client.response()).status for client in waiting} == {503}


async def test_a_slow_candidate_at_its_limit_leaves_legacy_alone(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = holding()
    running = await serve(two_arms(legacy, candidate, bulkhead=bulkhead(2, 10, 2.0), fallback=None))
    for _ in range(2):
        await hold(running, candidate)
    waiting = await running.client()
    await waiting.send(request())
    assert [(await running.ask(request("/else"))).status for _ in range(5)] == [200] * 5


async def test_with_neither_breaker_nor_bulkhead_nothing_is_refused(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), reset())
    off = upstream("orders", at(candidate), bulkhead=None, breaker=None)
    running = await serve(two_arms(legacy, off, fallback=None))
    clients = [await running.client() for _ in range(30)]
    for client in clients:
        await client.send(request())
    assert {(await client.response()).status for client in clients} == {502}


@pytest.mark.parametrize(
    ("part", "step", "method"),
    [
        ("policies", "clocks", "GET"),
        ("metrics", "count_attempt", "GET"),
        ("policies", "note_response", "POST"),
        ("fences", "is_fenced", "GET"),
    ],
)
async def test_a_bug_ends_one_connection_and_keeps_nothing(
    part: str, step: str, method: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """Whatever raises in a story: its client is cut off, its slot is free again, and the others go on."""
    running = await serve(two_arms(legacy, candidate, bulkhead=bulkhead(1, 0, 0.0), fallback=fallback((404,))))
    running.may_crash = True
    candidate.script = responding(send(response(404 if step == "is_fenced" else 200)))
    policies = running.policies
    owner = {"policies": policies, "metrics": running.context.metrics, "fences": policies.fences}[part]
    step_as_it_is = getattr(owner, step)

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    setattr(owner, step, fail)
    client = await running.client()
    await client.send(request(method=method))
    assert await client.ended() == "reset"
    assert [str(crash) for crash in running.crashes] == ["a bug"]
    assert running.held() == {}
    setattr(owner, step, step_as_it_is)
    assert (await running.ask(request())).status == 200
    assert len(await running.lines(2)) == 2


# Two endpoints, and one of them is unwell


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(responding(send(response(500))), id="500"),
        pytest.param(responding(send(response(404))), id="404"),
        pytest.param(responding(send(response(302, b"", "Location: /login"))), id="302"),
        pytest.param(in_turn(read_request(), reset()), id="reset"),
    ],
)
async def test_an_endpoint_that_fails_at_once_takes_few_requests_and_no_sibling_with_it(
    bad: Script, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = responding(pause(0.01), send(response(200, b"well")))
    limits = breaker(consecutive=5, failure_rate=0.5, min_requests=20)
    async with ScriptedUpstream(bad) as unwell:  # it fails until it is put aside, for longer than the test takes
        there = upstream("orders", at(candidate), at(unwell), breaker=limits, retry=None)
        running = await serve(two_arms(legacy, there, fallback=None))

        async def visitor() -> list[int]:
            client = await running.client()
            return [(await client.ask(request())).status for _ in range(100)]

        statuses = [status for each in await asyncio.gather(*(visitor() for _ in range(8))) for status in each]
    assert statuses.count(200) > 0.8 * len(statuses)
    assert running.upstreams["orders"].admission.breaker.state == "closed"
