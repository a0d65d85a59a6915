"""Shadows when control, the disk or the database fails; and what they leave behind."""

import asyncio
import json
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from aiohttp import ClientSession

from strangler.cli._tables import notices
from strangler.core.documents import StatusDocument
from tests.e2e.commands import run
from tests.e2e.shadowing import Stage, kill_control, says, stage
from tests.http1.scripted import ScriptedUpstream, hang, in_turn, read_request

ORDER = {"id": 7, "price": "19.99"}
OTHER = {"id": 7, "price": 19.99}


class TestControl:
    async def test_killed_under_load_costs_no_request_and_shadows_go_on(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says(OTHER)) as on:
            for _ in range(10):
                assert await on.proxy.get("/api/orders/7") == 200
            await on.line(9)
            counted = sum(row[0] for row in on.rows("SELECT count FROM pairs"))
            await kill_control(on, meanwhile=lambda: on.proxy.get("/api/orders/7"))
            before = await on.proxy.metric("strangler_shadow_comparisons_total")
            assert await on.proxy.get("/api/orders/7") == 200
            await on.compared(int(before) + 1)
            assert sum(row[0] for row in on.rows("SELECT count FROM pairs")) >= counted

    async def test_nothing_of_the_store_is_lost_by_kill_9_but_the_last_batch(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says(OTHER)) as on:
            for _ in range(20):
                await on.proxy.get("/api/orders/7")
            await on.line(19)
            await on.proxy.until(lambda: on.rows("SELECT sum(count) FROM pairs") == [(20,)])  # the batch is in
            for process in [*on.proxy.children(), psutil.Process(on.proxy.pid)]:
                process.kill()
            await on.proxy.ended()
            assert on.rows("PRAGMA integrity_check") == [("ok",)]
            assert on.rows("SELECT sum(count) FROM pairs") == [(20,)]
            assert on.rows("SELECT count FROM signatures") == [(20,)]


class TestTheStateFolder:
    async def test_the_key_is_for_its_owner_only(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says(ORDER)) as on:
            await on.proxy.get("/api/orders/7")
            await on.compared(1)
            key = on.state / "redaction.key"
            assert stat.S_IMODE(key.stat().st_mode) == 0o600
            assert len(key.read_bytes()) == 32

    async def test_a_store_that_fails_stops_shadows_and_never_serving(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says(OTHER)) as on:
            await on.proxy.get("/api/orders/7")
            await on.line()
            # another writer holds the database for longer than the store waits
            holder = sqlite3.connect(on.state / "strangler.db", isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            assert await on.proxy.get("/api/orders/7") == 200
            await on.proxy.until(lambda: on.proxy.events("store.failed"))
            assert await on.proxy.get("/api/orders/7") == 200
            await on.dropped("store")
            status = await on.proxy.status()
            assert "locked" in status["problems"]["store"]
            assert await on.proxy.metric("strangler_store_working") == 0
            holder.close()
            await on.proxy.until(lambda: on.proxy.events("store.recovered"))
            await on.line(1)  # what was compared meanwhile is not lost

            async def is_shadowed_again() -> bool:  # the worker hears a moment later that there is room
                await on.proxy.get("/api/orders/7")
                return len(on.lines) > 2

            await on.proxy.until(is_shadowed_again)

    async def test_a_full_disk_stops_shadows_and_never_serving(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says(OTHER)) as on:
            await on.proxy.get("/api/orders/7")
            await on.line()
            control = psutil.Process((await on.proxy.status())["pid"]["control"])
            before = control.rlimit(psutil.RLIMIT_FSIZE)
            control.rlimit(psutil.RLIMIT_FSIZE, (4096, before[1]))  # no file may grow: as good as a full disk
            assert await on.proxy.get("/api/orders/7") == 200
            await on.proxy.until(lambda: _problem(on))
            assert await on.proxy.get("/api/orders/7") == 200
            await on.dropped("store")
            assert await on.proxy.metric("strangler_store_working") == 0
            control.rlimit(psutil.RLIMIT_FSIZE, before)

            async def is_over() -> bool:
                return not await _problem(on)

            await on.proxy.until(is_over)
            await on.line(1)  # what was compared meanwhile is not lost
            assert on.rows("SELECT sum(count) FROM pairs") == [(2,)]

    async def test_a_full_disk_is_said_and_heals_by_itself_when_there_is_room(self, tmp_path: Path) -> None:
        with _small_disk(tmp_path) as disk:
            async with stage(tmp_path, says(ORDER), says(OTHER)) as on:
                await on.proxy.get("/api/orders/7")
                await on.line()
                _fill(disk / "ballast")
                assert await on.proxy.get("/api/orders/7") == 200
                await on.proxy.until(lambda: _problem(on))
                assert await on.proxy.get("/api/orders/7") == 200
                await on.dropped("store")
                status = await on.proxy.status()
                assert any(word in status["problems"]["store"] for word in ("full", "No space", "disk I/O"))
                assert any("nothing is compared" in line for line in notices(msgspec.convert(status, StatusDocument)))
                assert await on.proxy.metric("strangler_store_working") == 0
                await asyncio.sleep(1.2)  # it tries again meanwhile, and must not write a line each time
                (disk / "ballast").unlink()
                await on.proxy.until(lambda: _is_well(on))
                await on.line(1)
                assert len(on.lines) == 2, "what was compared meanwhile is not lost, and is there once"
                assert on.rows("SELECT sum(count) FROM pairs") == [(2,)]
                await on.proxy.until(lambda: _has_event(on, "shadow.resumed"))
                assert _kinds(on) == ["shadow.halted", "shadow.resumed"]

    async def test_a_corrupt_store_stops_shadows_until_it_is_moved_away(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says(OTHER), start=False) as on:
            on.state.mkdir(mode=0o700)
            store = on.state / "strangler.db"
            store.write_bytes(b"this is no database\n" * 1000)
            await on.proxy.start()
            assert await on.proxy.get("/api/orders/7") == 200
            await on.dropped("store")
            await self._is_reported_corrupt(on)
            assert store.read_bytes() == b"this is no database\n" * 1000
            await kill_control(on, meanwhile=lambda: on.proxy.get("/api/orders/7"))
            await self._is_reported_corrupt(on)

            store.rename(tmp_path / "elsewhere")
            await on.proxy.until(lambda: _is_well(on))
            assert await on.proxy.metric("strangler_store_working") == 1
            await on.proxy.until(lambda: _is_shadowed(on))
            await on.proxy.until(lambda: _has_event(on, "shadow.resumed"))

    async def test_a_store_that_is_found_corrupt_in_use_stops_shadows(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says(OTHER)) as on:
            store = on.state / "strangler.db"
            await on.proxy.get("/api/orders/7")
            await on.line()
            on.rows("PRAGMA wal_checkpoint(TRUNCATE)")
            with store.open("r+b") as file:
                file.seek(4096)
                file.write(b"\xff" * (store.stat().st_size - 4096))
            code, text = await run(on.proxy.folder, "ready", "orders")
            assert (code, "is corrupt" in text) == (1, True), text
            await self._is_reported_corrupt(on)
            assert await on.proxy.get("/api/orders/7") == 200
            await on.dropped("store")
            for found in on.state.glob("strangler.db*"):
                found.rename(tmp_path / found.name)
            await on.proxy.until(lambda: _is_well(on))
            await on.proxy.until(lambda: _is_shadowed(on))

    async def _is_reported_corrupt(self, on: Stage) -> None:
        """The corruption stands in status, at the admin listener, on the dashboard, in the log, event and metric."""
        await on.proxy.until(lambda: _problem(on))
        status = await on.proxy.status()
        assert "mv " in status["problems"]["store"]
        assert any("is corrupt" in line for line in notices(msgspec.convert(status, StatusDocument)))
        assert await on.proxy.metric("strangler_store_working") == 0
        await on.proxy.wait_for_log("store.corrupt")
        await on.proxy.until(lambda: "shadow.halted" in _kinds(on))
        async with ClientSession(on.proxy.admin) as client:
            async with client.get("/") as page:
                assert "is corrupt" in await page.text()
            for path in ("/api/diffs", "/api/routes/orders/readiness", "/api/report"):
                async with client.get(path) as response:
                    assert (response.status, "is corrupt" in await response.text()) == (503, True)


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 1 MiB as the state folder."""
    state = folder / "state"
    state.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", state], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("nothing can be mounted here: it takes root")
    try:
        yield state
    finally:
        subprocess.run(["umount", "--lazy", state], check=True)


def _fill(file: Path) -> None:
    """To the last byte."""
    with file.open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))


def _kinds(on: Stage) -> list[str]:
    """The events that concern the store, as the log has them."""
    kinds = [line["type"] for line in on.proxy.events("event")]
    return [kind for kind in kinds if kind in ("shadow.halted", "shadow.resumed")]


async def _has_event(on: Stage, kind: str) -> bool:
    """Whether the store has such an event."""
    return kind in [row[0] for row in on.rows("SELECT type FROM events")]


async def _is_well(on: Stage) -> bool:
    return not (await on.proxy.status())["problems"]


async def _is_shadowed(on: Stage) -> bool:
    """The worker hears a moment later that there is room again."""
    before = len(on.lines)
    await on.proxy.get("/api/orders/7")
    await asyncio.sleep(0.7)
    return len(on.lines) > before


async def _problem(on: Stage) -> Any:
    return (await on.proxy.status())["problems"].get("shadow")


class TestSecrets:
    async def test_none_of_a_real_exchange_reaches_the_state_folder_or_the_log(self, tmp_path: Path) -> None:
        planted = ("sesame-token", "sesame-cookie", "sesame-bearer", "sesame-body", "sesame-set", "5500005555555559")

        def response(price: object) -> Any:
            value = {"password": planted[3], "card": planted[5], "nested": [{"apiKey": planted[0]}], "price": price}
            return says(value, headers={"Set-Cookie": f"sid={planted[4]}; Path=/"})

        async with stage(tmp_path, response("1"), response(1), shadow=", recheck: 100ms, baseline: 100%") as on:
            headers = {"Authorization": f"Bearer {planted[2]}", "Cookie": f"sid={planted[1]}"}
            url = f"http://127.0.0.1:{on.proxy.port}/api/orders/7?token={planted[0]}&card={planted[5]}"
            async with ClientSession(headers=headers) as client, client.get(url) as got:
                assert got.status == 200
            await on.line()
            await on.proxy.stop()
            kept = b"".join(path.read_bytes() for path in on.state.rglob("*") if path.is_file())
            logged = (tmp_path / "log").read_bytes()
        assert b"$.price" in kept
        assert [secret for secret in planted if secret.encode() in kept] == []
        assert [secret for secret in planted if secret.encode() in logged] == []

    async def test_nor_does_personal_data_or_what_is_nested_in_other_formats(self, tmp_path: Path) -> None:
        planted = ("mia@mail.example", "DE89370400440532013000", "+49 30 901820", "sesame-nested", "sesame-cdata")

        def response(price: object) -> Any:
            nested = json.dumps({"html": f"<input name='token' value='{planted[3]}'>", "note": f"{planted[2]}"})
            xml = f"<r><![CDATA[<token>{planted[4]}</token>]]></r>"
            return says({"by": {planted[0]: 1}, "iban": planted[1], "j": nested, "x": xml, "price": price})

        async with stage(tmp_path, response("1"), response(1)) as on:
            assert await on.proxy.get("/api/orders/mia%40mail.example/7?to=mia@mail.example") == 200
            await on.line()
            await on.proxy.stop()
            kept = b"".join(path.read_bytes() for path in on.state.rglob("*") if path.is_file())
            logged = (tmp_path / "log").read_bytes()
        assert b"$.price" in kept
        assert b"/api/orders/*@*/7" in logged
        for content in (kept, logged):
            assert [secret for secret in (*planted, "mia%40mail") if secret.encode() in content] == []

    async def test_with_hashed_values_no_value_does(self, tmp_path: Path) -> None:
        planted = ("a plain word", "Anna", "19.75", "an-agent/1.22 (a-device)", "page-two", "a-tag")

        def response(price: object) -> Any:
            value = {"name": planted[1], "text": planted[0], "total": 19.75, "price": price}
            return says(value, headers={"ETag": f'"{planted[5]}"'})

        async with stage(tmp_path, response("1"), response(1), more="evidence: {values: hashed}\n") as on:
            url = f"http://127.0.0.1:{on.proxy.port}/api/orders/7?page={planted[4]}"
            async with ClientSession(headers={"User-Agent": planted[3]}) as client, client.get(url) as got:
                assert got.status == 200
            await on.line()
            (name,) = {row[0] for row in on.rows("SELECT id FROM signatures")}
            detail = await on.proxy.ask(f"/api/diffs/{name}")
            await on.proxy.stop()
            kept = b"".join(path.read_bytes() for path in on.state.rglob("*") if path.is_file())
        assert b"$.price" in kept
        assert [word for word in planted if word.encode() in kept] == []
        assert "string(4) " in json.dumps(detail)
        assert [word for word in planted if word in json.dumps(detail)] == []


class TestWhatIsUnderWay:
    """A shadow that hangs is given up as soon as nobody may want it any more."""

    async def _hang_one(self, on: Stage, upstream: ScriptedUpstream) -> None:
        await on.proxy.get("/api/orders/7")
        await upstream.wait_for_connection()

    async def test_the_kill_switch_ends_it(self, tmp_path: Path) -> None:
        async with (
            ScriptedUpstream(in_turn(read_request(), hang())) as upstream,
            stage(tmp_path, says(ORDER), says({}), candidate_port=upstream.port, shadow=", timeout: 60s") as on,
        ):
            await self._hang_one(on, upstream)
            await on.proxy.ask("/api/kill-switch", "POST", {"on": True, "reason": "test"})
            await on.dropped("killed")
            assert await upstream.connections[0].read_end() in ("eof", "reset")

    async def test_a_reload_of_its_upstream_ends_it_and_shadows_go_on(self, tmp_path: Path) -> None:
        async with (
            ScriptedUpstream(in_turn(read_request(), hang())) as upstream,
            stage(tmp_path, says(ORDER), says(ORDER), candidate_port=upstream.port, shadow=", timeout: 60s") as on,
        ):
            await self._hang_one(on, upstream)
            on.proxy.edit(on.proxy.file.read_text().replace(f":{upstream.port}", f":{on.candidate.port}"))
            await on.dropped("reloaded")
            await on.proxy.until(lambda: on.proxy.has_generation(2))
            await on.proxy.get("/api/orders/7")
            await on.compared(1, "match")
