"""Where captures arrive, without any: what waits while nothing can be stored."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.control.events import outbox
from strangler.control.kill_switch import OFF
from strangler.control.links import LinksState
from strangler.control.shadow import desk as desks
from strangler.control.shadow.desk import DeskState
from strangler.control.shadow.evidence import SCHEMA
from strangler.control.shadow.route import ShadowRoute
from strangler.control.store import Store
from strangler.control.totals import TotalsState
from strangler.core.settings import RouteSettings
from tests.control.shadow.pairs import KEY, match, mismatch
from tests.factories import route, settings, shadow

ORDERS: RouteSettings = replace(route("orders"), shadow=shadow())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path / "strangler.db", SCHEMA + outbox.SCHEMA)
    yield store
    await store.close()


async def begun(store: Store, links: LinksState) -> DeskState:
    desk = DeskState(store.folder, "run", links, store, settings(routes=[ORDERS]))
    await desk.restore()
    return desk


async def test_of_what_cannot_be_stored_so_many_wait_and_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "MAX_PENDING", 3)
    links = LinksState(TotalsState(), 1, b"", OFF)
    desk, of = await begun(store, links), ShadowRoute.of(ORDERS, KEY)
    assert of is not None
    for _ in range(10):
        desk._keep(match(), of)
    desk.report()
    assert links.totals.counter("strangler_shadow_dropped_total", "orders", "store") == 7
    assert links.totals.counter("strangler_shadow_comparisons_total", "orders", "match") == 3
    await desk.close()


async def test_lines_are_written_once_however_often_the_batch_is_tried(store: Store) -> None:
    desk, of = await begun(store, LinksState(TotalsState(), 1, b"", OFF)), ShadowRoute.of(ORDERS, KEY)
    assert of is not None

    def authorize(action: int, word: str | None, *_: object) -> int:
        is_commit = action == sqlite3.SQLITE_TRANSACTION and word == "COMMIT"
        return sqlite3.SQLITE_DENY if is_commit else sqlite3.SQLITE_OK

    assert store._connection is not None
    store._connection.set_authorizer(authorize)  # the lines are written by then; the next connection has none
    desk._keep(replace(mismatch(), line=b"{}\n"), of)
    journal = store.folder / "shadow-diffs.jsonl"
    await desk.store()
    assert (desk.problem is not None, journal.read_bytes()) == (True, b"{}\n")
    await desk.store()
    assert (desk.problem, journal.read_bytes()) == (None, b"{}\n")
    assert await store.call(lambda one: one.execute("SELECT sum(count) FROM pairs").fetchone()) == (1,)
    await desk.close()
