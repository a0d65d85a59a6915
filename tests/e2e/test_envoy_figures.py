"""`engine: envoy` from outside: ledger, metrics and access lines have every request that clients have sent."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.e2e.behind_envoy import EnvoyProxy
from tests.e2e.serving import legacy
from tests.engine.envoys import real_envoy

REQUESTS = 120


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[EnvoyProxy]:
    real_envoy()
    async with legacy() as state:
        proxy = EnvoyProxy(tmp_path, state.port)
        yield proxy
        await proxy.stop()


async def ledger_calls(proxy: EnvoyProxy) -> dict[str, dict[str, int]]:
    """The calls of the ledger by endpoint and arm; none while control starts."""
    status, document = await proxy.ask("/api/ledger")
    return {row["endpoint"]: row["calls"] for row in document["rows"]} if status == 200 else {}


async def test_every_request_is_in_ledger_and_lines(proxy: EnvoyProxy) -> None:
    proxy.file.write_text(proxy.routes(percent=100))
    await proxy.start()
    begun = len(proxy.events("request"))
    async with ClientSession() as session:
        for number in range(REQUESTS):
            path = f"/api/orders/{number}" if number % 3 else "/plain"
            async with session.get(f"http://{proxy.address}{path}") as response:
                assert response.status == 200
    await proxy.until(lambda: len(proxy.events("request")) >= begun + REQUESTS)
    lines = proxy.events("request")
    assert sum(line["arm"] == "candidate" and line["route"] == "orders" for line in lines) == REQUESTS * 2 // 3
    assert {line["process"] for line in lines} == {"envoy"}

    async def is_counted() -> bool:
        calls = await ledger_calls(proxy)
        orders, plain = calls.get("GET /api/orders/{}"), calls.get("GET /plain")
        return bool(orders and plain and (orders["candidate"], plain["legacy"]) == (REQUESTS * 2 // 3, REQUESTS // 3))

    await proxy.until(is_counted)
    served = {"route": "orders", "arm": "candidate", "upstream": "orders", "code_class": "2xx"}
    assert await proxy.metric("strangler_requests_total", **served) == REQUESTS * 2 // 3
    assert await proxy.metric("strangler_attempts_total", upstream="orders", result="2xx") == REQUESTS * 2 // 3
