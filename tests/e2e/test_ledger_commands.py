"""`strangler ledger` beside a running proxy and without it: the same rows, the same changes, the same audit."""

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import run
from tests.e2e.serving import Proxy, legacy

DAY = 86_400.0
OPENAPI = """\
openapi: 3.1.0
info: {title: shop, version: "1"}
paths:
  /api/orders/{id}:
    get: {responses: {}}
  /api/invoices/{id}:
    get: {responses: {}}
"""


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async with legacy() as upstream:
        proxy = Proxy(tmp_path, upstream.port, token="a-token-of-sixteen")
        await proxy.start()
        yield proxy
        await proxy.stop()


def log(*ages_d: float) -> str:
    """Calls of one endpoint, so many days ago."""
    stamps = [
        datetime.fromtimestamp(time.time() - age * DAY, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000") for age in ages_d
    ]
    return "".join(f'192.0.2.9 - - [{at}] "GET /reports/7 HTTP/1.1" 200 9 "-" "okhttp/4.12.0"\n' for at in stamps)


async def ledger(proxy: Proxy, *arguments: str) -> str:
    code, output = await run(proxy.folder, "ledger", *arguments, STRANGLER_USER="ana")
    assert code == 0, output
    return output


async def rows(proxy: Proxy) -> dict[str, dict[str, Any]]:
    found = json.loads(await ledger(proxy, "--all", "--json"))
    return {row["endpoint"]: row for row in found["rows"]}


async def call(proxy: Proxy, times: int) -> None:
    for number in range(times):
        assert await proxy.get(f"/api/orders/{number}") == 200

    async def is_counted() -> bool:
        _, document = await proxy.ask("/api/ledger")
        found = {row["endpoint"]: row["calls"]["legacy"] for row in document["rows"]}
        return found.get("GET /api/orders/{}") == times

    await proxy.until(is_counted)


async def test_rows_changes_and_imports_are_the_same_with_and_without_a_proxy(proxy: Proxy) -> None:
    (proxy.folder / "openapi.yaml").write_text(OPENAPI)
    (proxy.folder / "access.log").write_text(log(50, 40))
    (proxy.folder / "later.log").write_text(log(1))
    await call(proxy, 5)
    assert "2 endpoints; 1 new endpoint, 2 in all" in await ledger(proxy, "import", "openapi.yaml")
    assert "1 new endpoint, 3 in all" in await ledger(proxy, "import", "access.log")
    assert await ledger(proxy, "own", "GET /reports/{}", "team reports") == "GET /reports/{} belongs to team reports\n"
    code, output = await run(proxy.folder, "ledger", "import", "access.log")
    assert (code, "imported already, as access.log" in output) == (1, True)
    live = await rows(proxy)
    assert live["GET /api/orders/{}"]["calls"]["legacy"] == 5
    assert (live["GET /api/invoices/{}"]["source"], live["GET /reports/{}"]["owner"]) == ("import", "team reports")
    text = await ledger(proxy, "show", "GET /reports/7")

    await proxy.stop()
    assert await rows(proxy) == live
    assert await ledger(proxy, "show", "GET /reports/7") == text
    assert "0 new endpoints, 3 in all" in await ledger(proxy, "import", "later.log")
    await ledger(proxy, "ignore", "GET /api/invoices/{}", "--why", "never built")

    await proxy.start()
    again = await rows(proxy)
    assert again["GET /reports/{}"]["calls"]["legacy"] == 3
    assert again["GET /api/invoices/{}"]["is_ignored"]
    code, output = await run(proxy.folder, "audit", "--json")
    entries = json.loads(output)["entries"]
    assert [entry["what"] for entry in entries] == [
        *("ledger ignore", "ledger import", "ledger own", "ledger import", "ledger import")
    ]
    assert {entry["who"].partition(" ")[0] for entry in entries} == {"ana"}


async def test_unknown_endpoints_and_refusals_of_a_proxy_say_why(proxy: Proxy) -> None:
    await call(proxy, 1)
    code, output = await run(proxy.folder, "ledger", "show", "GET /api/order/{}")
    assert (code, "did you mean 'GET /api/orders/{}'?" in output) == (2, True)
    code, output = await run(proxy.folder, "ledger", "fold", "/api")
    assert (code, "has no {}" in output) == (1, True)


async def test_a_switched_off_ledger_says_so_at_a_proxy(proxy: Proxy) -> None:
    proxy.edit(proxy.routes().replace("version: 1", "version: 1\nledger: false"))
    await proxy.until(lambda: proxy.has_generation(2))
    for arguments in ([], ["show", "GET /a"], ["own", "GET /a", "ana"]):
        code, output = await run(proxy.folder, "ledger", *arguments)
        assert code != 0
        assert "ledger: false" in output


async def test_a_plan_against_the_ledger_names_the_calls_of_the_proxy(proxy: Proxy) -> None:
    await call(proxy, 4)
    (proxy.folder / "new.yaml").write_text(proxy.routes(100))
    code, output = await run(proxy.folder, "plan", "new.yaml", "--against", "ledger", "--json")
    assert code == 0, output
    (change,) = json.loads(output)["changes"]
    assert (change["endpoint"], change["to"], change["calls"]) == ("GET /api/orders/{}", "orders", 4)


async def test_a_comparison_with_a_description_fails_a_pipeline(proxy: Proxy) -> None:
    (proxy.folder / "openapi.yaml").write_text(OPENAPI)
    await call(proxy, 1)
    code, output = await run(proxy.folder, "ledger", "compare", "openapi.yaml", "--fail-on", "described")
    assert (code, "GET /api/invoices/{}" in output) == (1, True)
    assert (await run(proxy.folder, "ledger", "compare", "openapi.yaml", "--fail-on", "called"))[0] == 0
