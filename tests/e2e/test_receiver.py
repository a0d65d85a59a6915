"""`strangler shadow --listen` behind real proxies that mirror to it: their clients notice nothing, whatever it does."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from aiohttp import ClientSession, web

from tests.e2e import mirroring
from tests.e2e.receiving import receiver, shadows_of
from tests.e2e.serving import is_refused
from tests.e2e.shadowing import says
from tests.http1.proxies import Proxy as Mirroring
from tests.http1.proxies import envoy_binary
from tests.needs import require

TRUSTED = "trusted_proxies: [127.0.0.1]\n"
NINE, TEN = says({"price": 9}), says({"price": 10})

Start = Callable[[Path, int, int], AbstractContextManager[Mirroring]]
PROXIES = [
    pytest.param(mirroring.nginx, which("nginx"), id="nginx"),
    pytest.param(mirroring.haproxy, which("haproxy"), id="haproxy"),
    pytest.param(mirroring.envoy, envoy_binary(), id="envoy"),
]


async def cli(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command beside the receiver's routes.yaml; its status and output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "strangler", *arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def visit(port: int, method: str = "GET", target: str = "/api/orders/7", **more: Any) -> tuple[int, bytes]:
    """One request of a client of the mirroring proxy, on a connection of its own."""
    async with ClientSession() as client, client.request(method, f"http://127.0.0.1:{port}{target}", **more) as found:
        return found.status, await found.read()


@pytest.mark.parametrize(("start", "binary"), PROXIES)
async def test_mirrored_requests_fill_inbox_and_verdict(tmp_path: Path, start: Start, binary: str | None) -> None:
    require("" if binary else "the proxy that mirrors")
    async with receiver(tmp_path, NINE, TEN, more=TRUSTED) as on:
        with start(tmp_path, on.legacy.port, on.port) as front:
            for number in range(12):
                target = f"/api/orders/{number}?q=a%20b&x"
                assert await visit(front.port, target=target, headers={"Host": "shop.example"}) == (
                    200,
                    b'{"price": 9}',
                )
            assert (await visit(front.port, "POST", data=b"x" * 300_000))[0] == 200
            assert (await visit(front.port, target="/other"))[0] == 200
            await on.compared(12)
            await on.has_received("unmatched", 1)
        expected = sorted(f"/api/orders/{number}?q=a%20b&x" for number in range(12))
        assert sorted(set(shadows_of(on.legacy))) == sorted(set(shadows_of(on.candidate))) == expected
        for heard in (on.legacy.shadows[0], on.candidate.shadows[0]):
            assert (heard.method, heard.value("Host"), heard.body) == ("GET", "shop.example", b"")
            assert (heard.value("X-Forwarded-For") or "").endswith(", 127.0.0.1"), "the mirroring proxy is trusted"
            assert heard.value("X-Forwarded-Proto") == "http"
        assert [heard.method for heard in on.legacy.heard].count("POST") == 1, "a write is never repeated"
        await on.line(11)
        status, text = await cli(tmp_path, "diffs", "--json")
        (row,) = json.loads(text)["signatures"]
        assert (status, row["endpoint"], row["path"], row["count"]) == (0, "GET /api/orders/{}", "$.price", 12)
        assert {line["served_by"] for line in on.lines} == {""}


async def test_a_route_becomes_ready_by_mirrored_requests(tmp_path: Path) -> None:
    async with receiver(tmp_path, NINE, NINE) as on:
        for number in range(25):
            assert (await visit(on.port, target=f"/api/orders/{number}"))[0] == 204
        await on.compared(25, "match")

        async def is_ready() -> bool:
            return (await cli(tmp_path, "ready", "orders"))[0] == 0

        await on.proxy.until(is_ready)
        _, text = await cli(tmp_path, "ready", "orders", "--json")
        found = json.loads(text)
        assert found["latency"] is not None, "both arms are timed for each pair"
        status, text = await cli(tmp_path, "status")
        assert status == 0
        assert "receiver only, at 127.0.0.1:" in text
        assert "25 compared" in text


async def pace(port: int, seconds: float) -> list[float]:
    """Requests of one keep-alive connection, one after the other; how long each took."""
    taken = []
    until = time.monotonic() + seconds
    async with ClientSession() as client:
        while time.monotonic() < until:
            began = time.monotonic()
            async with client.get(f"http://127.0.0.1:{port}/api/orders/7") as response:
                assert (response.status, await response.read()) == (200, b'{"price": 9}')
            taken.append(time.monotonic() - began)
            await asyncio.sleep(0.005)
    return taken


@pytest.mark.parametrize(("start", "binary"), PROXIES)
async def test_clients_do_not_notice_a_receiver_that_is_slow_killed_or_gone(
    tmp_path: Path, start: Start, binary: str | None
) -> None:
    """Every response is right. A hanging receiver delays at most one request of a connection in five seconds, and by
    no more than nginx's timeout; the others are not delayed at all."""
    require("" if binary else "the proxy that mirrors")
    async with receiver(tmp_path, NINE, NINE, more=TRUSTED) as on:
        with start(tmp_path, on.legacy.port, on.port) as front:
            await visit(front.port)
            await on.has_received("compared", 1)
            control = (await on.proxy.status())["pid"]["control"]
            os.kill(control, signal.SIGSTOP)
            hanging = await pace(front.port, 1.5)
            os.kill(control, signal.SIGKILL)
            killed = await pace(front.port, 1.5)
            os.kill(on.proxy.pid, signal.SIGKILL)
            gone = await pace(front.port, 1.0)
            for taken in (hanging, killed, gone):
                assert sorted(taken)[len(taken) // 2] < 0.1
                assert sum(1 for seconds in taken if seconds > 0.18) <= 2


async def test_a_killed_control_listens_again_and_the_inbox_is_there(tmp_path: Path) -> None:
    async with receiver(tmp_path, NINE, TEN) as on:
        await visit(on.port)
        await on.line()
        port, before = on.port, (await on.proxy.status())["pid"]["control"]
        os.kill(before, signal.SIGKILL)
        assert (await visit(port))[0] == 204, "the connection waits for the new control"
        status = await on.proxy.status()
        assert status["pid"]["control"] != before
        assert status["receiver"]["listen"] == f"127.0.0.1:{port}"
        await on.line(1)
        (row,) = json.loads((await cli(tmp_path, "diffs", "--json"))[1])["signatures"]
        assert row["count"] == 2


async def test_a_reload_is_followed_and_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    async with receiver(tmp_path, NINE, NINE) as on:
        text = on.proxy.file.read_text()
        on.proxy.edit(text.replace("/api/orders", "/api/new"))

        async def is_matched() -> bool:
            await visit(on.port, target="/api/new/7")
            return await on.received("compared") > 0

        await on.proxy.until(is_matched)
        status = await on.proxy.status()
        assert (status["config"]["needs_restart"], status["workers"], status["receiver"]["is_alone"]) == ([], [], True)
        on.proxy.edit("version: 9\n")
        on.proxy.signal(signal.SIGHUP)
        await on.proxy.wait_for_log("routes.rejected")
        before = await on.received("compared")
        await visit(on.port, target="/api/new/7")
        await on.has_received("compared", int(before) + 1)


async def test_sigterm_ends_it_in_good_order(tmp_path: Path) -> None:
    async with receiver(tmp_path, NINE, TEN) as on:
        await visit(on.port)
        await on.line()
        port = on.port
        on.proxy.signal(signal.SIGTERM)
        assert await on.proxy.ended() == 0
        assert is_refused(port)
        assert [line for line in on.proxy.log if line["level"] == "error"] == []
        status, text = await cli(tmp_path, "diffs")
        assert status == 0
        assert "GET /api/orders/{}" in text, "the inbox is read from the state folder"


async def test_a_restart_loses_no_connection(tmp_path: Path) -> None:
    async with receiver(tmp_path, NINE, NINE) as on:
        before, statuses, is_over = on.proxy.pid, [], asyncio.Event()
        port = on.port

        async def load() -> None:
            while not is_over.is_set():
                statuses.append((await visit(port))[0])

        async with asyncio.TaskGroup() as group:
            group.create_task(load())
            status, text = await cli(tmp_path, "restart")
            is_over.set()
        assert status == 0, text
        assert set(statuses) == {204}
        running = on.proxy.running()
        assert running["receiver"] == f"127.0.0.1:{port}"
        if running["pid"] != before:
            os.kill(running["pid"], signal.SIGTERM)


async def test_a_node_that_forwards_takes_mirrored_requests_too(tmp_path: Path) -> None:
    async with receiver(tmp_path, NINE, TEN, more="receiver: {listen: 127.0.0.1:0}\n", start=False) as on:
        await on.proxy.start()
        assert (await visit(on.proxy.port)) == (200, b'{"price": 9}')
        assert (await visit(on.port))[0] == 204
        await on.compared(1)
        status = await on.proxy.status()
        assert status["receiver"]["received"]["compared"] == 1
        assert (status["receiver"]["is_alone"], len(status["workers"])) == (False, 1)
        await on.line()
        assert len(on.lines) == 1, "the worker makes no shadow: the route has none"


async def test_a_unix_socket_is_served_and_removed(tmp_path: Path) -> None:
    async with receiver(tmp_path, NINE, NINE, start=False) as on:
        await on.proxy.start(sys.executable, "-m", "strangler", "shadow", "--listen", "unix:mirror.sock")
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "mirror.sock"))
        writer.write(b"GET /api/orders/7 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 204 ")
        writer.close()
        await on.compared(1)
        on.proxy.signal(signal.SIGTERM)
        assert await on.proxy.ended() == 0
        assert not (tmp_path / "mirror.sock").exists()


async def test_a_slow_arm_costs_only_places(tmp_path: Path) -> None:
    """Requests beyond `in_flight` are dropped, and the 204 does not wait."""

    async def slow(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1.0)
        return web.json_response({})

    async with receiver(tmp_path, slow, NINE, route="    shadow: {percent: 100, in_flight: 2}\n") as on:
        began = time.monotonic()
        for _ in range(20):
            assert (await visit(on.port))[0] == 204
        assert time.monotonic() - began < 1.0
        await on.dropped("full", 15)
        assert await on.received("compared") <= 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--listen"),
        (("--listen", "8082"), "host:port"),
        (("--listen", "127.0.0.1:0", "resume", "orders"), "take it out"),
        (("--listen", "127.0.0.1:0", "-c", "none.yaml"), "none.yaml"),
        (("--listen", "203.0.113.9:1"), "203.0.113.9"),
    ],
)
async def test_what_is_wrong_is_said(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    async with receiver(tmp_path, NINE, NINE, start=False):
        status, text = await cli(tmp_path, "shadow", *arguments)
        assert status != 0
        assert message in text
        assert "Traceback" not in text
