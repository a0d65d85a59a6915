"""Fallback, retries, breakers and checks at a real Envoy: what clients get, and what upstreams have run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import pytest

from strangler.core import settings as s
from tests import factories
from tests.envoy.clients import fetch
from tests.envoy.running_clusters import RunningEnvoy, running
from tests.envoy.scripted import Scripted

WHEN = ("connect", "timeout", "open", "full", 500, 502, 503, 504)
RETRY = s.RetrySettings(attempts=2, when=("connect", "reset"), backoff_s=0.001, max_backoff_s=0.002, budget=0.2)


def times(source: Literal["default", "upstream"], response_s: float = 0.4) -> s.TimeoutSettings:
    return s.TimeoutSettings(0.3, response_s, 5.0, (source, source, source))


GATED, PLAIN = times("upstream"), times("default")


@pytest.fixture
async def orders() -> AsyncIterator[Scripted]:
    server = Scripted("orders")
    await server.start()
    yield server
    await server.stop()


def settings_for(
    legacy: Scripted,
    orders: Scripted,
    route: dict[str, Any] | None = None,
    legacy_has: dict[str, Any] | None = None,
    **changes: Any,
) -> s.Settings:
    upstreams = [
        factories.upstream("legacy", f"http://127.0.0.1:{legacy.port}", **(legacy_has or {})),
        factories.upstream("orders", f"http://127.0.0.1:{orders.port}", **{"timeouts": GATED, **changes}),
    ]
    made = {"fallback": s.FallbackSettings(WHEN, 60.0), **(route or {})}
    return factories.settings([factories.route("orders", **made)], upstreams)


async def until(holds: Callable[[], Any], patience_s: float = 10.0) -> None:
    """Wait until something is so; an awaitable is awaited."""
    async with asyncio.timeout(patience_s):
        while True:
            found = holds()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.01)


async def break_(server: Scripted, behaviour: int | str) -> None:
    if behaviour == "refuse":
        await server.stop()
    else:
        server.behaviour = behaviour


LEGACY, CANDIDATE = (200, "legacy"), "candidate"
FAULTS = [
    ("refuse", LEGACY, LEGACY, "connect"),
    ("reset", (502, CANDIDATE), (502, CANDIDATE), "reset"),
    ("hang", LEGACY, (504, CANDIDATE), "timeout"),
    ("garbage", (502, CANDIDATE), (502, CANDIDATE), "bad_response"),
    (500, LEGACY, (500, CANDIDATE), "500"),
    (503, LEGACY, (503, CANDIDATE), "503"),
    (404, (404, CANDIDATE), (404, CANDIDATE), None),
]


@pytest.mark.parametrize(("behaviour", "read", "write", "fault"), FAULTS)
async def test_behind_a_gate_each_fault_falls_back_if_listed_and_safe(
    legacy: Scripted,
    orders: Scripted,
    behaviour: int | str,
    read: tuple[int, str],
    write: tuple[int, str],
    fault: str | None,
) -> None:
    async with running(settings_for(legacy, orders)) as envoy:
        await break_(orders, behaviour)
        got = await fetch(envoy, "/orders/7")
        assert (got.status, got.arm) == read, got
        got = await fetch(envoy, "/orders", "POST", body=b"hello")
        assert (got.status, got.arm) == write, got
        assert legacy.runs("POST") + orders.runs("POST") == 1, "a write never runs twice"
        records = await envoy.records.request(2)
        assert [each["arm"] for each in records] == [read[1], write[1]]
        if fault is not None:
            attempts = await envoy.records.until("attempt", lambda found: len(found) >= 2)
            assert {(each["r"], each["up"], each["route"]) for each in attempts} == {(fault, "orders", "orders")}


@pytest.mark.parametrize(
    ("behaviour", "read", "write"),
    [(each[0], LEGACY if each[0] in ("reset", "garbage") else each[1], each[2]) for each in FAULTS],
)
async def test_without_a_gate_a_reset_falls_back_as_a_timeout_does(
    legacy: Scripted, orders: Scripted, behaviour: int | str, read: tuple[int, str], write: tuple[int, str]
) -> None:
    async with running(settings_for(legacy, orders, timeouts=PLAIN)) as envoy:
        assert not [each for each in envoy.resources.clusters if each["name"].startswith("gate/")]
        await break_(orders, behaviour)
        got = await fetch(envoy, "/orders/7")
        assert (got.status, got.arm) == read, got
        got = await fetch(envoy, "/orders", "POST", body=b"hello")
        assert (got.status, got.arm) == write, got
        assert legacy.runs("POST") + orders.runs("POST") == 1, "a write never runs twice"
        if got.status != 200 and not isinstance(behaviour, int):
            assert got.problem["fault"] in ("timeout", "reset", "bad_response")


@pytest.mark.parametrize("timeouts", [GATED, PLAIN], ids=["gate", "plain"])
async def test_without_fallback_clients_get_the_fault(legacy: Scripted, orders: Scripted, timeouts: Any) -> None:
    async with running(settings_for(legacy, orders, {"fallback": None}, timeouts=timeouts)) as envoy:
        await orders.stop()
        got = await fetch(envoy, "/orders/7")
        assert (got.status, got.arm, got.problem["fault"]) == (502, "candidate", "connect")
        assert not legacy.seen


@pytest.mark.parametrize("listed", [("connect", "full"), ("connect",)], ids=["listed", "not listed"])
async def test_a_full_bulkhead_falls_back_where_full_is_written(
    legacy: Scripted, orders: Scripted, listed: tuple[str, ...]
) -> None:
    bulkhead = s.BulkheadSettings(in_flight=2, waiting=0, wait_s=0.0)
    route = {"fallback": s.FallbackSettings(listed, 60.0, is_when_written=True)}
    settings = settings_for(legacy, orders, route, bulkhead=bulkhead, timeouts=times("default", 30.0))
    async with running(settings) as envoy:
        orders.behaviour = "slow"
        busy = [asyncio.create_task(fetch(envoy, f"/orders/{at}")) for at in range(2)]
        await until(lambda: len(orders.seen) == 2)
        got = await fetch(envoy, "/orders", "POST", body=b"hello")
        if "full" in listed:
            assert (got.status, got.arm, legacy.runs("POST")) == (200, "legacy", 1)
        else:
            assert (got.status, got.arm, got.problem["fault"], got["Retry-After"]) == (503, "candidate", "full", "1")
        orders.release.set()
        assert [each.arm for each in await asyncio.gather(*busy)] == ["candidate", "candidate"]


@pytest.mark.parametrize("timeouts", [GATED, PLAIN], ids=["gate", "plain"])
async def test_resets_are_retried_for_reads_alone(legacy: Scripted, orders: Scripted, timeouts: Any) -> None:
    settings = settings_for(legacy, orders, {"fallback": None}, {"retry": RETRY}, retry=RETRY, timeouts=timeouts)
    async with running(settings) as envoy:
        orders.behaviour = legacy.behaviour = "reset"
        for target in ("/orders", "/cart"):
            assert (await fetch(envoy, target)).status == 502
            assert (await fetch(envoy, target, "POST", body=b"x")).status == 502
        assert (orders.runs("GET"), orders.runs("POST")) == (2, 1)
        assert (legacy.runs("GET"), legacy.runs("POST")) == (2, 1)


@pytest.mark.parametrize("timeouts", [GATED, PLAIN], ids=["gate", "plain"])
async def test_a_breaker_opens_and_closes(legacy: Scripted, orders: Scripted, timeouts: Any) -> None:
    breaker = factories.breaker(consecutive=3, cooldown_s=0.3, max_cooldown_s=0.3, counts=("connect", 503))
    async with running(settings_for(legacy, orders, breaker=breaker, timeouts=timeouts)) as envoy:
        orders.behaviour = 404
        for _ in range(6):
            assert (await fetch(envoy, "/orders")).status == 404, "it is not counted"
        orders.behaviour = 503
        for _ in range(3):
            assert (await fetch(envoy, "/orders")).arm == "legacy"
        seen = len(orders.seen)
        await until(lambda: envoy.stat("cluster.up/orders.outlier_detection.ejections_active"))
        got = await fetch(envoy, "/orders", "POST", body=b"x")
        assert (got.status, got.arm, len(orders.seen)) == (200, "legacy", seen), "open: any method falls back, unsent"
        orders.behaviour = 200
        await until(lambda: _arm_is(envoy, "candidate"))


async def _arm_is(envoy: RunningEnvoy, arm: str) -> bool:
    return (await fetch(envoy, "/orders")).arm == arm


async def test_legacy_is_used_though_its_breaker_would_open(legacy: Scripted, orders: Scripted) -> None:
    breaker = factories.breaker(consecutive=2, cooldown_s=30.0, max_cooldown_s=30.0, counts=("connect", 503))
    async with running(settings_for(legacy, orders, None, {"breaker": breaker})) as envoy:
        legacy.behaviour = 503
        for _ in range(5):
            assert (await fetch(envoy, "/cart")).status == 503
        assert len(legacy.seen) == 5


@pytest.mark.parametrize("timeouts", [GATED, PLAIN], ids=["gate", "plain"])
async def test_an_unhealthy_candidate_gets_nothing(legacy: Scripted, orders: Scripted, timeouts: Any) -> None:
    health = s.HealthSettings("/healthz", interval_s=0.1, timeout_s=0.5, fall=2, rise=1, host="check.example")
    async with running(settings_for(legacy, orders, health=health, timeouts=timeouts)) as envoy:
        await until(lambda: _arm_is(envoy, "candidate"))
        assert next(each for each in orders.seen if each.target == "/healthz")["Host"] == "check.example"
        orders.behaviour = 500
        await until(lambda: _is_unhealthy(envoy))
        before = orders.runs("POST")
        assert (await fetch(envoy, "/orders", "POST", body=b"x")).arm == "legacy"
        assert orders.runs("POST") == before
        orders.behaviour = 302
        await until(lambda: _arm_is(envoy, "candidate"))


async def _is_unhealthy(envoy: RunningEnvoy) -> bool:
    return await envoy.stat("cluster.up/orders.membership_healthy") == 0


async def test_an_unhealthy_legacy_is_used_all_the_same(legacy: Scripted, orders: Scripted) -> None:
    health = s.HealthSettings("/healthz", interval_s=0.1, timeout_s=0.5, fall=1, rise=1)
    async with running(settings_for(legacy, orders, None, {"health": health})) as envoy:
        legacy.behaviour = 500
        await until(lambda: envoy.stat("cluster.up/legacy.health_check.failure"))
        assert (await fetch(envoy, "/cart")).status == 500


async def test_a_rewrite_is_the_candidates_alone(legacy: Scripted, orders: Scripted) -> None:
    edits = s.HeaderEdits(set=(("X-Tenant", "shop 100%"),), remove=("x-debug",))
    route = {"prefix": "/api/orders", "rewrite": "/v2"}
    base = f"http://127.0.0.1:{orders.port}/base"
    upstreams: dict[str, Any] = {"urls": (factories.url(base),), "headers": edits, "host": "upstream"}
    async with running(settings_for(legacy, orders, route, **upstreams)) as envoy:
        for target, own in [
            ("/api/orders", "/base/v2"),
            ("/api/orders/", "/base/v2/"),
            ("/api/orders/7/%41?x=/y", "/base/v2/7/%41?x=/y"),
        ]:
            await fetch(envoy, target, headers=[("X-Debug", "1"), ("X-Keep", "1")])
            assert orders.seen[-1].target == own
        seen = orders.seen[-1]
        assert (seen["Host"], seen["X-Tenant"], seen["X-Debug"], seen["X-Keep"]) == (
            f"127.0.0.1:{orders.port}",
            "shop 100%",
            None,
            "1",
        )
        assert (seen["X-Forwarded-Prefix"], seen["X-Forwarded-Host"]) == ("/api/orders", "shop.example")
        await orders.stop()
        got = await fetch(envoy, "/api/orders/7", headers=[("X-Debug", "1")])
        assert (got.arm, legacy.seen[-1].target, legacy.seen[-1]["Host"]) == ("legacy", "/api/orders/7", "shop.example")
        assert (legacy.seen[-1]["X-Debug"], legacy.seen[-1]["X-Tenant"]) == ("1", None)


async def test_mirrors_carry_the_arm_that_was_chosen(legacy: Scripted, orders: Scripted) -> None:
    receiver = Scripted("receiver")
    settings = settings_for(legacy, orders, {"shadow": factories.shadow(100, of="any")})
    async with running(settings) as envoy:
        await receiver.start(path=str(envoy.folder / "receiver.sock"))
        with contextlib.closing(receiver):
            await fetch(envoy, "/orders/7", headers=[("X-Strangler-Route", "lie")])
            await fetch(envoy, "/orders", "POST", body=b"x")
            await until(lambda: receiver.seen)
            (mirrored,) = receiver.seen
            assert (mirrored.target, mirrored["Host"]) == ("/orders/7", "shop.example")
            assert (mirrored["x-strangler-route"], mirrored["x-strangler-arm"]) == ("orders", "candidate")


async def test_the_mirrors_of_legacy_are_not_those_of_the_candidate(legacy: Scripted, orders: Scripted) -> None:
    receiver = Scripted("receiver")
    async with running(settings_for(legacy, orders, {"shadow": factories.shadow(100)})) as envoy:
        await receiver.start(path=str(envoy.folder / "receiver.sock"))
        with contextlib.closing(receiver):
            await fetch(envoy, "/orders/7")
            assert (await envoy.records.request(1))[0]["arm"] == "candidate"
            assert await envoy.stat("cluster.shadow.upstream_rq_total") == 0
