"""The kill switch of a route at a real proxy: in every worker, by command, and whatever ends."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from strangler.state import kill_switch
from tests.e2e.commands import run
from tests.e2e.serving import Proxy
from tests.http1.scripted import ScriptedUpstream, responding, send
from tests.worker.plane import response

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
workers: 2
state: state
limits: {{drain: 5s}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://127.0.0.1:{orders}"}}
routes:
  - {{name: orders, match: {{prefix: /api/orders}}, candidate: orders, split: {{percent: 100}}}}
  - {{name: users, match: {{prefix: /users}}, candidate: orders, split: {{percent: 100}}}}
  - {{name: chat, match: {{prefix: /chat}}, passthrough: orders}}
"""
MANY = 12
"""Connections, of which each worker takes some."""


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async with (
        ScriptedUpstream(responding(send(response(200, b"legacy")))) as legacy,
        ScriptedUpstream(responding(send(response(200, b"candidate")))) as orders,
    ):
        proxy = Proxy(tmp_path, legacy.port, workers=2)
        proxy.file.write_text(ROUTES.format(legacy=legacy.port, orders=orders.port))
        await proxy.start()
        await proxy.until(lambda: are_connected(proxy))
        yield proxy
        await proxy.stop()


async def are_connected(proxy: Proxy) -> bool:
    workers = (await proxy.status())["workers"]
    return len(workers) == 2 and all(worker["is_connected"] for worker in workers)


async def bodies(proxy: Proxy, path: str) -> set[str]:
    """The responses over many connections, which go to both workers."""
    return {(await get(proxy, path))[1] for _ in range(MANY)}


async def get(proxy: Proxy, path: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split(" ", 2)[1]), body


async def turn(proxy: Proxy, *arguments: str) -> tuple[int, str]:
    """Exit code and output of `strangler kill-switch`."""
    status, output = await run(proxy.folder, "kill-switch", *arguments, COLUMNS="200")
    return status, output.strip()


async def sends_to(proxy: Proxy, path: str, body: str) -> bool:
    return await bodies(proxy, path) == {body}


async def killed(proxy: Proxy) -> dict[str, Any]:
    found: dict[str, Any] = (await proxy.status())["kill_switch"]["routes"]
    return found


async def test_it_holds_in_every_worker_whatever_ends(proxy: Proxy) -> None:
    """The file is broken all the time, and the switch is turned without a look at it."""
    assert await bodies(proxy, "/api/orders/7") == {"candidate"}
    text = proxy.file.read_text()
    proxy.edit("nonsense")
    await proxy.wait_for_log("routes.rejected")
    status, output = await turn(proxy, "on", "--route", "orders", "--reason", "slow", "--admin", proxy.admin)
    assert (status, output) == (0, "kill switch on for route 'orders': all its requests go to legacy")
    assert await bodies(proxy, "/api/orders/7") == {"legacy"}, "at once"
    assert await bodies(proxy, "/users/7") == {"candidate"}
    assert proxy.file.read_text() == "nonsense"

    pids = (await proxy.status())["pid"]
    os.kill(pids["control"], signal.SIGSTOP)  # new workers start without it
    try:
        for pid in pids["workers"]:
            os.kill(pid, signal.SIGKILL)
        await proxy.until(lambda: len(proxy.events("worker.ready")) >= 4)
        assert (await bodies(proxy, "/api/orders/7"), await bodies(proxy, "/users/7")) == ({"legacy"}, {"candidate"})
    finally:
        os.kill(pids["control"], signal.SIGKILL)
    await proxy.until(lambda: len(proxy.events("kill_switch.on")) == 2)
    assert proxy.events("kill_switch.on")[1]["route"] == "orders"
    await proxy.until(proxy.is_ready)
    assert (await killed(proxy))["orders"]["reason"] == "slow"
    assert await proxy.metric("strangler_kill_switch_route", route="orders") == 1
    assert await proxy.metric("strangler_kill_switch") == 0

    proxy.edit(text)
    proxy.signal(signal.SIGKILL)
    await proxy.ended()
    await proxy.start()
    await proxy.until(lambda: are_connected(proxy))
    assert (await bodies(proxy, "/api/orders/7"), await bodies(proxy, "/users/7")) == ({"legacy"}, {"candidate"})
    status, output = await turn(proxy, "off", "--route", "orders")
    assert (status, output) == (0, "kill switch off for route 'orders': the route decides")
    assert await bodies(proxy, "/api/orders/7") == {"candidate"}
    assert json.loads((proxy.folder / "state" / "kill-switch.json").read_text())["routes"] == {}


async def test_it_goes_on_over_a_restart_and_new_settings_and_waits_for_a_route_that_has_gone(proxy: Proxy) -> None:
    await turn(proxy, "on", "--route", "orders")
    status, output = await run(proxy.folder, "restart")
    assert status == 0, output
    assert (await bodies(proxy, "/api/orders/7"), await bodies(proxy, "/users/7")) == ({"legacy"}, {"candidate"})
    text = proxy.file.read_text()
    generation = (await proxy.status())["config"]["generation"]
    proxy.edit(text.replace("name: orders", "name: sales"))
    await proxy.until(lambda: sends_to(proxy, "/api/orders/7", "candidate"))
    _, output = await run(proxy.folder, "status", COLUMNS="200")
    assert "kill switch ON for route 'orders'" in output
    assert "(routes.yaml has no such route now)" in output
    proxy.edit(text)
    await proxy.until(lambda: proxy.has_generation(generation + 2))
    assert await bodies(proxy, "/api/orders/7") == {"legacy"}, "it is back, and so is its kill switch"
    proxy.edit(text.replace("name: orders", "name: sales"))
    await proxy.until(lambda: proxy.has_generation(generation + 3))
    assert (await turn(proxy, "on", "--route", "order"))[0] == 1
    assert (await turn(proxy, "off", "--route", "orders"))[0] == 0
    assert await killed(proxy) == {}
    status, output = await turn(proxy, "off", "--route", "orders")
    assert (status, "unknown route 'orders'" in output) == (1, True)


async def test_commands_say_what_holds(proxy: Proxy) -> None:
    for route in ("orders", "users"):
        assert (await turn(proxy, "on", "--route", route, "--reason", "drill"))[0] == 0
    assert await turn(proxy, "on", "--reason", "all") == (0, "kill switch on: all traffic goes to legacy")
    _, output = await run(proxy.folder, "status", COLUMNS="200")
    assert [line.partition(" since ")[0] for line in output.splitlines()[:3]] == [
        "kill switch ON", "kill switch ON for route 'orders'", "kill switch ON for route 'users'",
    ]  # fmt: skip
    assert output.count("killed") == 2
    status, output = await turn(proxy, "off")
    assert (status, output) == (
        0,
        "kill switch off, but it stays on for routes 'orders', 'users': turn it off with --route orders, or for all of"
        " them with --all",
    )
    assert await bodies(proxy, "/users/7") == {"legacy"}
    _, output = await run(proxy.folder, "explain", "GET", "/users/7")
    assert "the kill switch is on for route 'users': all its requests go to legacy" in output
    _, output = await run(proxy.folder, "explain", "GET", "/chat/7")
    assert "kill switch" not in output
    status, output = await turn(proxy, "off", "--all", "--reason", "mended")
    assert (status, output.splitlines()) == (
        0,
        [
            "kill switch off for route 'orders'",
            "kill switch off for route 'users'",
            "kill switch off: the routes decide",
        ],
    )
    assert await bodies(proxy, "/users/7") == {"candidate"}
    _, output = await run(proxy.folder, "audit", "--json")
    entries = [(entry["route"], entry["detail"]) for entry in json.loads(output)["entries"]]
    assert entries == [
        ("users", "off"), ("orders", "off"), ("", "off"), ("", "on"), ("users", "on"), ("orders", "on"),
    ]  # fmt: skip
    _, output = await run(proxy.folder, "events", COLUMNS="200")
    assert "on=true reason=drill route=orders" in output


async def test_what_makes_no_sense_is_refused(proxy: Proxy) -> None:
    for arguments, words in (
        (("on", "--route", "ordrs"), "unknown route 'ordrs'; did you mean 'orders'?"),
        (("off", "--route", "nothing"), "the file has orders, users, chat"),
        (("on", "--route", "chat"), "route 'chat' has passthrough: orders"),
    ):
        status, output = await turn(proxy, *arguments)
        assert (status, words in " ".join(output.split())) == (1, True), output
    assert not (proxy.folder / "state" / "kill-switch.json").exists()


async def test_a_backup_has_it_and_a_restore_names_the_routes_and_a_broken_file_is_on_for_all(
    proxy: Proxy, tmp_path: Path
) -> None:
    await turn(proxy, "on", "--route", "orders", "--reason", "before")
    file = str(tmp_path / "b.tar.gz")
    assert (await run(proxy.folder, "state", "backup", file))[0] == 0
    await turn(proxy, "off", "--route", "orders")
    await turn(proxy, "on", "--route", "users")
    await proxy.stop()
    status, output = await run(proxy.folder, "state", "restore", file)
    assert status == 0, output
    assert "kill switch for route 'orders': it was off and is on" in output
    assert "kill switch for route 'users': it was on and is off" in output
    assert kill_switch.read(proxy.folder / "state").routes.keys() == {"orders"}
    await proxy.start()
    assert (await bodies(proxy, "/api/orders/7"), await bodies(proxy, "/users/7")) == ({"legacy"}, {"candidate"})
    await proxy.stop()
    (proxy.folder / "state" / "kill-switch.json").write_text('{"on":false,"reason":"","since":null,"routes":')
    await proxy.start()
    assert (await bodies(proxy, "/api/orders/7"), await bodies(proxy, "/users/7")) == ({"legacy"}, {"legacy"})
