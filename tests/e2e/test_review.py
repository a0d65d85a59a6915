"""Reviewing at a running proxy: the commands ask it, and what is accepted is accepted from the next request on."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.shadowing import Stage, says, stage

LEGACY = {"id": 7, "price": 19.99, "note": "tea"}
CANDIDATE = {"id": 7, "price": "19.99", "note": "tea"}
_ENVIRON = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "180"}


async def _run(on: Stage, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command in the proxy's folder."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "strangler", *arguments),
        cwd=on.proxy.folder,
        env=_ENVIRON,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


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
        asked = await asyncio.create_subprocess_exec("sh", str(script), stdout=asyncio.subprocess.PIPE)
        output, _ = await asked.communicate()
        assert output.count(b"HTTP/1.1 200 OK") == 2
        assert b'"price": 19.99' in output
        assert b'"price": "19.99"' in output
        test = await asyncio.to_thread(written, "pytest", "test_it.py")
        command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(test))
        ran = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await ran.communicate()
        assert ran.returncode == 1
        assert b"assert [19.99] == ['19.99']" in output
        on.candidate.answer = says(LEGACY)
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
