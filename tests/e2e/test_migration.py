"""The story of one endpoint as a team lives it: differ, fix, release, prove, shift. Everything is a process of its own.

The shop is legacy, its candidate for orders is built and deployed anew, and all that people do is typed at the CLI.
"""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from legacy_stub.drifts import NAMES
from strangler.demo.children import ChildrenState, free_ports
from tests.e2e import commands
from tests.e2e.serving import Proxy

ENDPOINT = "GET /api/orders/{}"
DRIFT = "price-as-text"
PAIRS = 60

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
state: state
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://127.0.0.1:{candidate}"}}
routes:
  - name: orders # the team's first
    match: {{prefix: /api/orders}}
    candidate: orders
    split:
      percent: 0
      sticky: ["header:X-User-Id"]
    shadow: {{percent: 100, recheck: 50ms, baseline: 0, in_flight: 256}}
    compare:
      accept:
        - {{path: "$..generated_at", why: "a clock"}}
    gate: {{min_pairs: 50, min_match: 90%, min_age: 0s}}
"""
"""A small gate: with 60 pairs that all match, the lower bound of their share is 95.7 %; no time is judged."""


@dataclass(frozen=True, slots=True)
class Printed:
    """The output of a command, and its exit code."""

    code: int
    text: str

    def line(self, *words: str) -> str:
        """Return the first line that has all of these words, in this order."""
        found = self._find(words)
        assert found is not None, f"no line with {words} in:\n{self.text}"
        return found

    def has_line(self, *words: str) -> bool:
        return self._find(words) is not None

    def _find(self, words: tuple[str, ...]) -> str | None:
        pattern = ".*".join(re.escape(word) for word in words)
        return next((line for line in self.text.splitlines() if re.search(pattern, line)), None)


@dataclass(slots=True)
class Team:
    """The shop, its candidate, the proxy between them, and a terminal."""

    folder: Path
    proxy: Proxy
    data: Path
    port: int
    candidate: ChildrenState
    compared: int = 0
    read: int = 0

    async def types(self, actor: str, command: str, **words: str) -> Printed:
        """Return what `strangler COMMAND` prints to a person or a pipeline of that name. `{word}` may have spaces."""
        arguments = [part.format(**words) for part in command.split()]
        ran = commands.run(self.folder, *arguments, COLUMNS="200", STRANGLER_USER=actor)
        printed = Printed(*await asyncio.wait_for(ran, 30))
        assert "Traceback" not in printed.text, printed.text
        return printed

    async def deploys(self, release: str, *options: str) -> None:
        """Stop the candidate and start another build of it in its place."""
        await self.candidate.stop()
        shop = (sys.executable, "-m", "legacy_stub", "--data", str(self.data), "--port", str(self.port))
        command = (*shop, "--candidate", "orders", "--release", release, *options)
        await self.candidate.start("candidate", *command, ready=f"http://127.0.0.1:{self.port}/healthz")

    async def customers_read(self, count: int) -> None:
        """Read so many orders through the proxy, and wait until each is a pair that was compared."""
        for _ in range(count):
            self.read += 1
            assert await self.proxy.get(f"/api/orders/{self.read % 200 + 1}") == 200
        self.compared += count

        async def is_compared() -> bool:
            return await self.proxy.metric("strangler_shadow_comparisons_total") >= self.compared

        await self.proxy.until(is_compared)

    async def arms(self, callers: int) -> Counter[str]:
        """Return which arm serves so many callers."""
        arms: Counter[str] = Counter()
        async with ClientSession(f"http://127.0.0.1:{self.proxy.port}") as client:
            for number in range(callers):
                async with client.get("/api/orders/7", headers={"X-User-Id": str(number)}) as response:
                    arms[response.headers["X-Strangler-Arm"]] += 1
        return arms

    async def ready(self, verdict: str, *words: str) -> Printed:
        """Ask until the verdict is this one and a line has these words; return what is printed.

        Pairs are stored a moment after they are counted.
        """

        async def has_verdict() -> Printed | None:
            printed = await self.types("ana", "ready orders")
            has_words = not words or printed.has_line(*words)
            is_found = re.search(rf"^orders\b.*: {verdict}$", printed.text, re.MULTILINE)
            return printed if is_found and has_words else None

        try:
            found: Printed = await self.proxy.until(has_verdict)
        except AssertionError:
            pytest.fail(f"never {verdict} {words}:\n{(await self.types('ana', 'ready orders')).text}")
        assert (found.code == 0) == (verdict == "ready")
        return found

    async def inbox(self) -> list[dict[str, Any]]:
        """Return the rows that no rule accepts."""
        rows = json.loads((await self.types("ana", "diffs --json")).text)["signatures"]
        return [row for row in rows if row["state"] != "accepted"]

    async def the_difference(self) -> dict[str, Any]:
        """Return the only row of the inbox, once it has been seen as often as orders were read."""

        async def is_stored() -> dict[str, Any] | None:
            rows = await self.inbox()
            return rows[0] if len(rows) == 1 and rows[0]["count"] >= self.compared else None

        found: dict[str, Any] = await self.proxy.until(is_stored)
        return found


@pytest.fixture
async def team(tmp_path: Path) -> AsyncIterator[Team]:
    """A candidate that has one drift left."""
    legacy_port, port = free_ports(2)
    legacy, candidate, data = ChildrenState(tmp_path), ChildrenState(tmp_path), tmp_path / "shop.db"
    shop = (sys.executable, "-m", "legacy_stub", "--data", str(data), "--port", str(legacy_port))
    proxy = Proxy(tmp_path, legacy_port)
    proxy.file.write_text(ROUTES.format(legacy=legacy_port, candidate=port))
    team = Team(tmp_path, proxy, data, port, candidate)
    try:
        await legacy.start("legacy", *shop, ready=f"http://127.0.0.1:{legacy_port}/healthz")
        await team.deploys("2026.10", *(option for name in NAMES if name != DRIFT for option in ("--fixed", name)))
        await proxy.start()
        yield team
    finally:
        await proxy.stop()
        await candidate.stop()
        await legacy.stop()


async def _differ(team: Team) -> dict[str, Any]:
    """Customers read orders, and the inbox names the one difference, by endpoint, place, kind and severity."""
    await team.customers_read(PAIRS)
    row = await team.the_difference()
    assert (row["endpoint"], row["path"], row["kind"], row["severity"]) == (ENDPOINT, "$.price", "type", "breaking")
    printed = await team.types("ana", "diffs")
    assert printed.code == 0
    printed.line(row["id"][:8], "breaking", "orders", ENDPOINT, "$.price", "type")
    (await team.ready("not ready")).line("breaking")
    return row


async def _fix(team: Team, row: dict[str, Any]) -> None:
    """Whoever marks it as fixed has claimed something: the gate asks for proof, and says where and how much."""
    fixed = await team.types("ana", "diffs fixed {id} --why {why}", id=row["id"][:8], why="prices are numbers again")
    assert fixed.code == 0, fixed.text
    await team.ready("not enough evidence", ENDPOINT, f" {PAIRS} more")


async def _name(team: Team, release: str) -> None:
    """The pipeline says which build is out."""
    named = await team.types("pipeline", f"release orders {release}")
    assert named.code == 0, named.text


async def test_differ_fix_release_prove_shift(team: Team) -> None:
    await _name(team, "2026.10")
    row = await _differ(team)
    await _fix(team, row)

    before = team.proxy.file.read_text()
    refused = await team.types("bea", "shift orders 50")
    assert refused.code == 1
    refused.line("not enough evidence")
    assert team.proxy.file.read_text() == before, "a gate that is not met keeps the file"

    await team.deploys("2026.11", "--fixed", "all")
    await _name(team, "2026.11")
    await team.ready("not enough evidence")
    fresh = json.loads((await team.types("ana", "ready orders --json")).text)
    assert fresh["pairs"] == 0, "what the former release showed is not this one's"

    await team.customers_read(PAIRS)
    proved = await team.ready("ready")
    proved.line("pairs", f" {PAIRS} ")
    assert await team.inbox() == [], "it is the current release's"
    former = json.loads((await team.types("ana", "ready orders --release 2026.10 --json")).text)
    assert former["verdict"] != "ready", "its evidence stays readable"
    former_rows = json.loads((await team.types("ana", "diffs --json --release 2026.10")).text)["signatures"]
    assert row["id"] in [former_row["id"] for former_row in former_rows]

    shifted = await team.types("bea", "shift orders 50")
    assert shifted.code == 0, shifted.text
    shifted.line("verdict: ready", f"{PAIRS} pairs")
    shifted.line("route 'orders' shifted from 0 % to 50 %")
    assert team.proxy.file.read_text() == before.replace("percent: 0\n", "percent: 50\n")
    await team.proxy.until(lambda: team.proxy.has_generation(2))
    arms = await team.arms(80)
    assert arms["candidate"] >= 20
    assert arms["legacy"] >= 20

    await _is_audited(team)


async def _is_audited(team: Team) -> None:
    """The audit says who did what to which route and why, newest first; what was refused has changed nothing."""
    audit = await team.types("ana", "audit")
    assert audit.code == 0
    lines = [line for line in audit.text.splitlines() if " orders" in line]
    patterns = (r"\bbea\b.*\bshift", r"\bpipeline\b.*\brelease.*2026\.11", r"\bana\b.*\bfixed.*prices are numbers")
    where = [next((at for at, line in enumerate(lines) if re.search(pattern, line)), None) for pattern in patterns]
    assert None not in where, audit.text
    assert where == sorted(where, key=lambda at: at or 0), "newest first"
    assert len([line for line in lines if "bea" in line]) == 1, "once, for the shift that was done"


async def test_a_fix_in_the_same_release_is_proved_by_new_pairs(team: Team) -> None:
    """As many as were set aside, to the last one, on that very endpoint."""
    row = await _differ(team)
    await _fix(team, row)
    await team.deploys("2026.10", "--fixed", "all")

    for number in range(PAIRS):
        assert await team.proxy.get(f"/api/orders?page={number % 5 + 1}&per_page=3") == 200
    team.compared += PAIRS
    await team.ready("not enough evidence", ENDPOINT, f" {PAIRS} more")

    await team.customers_read(PAIRS - 1)
    await team.ready("not enough evidence", ENDPOINT, " 1 more")
    await team.customers_read(1)
    await team.ready("ready")


async def test_a_fix_that_is_none_is_told_by_the_next_pair(team: Team) -> None:
    row = await _differ(team)
    await _fix(team, row)
    await team.customers_read(1)

    async def has_regressed() -> bool:
        rows = json.loads((await team.types("ana", "diffs --json")).text)["signatures"]
        return any(each_row["id"] == row["id"] and each_row["state"] == "regressed" for each_row in rows)

    await team.proxy.until(has_regressed)
    await team.ready("not ready")
    assert (await team.types("bea", "shift orders 1")).code == 1
