"""The match of every route, as it is judged now: the same number for whoever shows one, at a bounded cost."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from strangler.control.shadow import figures
from strangler.control.shadow.figures import FiguresState
from strangler.core.documents import MatchFigures
from strangler.core.settings import AcceptRule, RouteSettings, Settings
from strangler.evidence import reading, retention
from strangler.evidence.findings import Finding
from strangler.evidence.index import IndexState
from strangler.evidence.stored_releases import name_release
from strangler.evidence.writing import SCHEMA, set_state, store_findings
from strangler.state.store import Store
from strangler.times import utc_day
from tests.control.control import in_force
from tests.evidence.pairs import NOON, match, mismatch, seen
from tests.factories import route, settings

PRICE = seen("a" * 16, "$.price", "type", "breaking")


class Told:
    """A store, and the figures of its routes."""

    def __init__(self, folder: Path) -> None:
        self.settings: Settings = settings(routes=[route("orders"), route("other")])
        self.store = Store(folder / "strangler.db", SCHEMA)
        self.figures = FiguresState(self.store, self.settings)
        self.index = IndexState()

    async def keep(self, *findings: Finding) -> None:
        await self.store.call(lambda one: store_findings(one, self.index, findings, NOON))

    def adopt(self, *routes: RouteSettings) -> None:
        self.settings = settings(routes=list(routes))
        self.figures.adopt(in_force(self.settings))

    async def matches(self, name: str = "orders") -> tuple[int, int] | None:
        await self.figures.look()
        found = self.figures.of(name)
        return None if found is None else (found.matches, found.pairs)


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    made = Told(tmp_path)
    yield made
    await made.store.close()


async def test_nothing_is_told_before_anything_is_there(told: Told) -> None:
    assert await told.matches() is None
    await told.keep(match())
    assert await told.matches() == (1, 1)
    assert await told.matches("other") is None


async def test_it_is_the_figure_of_the_verdict(told: Told) -> None:
    await told.keep(match(), match(), mismatch(PRICE))
    assert await told.matches() == (2, 3)
    gate = told.settings.routes[0].gate
    found = await told.store.call(lambda one: reading.readiness(one, "orders", {}, gate, utc_day()))
    assert (found.matches, found.pairs) == (2, 3)
    assert told.figures.of("orders") == MatchFigures(None, 3, 2, found.match_share)


async def test_it_follows_what_is_marked_accepted_named_and_set_aside(told: Told) -> None:
    await told.keep(match(), mismatch(PRICE))
    assert await told.matches() == (1, 2)
    await told.store.call(lambda one: set_state(one, PRICE.id, "fixed", NOON + 1))
    assert await told.matches() == (1, 1)
    accepting = replace(route("orders").compare, accept=(AcceptRule(path="$.price"),))
    told.adopt(replace(route("orders"), compare=accepting))
    assert await told.matches() == (2, 2)
    await told.keep(match(release="2"))
    await told.store.call(lambda one: name_release(one, "orders", "2", NOON))
    assert await told.matches() == (1, 1)
    assert told.figures.of("orders") == MatchFigures("2", 1, 1, 1.0)
    await told.store.call(lambda one: retention.set_aside(one, "orders", NOON))
    assert await told.matches() == (0, 0)
    assert told.figures.of("orders") == MatchFigures("2", 0, 0, None)


async def test_a_release_that_is_named_is_judged_before_its_first_pair(told: Told) -> None:
    await told.keep(match())
    assert await told.matches() == (1, 1)
    for name in ("orders", "other"):
        await told.store.call(partial(name_release, route=name, name="2", now=NOON))
    assert await told.matches() == (0, 0)
    assert await told.matches("other") is None, "nothing was ever compared"


async def test_a_route_that_is_gone_has_none(told: Told) -> None:
    await told.keep(match())
    assert await told.matches() == (1, 1)
    told.adopt(route("other"))
    assert await told.matches() is None


async def test_a_store_that_was_moved_away_has_none(told: Told, tmp_path: Path) -> None:
    await told.keep(match())
    assert await told.matches() == (1, 1)
    for file in tmp_path.glob("strangler.db*"):
        file.rename(file.with_suffix(file.suffix + ".away"))
    assert await told.matches() is None
    told.index = IndexState()
    await told.keep(match(), match())
    assert await told.matches() == (2, 2)


async def test_with_many_routes_each_has_its_turn(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "BUDGET_S", 0.0)
    names = [f"r{number}" for number in range(5)]
    told.adopt(*map(route, names))
    await told.keep(*(replace(match(), route=name) for name in names))
    assert await told.matches("r0") is None  # no time for any
    monkeypatch.setattr(figures, "BUDGET_S", 10.0)
    assert await told.matches("r4") == (1, 1)
    assert all([await told.matches(name) == (1, 1) for name in names])


async def test_what_has_not_changed_is_not_judged_again(told: Told) -> None:
    await told.keep(match(), replace(match(), route="other"))
    assert await told.matches() == (1, 1)
    await told.store.call(lambda one: one.execute("UPDATE pairs SET count = 9 WHERE route = 'other'").rowcount)
    await told.keep(match())
    assert await told.matches() == (2, 2)
    assert await told.matches("other") == (1, 1)  # nobody has noted a change of it
