"""A routes.yaml of several teams, in front of a real monolith."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.commands import run
from tests.e2e.serving import Proxy

TEAM = """\
# Payments decide here.
owner: payments
routes:
  - name: invoices
    match: {{prefix: /invoices}}
    candidate: orders
    split: {{percent: {percent}, sticky: [client_ip]}}   # since Monday
"""


@pytest.fixture
def team(proxy: Proxy) -> Path:
    """A file that routes.yaml includes."""
    file = proxy.folder / "teams" / "payments.yaml"
    file.parent.mkdir()
    file.write_text(TEAM.format(percent=0))
    proxy.file.write_text(proxy.routes() + "include: [teams/*.yaml]\n")
    return file


async def _arm(proxy: Proxy) -> str:
    url = f"http://127.0.0.1:{proxy.port}/invoices/1"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.headers["X-Strangler-Arm"]


async def _until_arm(proxy: Proxy, arm: str) -> None:
    async with asyncio.timeout(8):
        while await _arm(proxy) != arm:  # noqa: ASYNC110 - the proxy tells of its settings by what it does
            await asyncio.sleep(0.05)


async def test_the_whole_way_of_a_teams_route(proxy: Proxy, team: Path) -> None:
    code, text = await run(proxy.folder, "check")
    assert "routes.yaml: ok: 2 upstreams, 2 routes, 1 file included" in text
    main = proxy.file.read_text()

    await proxy.start()
    assert await _arm(proxy) == "legacy"
    code, text = await run(proxy.folder, "explain", "GET", "/invoices/1")
    assert code == 0
    assert "owner     payments" in text

    code, text = await run(proxy.folder, "shift", "invoices", "100")
    assert code == 0, text
    assert "teams/payments.yaml: route 'invoices' shifted from 0 % to 100 %" in text
    assert team.read_text() == TEAM.format(percent=100)
    assert proxy.file.read_text() == main
    await _until_arm(proxy, "candidate")

    team.write_text(TEAM.format(percent=700))
    code, text = await run(proxy.folder, "check")
    assert (code, "teams/payments.yaml:7:22: route 'invoices': split.percent is 700" in text) == (2, True)
    await proxy.until(lambda: proxy.events("routes.rejected"))
    assert await _arm(proxy) == "candidate"

    code, text = await run(proxy.folder, "shift", "orders", "5")
    assert (code, proxy.file.read_text()) == (2, main)
    assert "teams/payments.yaml:7:22" in text
    team.write_text(TEAM.format(percent=0))
    await _until_arm(proxy, "legacy")

    code, text = await run(proxy.folder, "status", "--json")
    assert {route["name"]: route["owner"] for route in json.loads(text)["routes"]} == {
        "orders": None,
        "invoices": "payments",
    }
    _, text = await run(proxy.folder, "status")
    assert "payments" in text
    assert team.exists()


async def test_a_folder_that_is_swapped_as_a_whole_is_followed(proxy: Proxy, team: Path) -> None:
    """Kubernetes mounts a folder so: each name is a link through `..data`, and that link is replaced."""
    folder = team.parent
    for number, percent in ((1, 0), (2, 100)):
        (folder / f"..{number}").mkdir()
        (folder / f"..{number}" / team.name).write_text(TEAM.format(percent=percent))
    (folder / "..data").symlink_to("..1")
    team.unlink()
    team.symlink_to(f"..data/{team.name}")
    await proxy.start()
    assert await _arm(proxy) == "legacy"
    (folder / "..new").symlink_to("..2")
    (folder / "..new").replace(folder / "..data")
    await _until_arm(proxy, "candidate")


async def test_the_dashboard_shows_whose_a_route_is_and_each_file(proxy: Proxy, team: Path) -> None:
    await proxy.start()
    async with aiohttp.ClientSession() as session:
        for page in ("/", "/routes/invoices"):
            async with session.get(f"{proxy.admin}{page}") as response:
                assert "· payments" in await response.text()
        text = ""
        async with asyncio.timeout(8):
            while "In force: teams/payments.yaml" not in text:
                async with session.get(f"{proxy.admin}/config") as response:
                    text = await response.text()
    assert "# Payments decide here." in text
