"""Evidence through a real proxy: releases, fixes that wait for proof, what cannot be timed, one number for match."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from tests.e2e import commands
from tests.e2e.shadowing import Respond, Stage, says, stage
from tests.store.evidence.test_upgrade import write_earlier

LEGACY = {"id": 7, "price": 19.99}
CANDIDATE = {"id": 7, "price": "19.99"}
GATE = "    gate: {min_pairs: 10, min_match: 50%, max_breaking: 0, max_latency_ratio: 100, min_age: 0s}\n"
ROOMY = ", recheck: 0, baseline: 0, in_flight: 500"  # so that no shadow of a burst is dropped


async def run(on: Stage, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command in the proxy's folder."""
    return await commands.run(on.proxy.folder, *arguments, COLUMNS="180", STRANGLER_USER="ana")


async def ready(on: Stage, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((await run(on, "ready", "orders", "--json", *arguments))[1])
    return found


async def inbox(on: Stage, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((await run(on, "diffs", "--json", *arguments))[1])["signatures"]
    return found


async def ask(on: Stage, path: str, count: int = 1, method: str = "GET") -> None:
    """Send requests one by one, and wait until what became of their shadows is stored."""
    before = _stored(on)
    async with ClientSession() as client:
        for _ in range(count):
            async with client.request(method, f"http://127.0.0.1:{on.proxy.port}{path}") as response:
                assert response.status == 200
    await on.proxy.until(lambda: _stored(on) >= before + count)


def _stored(on: Stage) -> int:
    """Pairs in the store."""
    if not _has_store(on):
        return 0
    return int(on.rows("SELECT coalesce(sum(count), 0) FROM pairs")[0][0])


def _has_store(on: Stage) -> bool:
    return (on.state / "strangler.db").exists()


def released(value: Any, name: str) -> Respond:
    return says(value, headers={"X-Release": name})


class TestFixes:
    """To call a difference fixed is a claim, which waits for proof."""

    async def test_it_is_not_ready_without_one_new_pair(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(LEGACY), says(CANDIDATE), shadow=ROOMY, route=GATE) as on:
            await ask(on, "/api/orders/lines", 12)
            on.candidate.response = says(LEGACY)
            await ask(on, "/api/orders/totals", 40)
            (row,) = await inbox(on)
            code, output = await run(on, "diffs", "fixed", row["id"])
            assert code == 0, output
            code, output = await run(on, "ready", "orders")
            assert code == 1
            assert "not enough evidence" in output
            assert f"GET /api/orders/lines: {row['id'][:8]} is marked as fixed; 30 more pairs" in output
            assert "GET /api/orders/lines (0)" in output
            found = await ready(on)
            assert (found["pairs"], found["set_aside"], found["pairs_needed"]) == (40, 12, 30)

    async def test_new_pairs_of_its_endpoint_prove_it(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(LEGACY), says(CANDIDATE), shadow=ROOMY, route=GATE) as on:
            await ask(on, "/api/orders/lines", 12)
            on.candidate.response = says(LEGACY)
            (row,) = await inbox(on)
            await run(on, "diffs", "fixed", row["id"])
            await ask(on, "/api/orders/totals", 40)
            await ask(on, "/api/orders/lines", 29)
            assert [claim["lacking"] for claim in (await ready(on))["claims"]] == [1]
            await ask(on, "/api/orders/lines", 1)
            found = await ready(on)
            assert (found["verdict"], found["set_aside"]) == ("ready", 12), found

    async def test_one_that_is_seen_again_was_none(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(LEGACY), says(CANDIDATE), shadow=ROOMY, route=GATE) as on:
            await ask(on, "/api/orders/lines", 3)
            (row,) = await inbox(on)
            await run(on, "diffs", "fixed", row["id"])
            await ask(on, "/api/orders/lines", 1)
            (row,) = await inbox(on)
            assert row["state"] == "regressed"
            found = await ready(on)
            assert (found["verdict"], found["claims"], found["set_aside"]) == ("not ready", [], 0)


class TestReleases:
    async def test_by_header(self, tmp_path: Path) -> None:
        route = GATE + "    release: {header: X-Release}\n"
        async with stage(tmp_path, says(LEGACY), released(CANDIDATE, "1.0"), route=route) as on:
            await ask(on, "/api/orders/lines", 3)
            assert (await ready(on))["release"] == "1.0"
            on.candidate.response = released(LEGACY, "2.0")
            code, output = await run(on, "release", "orders", "2.0", "--why", "deployed")
            assert (code, output.strip()) == (0, "route 'orders' has release 2.0 from now on; it was 1.0")
            await ask(on, "/api/orders/lines", 12)
            now, before = await ready(on), await ready(on, "--release", "1.0")
            assert (now["release"], now["pairs"], now["matches"]) == ("2.0", 12, 12)
            assert (before["release"], before["pairs"], before["matches"]) == ("1.0", 3, 0)
            assert await inbox(on) == []
            (row,) = await inbox(on, "--release", "1.0")
            assert (row["release"], row["count"]) == ("1.0", 3)
            (event,) = [
                each_event for each_event in await _events(on, "release.changed") if each_event["data"]["to"] == "2.0"
            ]
            assert event["data"]["from"] == "1.0"

    async def test_by_command_with_and_without_a_proxy(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(LEGACY), says(LEGACY), route=GATE) as on:
            await ask(on, "/api/orders/lines", 2)
            assert (await run(on, "release", "orders", "one"))[0] == 0
            await ask(on, "/api/orders/lines", 3)
            await on.proxy.stop()
            code, output = await run(on, "release", "orders", "two")
            assert (code, output.strip()) == (0, "route 'orders' has release two from now on; it was one")
            await on.proxy.start()
            await ask(on, "/api/orders/lines", 4)
            found = json.loads((await run(on, "release", "orders", "--json"))[1])["releases"]
            assert [(item["name"], item["pairs"], item["is_current"]) for item in found] == [
                ("two", 4, True),
                ("one", 3, False),
                ("", 2, False),
            ]
            assert (await ready(on))["pairs"] == 4
            assert (await ready(on, "--release", ""))["pairs"] == 2
            rows = on.rows("SELECT who, what, detail FROM audit ORDER BY id")
            assert rows == [("ana", "release", "(unnamed) to one"), ("ana", "release", "one to two")]

    async def test_a_difference_that_was_fixed_and_comes_back_in_the_next_release_has_regressed(
        self, tmp_path: Path
    ) -> None:
        async with stage(tmp_path, says(LEGACY), says(CANDIDATE), shadow=ROOMY, route=GATE) as on:
            await run(on, "release", "orders", "one")
            await ask(on, "/api/orders/lines", 3)
            (row,) = await inbox(on)
            await run(on, "diffs", "fixed", row["id"])
            await run(on, "release", "orders", "two")
            on.candidate.response = says(LEGACY)
            await ask(on, "/api/orders/lines", 10)
            assert (await ready(on))["claims"] == []
            on.candidate.response = says(CANDIDATE)
            await ask(on, "/api/orders/lines", 1)
            (row,) = await inbox(on)
            assert (row["state"], row["count"]) == ("regressed", 1)

    async def test_what_cannot_be_is_said(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(LEGACY), says(LEGACY), route=GATE) as on:
            await ask(on, "/api/orders/lines")
            await run(on, "release", "orders", "one")
            cases = {
                ("release", "orderz", "two"): "unknown route 'orderz'; did you mean 'orders'?",
                ("release", "orders", " two"): "no spaces at its ends",
                ("ready", "orders", "--release", "two"): "route 'orders' has no release 'two'; known are 'one', ''",
                ("diffs", "--release", "two"): "no route has a release 'two'; known are 'one'",
                ("report", "--release", "two"): "no route has a release 'two'",
                ("evidence", "reset", "orders", "--why", " "): "--why is empty; give a reason",
                ("evidence", "reset", "orders"): "--why",
                ("evidence", "reset", "orderz", "--why", "x"): "did you mean 'orders'?",
            }
            for arguments, message in cases.items():
                code, output = await run(on, *arguments)
                assert code == 2, (arguments, output)
                assert message in output, (arguments, output)
            for body, status in (
                ({"route": "orderz", "name": "x"}, 404),
                ({"route": "orders", "name": ""}, 400),
                ({"route": "orders"}, 400),
            ):
                assert (await on.proxy.ask("/api/releases", method="POST", body=body))[0] == status
            assert (await on.proxy.ask("/api/routes/orders/readiness?release=two"))[0] == 400
            assert (await on.proxy.ask("/api/routes/orders/reset", method="POST", body={"why": " "}))[0] == 400


async def test_reset_begins_anew_and_leaves_what_there_was_readable(tmp_path: Path) -> None:
    async with stage(tmp_path, says(LEGACY), says(CANDIDATE), shadow=ROOMY, route=GATE) as on:
        await run(on, "release", "orders", "one")
        await ask(on, "/api/orders/lines", 3)
        (row,) = await inbox(on)
        await run(on, "diffs", "known", row["id"], "--owner", "ben")
        code, output = await run(on, "evidence", "reset", "orders", "--why", "another database", "--json")
        assert code == 0, output
        (name,) = json.loads(output)["set_aside"]
        assert name.startswith("one@20")
        found = await ready(on)
        assert (found["release"], found["pairs"], found["verdict"]) == ("one", 0, "not enough evidence")
        assert await inbox(on) == []
        (row,) = await inbox(on, "--release", name)
        assert (row["state"], row["count"]) == ("known", 3)
        assert (await ready(on, "--release", name))["pairs"] == 3
        code, output = await run(on, "release", "orders", name)
        assert code, output
        assert "set aside" in output
        await ask(on, "/api/orders/lines", 2)
        (row,) = await inbox(on)
        assert (row["state"], row["count"], row["owner"]) == ("new", 2, None)
        assert (await ready(on, "--release", name))["pairs"] == 3
        ((actor, what, why, detail),) = on.rows(
            "SELECT who, what, why, detail FROM audit WHERE what = 'evidence reset'"
        )
        assert (actor, what, why, detail) == ("ana", "evidence reset", "another database", name)


async def test_a_route_of_writes_becomes_ready_and_says_what_was_not_judged(tmp_path: Path) -> None:
    handled = {"X-Strangler-Shadow-Handled": "1"}
    shadow = ", writes: dry_run, methods: [POST], recheck: 0"
    async with stage(tmp_path, says(LEGACY), says(LEGACY, headers=handled), shadow=shadow, route=GATE) as on:
        for _ in range(12):
            await ask(on, "/api/orders/lines", method="POST")
        code, output = await run(on, "ready", "orders")
        assert code == 0, output
        assert "times are not judged: none of the 12 pairs could be timed" in output


async def test_times_that_could_have_been_taken_are_asked_for(tmp_path: Path) -> None:
    async with stage(tmp_path, says(LEGACY), says(LEGACY), shadow=", recheck: 0, baseline: 0.01%", route=GATE) as on:
        await ask(on, "/api/orders/lines", 12)
        found = await ready(on)
        if found["latency"] is None:  # one time of 800 a request was drawn
            assert found["verdict"] == "not enough evidence"
            assert found["reasons"] == ["no request was timed at both arms; 12 of 12 could have been"]


async def test_accepted_differences_go_on_being_counted_and_differ_again_without_their_rule(tmp_path: Path) -> None:
    accept = '    compare: {accept: [{path: "$.price"}]}\n'
    async with stage(tmp_path, says(LEGACY), says(CANDIDATE), route=GATE + accept) as on:
        await ask(on, "/api/orders/lines", 3)
        (before,) = await inbox(on)
        await ask(on, "/api/orders/lines", 12)
        (row,) = await inbox(on)
        assert (row["state"], row["count"], row["share"]) == ("accepted", 15, 1.0)
        assert row["last_seen"] > before["last_seen"]
        found = await ready(on)
        assert (found["pairs"], found["matches"]) == (15, 15)
        on.proxy.file.write_text(on.proxy.file.read_text().replace(accept, ""))
        await on.proxy.until(lambda: on.proxy.has_generation(2))
        found = await ready(on)
        assert (found["pairs"], found["matches"], found["verdict"]) == (15, 0, "not ready")
        (row,) = await inbox(on)
        assert row["state"] == "new"


async def test_one_number_for_match_everywhere(tmp_path: Path) -> None:
    async with stage(tmp_path, says(LEGACY), says(CANDIDATE), shadow=ROOMY, route=GATE) as on:
        await ask(on, "/api/orders/lines", 3)
        on.candidate.response = says(LEGACY)
        await ask(on, "/api/orders/lines", 5)
        (row,) = await inbox(on)
        assert (await run(on, "diffs", "accept", row["id"], "--why", "agreed"))[0] == 0
        await on.proxy.until(lambda: on.proxy.has_generation(2))

        async def judged() -> Any:
            (route,) = (await on.proxy.status())["routes"]
            return route if route["judged"] and route["judged"]["share"] == 1.0 else None

        route = await on.proxy.until(judged)
        assert route["judged"] == {"release": None, "pairs": 8, "matches": 8, "share": 1.0}
        assert route["shadow"]["comparisons"]["mismatch"] == 3  # as judged then
        found = await ready(on)
        assert (found["pairs"], found["matches"]) == (8, 8)
        _, table = await run(on, "status")
        assert "8  100%" in " ".join(table.split("matching")[1].split()).replace(" ", "  ")
        status, page = await on.proxy.ask("/", token=False)
        assert status == 200
        assert 'data-cell="match">100%' in page


async def test_forty_user_names_are_one_endpoint_with_one_difference(tmp_path: Path) -> None:
    async with stage(tmp_path, says(LEGACY), says(CANDIDATE), shadow=ROOMY, start=False) as on:
        text = on.proxy.file.read_text().replace("{prefix: /api/orders}", '{path: "/users/{name}"}')
        on.proxy.file.write_text(text)
        await on.proxy.start()
        for number in range(40):
            await on.proxy.get(f"/users/{'abcdefghijklmnopqrstuvwxyz'[number % 26]}nn{'e' * (number // 26)}")
        await on.compared(40)
        await on.proxy.until(lambda: on.rows("SELECT sum(count) FROM pairs") == [(40,)])
        (row,) = await inbox(on)
        assert (row["endpoint"], row["count"]) == ("GET /users/{}", 40)


async def test_a_store_of_the_version_before_goes_on(tmp_path: Path) -> None:
    async with stage(tmp_path, says(LEGACY), says(LEGACY), route=GATE, start=False) as on:
        on.state.mkdir()
        with closing(sqlite3.connect(on.state / "strangler.db")) as connection, connection:
            write_earlier(connection)
        before = await ready(on)  # without a proxy, by a connection that only reads
        await on.proxy.start()
        after = await ready(on)
        assert before == after
        assert after["pairs"] == 5
        await ask(on, "/api/orders/lines")
        assert (await ready(on))["pairs"] == 6


async def _events(on: Stage, kind: str) -> list[dict[str, Any]]:
    async def found() -> list[dict[str, Any]]:
        _, content = await on.proxy.ask("/api/events?limit=1000")
        return [entry["event"] for entry in content["events"] if entry["event"]["type"] == kind]

    events: list[dict[str, Any]] = await on.proxy.until(found)
    return events
