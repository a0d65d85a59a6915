"""Reviewing at a running proxy: the commands ask it, and what is accepted is accepted from the next request on."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.e2e import commands
from tests.e2e.shadowing import Respond, Stage, says, stage

LEGACY = {"id": 7, "price": 19.99, "note": "tea"}
CANDIDATE = {"id": 7, "price": "19.99", "note": "tea"}
_ENVIRON = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "180"}


async def _run(on: Stage, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command in the proxy's folder."""
    return await commands.run(on.proxy.folder, *arguments, **_ENVIRON)


async def _inbox(on: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((await _run(on, "diffs", "--json"))[1])["signatures"]
    return found


async def test_what_is_accepted_is_accepted_from_then_on(tmp_path: Path) -> None:
    async with stage(tmp_path, says(LEGACY), says(CANDIDATE)) as on:
        await on.proxy.get("/api/orders/7")
        await on.line()
        await on.proxy.until(lambda: on.rows("SELECT * FROM signatures"))
        (row,) = await _inbox(on)
        code, output = await _run(on, "diffs", "accept", row["id"][:8], "--why", "agreed", "--owner", "ana")
        assert code == 0, output
        await on.proxy.until(lambda: on.proxy.has_generation(2))
        await on.proxy.get("/api/orders/7")
        await on.compared(1, "accepted")
        await on.proxy.until(lambda: on.rows("SELECT * FROM pairs WHERE outcome = 'accepted'"))
        (row,) = await _inbox(on)
        assert (row["state"], row["owner"], row["count"]) == ("accepted", "ana", 2)
        code, output = await _run(on, "ready", "orders", "--json")
        assert json.loads(output)["matches"] == 2
        assert code == 1


async def test_the_reproductions_reproduce(tmp_path: Path) -> None:
    async with stage(tmp_path, says(LEGACY), says(CANDIDATE)) as on:
        await on.proxy.get("/api/orders/7?x=1")
        await on.line()
        await on.proxy.until(lambda: on.rows("SELECT * FROM signatures"))
        (row,) = await _inbox(on)

        def written(form: str, name: str) -> Path:
            file = tmp_path / name
            command = [sys.executable, "-m", "strangler", "diffs", "show", row["id"], "--as", form]
            file.write_bytes(subprocess.run(command, cwd=tmp_path, env=_ENVIRON, check=True, stdout=-1).stdout)
            return file

        script = await asyncio.to_thread(written, "curl", "ask.sh")
        process = await asyncio.create_subprocess_exec("sh", str(script), stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        assert output.count(b"HTTP/1.1 200 OK") == 2
        assert b'"price": 19.99' in output
        assert b'"price": "19.99"' in output
        test = await asyncio.to_thread(written, "pytest", "test_it.py")
        command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(test))
        ran = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await ran.communicate()
        assert ran.returncode == 1
        assert b"assert [19.99] == ['19.99']" in output
        on.candidate.response = says(LEGACY)
        ran = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        await ran.communicate()
        assert ran.returncode == 0


async def test_follow_tells_what_is_seen_anew(tmp_path: Path) -> None:
    async with stage(tmp_path, says(LEGACY), says(CANDIDATE)) as on:
        await on.proxy.get("/api/orders/7")
        await on.line()
        follower = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "strangler", "diffs", "--follow"),
            cwd=tmp_path,
            env=_ENVIRON,
            stdout=asyncio.subprocess.PIPE,
        )
        assert follower.stdout is not None
        try:
            async with asyncio.timeout(15):
                heard = asyncio.create_task(follower.stdout.readline())
                while not heard.done():
                    await on.proxy.get("/api/orders/7")
                    await asyncio.sleep(0.2)
                line = (await heard).decode()
        finally:
            follower.kill()
            await follower.communicate()
        assert "breaking" in line
        assert "$.price type" in line
        assert '19.99 → "19.99"' in line


async def test_without_a_proxy_the_state_folder_is_asked(tmp_path: Path) -> None:
    async with stage(tmp_path, says(LEGACY), says(CANDIDATE)) as on:
        await on.proxy.get("/api/orders/7")
        await on.line()
        await on.proxy.stop()
        (row,) = await _inbox(on)
        assert row["path"] == "$.price"
        code, output = await _run(on, "diffs", "known", row["id"], "--owner", "ben")
        assert code == 0, output
        await on.proxy.start()
        (row,) = await _inbox(on)
        assert (row["state"], row["owner"]) == ("known", "ben")


async def test_a_token_is_asked_for_and_given(tmp_path: Path) -> None:
    async with stage(tmp_path, says(LEGACY), says(LEGACY), start=False) as on:
        text = on.proxy.file.read_text().replace("listen: 127.0.0.1:0}", "listen: 127.0.0.1:0, token: sesame}")
        on.proxy.file.write_text(text)
        on.proxy.token = "sesame"
        await on.proxy.start()
        assert (await on.proxy.ask("/api/diffs", token=False))[0] == 401
        code, output = await _run(on, "diffs")
        assert (code, output.strip()) == (0, "no differences")


async def _audit(on: Stage, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((await _run(on, "audit", "--json", *words))[1])["entries"]
    return found


async def test_a_rule_is_for_the_endpoint_where_the_difference_was_seen(tmp_path: Path) -> None:
    async with stage(tmp_path, says({"id": 1}), says({"id": 2})) as on:
        for target in ("/api/orders/7", "/api/orders/7/lines"):
            await on.proxy.get(target)
        await on.proxy.until(lambda: len(on.rows("SELECT * FROM signatures")) == 2)
        name = next(row["id"] for row in await _inbox(on) if row["endpoint"] == "GET /api/orders/{}")
        code, output = await _run(on, "diffs", "accept", name, "--why", "agreed")
        assert code == 0, output
        await on.proxy.until(lambda: on.proxy.has_generation(2))
        states = {row["endpoint"]: row["state"] for row in await _inbox(on)}
        assert states == {"GET /api/orders/{}": "accepted", "GET /api/orders/{}/lines": "new"}
        for target in ("/api/orders/8", "/api/orders/8/lines"):
            await on.proxy.get(target)
        await on.compared(1, "accepted")
        await on.compared(3, "mismatch")


async def test_a_pair_of_statuses_is_accepted_and_another_is_not(tmp_path: Path) -> None:
    async with stage(tmp_path, says({}, 302), says({}, 303)) as on:
        await on.proxy.get("/api/orders/7")
        await on.proxy.until(lambda: on.rows("SELECT * FROM signatures"))
        (row,) = await _inbox(on)
        code, output = await _run(on, "diffs", "accept", row["id"], "--why", "See Other is right")
        assert code == 0, output
        await on.proxy.until(lambda: on.proxy.has_generation(2))
        await on.proxy.get("/api/orders/7")
        await on.compared(1, "accepted")
        on.candidate.response = says({}, 307)
        await on.proxy.get("/api/orders/7")
        await on.compared(2, "mismatch")


async def test_a_pair_of_values_is_accepted_and_another_is_not(tmp_path: Path) -> None:
    async with stage(tmp_path, says({"currency": "EUR"}), says({"currency": "eur"})) as on:
        await on.proxy.get("/api/orders/7")
        await on.proxy.until(lambda: on.rows("SELECT * FROM signatures"))
        (row,) = await _inbox(on)
        code, output = await _run(on, "diffs", "accept", row["id"], "--values", "--why", "lower case is agreed")
        assert code == 0, output
        await on.proxy.until(lambda: on.proxy.has_generation(2))
        await on.proxy.get("/api/orders/7")
        await on.compared(1, "accepted")
        on.candidate.response = says({"currency": "usd"})
        await on.proxy.get("/api/orders/7")
        await on.compared(2, "mismatch")


async def test_what_is_done_is_audited_with_a_name_whether_or_not_a_proxy_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_ENVIRON, "STRANGLER_USER", "ana")
    async with stage(tmp_path, says(LEGACY), says({"id": "7", "price": "19.99", "note": "tea"})) as on:
        await on.proxy.get("/api/orders/7")
        await on.proxy.until(lambda: len(on.rows("SELECT * FROM signatures")) == 2)
        first, second = [row["id"] for row in await _inbox(on)]
        for words in (
            ("diffs", "known", first, second, "--why", "both are texts"),
            ("diffs", "known", first, "ffffffff", "--why", "one is unknown"),
            ("diffs", "accept", first, "--why", "agreed"),
            ("diffs", "fixed", second),
            ("shift", "orders", "10", "--why", "a first step"),
            ("kill-switch", "on", "--reason", "drill"),
            ("kill-switch", "on", "--reason", "drill"),
            ("kill-switch", "off"),
        ):
            await _run(on, *words)
        entries = [(item["who"], item["what"], item["route"], item["why"]) for item in await _audit(on)]
        assert entries == [
            ("ana", "kill-switch", "", ""),
            ("ana", "kill-switch", "", "drill"),
            ("ana", "shift", "orders", "a first step"),
            ("ana", "fixed", "orders", ""),
            ("ana", "accepted", "orders", "agreed"),
            ("ana", "known", "orders", "both are texts"),
            ("ana", "known", "orders", "both are texts"),
        ]
        assert (await _audit(on, "--route", "orders", "--limit", "1"))[0]["detail"] == "0 to 10 %"
        await on.proxy.stop()
        assert len(await _audit(on)) == len(entries)
        monkeypatch.setitem(_ENVIRON, "STRANGLER_USER", "ben")
        assert (await _run(on, "shift", "orders", "5"))[0] == 0
        assert (await _audit(on, "--who", "ben"))[0]["detail"] == "10 to 5 %"


def _page(price: str, stock: str) -> Respond:
    """An arm that answers a page."""

    async def response(_: web.Request) -> web.StreamResponse:
        text = f'<main><p class="price">{price}</p><p class="stock">{stock}</p></main>'
        return web.Response(text=text, content_type="text/html")

    return response


async def test_an_element_of_a_page_is_accepted_and_hides_no_other(tmp_path: Path) -> None:
    async with stage(tmp_path, _page("19.99 EUR", "7"), _page("EUR 19.99", "7")) as on:
        await on.proxy.get("/api/orders/7")
        await on.proxy.until(lambda: on.rows("SELECT * FROM signatures"))
        (row,) = await _inbox(on)
        assert row["path"] == "main > .price"
        code, output = await _run(on, "diffs", "accept", row["id"], "--why", "the new format is agreed")
        assert code == 0, output
        assert 'css: "main > .price::text", endpoint: "GET /api/orders/{}"' in on.proxy.file.read_text()
        await on.proxy.until(lambda: on.proxy.has_generation(2))
        await on.proxy.get("/api/orders/7")
        await on.compared(1, "accepted")
        on.candidate.response = _page("EUR 19.99", "0")
        await on.proxy.get("/api/orders/7")
        await on.compared(2, "mismatch")
        assert sorted((row["path"], row["state"]) for row in await _inbox(on)) == [
            ("main > .price", "accepted"),
            ("main > .stock", "new"),
        ]
        assert (await _run(on, "diffs", "accept", row["id"], "--why", "again"))[1].count(
            "a rule accepts it already"
        ) == 1
