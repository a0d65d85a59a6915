"""The end of a route at a real proxy: deprecated, browned out, gone, and back in an emergency."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from strangler.core.retire_settings import utc_stamp
from tests.e2e.commands import run
from tests.e2e.serving import Proxy, legacy

FAR = "2100-01-01"
PATH = "/api/orders/7"


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async with legacy() as upstream:
        proxy = Proxy(tmp_path, upstream.port, workers=2)
        yield proxy
        await proxy.stop()


def ending(proxy: Proxy, retire: str) -> str:
    """routes.yaml with a route that legacy serves until it ends."""
    routes = proxy.routes().partition("    candidate:")[0]
    return f"{routes}    retire: {retire}\n"


async def response_of(proxy: Proxy) -> tuple[int, Message]:
    """Status and fields, over a connection of its own: any worker's."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(f"GET {PATH} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".encode())
    response = await reader.read()
    writer.close()
    line, _, fields = response.partition(b"\r\n\r\n")[0].decode().partition("\r\n")
    return int(line.split(" ", 2)[1]), Parser().parsestr(fields)


async def deprecations(proxy: Proxy) -> set[str]:
    """The Deprecation of both workers: each connection goes to either."""
    return {(await response_of(proxy))[1]["Deprecation"] for _ in range(12)}


async def has_status(proxy: Proxy, status: int) -> bool:
    return (await response_of(proxy))[0] == status


async def kinds(proxy: Proxy) -> list[str]:
    """The events about the end, in order."""
    _, found = await proxy.ask("/api/events?limit=1000")
    types = [entry["event"]["type"] for entry in found["events"]]
    return [kind.removeprefix("retire.") for kind in types if kind.startswith("retire.")]


async def test_all_workers_announce_the_same_time_across_crashes_restarts_and_reloads(proxy: Proxy) -> None:
    proxy.file.write_text(ending(proxy, f"{{sunset: {FAR}}}"))
    before = int(time.time())
    await proxy.start()
    (first,) = await deprecations(proxy)
    assert before <= int(first.removeprefix("@")) <= time.time()
    assert (await proxy.status())["config"]["generation"] == 1  # control has read the same time
    killed = set((await proxy.status())["pid"]["workers"])
    for pid in killed:
        os.kill(pid, signal.SIGKILL)

    async def are_replaced() -> bool:
        workers = (await proxy.status())["workers"]
        return all(worker["is_connected"] and worker["pid"] not in killed for worker in workers)

    await proxy.until(are_replaced)
    assert await deprecations(proxy) == {first}
    proxy.edit(ending(proxy, f"{{sunset: {FAR}, status: 404}}"))
    await proxy.until(lambda: proxy.has_generation(2))
    assert await deprecations(proxy) == {first}
    await proxy.stop()
    await proxy.until(lambda: int(time.time()) > int(first.removeprefix("@")))  # else any start would have this time
    await proxy.start()
    assert await deprecations(proxy) == {first}


async def test_a_route_is_deprecated_browned_out_and_gone(proxy: Proxy) -> None:
    proxy.file.write_text(ending(proxy, f"{{sunset: {FAR}, since: 2026-01-01, link: 'https://example.com/ends'}}"))
    await proxy.start()
    status, fields = await response_of(proxy)
    assert (status, fields["Deprecation"], fields["Sunset"]) == (200, "@1767225600", "Fri, 01 Jan 2100 00:00:00 GMT")
    assert fields["Link"] == '<https://example.com/ends>; rel="sunset"'

    now = int(time.time())
    brownout = f"{{from: {utc_stamp(now)}, to: {utc_stamp(now + 3600)}}}"
    proxy.edit(ending(proxy, f"{{sunset: {FAR}, brownouts: [{brownout}]}}"))
    await proxy.until(lambda: has_status(proxy, 503))
    assert "Retry-After" in (await response_of(proxy))[1]

    async def is_reported() -> bool:
        return await kinds(proxy) == ["brownout_began"]

    await proxy.until(is_reported)
    proxy.edit(ending(proxy, f"{{sunset: {utc_stamp(int(time.time()) + 3)}}}"))
    await proxy.until(lambda: has_status(proxy, 410))

    async def is_over() -> bool:
        return await kinds(proxy) == ["brownout_began", "brownout_ended", "sunset"]

    await proxy.until(is_over)
    (found,) = (await proxy.status())["routes"]
    assert found["retire"]["in_force"] == "retired"
    assert found["retire"]["refused"] >= 3
    assert "refuses with 410, and asks neither arm" in (await run(proxy.folder, "explain", "GET", PATH))[1]
    assert "the route refuses every request with 410 now" in (await run(proxy.folder, "check"))[1]

    assert (await proxy.ask("/api/kill-switch", "POST", {"on": True, "reason": "undo"}))[0] == 200
    await proxy.until(lambda: has_status(proxy, 200))
    assert (await proxy.status())["routes"][0]["retire"]["in_force"] == "suspended"
    assert (await proxy.ask("/api/kill-switch", "POST", {"on": False, "reason": ""}))[0] == 200
    await proxy.until(lambda: has_status(proxy, 410))
    await proxy.stop()
    await proxy.start()
    assert await has_status(proxy, 410)
    assert await kinds(proxy) == ["brownout_began", "brownout_ended", "sunset"]

    proxy.edit(ending(proxy, f"{{sunset: {FAR}}}"))
    await proxy.until(lambda: has_status(proxy, 200))
