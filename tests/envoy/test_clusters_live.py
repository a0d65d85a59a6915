"""Fallback, retries, breakers and checks at a real Envoy: what clients get, and what upstreams have run."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from strangler.core import settings as s
from tests import factories
from tests.envoy.clients import fetch
from tests.envoy.running_clusters import running
from tests.envoy.scripted import Scripted

WHEN = ("connect", "timeout", "open", "full", 500, 502, 503, 504)
FAST = s.TimeoutSettings(connect_s=0.3, response_s=0.4, idle_s=5.0)


@pytest.fixture
async def legacy() -> AsyncIterator[Scripted]:
    server = Scripted("legacy")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def orders() -> AsyncIterator[Scripted]:
    server = Scripted("orders")
    await server.start()
    yield server
    await server.stop()


def settings_for(legacy: Scripted, orders: Scripted, route: dict[str, Any] | None = None, **changes: Any) -> s.Settings:
    upstreams = [
        factories.upstream("legacy", f"http://127.0.0.1:{legacy.port}"),
        factories.upstream("orders", f"http://127.0.0.1:{orders.port}", **{"timeouts": FAST, **changes}),
    ]
    fallback = s.FallbackSettings(WHEN, 60.0)
    return factories.settings([factories.route("orders", **{"fallback": fallback, **(route or {})})], upstreams)


async def test_requests_reach_both_arms(legacy: Scripted, orders: Scripted) -> None:
    async with running(settings_for(legacy, orders)) as envoy:
        assert (await fetch(envoy, "/orders/7")).arm == "candidate"
        assert (await fetch(envoy, "/cart")).arm == "legacy"
        assert orders.seen[0].target == "/orders/7"


@pytest.mark.parametrize(
    ("behaviour", "read", "write", "fault"),
    [
        ("refuse", (200, "legacy"), (200, "legacy"), "connect"),
        ("reset", (502, "candidate"), (502, "candidate"), "reset"),
        ("hang", (200, "legacy"), (504, "candidate"), "timeout"),
        ("garbage", (502, "candidate"), (502, "candidate"), "bad_response"),
        (500, (200, "legacy"), (500, "candidate"), "500"),
        (503, (200, "legacy"), (503, "candidate"), "503"),
        (404, (404, "candidate"), (404, "candidate"), None),
    ],
)
async def test_a_fault_falls_back_if_that_is_safe(
    legacy: Scripted,
    orders: Scripted,
    behaviour: int | str,
    read: tuple[int, str],
    write: tuple[int, str],
    fault: str | None,
) -> None:
    async with running(settings_for(legacy, orders)) as envoy:
        if behaviour == "refuse":
            await orders.stop()
        else:
            orders.behaviour = behaviour
        got = await fetch(envoy, "/orders/7")
        assert (got.status, got.arm) == read, got
        got = await fetch(envoy, "/orders", "POST", body=b"hello")
        assert (got.status, got.arm) == write, got
        assert legacy.runs("POST") + orders.runs("POST") == 1
        records = await envoy.records.request(2)
        del records
        if fault is not None:
            attempts = await envoy.records.until("attempt", lambda found: len(found) >= 2)
            assert {each["r"] for each in attempts} == {fault}
