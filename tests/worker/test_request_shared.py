"""The facts that workers share: open breakers, write fences; and what counts as a failure."""

from collections.abc import Callable

import pytest

from strangler.clock import now
from strangler.core.resilience.write_fence import FenceMark
from strangler.core.settings import BulkheadSettings
from strangler.ipc.messages import BreakerOpened, EndpointHealth, FenceMarks
from tests.factories import breaker, upstream
from tests.http1.scripted import (
    ScriptedUpstream,
    Step,
    close,
    hang,
    in_turn,
    pause,
    read_request,
    reset,
    responding,
    send,
)
from tests.worker.conftest import Serve
from tests.worker.plane import (
    RunningPlane,
    fallback,
    request,
    response,
    retry,
    timeouts,
    two_arms,
)

ANA = "X-User-Id: ana"


def opened(until: float) -> BreakerOpened:
    return BreakerOpened("orders", 1, until, 3, "5 failures in a row, the last: connect")


async def test_an_opening_that_is_heard_of_is_kept_to_and_not_told_on(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate, breaker=breaker(), fallback=fallback()))
    running.peers.learn(opened(now() + 60))
    assert (await running.ask(request())).body == b"legacy"
    assert candidate.requests == []
    (change,) = running.logged("breaker.changed")
    assert change["reason"] == "in another worker: 5 failures in a row, the last: connect"
    line = await running.line()
    assert (line["arm"], line["fallback"], line["attempts"]) == ("legacy", True, 2)


async def test_an_opening_of_an_upstream_without_breaker_or_of_none_changes_nothing(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate, breaker=None))
    running.peers.learn(opened(now() + 60))
    running.peers.learn(BreakerOpened("gone", 1, now() + 60, 1, ""))
    running.peers.learn(EndpointHealth("gone", upstream("x").urls[0], "192.0.2.1", False, ""))
    assert (await running.ask(request())).body == b"candidate"


async def test_a_new_control_hears_all_that_holds(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate, breaker=breaker(), fallback=fallback()))
    candidate.script = responding(send(response(200, b"ok", "Connection: close")))
    assert (await running.ask(request("/api", ANA, method="POST", body=b"x"))).status == 200
    candidate.script = in_turn(read_request(), reset())
    assert (await running.ask(request())).body == b"legacy"
    opening, marks = running.peers.knowledge()
    assert isinstance(opening, BreakerOpened)
    assert (opening.upstream, opening.generation, opening.streak) == ("orders", 1, 1)
    assert 40 < opening.until - now() <= 60  # a cooldown of a minute, up to a fifth shorter
    assert isinstance(marks, FenceMarks)
    assert [(mark.group, len(mark.digest)) for mark in marks.marks] == [("orders", 8)]


async def test_a_fence_that_is_heard_of_holds_here_too(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate, fallback=fallback()))
    other = await serve(two_arms(legacy, candidate, fallback=fallback()))
    assert (await running.ask(request("/api", ANA, method="POST", body=b"x"))).status == 200
    (reported,) = running.peers.knowledge()
    other.peers.learn(reported)
    candidate.script = responding(send(response(503)))
    assert (await other.ask(request("/api", ANA))).status == 503
    assert (await other.lines(1))[-1]["no_fallback"] == "fence"
    assert (await other.ask(request("/api", "X-User-Id: bob"))).body == b"legacy"
    assert other.counted("strangler_fallbacks_withheld_total") == {("orders", "fence"): 1}


async def test_a_whole_group_may_be_fenced(serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> None:
    running = await serve(two_arms(legacy, candidate, fallback=fallback()))
    running.peers.learn(FenceMarks([FenceMark("orders", b"", now() + 60)]))
    candidate.script = responding(send(response(503)))
    assert (await running.ask(request("/api", "X-User-Id: bob"))).status == 503


# What counts


CUT = [
    pytest.param(send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), id="shorter than it said"),
    pytest.param(send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"), id="in the middle of a chunk"),
]


@pytest.mark.parametrize("part", CUT)
@pytest.mark.parametrize("end", [reset, close])
async def test_an_answer_that_breaks_off_counts_against_its_upstream(
    part: Step, end: Callable[[], Step], serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), part, end())
    running = await serve(two_arms(legacy, candidate, breaker=breaker(consecutive=2), fallback=fallback()))
    for _ in range(2):
        client = await running.client()
        await client.send(request())
        assert await client.ended() == "eof"
    (change,) = running.logged("breaker.changed")
    assert change["reason"] == "2 failures in a row, the last: reset"
    assert (await running.ask(request())).body == b"legacy"


async def test_a_stream_that_ends_well_is_a_success_and_one_under_way_is_neither(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate, breaker=breaker(consecutive=2)))
    state = running.upstreams["orders"].endpoints.states[0]
    candidate.script = in_turn(read_request(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"))
    client = await running.client()
    await client.send(request())
    connection = await candidate.wait_for_connection()
    await client.wait_for(lambda: client.received.endswith(b"abc"))
    assert state.in_flight == 1, "it still counts where requests are spread"
    await connection.send(b"defghi")
    assert (await client.response()).body == b"abcdefghi"
    await running.quiet()
    assert running.upstreams["orders"].admission.breaker.state == "closed"


# One deadline


async def test_all_attempts_together_have_the_time_of_one(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """The second attempt hangs, and gets what the first one left of `response`; then legacy has its own time."""
    candidate.script = in_turn(read_request(), pause(0.25), reset())
    settings = two_arms(
        legacy,
        candidate,
        retry=retry(attempts=9, when=("connect", "reset")),
        timeouts=timeouts(response_s=0.6),
        fallback=fallback(),
    )
    running = await serve(settings)
    began = now()
    assert (await running.ask(request())).body == b"legacy"
    assert 0.5 < now() - began < 1.2
    assert len(candidate.requests) == 3
    assert running.counted("strangler_retries_total") == {("orders", "retry"): 2}


async def test_a_timeout_that_is_to_be_tried_again_is_tried_again(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = in_turn(read_request(), hang())
    running = await serve(
        two_arms(legacy, candidate, retry=retry(attempts=2), timeouts=timeouts(response_s=0.2), fallback=None)
    )
    assert (await running.ask(request())).status == 504
    assert len(candidate.requests) == 2
    assert running.counted("strangler_retries_total") == {("orders", "retry"): 1, ("orders", "attempts"): 1}


# Shares


async def test_workers_share_what_an_upstream_can_bear(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    settings = two_arms(
        legacy, candidate, bulkhead=BulkheadSettings(4, 0, 0.0), fallback=fallback(), general={"workers": 2}
    )
    candidate.script = in_turn(read_request(), hang())
    running = await serve(settings)
    for _ in range(2):
        client = await running.client()
        await client.send(request())
    await running.until(lambda: len(candidate.requests) == 2)
    assert (await running.ask(request())).body == b"legacy"


def gauges(running: RunningPlane) -> dict[tuple[str, ...], float]:
    running.gauges.measure()
    return {(cell.name, *cell.labels): cell.value for cell in next(running.numbers.report_all()).gauges}


async def test_a_breaker_that_has_cooled_down_is_shown_as_ready_for_trials(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """It does nothing by itself, so without a request it would look open for ever."""
    running = await serve(two_arms(legacy, candidate, breaker=breaker(cooldown_s=0.1), fallback=fallback()))
    candidate.script = in_turn(read_request(), reset())
    await running.ask(request())
    assert gauges(running)["strangler_breaker_state", "orders"] == 2
    await running.until(lambda: gauges(running)["strangler_breaker_state", "orders"] == 1)
