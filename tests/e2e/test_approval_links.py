"""An approval by a link, from the webhook to the percent in force: the link is with its receiver, and nowhere else."""

import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from aiohttp import ClientSession

from tests.e2e.serving import Proxy, legacy
from tests.e2e.test_events import HookedProxy, HookState, printed
from tests.served import served

PLAN = "rollout: {steps: [50, 100], approve: [50], gate: never, hold: 1h}"


class RolledProxy(HookedProxy):
    """A proxy whose only route waits for an approval of 50 % once it is started."""

    def routes(self, percent: object = 0, workers: int | None = None) -> str:
        text = super().routes(percent, workers)
        return re.sub(
            r"split: \{percent: \w+, sticky: \[client_ip\]\}", f"split: {{sticky: [client_ip]}}\n    {PLAN}", text
        )


@pytest.fixture
async def hook() -> AsyncIterator[HookState]:
    state = HookState()
    async with served(state.response) as state.port:
        yield state


@pytest.fixture
async def proxy(tmp_path: Path, hook: HookState) -> AsyncIterator[Proxy]:
    async with legacy() as upstream:
        proxy = RolledProxy(tmp_path, upstream.port, hook.port)
        proxy.token = "a-long-s3cret"
        await proxy.start()
        yield proxy
        await proxy.stop()


async def announced(proxy: Proxy, hook: HookState) -> str:
    """Start the rollout, and return the link that the webhook gets."""
    assert (await proxy.ask("/api/rollouts/orders/start", "POST", {"who": "ana"}))[0] == 200

    def links() -> list[str]:
        events = [msgspec.json.decode(body) for _, body in hook.got]
        return [event["data"]["approve_url"] for event in events if event["type"] == "rollout.waiting"]

    found: list[str] = await proxy.until(links)
    return found[0]


async def percent(proxy: Proxy) -> float:
    found: float = (await proxy.status())["routes"][0]["percent"]
    return found


async def visit(url: str, method: str = "GET", **more: Any) -> tuple[int, str]:
    async with ClientSession() as client, client.request(method, url, **more) as response:
        return response.status, await response.text()


async def test_a_link_approves_once_without_a_login(proxy: Proxy, hook: HookState) -> None:
    url = await announced(proxy, hook)
    assert url.startswith(f"{proxy.admin}/rollouts/approve?token=")
    (token,) = parse_qs(urlsplit(url).query)["token"]
    for method in ("GET", "HEAD", "GET"):
        assert (await visit(url, method))[0] == 200
    assert await percent(proxy) == 0, "a preview approves nothing"

    target, origin = f"{proxy.admin}/rollouts/approve", {"Origin": proxy.admin}
    status, page = await visit(target, "POST", data={"token": token, "why": "it looks fine"}, headers=origin)
    assert status == 200, page
    await proxy.until(lambda: is_at(proxy, 50))
    for each in (await visit(url), await visit(target, "POST", data={"token": token}, headers=origin)):
        assert each[0] == 409
        assert "50 % of orders is approved already: by approval link 127.0.0.1" in each[1]

    with sqlite3.connect(proxy.folder / "state" / "strangler.db") as store:
        rows = store.execute("SELECT who, what, route, why FROM audit WHERE what = 'rollout approve'").fetchall()
    assert rows == [("approval link 127.0.0.1", "rollout approve", "orders", "it looks fine")]


async def is_at(proxy: Proxy, wanted: float) -> bool:
    return await percent(proxy) == wanted


async def test_the_link_is_nowhere_else(proxy: Proxy, hook: HookState) -> None:
    url = await announced(proxy, hook)
    token = parse_qs(urlsplit(url).query)["token"][0].encode()
    await visit(url)
    await visit(f"{proxy.admin}/rollouts/approve", "POST", data={"token": token.decode()})
    await proxy.until(lambda: is_at(proxy, 50))
    api = str((await proxy.ask("/api/events?limit=1000"))[1])
    assert "rollout.waiting" in api
    for text in (api, str(await proxy.ask("/api/rollouts")), str(await proxy.status())):
        assert token.decode() not in text
        assert "approve_url" not in text
    assert "rollout.waiting" in await printed(proxy, "events", "--json")
    await proxy.stop()
    files = [file for file in proxy.folder.rglob("*") if file.is_file()]
    assert {"strangler.db", "approval.key", "log"} <= {file.name for file in files}
    for file in files:
        content = file.read_bytes()
        assert token not in content, file
        assert token[:60] not in content, file
        assert b"approve_url" not in content, file


async def test_a_restart_keeps_the_link_valid(proxy: Proxy, hook: HookState) -> None:
    url = await announced(proxy, hook)
    await proxy.stop()
    await proxy.start()
    port = urlsplit(proxy.admin).port  # the system has chosen another
    status, page = await visit(url.replace(str(urlsplit(url).port), str(port)))
    assert status == 200, page
    assert "Approve 50 % of orders?" in page


async def test_a_link_is_spent_once_the_rollout_was_approved_otherwise(proxy: Proxy, hook: HookState) -> None:
    url = await announced(proxy, hook)
    assert (await proxy.ask("/api/rollouts/orders/approve", "POST", {"who": "bob", "percent": 50}))[0] == 200
    status, page = await visit(url)
    assert status == 409
    assert "is approved already: by bob" in page
