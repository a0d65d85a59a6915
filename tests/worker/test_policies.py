"""The rules that hold for one request, asked of the settings in force."""

import asyncio
from random import random

import pytest

from strangler.core.http.headers import ForwardedFields
from strangler.core.http.problem import Problem
from strangler.core.http.trust import TrustedProxies
from strangler.core.result import Result
from strangler.core.routing.arm import Arm
from strangler.core.routing.snapshot import Snapshot
from strangler.http1.body import Body
from strangler.http1.client_connection import ClientConnection
from strangler.http1.exchange import Clocks
from strangler.http1.request import parse_request
from strangler.http1.server_state import ServerState
from strangler.worker.call import Call
from strangler.worker.policies import Policies
from tests.factories import route, settings
from tests.worker.plane import fallback, timeouts


class Still:
    """A source that does not mind."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


def policies(**changes: object) -> Policies:
    return Policies(Snapshot(settings([route("orders", prefix="/api", **changes)]), 1))  # type: ignore[arg-type]


def idle_client() -> ClientConnection:
    """A client's connection that nothing happens on; a compiled call takes no stand-in for it."""
    loop = asyncio.new_event_loop()
    loop.close()

    async def serve(client: ClientConnection) -> None: ...

    return ClientConnection(ServerState(loop, settings().limits, Call, serve, TrustedProxies(()), repr))  # type: ignore[arg-type]


def called(of: Policies, method: bytes = b"GET", *results: Result) -> Call:
    """A planned request, and what its attempts at the candidate came to."""
    forwarded = ForwardedFields("127.0.0.1", b"http", TrustedProxies(()))
    call = parse_request(method + b" /api HTTP/1.1\r\nHost: shop\r\nX-User-Id: ana\r\n\r\n", forwarded, Call)
    assert not isinstance(call, Problem)
    call.begin(idle_client(), of.snapshot, of.snapshot.plan(call, random), 0.0)
    call.results += results
    return call


def test_only_the_candidate_has_the_timeouts_of_the_route() -> None:
    made, default = policies(timeouts=timeouts(response_s=9.0)), Clocks(timeouts())
    orders = made.snapshot.routes["orders"]
    assert made.clocks(default, orders, Arm.CANDIDATE).response_s == 9.0
    assert made.clocks(default, orders, Arm.LEGACY) is default
    assert made.clocks(default, None, Arm.LEGACY) is default


def test_timeouts_and_fallback_rules_are_made_once_per_route() -> None:
    made, default = policies(timeouts=timeouts(), fallback=fallback()), Clocks(timeouts())
    orders = made.snapshot.routes["orders"]
    assert made.clocks(default, orders, Arm.CANDIDATE) is made.clocks(default, orders, Arm.CANDIDATE)
    assert made.fallback_rules(orders) is made.fallback_rules(orders)


def test_without_a_route_there_is_no_fallback() -> None:
    assert policies().fallback_rules(None).when == frozenset()


def test_new_settings_leave_the_kill_switch_and_the_fences_as_they_are() -> None:
    made = policies()
    made.is_killed, made.killed_routes = True, frozenset({"orders"})
    fences = made.fences
    made.adopt(Snapshot(settings([route("orders", prefix="/api")]), 2))
    assert (made.is_killed, made.killed_routes) == (True, frozenset({"orders"}))
    assert (made.fences, made.snapshot.generation) == (fences, 2)


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [(b"GET", 503, None), (b"GET", 500, "not_listed"), (b"POST", 503, "method")],
)
def test_why_there_is_no_fallback(method: bytes, status: int, expected: str | None) -> None:
    made = policies(fallback=fallback((503,)))
    assert made.why_no_fallback(called(made, method, Result(None, status, 0.1))) == expected


def test_to_ask_for_a_fallback_changes_nothing() -> None:
    made = policies(fallback=fallback((503,)))
    call = called(made, b"GET", Result(None, 503, 0.1))
    call.body = body = Body(Still(), keep=True)
    body.feed(b"some")
    assert [made.why_no_fallback(call), made.why_no_fallback(call)] == [None, None]
    assert (call.no_fallback, call.is_fallback, body.received_bytes) == (None, False, 4)
    assert call.try_start_over()
    assert call.exchange is None
