"""Where captures arrive, without any: what waits while nothing can be stored."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.control.events import outbox
from strangler.control.events.event import Event
from strangler.control.events.evidence import EvidenceEvents
from strangler.control.events.state import EventsState
from strangler.control.links import LinksState
from strangler.control.shadow import desk as desks
from strangler.control.shadow.desk import DeskState
from strangler.control.shadow.evidence import SCHEMA, Finding
from strangler.control.shadow.releases import current_release
from strangler.control.shadow.route import ShadowRoute
from strangler.control.shadow.stops import StopChange
from strangler.control.store import Store, StoreError
from strangler.control.totals import TotalsState
from strangler.core.compare import Answer
from strangler.core.settings import EvidenceSettings, RouteSettings
from strangler.state.kill_switch import OFF
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
    assert status.open == 2
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


async def test_what_was_asked_before_a_reset_does_not_count_after_it(store: Store) -> None:
    links = LinksState(TotalsState(), 1, b"", OFF)
    desk, of = await begun(store, links), ShadowRoute.of(ORDERS, KEY)
    assert of is not None
    desk._keep(match(), of)
    before = time.time()
    (name,) = await desk.reset("orders")
    assert name.startswith("unnamed@")
    desk._keep(match(at=before), of)
    desk._keep(match(at=time.time()), of)
    await desk.store()
    rows = await store.call(lambda one: one.execute("SELECT release, count FROM pairs ORDER BY release").fetchall())
    assert rows == [("", 1), (name, 1)]
    desk.report()
    assert links.totals.counter("strangler_shadow_dropped_total", "orders", "reset") == 1
    await desk.close()


async def test_a_reset_that_cannot_be_stored_changes_nothing(store: Store) -> None:
    links = LinksState(TotalsState(), 1, b"", OFF)
    desk, of = await begun(store, links), ShadowRoute.of(ORDERS, KEY)
    assert of is not None
    desk._keep(match(), of)
    await desk.store()

    def readonly(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA query_only = ON")

    await store.call(readonly)
    with pytest.raises(StoreError):
        await desk.reset("orders")
    assert desk.releases.begun("orders") == 0
    await desk.close()


async def test_a_release_that_is_named_is_stored_and_told(store: Store) -> None:
    links = LinksState(TotalsState(), 1, b"", OFF)
    desk = await begun(store, links)
    assert await desk.name_release("orders", "1") == ("", True)
    assert await desk.name_release("orders", "1") == ("1", False)
    assert await store.call(lambda one: current_release(one, "orders")) == "1"
    await desk.close()
    again = await begun(store, LinksState(TotalsState(), 1, b"", OFF))
    assert again.releases.current("orders") == "1"
    await again.close()


async def test_a_release_is_named_while_responses_go_on_to_name_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await begun(store, LinksState(TotalsState(), 1, b"", OFF))
    call = store.call

    async def call_while_one_comes(work: Callable[[sqlite3.Connection], object]) -> object:
        desk.releases.see(ORDERS, Answer(200), time.time(), time.time())
        return await call(work)

    monkeypatch.setattr(store, "call", call_while_one_comes)
    assert await desk.name_release("orders", "1") == ("", True)
    await desk.close()


async def test_a_release_that_cannot_be_stored_is_named_all_the_same(store: Store) -> None:
    desk = await begun(store, LinksState(TotalsState(), 1, b"", OFF))
    await store.call(lambda one: one.execute("PRAGMA query_only = ON").close())
    with pytest.raises(StoreError):
        await desk.name_release("orders", "1")
    assert desk.releases.current("orders") == "1"
    await desk.close()


class ToldState:
    """Keeps what the desk tells."""

    def __init__(self, events: EventsState) -> None:
        self.events = EvidenceEvents(events)
        self.told: list[tuple[str, str]] = []

    def insert(self, connection: sqlite3.Connection, now: float) -> list[Event]:
        return self.events.insert(connection, now)

    def insert_stops(self, connection: sqlite3.Connection, changes: Sequence[StopChange], now: float) -> list[Event]:
        return self.events.insert_stops(connection, changes, now)

    def kept(self, news: list[Event]) -> None:
        self.told += [(one.kind.value, one.subject) for one in news]

    def compared(self, finding: Finding) -> None: ...
    def halted(self, reason: str) -> None: ...
    def resumed(self) -> None: ...
    def release_changed(self, route: str, former: str, current: str, at: float) -> None: ...


class TestStops:
    """Shadowing that has stopped by itself."""

    async def _begun(self, store: Store, run: str = "run", routes: Sequence[RouteSettings] = (ORDERS,)) -> DeskState:
        links = LinksState(TotalsState(), 1, b"", OFF)
        desk = DeskState(store.folder, run, links, store, settings(routes=list(routes)))
        desk.told = ToldState(EventsState(store.folder, run, links, store, desk._settings))
        await desk.restore()
        return desk

    def _told(self, desk: DeskState) -> list[tuple[str, str]]:
        assert isinstance(desk.told, ToldState)
        return desk.told.told

    async def test_it_is_told_once_whichever_control_process_runs(self, store: Store) -> None:
        desk = await self._begun(store)
        for _ in range(2):
            desk._stop(desk._routes["orders"], "no header")
            await desk.store()
        assert self._told(desk) == [("shadow.stopped", "orders")]
        await desk.close()
        again = await self._begun(store)
        await again.store()
        assert self._told(again) == []
        assert again.stopped_gauges() == {("strangler_shadow_stopped", ("orders",)): 1.0}
        assert again.resume("orders", "ana")
        assert not again.resume("orders", "ana"), "there is nothing to resume any more"
        await again.store()
        assert self._told(again) == [("shadow.started", "orders")]
        assert again.stopped_gauges() == {("strangler_shadow_stopped", ("orders",)): 0.0}
        await again.close()
        third = await self._begun(store)
        await third.store()
        assert self._told(third) == []
        await third.close()

    @pytest.mark.parametrize(
        ("run", "routes", "told", "gauges"),
        [
            pytest.param("another", [ORDERS], ["shadow.started"], 1, id="the proxy starts anew"),
            pytest.param("run", [replace(ORDERS, shadow=shadow(50))], ["shadow.started"], 1, id="its shadow changes"),
            pytest.param("run", [route("orders")], [], 0, id="it has no shadows any more"),
            pytest.param("run", [], [], 0, id="the route has gone"),
        ],
    )
    async def test_it_ends_when_what_it_is_about_changes(
        self, store: Store, run: str, routes: list[RouteSettings], told: list[str], gauges: int
    ) -> None:
        desk = await self._begun(store)
        desk._stop(desk._routes["orders"], "no header")
        await desk.close()
        again = await self._begun(store, run, routes)
        await again.store()
        assert [kind for kind, _ in self._told(again)] == told
        assert list(again.stopped_gauges().values()) == [0.0] * gauges
        assert await store.call(lambda one: one.execute("SELECT count(*) FROM stops").fetchone()) == (0,)
        await again.close()

    async def test_it_waits_for_a_store_that_does_not_write(self, store: Store) -> None:
        desk = await self._begun(store)
        (store.folder / "strangler.db").rename(store.folder / "moved")
        (store.folder / "strangler.db").mkdir()
        desk._stop(desk._routes["orders"], "no header")
        await desk.store()
        assert self._told(desk) == []
        (store.folder / "strangler.db").rmdir()
        await desk.store()
        assert self._told(desk) == [("shadow.stopped", "orders")]
        await desk.close()

    async def test_a_route_of_settings_that_are_gone_stops_nothing(self, store: Store) -> None:
        desk = await self._begun(store)
        old = desk._routes["orders"]
        desk.adopt(settings(routes=[replace(ORDERS, shadow=shadow(50))]))
        desk._stop(old, "no header")
        await desk.store()
        assert self._told(desk) == []
        await desk.close()


async def test_a_reload_that_hides_values_is_in_force_at_once(store: Store) -> None:
    desk = await begun(store, LinksState(TotalsState(), 1, b"", OFF))
    before = desk._routes["orders"]
    desk.adopt(replace(settings(routes=[ORDERS]), evidence=EvidenceSettings("shown")))
    assert desk._routes["orders"] is before
    desk.adopt(replace(settings(routes=[ORDERS]), evidence=EvidenceSettings("hashed")))
    assert desk._routes["orders"].redactor.hides_values
    await desk.close()
