"""Where captures arrive, without any: what waits while nothing can be stored."""

import asyncio
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
from strangler.core.settings import EvidenceSettings, RouteSettings
from tests.control.shadow.pairs import KEY, captured, match, mismatch
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


async def test_of_what_cannot_be_stored_so_many_bytes_wait_and_no_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = mismatch(line=b"l" * 1000, sample=b"s" * 9000)
    assert 10_000 < large.size < 12_000
    monkeypatch.setattr(desks, "MAX_PENDING_BYTES", 3 * large.size)
    links = LinksState(TotalsState(), 1, b"", OFF)
    desk, of = await begun(store, links), ShadowRoute.of(ORDERS, KEY)
    assert of is not None
    (store.folder / "strangler.db").rename(store.folder / "moved")
    (store.folder / "strangler.db").mkdir()
    for number in range(10):
        desk._keep(replace(large, id=str(number)), of)
        await desk.store()  # cannot: what was tried counts as before
    desk.report()
    assert links.totals.counter("strangler_shadow_dropped_total", "orders", "store") == 7
    await desk.close()


async def test_there_is_room_again_for_what_waits_once_all_is_stored(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desks, "MAX_PENDING_BYTES", 3 * match().size)
    monkeypatch.setattr(desks, "MAX_PENDING", 3)
    desk, of = await begun(store, LinksState(TotalsState(), 1, b"", OFF)), ShadowRoute.of(ORDERS, KEY)
    assert of is not None
    for _ in range(3):
        for _ in range(3):
            desk._keep(match(), of)
        await desk.store()
    assert await store.call(lambda one: one.execute("SELECT sum(count) FROM pairs").fetchone()) == (9,)
    await desk.close()


async def test_captures_in_hand_are_bounded_and_their_room_comes_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desks, "MAX_HELD_BYTES", 1000)
    links = LinksState(TotalsState(), 1, b"", OFF)
    desk = await begun(store, links)
    for _ in range(5):
        desk.take(captured(body=b"b" * 500))
    desk.report()
    assert links.totals.counter("strangler_shadow_dropped_total", "orders", "memory") == 3
    status = desk.status("orders")
    assert status is not None
    assert status["open"] == 2
    desk.adopt(settings(routes=[replace(ORDERS, shadow=shadow(percent=1))]))  # given up before anything was done
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    desk.take(captured(body=b"b" * 500))
    desk.report()
    assert links.totals.counter("strangler_shadow_dropped_total", "orders", "memory") == 3
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


async def test_a_reload_that_hides_values_is_in_force_at_once(store: Store) -> None:
    desk = await begun(store, LinksState(TotalsState(), 1, b"", OFF))
    before = desk._routes["orders"]
    desk.adopt(replace(settings(routes=[ORDERS]), evidence=EvidenceSettings("shown")))
    assert desk._routes["orders"] is before
    desk.adopt(replace(settings(routes=[ORDERS]), evidence=EvidenceSettings("hashed")))
    assert desk._routes["orders"].redactor.hides_values
    await desk.close()
