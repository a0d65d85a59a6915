"""Everything that happens in a proxy is an event: in the log, in the store, in `strangler events`, and at a webhook."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web

from tests.e2e.serving import Proxy, legacy
from tests.served import served


@dataclass(slots=True)
class HookState:
    """A receiver of webhooks, up or down."""

    status: int = 200
    port: int = 0
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def response(self, request: web.BaseRequest) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if self.status == 200:
            self.got.append((headers, await request.read()))
        return web.Response(status=self.status)

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.got]


@pytest.fixture
async def hook() -> AsyncIterator[HookState]:
    state = HookState()
    async with served(state.response) as state.port:
        yield state


@pytest.fixture
async def proxy(tmp_path: Path, hook: HookState) -> AsyncIterator[Proxy]:
    async with legacy() as upstream:
        proxy = HookedProxy(tmp_path, upstream.port, hook.port)
        proxy.file.write_text(proxy.routes())
        await proxy.start()
        yield proxy
        await proxy.stop()


class HookedProxy(Proxy):
    """A proxy that has a webhook."""

    def __init__(self, folder: Path, legacy_port: int, hook_port: int) -> None:
        super().__init__(folder, legacy_port)
        self._hook_port = hook_port

    def routes(self, percent: object = 0, workers: int | None = None) -> str:
        return super().routes(percent, workers) + f'events: {{webhook: "http://127.0.0.1:{self._hook_port}/"}}\n'


async def printed_events(proxy: Proxy) -> list[dict[str, Any]]:
    """Return the output of `strangler events --json`."""
    return [json.loads(line) for line in (await printed(proxy, "events", "--json")).splitlines()]


async def printed(proxy: Proxy, *arguments: str) -> str:
    """Return the output of a command."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "strangler", *arguments,
        cwd=proxy.folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def happened(proxy: Proxy, kind: str, count: int = 1) -> list[dict[str, Any]]:
    """Events of that type, once there are so many, from the store."""

    async def found() -> list[dict[str, Any]]:
        _, content = await proxy.ask("/api/events?limit=1000")
        events = [entry["event"] for entry in content["events"] if entry["event"]["type"] == kind]
        return events if len(events) >= count else []

    events: list[dict[str, Any]] = await proxy.until(found)
    return events


async def backlog(proxy: Proxy) -> int:
    found: int = (await proxy.status())["events"]["sinks"]["webhook"]["backlog"]
    return found


async def test_a_shift_is_told_everywhere(proxy: Proxy, hook: HookState) -> None:
    proxy.edit(proxy.routes(percent=25))
    (shift,) = await happened(proxy, "route.shifted")
    assert shift["subject"] == "orders"
    assert shift["data"] == {"route": "orders", "from": 0.0, "to": 25.0, "generation": 2}
    assert [event["type"] for event in await printed_events(proxy)] == ["routes.reloaded", "route.shifted"]
    (line,) = await proxy.until(lambda: [line for line in proxy.events("event") if line["type"] == "route.shifted"])
    assert (line["id"], line["data"]) == (shift["id"], shift["data"])
    await proxy.until(lambda: len(hook.got) == 2)
    assert [json.loads(body) for _, body in hook.got][1] == shift


async def test_the_webhook_can_be_checked_with_the_secret_of_the_state_folder(proxy: Proxy, hook: HookState) -> None:
    proxy.edit(proxy.routes(percent=25))
    await proxy.until(lambda: hook.got)
    headers, body = hook.got[0]
    secret = base64.b64decode((proxy.folder / "state" / "webhook.secret").read_text().strip().removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


async def test_a_bad_file_and_the_kill_switch_are_told(proxy: Proxy) -> None:
    proxy.edit("version: 1\n")
    (rejected,) = await happened(proxy, "routes.rejected")
    assert "upstreams" in rejected["data"]["problems"][0]
    await proxy.ask("/api/kill-switch", "POST", {"on": True, "reason": "nonsense"})
    (switch,) = await happened(proxy, "kill_switch")
    assert switch["data"] == {"on": True, "reason": "nonsense"}


async def test_killed_in_the_middle_nothing_is_lost_and_nothing_waits(proxy: Proxy, hook: HookState) -> None:
    hook.status = 503
    await proxy.ask("/api/kill-switch", "POST", {"on": True, "reason": "one"})
    await proxy.ask("/api/kill-switch", "POST", {"on": False, "reason": "two"})
    await happened(proxy, "kill_switch", 2)
    await proxy.until(lambda: backlog(proxy))
    assert await proxy.metric("strangler_events_backlog", sink="webhook") == 2
    assert await proxy.get() == 200
    assert "2 events wait for webhook: status 503" in await printed(proxy, "status")
    control = (await proxy.status())["pid"]["control"]
    psutil.Process(control).send_signal(signal.SIGKILL)
    hook.status = 200
    await proxy.until(lambda: len(hook.got) >= 2)
    assert [json.loads(body)["data"]["reason"] for _, body in hook.got[:2]] == ["one", "two"]
    await proxy.until(proxy.is_ready)
    assert len(await happened(proxy, "kill_switch", 2)) == 2


async def test_a_breaker_is_told_of_once(proxy: Proxy) -> None:
    nobody = re.sub(r"http://localhost:\d+", "http://127.0.0.1:1", proxy.routes(percent=100))
    proxy.edit(nobody)
    await proxy.until(lambda: proxy.has_generation(2))
    for _ in range(12):
        await proxy.get("/api/orders/7")
    (opened,) = await happened(proxy, "breaker.opened")
    assert opened["subject"] == "orders"
    assert opened["data"]["reason"]


async def test_follow_goes_on_with_what_happens(proxy: Proxy) -> None:
    await proxy.ask("/api/kill-switch", "POST", {"on": True, "reason": "before"})
    await happened(proxy, "kill_switch")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "strangler", "events", "--follow", "--since", "1h",
        cwd=proxy.folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(10):
            assert b"reason=before" in await process.stdout.readline()
            await proxy.ask("/api/kill-switch", "POST", {"on": False, "reason": "after\x1b[2J"})
            line = await process.stdout.readline()
    finally:
        process.terminate()
        await process.wait()
    assert b'on=false reason="after\\u001b[2J"' in line


@pytest.mark.parametrize("query", ["after=x", "since=x", "limit=x", "after=99999999999999999999"], ids=str)
async def test_a_question_that_is_none_is_refused(proxy: Proxy, query: str) -> None:
    status, _ = await proxy.ask(f"/api/events?{query}")
    assert status == 400
