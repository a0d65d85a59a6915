"""A proxy whose store is a PostgreSQL: the same commands, and the same pages, as with a file of its own."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import commands
from tests.e2e.shadowing import Stage, kill_control, says, stage
from tests.store.postgres import PostgresServer, running_server

LEGACY = {"id": 7, "price": 19.99, "note": "tea"}
CANDIDATE = {"id": 7, "price": "19.99", "note": "tea"}
PAGES = ("/", "/routes/orders", "/signatures", "/ledger", "/rollouts", "/audit", "/api/report", "/api/events")
SECRET = {"STRANGLER_STORE_SECRET": "sixteen characters and more"}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def url(server: PostgresServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty database."""
    monkeypatch.setenv("STRANGLER_STORE_SECRET", SECRET["STRANGLER_STORE_SECRET"])
    name = f"db{abs(hash(request.node.name))}"
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.url(name)


@asynccontextmanager
async def shared(folder: Path, url: str) -> AsyncIterator[Stage]:
    more = f'store: "{url}"\nnode: first\n'
    async with stage(folder, says(LEGACY), says(CANDIDATE), more=more) as on:
        yield on


async def run(on: Stage, *arguments: str) -> tuple[int, str]:
    return await commands.run(on.proxy.folder, *arguments)


async def inbox(on: Stage) -> list[dict[str, Any]]:
    code, output = await run(on, "diffs", "--json")
    assert code == 0, output
    found: list[dict[str, Any]] = json.loads(output)["signatures"]
    return found


async def test_a_difference_is_found_reviewed_and_reset(tmp_path: Path, url: str) -> None:
    async with shared(tmp_path, url) as on:
        for _ in range(3):
            assert await on.proxy.get("/api/orders/7") == 200
        await on.compared(3)

        async def is_stored() -> bool:
            return [row["count"] for row in await inbox(on)] == [3]

        await on.proxy.until(is_stored)
        (row,) = await inbox(on)
        assert (await run(on, "diffs", "known", row["id"], "--owner", "ben"))[0] == 0
        code, output = await run(on, "ready", "orders", "--json")
        assert (code, json.loads(output)["pairs"]) == (1, 3)
        for path in (*PAGES, f"/signatures/{row['id']}"):
            status, _ = await on.proxy.ask(path)
            assert status == 200, path
        code, output = await run(on, "release", "orders", "2.0", "--why", "deployed")
        assert code == 0, output
        await on.proxy.get("/api/orders/7")
        await on.compared(4)
        code, output = await run(on, "evidence", "reset", "orders", "--why", "anew")
        assert code == 0, output
        assert await inbox(on) == []
        code, output = await run(on, "audit", "--json")
        assert [entry["what"] for entry in json.loads(output)["entries"]][:3] == ["evidence reset", "release", "known"]
        assert (await on.proxy.status())["problems"].get("store") is None
        assert not on.proxy.events("store.failed")
        assert not on.proxy.events("store.refused")


async def test_what_was_found_outlives_control_and_is_read_without_a_proxy(tmp_path: Path, url: str) -> None:
    async with shared(tmp_path, url) as on:
        await on.proxy.get("/api/orders/7")
        await on.compared(1)
        await on.proxy.until(lambda: _has_one(on))
        await kill_control(on)
        assert await on.proxy.metric("strangler_shadow_comparisons_total") == 1, "a node's own totals are on its disk"
        assert await _has_one(on)
        await on.proxy.stop()
        (row,) = await inbox(on)
        assert row["path"] == "$.price"
        code, output = await run(on, "diffs", "known", row["id"], "--owner", "ben")
        assert code == 0, output
        code, output = await run(on, "ledger", "--json")
        assert [each["endpoint"] for each in json.loads(output)["rows"]] == ["GET /api/orders/{}"]
        await on.proxy.start()
        (row,) = await inbox(on)
        assert (row["state"], row["owner"]) == ("known", "ben")
        await on.proxy.stop()
        for command in (["report"], ["audit"], ["ready", "orders"], ["release", "orders"], ["check"], ["events"]):
            code, output = await run(on, *command)
            assert "Traceback" not in output, output
            assert code in (0, 1), output


async def _has_one(on: Stage) -> bool:
    return [row["count"] for row in await inbox(on)] == [1]


async def test_commands_say_that_the_store_is_away(tmp_path: Path, url: str, server: PostgresServer) -> None:
    async with shared(tmp_path, url) as on:
        await on.proxy.get("/api/orders/7")
        await on.compared(1)
        server.stop()
        try:
            assert await on.proxy.get("/api/orders/7") == 200
            await on.proxy.until(lambda: on.proxy.events("store.failed"))
            assert "PostgreSQL" in (await on.proxy.status())["problems"]["store"]
            code, output = await run(on, "diffs")
            assert code == 1
            assert "cannot be read" in output
            await on.proxy.stop()
            for command in (["diffs"], ["ready", "orders"], ["report"], ["audit"], ["ledger"]):
                code, output = await run(on, *command)
                assert code == 1, output
                assert "PostgreSQL db" in output, output
                assert "start it, or set another address in `store`" in output, output
                assert "Traceback" not in output
        finally:
            server.start()
