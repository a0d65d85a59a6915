"""Our own Envoy, rendered and running, mirrors over a unix socket to control, which compares both arms."""

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession, WSMsgType, web

from strangler.control.app import ControlApp
from strangler.control.receiver.receiving import RECEIVED, RESULTS
from strangler.core.settings import Settings
from strangler.envoy.place import EnvoyPlace, Switches
from strangler.envoy.render import render
from strangler.envoy.resources import EnvoyResources
from tests.control.control import control_of
from tests.control.receiver.running_receiver import listener_at
from tests.e2e.shadowing import Arm, Heard, arm, says
from tests.envoy.running_clusters import RunningEnvoy, resources_of, running

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
{more}upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://127.0.0.1:{candidate}"}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
    split: {{percent: 0}}
    shadow: {{percent: 100, of: any, recheck: 0, baseline: 0}}
  - name: users
    match: {{prefix: /api/users}}
    candidate: orders
    rewrite: {{prefix: /v2/users}}
    split: {{percent: 100}}
    shadow: {{percent: 100, of: any, recheck: 0, baseline: 0}}
"""
LISTENER = "127.0.0.1:0"


def rendered(settings: Settings, place: EnvoyPlace) -> EnvoyResources:
    return render(settings, place, 1, Switches(), time.time())


@dataclass(slots=True)
class Behind:
    """All that a test plays with."""

    envoy: RunningEnvoy
    app: ControlApp
    legacy: Arm
    candidate: Arm

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.envoy.ports[LISTENER]}"

    def received(self) -> dict[str, int]:
        """Everything that has come so far, without zeros."""
        self.app.own.report()
        counts = {str(result): int(self.app.links.totals.counter(RECEIVED, result)) for result in RESULTS}
        return {result: count for result, count in counts.items() if count}

    async def has_received(self, **expected: int) -> None:
        async with asyncio.timeout(20):
            while self.received() != expected:  # noqa: ASYNC110 - the counts wake nobody
                await asyncio.sleep(0.01)

    async def stored(self, count: int) -> bytes:
        """All that is in the store and beside it, once so many comparisons are there."""
        folder = self.app.launch.folder
        async with asyncio.timeout(20):
            while True:
                file = folder / "shadow-diffs.jsonl"
                lines = file.read_bytes() if file.exists() else b""
                if lines.count(b"\n") >= count:
                    break
                await asyncio.sleep(0.02)
        with closing(sqlite3.connect(folder / "strangler.db")) as connection:
            return lines + "\n".join(connection.iterdump()).encode()


@asynccontextmanager
async def behind(
    folder: Path, more: str = "", made: Callable[[Settings, EnvoyPlace], EnvoyResources] = rendered
) -> AsyncIterator[Behind]:
    """Envoy in front of two arms that differ, and control without a receiver for others."""
    async with arm(says({"price": 9})) as legacy, arm(says({"price": 10})) as candidate:
        text = ROUTES.format(legacy=legacy.port, candidate=candidate.port, more=more)
        (folder / "routes.yaml").write_text(text)
        async with control_of(folder, {}, has_mirrors=True) as app:
            assert app.receiver is not None
            app.receiver.start([], listener_at(folder / "receiver.sock"))
            tasks = [asyncio.create_task(part.run()) for part in app.running]
            try:
                async with running(app.settings, folder, made=made) as envoy:
                    yield Behind(envoy, app, legacy, candidate)
            finally:
                await app.receiver.close(is_last=True)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


def fields_of(heard: Heard) -> list[tuple[str, str]]:
    """The fields of a request in any order, but for those by which a copy differs."""
    fields = [(name.lower(), value) for name, value in heard.headers]
    return sorted(pair for pair in fields if pair[0] not in ("x-strangler-shadow", "connection"))


async def visit(url: str, headers: Mapping[str, str] | None = None, method: str = "GET", body: bytes = b"") -> int:
    async with ClientSession() as client, client.request(method, url, headers=headers, data=body or None) as response:
        await response.read()
        return response.status


FORGED = {
    "Host": "shop.example",
    "X-Strangler-Route": "users",
    "X-Strangler-Arm": "candidate",
    "X-Envoy-Original-Path": "/forged",
    "X-Forwarded-For": "203.0.113.9",
}


@pytest.mark.parametrize("more", ["", "trusted_proxies: [127.0.0.1]\n"], ids=["untrusted", "trusted"])
async def test_both_arms_get_what_the_client_s_arm_got(tmp_path: Path, more: str) -> None:
    async with behind(tmp_path, more) as on:
        assert await visit(f"{on.url}/api/orders/7?q=a%20b&x", FORGED) == 200
        await on.has_received(compared=1)
        stored = await on.stored(1)
        (served,) = [heard for heard in on.legacy.heard if not heard.is_shadow]
        (legacy,), (candidate,) = on.legacy.shadows, on.candidate.shadows
        assert len(on.candidate.heard) == 1
        for shadow in (legacy, candidate):
            assert (shadow.method, shadow.target) == ("GET", "/api/orders/7?q=a%20b&x")
            assert shadow.value("Host") == "shop.example"
            assert shadow.value("X-Forwarded-For") == ("203.0.113.9, 127.0.0.1" if more else "127.0.0.1")
            assert shadow.value("X-Strangler-Route") is shadow.value("X-Strangler-Arm") is None
            named = [pair for pair in fields_of(served) if pair[0] not in ("x-strangler-route", "x-strangler-arm")]
            assert fields_of(shadow) == named
        for absent in (b"x-envoy", b"x-strangler-route", b"x-strangler-arm"):
            assert absent not in stored.lower()
        assert b'"served_by":"legacy"' in stored
        assert b'"route":"orders"' in stored
        status = on.app.status()
        assert status.receiver is None


async def test_the_arm_is_the_chosen_arm_and_a_path_is_rewritten_once(tmp_path: Path) -> None:
    async with behind(tmp_path) as on:
        assert await visit(f"{on.url}/api/users/7", {"Host": "blue-shadow"}) == 200
        await on.has_received(compared=1)
        stored = await on.stored(1)
        (served,) = [heard for heard in on.candidate.heard if not heard.is_shadow]
        (legacy,), (candidate,) = on.legacy.shadows, on.candidate.shadows
        assert (legacy.target, candidate.target, served.target) == ("/api/users/7", "/v2/users/7", "/v2/users/7")
        assert fields_of(candidate) == fields_of(served)
        assert legacy.value("Host") == "blue-shadow"
        assert b'"served_by":"candidate"' in stored


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(rendered, {"compared": 2, "unsafe": 1}, id="our routes mirror upgrades of the candidate"),
        pytest.param(resources_of, {"compared": 2, "unsafe": 2}, id="routes that mirror all upgrades"),
    ],
)
async def test_writes_and_upgrades_are_never_compared(
    tmp_path: Path, made: Callable[[Settings, EnvoyPlace], EnvoyResources], expected: dict[str, int]
) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade") is None:
            return web.json_response({"price": 9})
        live = web.WebSocketResponse()
        await live.prepare(request)
        async for message in live:
            await live.send_str(message.data)
        return live

    async with behind(tmp_path, made=made) as on:
        on.legacy.response = on.candidate.response = echo
        for path in ("/api/orders", "/api/users"):
            assert await visit(f"{on.url}{path}", method="POST", body=b"x" * 300_000) == 200
            async with ClientSession() as client, client.ws_connect(f"{on.url}{path}/live") as live:
                await live.send_str("hello")
                message = await live.receive()
                assert (message.type, message.data) == (WSMsgType.TEXT, "hello")
            assert await visit(f"{on.url}{path}/7") == 200
        await on.has_received(**expected)
        heard = on.legacy.heard + on.candidate.heard
        assert [each.method for each in heard].count("POST") == 2
        assert {each.target.rpartition("/")[2] for each in on.legacy.shadows + on.candidate.shadows} == {"7"}


async def served(path: Path) -> "asyncio.subprocess.Process":
    """A receiver as a process of its own, once it serves."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.control.receiver.receiver_process", str(path), stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"serves\n"
    return process


async def test_a_control_that_is_stopped_killed_or_gone_holds_nothing_up(tmp_path: Path) -> None:
    """Each response comes long before `shadow.timeout`, after which a mirror is given up."""
    async with arm(says({"price": 9})) as legacy:
        (tmp_path / "routes.yaml").write_text(ROUTES.format(legacy=legacy.port, candidate=legacy.port, more=""))
        async with control_of(tmp_path, {}) as app:
            settings = app.settings
        process = await served(tmp_path / "receiver.sock")
        try:
            async with running(settings, tmp_path, made=rendered) as envoy, ClientSession() as client:

                async def pace(count: int) -> float:
                    """The longest time that a request of a connection took."""
                    longest = 0.0
                    for _ in range(count):
                        began = time.monotonic()
                        url = f"http://127.0.0.1:{envoy.ports[LISTENER]}/api/orders/7"
                        async with client.get(url) as response:
                            assert (response.status, await response.read()) == (200, b'{"price": 9}')
                        longest = max(longest, time.monotonic() - began)
                    return longest

                async def mirrored() -> int:
                    return await envoy.stat("cluster.shadow.upstream_rq_2xx")

                await pace(20)
                async with asyncio.timeout(20):
                    while await mirrored() < 20:  # noqa: ASYNC110 - the counts of Envoy wake nobody
                        await asyncio.sleep(0.02)
                process.send_signal(signal.SIGSTOP)
                assert await pace(200) < 2, "stopped"
                assert await mirrored() == 20
                process.kill()
                await process.wait()
                assert await pace(50) < 2, "killed"
                (tmp_path / "receiver.sock").unlink()
                assert await pace(50) < 2, "gone"
                process = await served(tmp_path / "receiver.sock")
                async with asyncio.timeout(20):
                    while await mirrored() == 20:
                        await pace(1)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
