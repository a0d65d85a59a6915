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
from strangler.store.evidence import reading, retention
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.stored_releases import name_release
from strangler.store.evidence.writing import set_state, store_findings
from strangler.store.file_store import FileStore
from strangler.store.schema import prepare_file
from strangler.times import utc_day
from tests.control.control import in_force
from tests.factories import route, settings
from tests.store.evidence.pairs import NOON, match, mismatch, seen

PRICE = seen("a" * 16, "$.price", "type", "breaking")


class FiguresRig:
    """A store, and the figures of its routes."""

    def __init__(self, folder: Path) -> None:
        self.settings: Settings = settings(routes=[route("orders"), route("other")])
        self.store = FileStore(folder / "strangler.db", prepare_file)
        self.figures = FiguresState(self.store, self.settings)
        self.index = IndexState()

    async def keep(self, *findings: Finding) -> None:
        await self.store.call(lambda connection: store_findings(connection, self.index, findings, NOON))

    def adopt(self, *routes: RouteSettings) -> None:
        self.settings = settings(routes=list(routes))
        self.figures.adopt(in_force(self.settings))

    async def matches(self, name: str = "orders") -> tuple[int, int] | None:
        await self.figures.look()
        found = self.figures.of(name)
        return None if found is None else (found.matches, found.pairs)


@pytest.fixture
async def figures_rig(tmp_path: Path) -> AsyncIterator[FiguresRig]:
    made = FiguresRig(tmp_path)
    yield made
    await made.store.close()


async def test_nothing_is_told_before_anything_is_there(figures_rig: FiguresRig) -> None:
    assert await figures_rig.matches() is None
    await figures_rig.keep(match())
    assert await figures_rig.matches() == (1, 1)
    assert await figures_rig.matches("other") is None


async def test_it_is_the_figure_of_the_verdict(figures_rig: FiguresRig) -> None:
    await figures_rig.keep(match(), match(), mismatch(PRICE))
    assert await figures_rig.matches() == (2, 3)
    gate = figures_rig.settings.routes[0].gate
    found = await figures_rig.store.call(
        lambda connection: reading.readiness(connection, "orders", {}, gate, utc_day())
    )
    assert (found.matches, found.pairs) == (2, 3)
    assert figures_rig.figures.of("orders") == MatchFigures(None, 3, 2, found.match_share)


async def test_it_follows_what_is_marked_accepted_named_and_set_aside(figures_rig: FiguresRig) -> None:
    await figures_rig.keep(match(), mismatch(PRICE))
    assert await figures_rig.matches() == (1, 2)
    await figures_rig.store.call(lambda connection: set_state(connection, PRICE.id, "fixed", NOON + 1))
    assert await figures_rig.matches() == (1, 1)
    accepting = replace(route("orders").compare, accept=(AcceptRule(path="$.price"),))
    figures_rig.adopt(replace(route("orders"), compare=accepting))
    assert await figures_rig.matches() == (2, 2)
    await figures_rig.keep(match(release="2"))
    await figures_rig.store.call(lambda connection: name_release(connection, "orders", "2", NOON))
    assert await figures_rig.matches() == (1, 1)
    assert figures_rig.figures.of("orders") == MatchFigures("2", 1, 1, 1.0)
    await figures_rig.store.call(lambda connection: retention.set_aside(connection, "orders", NOON))
    assert await figures_rig.matches() == (0, 0)
    assert figures_rig.figures.of("orders") == MatchFigures("2", 0, 0, None)


async def test_a_release_that_is_named_is_judged_before_its_first_pair(figures_rig: FiguresRig) -> None:
    await figures_rig.keep(match())
    assert await figures_rig.matches() == (1, 1)
    for name in ("orders", "other"):
        await figures_rig.store.call(partial(name_release, route=name, name="2", now=NOON))
    assert await figures_rig.matches() == (0, 0)
    assert await figures_rig.matches("other") is None, "nothing was ever compared"


async def test_a_route_that_is_gone_has_none(figures_rig: FiguresRig) -> None:
    await figures_rig.keep(match())
    assert await figures_rig.matches() == (1, 1)
    figures_rig.adopt(route("other"))
    assert await figures_rig.matches() is None


async def test_a_store_that_was_moved_away_has_none(figures_rig: FiguresRig, tmp_path: Path) -> None:
    await figures_rig.keep(match())
    assert await figures_rig.matches() == (1, 1)
    for file in tmp_path.glob("strangler.db*"):
        file.rename(file.with_suffix(file.suffix + ".away"))
    assert await figures_rig.matches() is None
    figures_rig.index = IndexState()
    await figures_rig.keep(match(), match())
    assert await figures_rig.matches() == (2, 2)


async def test_with_many_routes_each_has_its_turn(figures_rig: FiguresRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "BUDGET_S", 0.0)
    names = [f"r{number}" for number in range(5)]
    figures_rig.adopt(*map(route, names))
    await figures_rig.keep(*(replace(match(), route=name) for name in names))
    assert await figures_rig.matches("r0") is None  # no time for any
    monkeypatch.setattr(figures, "BUDGET_S", 10.0)
    assert await figures_rig.matches("r4") == (1, 1)
    assert all([await figures_rig.matches(name) == (1, 1) for name in names])


async def test_what_has_not_changed_is_not_judged_again(figures_rig: FiguresRig) -> None:
    await figures_rig.keep(match(), replace(match(), route="other"))
    assert await figures_rig.matches() == (1, 1)
    await figures_rig.store.call(
        lambda connection: connection.execute("UPDATE pairs SET count = 9 WHERE route = 'other'").rowcount
    )
    await figures_rig.keep(match())
    assert await figures_rig.matches() == (2, 2)
    assert await figures_rig.matches("other") == (1, 1)  # nobody has noted a change of it
