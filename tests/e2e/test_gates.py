"""Gates where nobody calls `shift`: `strangler check --gate`, and the event of a percent that was raised past one."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import commands
from tests.e2e.serving import LegacyState, Proxy, legacy

GATE = "    gate: {min_pairs: 100}\n"
OTHER = """\
  - name: items
    match: {prefix: /api/items}
    candidate: orders
    split: {percent: 10, sticky: [client_ip]}
    gate: {}
"""


@dataclass(frozen=True, slots=True)
class Gated:
    proxy: Proxy

    def text(self, percent: float, gate: str = GATE, more: str = "") -> str:
        return self.proxy.routes(percent) + gate + more

    def write(self, percent: float, gate: str = GATE, more: str = "") -> None:
        self.proxy.file.write_text(self.text(percent, gate, more))

    async def run(self, *arguments: str) -> tuple[int, str]:
        return await commands.run(self.proxy.folder, *arguments, COLUMNS="200", STRANGLER_USER="pipeline")

    async def passed(self) -> list[dict[str, Any]]:
        """The events, from the store."""
        _, found = await self.proxy.ask("/api/events?limit=1000")
        return [event["event"]["data"] for event in found["events"] if event["event"]["type"] == "gate.passed_by"]

    async def generation(self, number: int) -> None:
        async def is_there() -> bool:
            return bool((await self.proxy.status())["config"]["generation"] == number)

        await self.proxy.until(is_there)

    async def judged(self, percent: float, route: str = "orders") -> None:
        """Wait until the store has taken note of a percent that is in force."""

        def is_noted() -> bool:
            with closing(sqlite3.connect(self.proxy.folder / "state" / "strangler.db", timeout=5)) as db:
                rows = db.execute("SELECT content FROM rollouts WHERE route = ?", (route,)).fetchall()
            return any(json.loads(content)["percent"] == percent for (content,) in rows)

        await self.proxy.until(is_noted)


@pytest.fixture
async def upstream() -> AsyncIterator[LegacyState]:
    async with legacy() as state:
        yield state


@pytest.fixture
async def gated(tmp_path: Path, upstream: LegacyState) -> AsyncIterator[Gated]:
    """A running proxy whose route is at 5 % with a gate that nothing has met."""
    proxy = Proxy(tmp_path, upstream.port)
    this_gated = Gated(proxy)
    this_gated.write(5)
    await proxy.start()
    yield this_gated
    await proxy.stop()


class TestCheck:
    async def test_the_proxy_says_what_is_in_force(self, gated: Gated) -> None:
        new = gated.proxy.folder / "new.yaml"
        for percent, code in ((5, 0), (1, 0), (25, 1)):
            new.write_text(gated.text(percent))
            found, output = await gated.run("check", "--gate", "-c", "new.yaml")
            assert found == code, output
        assert "route 'orders': 5 % to 25 %: NOT allowed: its gate is not met" in output
        assert "nothing was compared yet" in output

    async def test_without_a_proxy_it_says_how_to_name_a_file(self, gated: Gated) -> None:
        await gated.proxy.stop()
        code, output = await gated.run("check", "--gate")
        assert code == 1
        assert "--against OLD.yaml" in output

    async def test_the_judgement_is_data(self, gated: Gated) -> None:
        (gated.proxy.folder / "new.yaml").write_text(gated.text(25, gate=""))
        code, output = await gated.run("check", "--gate", "--json", "-c", "new.yaml")
        assert code == 1, "the gate that the edit takes away still holds"
        gate = json.loads(output)["gate"]
        assert gate["ok"] is False
        (rise,) = gate["raises"]
        assert (rise["route"], rise["from"], rise["to"], rise["gated"], rise["allowed"]) == (
            "orders",
            5,
            25,
            True,
            False,
        )
        assert rise["verdict"] == "not enough evidence"


class TestPassedBy:
    async def test_a_reload_that_raises_past_the_gate_is_told_once(self, gated: Gated) -> None:
        await gated.judged(5)
        gated.write(25)
        await gated.generation(2)
        (line,) = await gated.proxy.wait_for_log("gate.passed_by")
        assert line["level"] == "warning"
        assert (line["route"], line["from"], line["to"], line["verdict"]) == ("orders", 5, 25, "not enough evidence")
        (data,) = await gated.passed()
        assert data["route"] == "orders"
        assert data["reasons"]
        passed = (await gated.proxy.status())["gates"]["passed_by"]["orders"]
        assert (passed["from"], passed["to"]) == (5, 25)
        assert "was raised past its gate" in (await gated.run("status"))[1]
        assert "was raised from 5 % to 25 % past its gate" in (await gated.proxy.ask("/"))[1]
        gated.write(5)
        await gated.judged(5)

        async def is_over() -> bool:
            return not (await gated.proxy.status())["gates"]["passed_by"]

        await gated.proxy.until(is_over)
        assert len(await gated.passed()) == 1

    async def test_a_gate_that_the_same_edit_takes_away_holds_nothing_back_and_is_told(self, gated: Gated) -> None:
        await gated.judged(5)
        gated.write(25, gate="")
        assert (await gated.proxy.wait_for_log("gate.passed_by"))[0]["to"] == 25

    async def test_a_new_route_above_0_is_told(self, gated: Gated) -> None:
        await gated.judged(5)
        gated.write(5, more=OTHER)
        line = (await gated.proxy.wait_for_log("gate.passed_by"))[0]
        assert (line["route"], line["from"], line["to"]) == ("items", 0, 10)

    async def test_a_file_that_was_changed_while_the_proxy_was_down_is_told_at_the_start(self, gated: Gated) -> None:
        await gated.judged(5)
        await gated.proxy.stop()
        gated.write(50)
        await gated.proxy.start()
        line = (await gated.proxy.wait_for_log("gate.passed_by"))[0]
        assert (line["from"], line["to"]) == (5, 50)

    async def test_a_forced_shift_is_not_told_and_the_next_edit_is(self, gated: Gated) -> None:
        await gated.judged(5)
        code, output = await gated.run("shift", "orders", "25", "--force", "--why", "the old one burns")
        assert code == 0, output
        await gated.judged(25)
        assert await gated.passed() == []
        gated.write(30)
        assert (await gated.proxy.wait_for_log("gate.passed_by"))[0]["from"] == 25
        _, output = await gated.run("audit", "--json")
        (entry,) = json.loads(output)["entries"]
        assert (entry["who"], entry["what"], entry["why"]) == ("pipeline", "shift --force", "the old one burns")
        assert entry["detail"] == "5 to 25 %; the gate said: not enough evidence"

    async def test_a_percent_that_goes_down_is_not_told(self, gated: Gated) -> None:
        await gated.judged(5)
        gated.write(1)
        await gated.judged(1)
        assert await gated.passed() == []
