"""An aggregate from end to end: served, told, explained, and proved by shadows against legacy's own answer."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from strangler.config.load import parse
from tests.e2e.serving import Proxy
from tests.e2e.shadowing import Arm, Respond, Stage, arm, says

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
state: state
limits: {{drain: 5s}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://127.0.0.1:{orders}", retry: false, breaker: {{consecutive: 3, cooldown: 1m}}}}
  payments: {{url: "http://127.0.0.1:{payments}", retry: false}}
routes:
  - name: order-page
    match: {{path: "/api/order-pages/{{id}}"}}
    aggregate:
      order: {{upstream: orders, path: "/v2/orders/{{id}}"}}
      payment: {{upstream: payments, path: "/payments/{{id}}", required: false, timeout: 10s}}
    split: {{percent: {percent}, override: x-arm}}
    compare: {{headers: [content-type]}}
    shadow: {{percent: 100, of: {of}, recheck: 0, baseline: 100%}}
"""

ORDER = {"id": 7, "total": "12.50"}
PAYMENT = {"state": "paid"}
WHOLE = {"order": ORDER, "payment": PAYMENT}


@dataclass(slots=True)
class Shop:
    stage: Stage
    payments: Arm

    @property
    def proxy(self) -> Proxy:
        return self.stage.proxy

    async def get(self, path: str = "/api/order-pages/7?lang=de", **headers: str) -> tuple[int, Any, dict[str, str]]:
        async with (
            ClientSession() as client,
            client.get(f"http://127.0.0.1:{self.proxy.port}{path}", headers=headers) as response,
        ):
            return response.status, await response.json(content_type=None), dict(response.headers)


@asynccontextmanager
async def shop(
    folder: Path, *, percent: int = 0, of: str = "any", legacy: Respond | None = None, orders: Respond | None = None,
    payments: Respond | None = None,
) -> AsyncIterator[Shop]:  # fmt: skip
    async with (
        arm(legacy or says(WHOLE)) as this_arm,
        arm(orders or says(ORDER)) as two,
        arm(payments or says(PAYMENT)) as three,
    ):
        proxy = Proxy(folder, this_arm.port)
        proxy.file.write_text(
            ROUTES.format(legacy=this_arm.port, orders=two.port, payments=three.port, percent=percent, of=of)
        )
        try:
            await proxy.start()
            yield Shop(Stage(proxy, this_arm, two), three)
        finally:
            await proxy.stop()


async def _command(folder: Path, *arguments: str) -> str:
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "160"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "strangler", *arguments, cwd=folder, env=environ, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


def test_the_example_of_the_docs_is_accepted() -> None:
    page = (Path(__file__).parents[2] / "docs" / "aggregation.md").read_text()
    yaml = page.split("```yaml\n")[1].split("```")[0]
    upstreams = "".join(f"  {name}: {{url: 'http://{name}.internal'}}\n" for name in ("legacy", "orders", "payments"))
    loaded = parse(f"version: 1\nupstreams:\n{upstreams}{yaml}", "docs", {})
    assert [*loaded.problems, *loaded.warnings] == []


async def test_it_is_served_and_told(tmp_path: Path) -> None:
    async with shop(tmp_path, percent=100) as this_shop:
        assert json.loads(await _command(tmp_path, "check", "--json"))["problems"] == []
        status, body, headers = await this_shop.get()
        assert (status, body, headers["X-Strangler-Arm"]) == (200, WHOLE, "candidate")
        assert [heard.target for heard in this_shop.payments.heard] == ["/payments/7?lang=de"]
        labels = {"route": "order-page", "arm": "candidate", "upstream": "aggregate", "code_class": "2xx"}
        await this_shop.proxy.until(lambda: this_shop.proxy.metric("strangler_requests_total", **labels))
        (route,) = (await this_shop.proxy.status())["routes"]
        assert (route["match"], route["parts"]) == ("GET,HEAD /api/order-pages/{id}", ["orders", "payments"])
        assert route["requests"] == {"legacy": 0, "candidate": 1}
        assert "orders + payments" in await _command(tmp_path, "status")
        explained = json.loads(await _command(tmp_path, "explain", "--json", "GET", "/api/order-pages/7"))
        assert [part["path"] for part in explained["parts"]] == ["/v2/orders/7", "/payments/7"]
        assert "part payment  payments /payments/7 (optional)" in await _command(
            tmp_path, "explain", "GET", "/api/order-pages/7"
        )
        (line,) = await this_shop.proxy.until(lambda: this_shop.proxy.events("request"))
        assert (line["upstream"], line["attempts"], line["status"]) == ("aggregate", 2, 200)


@pytest.mark.parametrize("percent", [0, 100], ids=["legacy serves", "the aggregate serves"])
async def test_it_is_compared_with_legacy_s_own_answer(tmp_path: Path, percent: int) -> None:
    async with shop(tmp_path, percent=percent) as this_shop:
        assert (await this_shop.get())[1] == WHOLE
        await this_shop.stage.compared(1, "match")
        if percent:
            (request,) = [
                heard for heard in this_shop.stage.legacy.shadows if heard.target == "/api/order-pages/7?lang=de"
            ][:1]
            return
        for each, target in (
            (this_shop.stage.candidate, "/v2/orders/7?lang=de"),
            (this_shop.payments, "/payments/7?lang=de"),
        ):
            (request, *_) = each.shadows
            assert (request.method, request.target, request.body) == ("GET", target, b"")
            assert request.value("accept-encoding") == "identity"
            assert request.value("x-strangler-shadow") == "1"


@pytest.mark.parametrize("percent", [0, 100], ids=["legacy serves", "the aggregate serves"])
async def test_a_difference_of_a_part_is_found_in_the_whole(tmp_path: Path, percent: int) -> None:
    async with shop(tmp_path, percent=percent, orders=says({**ORDER, "total": 12.5})) as this_shop:
        await this_shop.get()
        line = await this_shop.stage.line()
        assert (line["route"], line["outcome"], line["candidate"]["upstream"]) == (
            "order-page", "mismatch", "aggregate",
        )  # fmt: skip
        assert [(each["path"], each["kind"]) for each in line["differences"]] == [("$.order.total", "type")]


async def test_an_optional_part_that_fails_is_a_difference(tmp_path: Path) -> None:
    async with shop(tmp_path, payments=says({}, status=500)) as this_shop:
        await this_shop.get()
        line = await this_shop.stage.line()
        assert [(each["path"], each["kind"]) for each in line["differences"]] == [("$.payment", "type")]


async def test_a_required_part_that_fails_is_a_mismatch_of_the_status(tmp_path: Path) -> None:
    async with shop(tmp_path, orders=says({}, status=404)) as this_shop:
        await this_shop.get()
        line = await this_shop.stage.line()
        assert (line["severity"], line["candidate"]["status"]) == ("breaking", 502)


async def test_legacy_answers_while_a_required_part_is_ill(tmp_path: Path) -> None:
    async def ill(_: web.Request) -> web.StreamResponse:
        return web.json_response({}, status=503)

    async with shop(tmp_path, percent=100, orders=ill) as this_shop:
        for _ in range(4):
            status, body, headers = await this_shop.get()
            assert (status, body, headers["X-Strangler-Arm"]) == (200, WHOLE, "legacy")
        assert (
            len([heard for heard in this_shop.stage.candidate.heard if not heard.is_shadow]) == 3
        )  # then its breaker opens
        assert await this_shop.proxy.until(lambda: this_shop.proxy.metric("strangler_fallbacks_total", fault="open"))
