"""The watch over gates: which raise is told, and when a gate that was passed by is met after all."""

import sqlite3
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from strangler.control.app import ControlApp
from strangler.control.events.gates import GateWatch
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.settings import GateSettings, Settings
from strangler.store.events.event import Kind
from strangler.store.evidence.audits import FORCED, shift_text, write_audit
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.writing import store_findings
from strangler.store.store import StoreError
from tests.control.control import control_of, in_force
from tests.store.evidence.pairs import match

ROUTES = """\
version: 1
state: state
upstreams: {legacy: {url: "http://127.0.0.1:8000"}, orders: {url: "http://127.0.0.1:8001"}}
routes:
  - name: orders
    match: {prefix: /api/orders}
    candidate: orders
    split: {percent: 5}
    gate: {min_pairs: 10, min_match: 50%, min_age: 0}
"""


@dataclass(slots=True)
class Watched:
    state: ControlApp
    settings: Settings
    watch: GateWatch

    def begin(self) -> None:
        """As if the proxy had started anew with what is in force."""
        self.watch = GateWatch(self.state.store, self.state.events.publisher, self.settings)

    async def adopt(self, percent: float, **changes: Any) -> list[Mapping[str, Any]]:
        """New settings; what is told of them."""
        self.change(percent, **changes)
        self.watch.adopt(in_force(self.settings))
        return await self.look()

    def change(self, percent: float, **changes: Any) -> None:
        (route,) = self.settings.routes
        route = replace(route, split=replace(route.split, percent=percent), **changes)
        self.settings = replace(self.settings, routes=(route,))

    async def look(self) -> list[Mapping[str, Any]]:
        before = len(await self.events())
        await self.watch.look()
        return (await self.events())[before:]

    async def events(self) -> list[Mapping[str, Any]]:
        await self.state.events.publisher.write()
        found = await self.state.read_events(0, 0.0, 1000)
        return [stored_event.event.data for stored_event in found if stored_event.event.type == Kind.GATE_PASSED_BY]

    async def agree(self, count: int) -> None:
        """So many pairs match."""
        now = time.time()
        findings = [match(at=now, latency=(0.01, 0.0101)) for _ in range(count)]
        await self.state.store.call(lambda connection: store_findings(connection, IndexState(), findings, now))


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """A watch that has noted once what is in force."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    async with control_of(tmp_path, {}) as state:
        this_watched = Watched(state, state.settings, GateWatch(state.store, state.events.publisher, state.settings))
        assert await this_watched.look() == [], "the first start knows of nothing that came before"
        yield this_watched


async def test_a_raise_is_told_with_its_verdict(watched: Watched) -> None:
    (event,) = await watched.adopt(25)
    assert (event["route"], event["from"], event["to"], event["verdict"]) == ("orders", 5, 25, "not enough evidence")
    assert watched.watch.passed_by["orders"].to == 25
    assert await watched.look() == []


async def test_a_raise_that_the_gate_allows_is_not_told(watched: Watched) -> None:
    await watched.agree(200)
    assert await watched.adopt(25) == []
    assert watched.watch.passed_by == {}


async def test_each_of_several_steps_is_judged(watched: Watched) -> None:
    """A raise that was taken back before anyone looked was in force all the same."""
    for percent in (25, 5, 50, 1):
        watched.change(percent)
        watched.watch.adopt(in_force(watched.settings))
    assert [(mapping["from"], mapping["to"]) for mapping in await watched.look()] == [(5, 25), (5, 50)]
    assert watched.watch.passed_by == {}


async def test_a_loosened_gate_does_not_help(watched: Watched) -> None:
    await watched.agree(5)
    (event,) = await watched.adopt(25, gate=GateSettings(1, 0.1, 9, 9.0, 0.0))
    assert "more pairs are needed" in event["reasons"][0]


async def test_a_start_with_another_file_is_told_and_one_with_the_same_is_not(watched: Watched) -> None:
    watched.begin()
    assert await watched.look() == []
    watched.change(25)
    watched.begin()
    assert [mapping["to"] for mapping in await watched.look()] == [25]
    watched.begin()
    assert await watched.look() == []
    assert watched.watch.passed_by["orders"].to == 25, "it is known over a restart"


async def test_only_a_forced_shift_to_this_percent_since_the_last_change_counts(watched: Watched) -> None:
    async def force(percent: float) -> None:
        detail = f"{shift_text(5, percent)}; the gate said: not ready"
        await watched.state.store.call(
            lambda connection: write_audit(connection, time.time(), "ana", FORCED, "orders", "why", detail)
        )

    await force(25)
    assert await watched.adopt(25) == []
    assert await watched.adopt(5) == []
    assert [mapping["to"] for mapping in await watched.adopt(25)] == [25], "the former entry is used up"
    await watched.adopt(5)
    await force(30)
    assert [mapping["to"] for mapping in await watched.adopt(50)] == [50]


async def test_a_gate_that_is_met_later_is_no_alarm_any_more(watched: Watched) -> None:
    await watched.adopt(25)
    await watched.agree(200)
    await watched.look()
    assert watched.watch.passed_by == {}
    watched.begin()
    await watched.look()
    assert watched.watch.passed_by == {}


async def test_a_rollout_that_climbs_does_not_pass_by_the_gate(watched: Watched) -> None:
    assert await watched.adopt(5, rollout=RolloutSettings()) == []
    assert await watched.adopt(100, rollout=RolloutSettings()) == []


async def test_a_percent_above_that_of_the_rollout_that_it_replaces_is_a_raise(watched: Watched) -> None:
    await watched.adopt(25, rollout=RolloutSettings())
    assert await watched.adopt(25, rollout=None) == []
    (data,) = await watched.adopt(50, rollout=None)
    assert (data["from"], data["to"]) == (25.0, 50.0)


async def test_another_candidate_at_the_percent_of_a_rollout_is_a_raise(watched: Watched) -> None:
    await watched.adopt(25, rollout=RolloutSettings())
    (data,) = await watched.adopt(25, candidate="legacy", rollout=RolloutSettings())
    assert (data["from"], data["to"]) == (0.0, 25.0)


async def test_another_candidate_counts_from_0(watched: Watched) -> None:
    (event,) = await watched.adopt(5, candidate="legacy")
    assert (event["from"], event["to"]) == (0, 5)


async def test_while_the_store_cannot_be_written_the_step_waits(watched: Watched) -> None:
    watched.change(25)
    watched.watch.adopt(in_force(watched.settings))
    with closing(sqlite3.connect(watched.state.store.folder / "strangler.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError):
            await watched.watch.look()
        other.execute("ROLLBACK")
    assert [mapping["to"] for mapping in await watched.look()] == [25]
