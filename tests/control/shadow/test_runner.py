"""Where captures arrive, without any: what waits while nothing can be stored."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.control.shadow import held_captures, pending
from strangler.control.shadow.route_status import route_status, stopped_gauges
from strangler.core.compare import Response
from strangler.core.settings import EvidenceSettings, RouteSettings, TlsSettings
from strangler.state.kill_switch import OFF, KilledRoute, KillSwitchState
from strangler.store.connection import Connection
from strangler.store.evidence.stored_releases import current_release
from strangler.store.file_store import FileStore
from strangler.store.schema import prepare_file
from strangler.store.store import Store, StoreError
from tests.certificates import make_ca
from tests.control.control import in_force
from tests.control.shadow.rig import Rig, begun
from tests.factories import route, settings, shadow, upstream
from tests.store.evidence.pairs import captured, match, mismatch

ORDERS: RouteSettings = replace(route("orders"), shadow=shadow())
IN_FORCE = settings(routes=[ORDERS])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FileStore]:
    store = FileStore(tmp_path / "strangler.db", prepare_file)
    yield store
    await store.close()


async def test_of_what_cannot_be_stored_so_many_wait_and_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MAX_PENDING", 3)
    rig = await begun(store, IN_FORCE)
    for _ in range(10):
        rig.parts.writer.add(match())
    assert rig.count("strangler_shadow_dropped_total", "orders", "store") == 7
    assert rig.count("strangler_shadow_comparisons_total", "orders", "match") == 3
    await rig.parts.runner.close()


async def test_of_what_cannot_be_stored_so_many_bytes_wait_and_no_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = mismatch(line=b"l" * 1000, sample=b"s" * 9000)
    assert 10_000 < large.size < 12_000
    monkeypatch.setattr(pending, "MAX_PENDING_BYTES", 3 * large.size)
    rig = await begun(store, IN_FORCE)
    (store.folder / "strangler.db").rename(store.folder / "moved")
    (store.folder / "strangler.db").mkdir()
    for number in range(10):
        rig.parts.writer.add(replace(large, id=str(number)))
        await rig.parts.runner.store()  # cannot: what was tried counts as before
    assert rig.count("strangler_shadow_dropped_total", "orders", "store") == 7
    await rig.parts.runner.close()


async def test_there_is_room_again_for_what_waits_once_all_is_stored(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "MAX_PENDING_BYTES", 3 * match().size)
    monkeypatch.setattr(pending, "MAX_PENDING", 3)
    rig = await begun(store, IN_FORCE)
    for _ in range(3):
        for _ in range(3):
            rig.parts.writer.add(match())
        await rig.parts.runner.store()
    assert await store.call(lambda connection: connection.execute("SELECT sum(count) FROM pairs").fetchone()) == (9,)
    await rig.parts.runner.close()


async def test_captures_in_hand_are_bounded_and_their_room_comes_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_captures, "MAX_HELD_BYTES", 1000)
    rig = await begun(store, IN_FORCE)
    for _ in range(5):
        rig.parts.runner.take(captured(body=b"b" * 500))
    assert rig.count("strangler_shadow_dropped_total", "orders", "memory") == 3
    status = route_status(rig.parts.table, rig.links.state.totals, "orders")
    assert status is not None
    assert status.open == 2
    rig.parts.runner.adopt(
        in_force(settings(routes=[replace(ORDERS, shadow=shadow(percent=1))]))
    )  # given up before anything was done
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rig.parts.runner.take(captured(body=b"b" * 500))
    assert rig.count("strangler_shadow_dropped_total", "orders", "memory") == 3
    await rig.parts.runner.close()


async def test_lines_are_written_once_however_often_the_batch_is_tried(store: FileStore) -> None:
    rig = await begun(store, IN_FORCE)

    def authorize(action: int, word: str | None, *_: object) -> int:
        is_commit = action == sqlite3.SQLITE_TRANSACTION and word == "COMMIT"
        return sqlite3.SQLITE_DENY if is_commit else sqlite3.SQLITE_OK

    assert isinstance(store._connection, sqlite3.Connection)
    store._connection.set_authorizer(authorize)  # the lines are written by then; the next connection has none
    rig.parts.writer.add(replace(mismatch(), line=b"{}\n"))
    journal = store.folder / "shadow-diffs.jsonl"
    await rig.parts.runner.store()
    assert (rig.parts.writer.problem is not None, journal.read_bytes()) == (True, b"{}\n")
    await rig.parts.runner.store()
    assert (rig.parts.writer.problem, journal.read_bytes()) == (None, b"{}\n")
    assert await store.call(lambda connection: connection.execute("SELECT sum(count) FROM pairs").fetchone()) == (1,)
    await rig.parts.runner.close()


async def test_what_was_asked_before_a_reset_does_not_count_after_it(store: Store) -> None:
    rig = await begun(store, IN_FORCE)
    rig.parts.writer.add(match())
    before = time.time()
    (name,) = await rig.parts.evidence.reset("orders")
    assert name.startswith("unnamed@")
    rig.parts.writer.add(match(at=before))
    rig.parts.writer.add(match(at=time.time()))
    await rig.parts.runner.store()
    rows = await store.call(
        lambda connection: connection.execute("SELECT release, count FROM pairs ORDER BY release").fetchall()
    )
    assert rows == [("", 1), (name, 1)]
    assert rig.count("strangler_shadow_dropped_total", "orders", "reset") == 1
    await rig.parts.runner.close()


async def test_a_reset_that_cannot_be_stored_changes_nothing(store: Store) -> None:
    rig = await begun(store, IN_FORCE)
    rig.parts.writer.add(match())
    await rig.parts.runner.store()

    def readonly(connection: Connection) -> None:
        connection.execute("PRAGMA query_only = ON")

    await store.call(readonly)
    with pytest.raises(StoreError):
        await rig.parts.evidence.reset("orders")
    assert rig.parts.releases.begun("orders") == 0
    await rig.parts.runner.close()


async def test_a_release_that_is_named_is_stored_and_told(store: Store) -> None:
    rig = await begun(store, IN_FORCE)
    assert await rig.parts.evidence.name_release("orders", "1") == ("", True)
    assert await rig.parts.evidence.name_release("orders", "1") == ("1", False)
    assert await store.call(lambda connection: current_release(connection, "orders")) == "1"
    await rig.parts.runner.close()
    assert rig.listener.releases == [("", "1")]
    again = await begun(store, IN_FORCE)
    assert again.parts.releases.current("orders") == "1"
    await again.parts.runner.close()


async def test_a_release_is_named_while_responses_go_on_to_name_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = await begun(store, IN_FORCE)
    call = store.call

    async def call_while_one_comes(work: Callable[[Connection], object]) -> object:
        rig.parts.releases.see(ORDERS, Response(200), time.time(), time.time())
        return await call(work)

    monkeypatch.setattr(store, "call", call_while_one_comes)
    assert await rig.parts.evidence.name_release("orders", "1") == ("", True)
    await rig.parts.runner.close()


async def test_a_release_that_cannot_be_stored_is_named_all_the_same(store: Store) -> None:
    rig = await begun(store, IN_FORCE)
    await store.call(lambda connection: connection.execute("PRAGMA query_only = ON").fetchall())
    with pytest.raises(StoreError):
        await rig.parts.evidence.name_release("orders", "1")
    assert rig.parts.releases.current("orders") == "1"
    await rig.parts.runner.close()


class TestStops:
    """Shadowing that has stopped by itself."""

    def _stop(self, rig: Rig) -> None:
        rig.parts.switch.halt(rig.parts.table.routes["orders"], "no header")

    def _gauges(self, rig: Rig) -> list[float]:
        return list(stopped_gauges(rig.parts.table).values())

    async def test_it_is_told_once_whichever_control_process_runs(self, store: Store) -> None:
        rig = await begun(store, IN_FORCE)
        for _ in range(2):
            self._stop(rig)
            await rig.parts.runner.store()
        assert rig.listener.stored == [("shadow.stopped", "orders")]
        await rig.parts.runner.close()
        again = await begun(store, IN_FORCE)
        await again.parts.runner.store()
        assert again.listener.stored == []
        assert self._gauges(again) == [1.0]
        assert again.parts.switch.resume("orders", "ana")
        assert not again.parts.switch.resume("orders", "ana"), "there is nothing to resume any more"
        await again.parts.runner.store()
        assert again.listener.stored == [("shadow.started", "orders")]
        assert self._gauges(again) == [0.0]
        await again.parts.runner.close()
        third = await begun(store, IN_FORCE)
        await third.parts.runner.store()
        assert third.listener.stored == []
        await third.parts.runner.close()

    @pytest.mark.parametrize(
        ("run", "routes", "reported", "gauges"),
        [
            pytest.param("another", [ORDERS], ["shadow.started"], 1, id="the proxy starts anew"),
            pytest.param("run", [replace(ORDERS, shadow=shadow(50))], ["shadow.started"], 1, id="its shadow changes"),
            pytest.param("run", [route("orders")], [], 0, id="it has no shadows any more"),
            pytest.param("run", [], [], 0, id="the route has gone"),
        ],
    )
    async def test_it_ends_when_what_it_is_about_changes(
        self, store: Store, run: str, routes: list[RouteSettings], reported: list[str], gauges: int
    ) -> None:
        rig = await begun(store, IN_FORCE)
        self._stop(rig)
        await rig.parts.runner.close()
        again = await begun(store, settings(routes=routes), run)
        await again.parts.runner.store()
        assert [kind for kind, _ in again.listener.stored] == reported
        assert self._gauges(again) == [0.0] * gauges
        assert await store.call(lambda connection: connection.execute("SELECT count(*) FROM stops").fetchone()) == (0,)
        await again.parts.runner.close()

    async def test_it_waits_for_a_store_that_does_not_write(self, store: Store) -> None:
        rig = await begun(store, IN_FORCE)
        (store.folder / "strangler.db").rename(store.folder / "moved")
        (store.folder / "strangler.db").mkdir()
        self._stop(rig)
        await rig.parts.runner.store()
        assert rig.listener.stored == []
        (store.folder / "strangler.db").rmdir()
        await rig.parts.runner.store()
        assert rig.listener.stored == [("shadow.stopped", "orders")]
        await rig.parts.runner.close()

    async def test_a_route_of_settings_that_are_gone_stops_nothing(self, store: Store) -> None:
        rig = await begun(store, IN_FORCE)
        old = rig.parts.table.routes["orders"]
        rig.parts.runner.adopt(in_force(settings(routes=[replace(ORDERS, shadow=shadow(50))])))
        rig.parts.switch.halt(old, "no header")
        await rig.parts.runner.store()
        assert rig.listener.stored == []
        await rig.parts.runner.close()


async def test_a_reload_that_hides_values_is_in_force_at_once(store: Store) -> None:
    rig = await begun(store, IN_FORCE)
    before = rig.parts.table.routes["orders"]
    rig.parts.runner.adopt(in_force(replace(settings(routes=[ORDERS]), evidence=EvidenceSettings("shown"))))
    assert rig.parts.table.routes["orders"] is before
    rig.parts.runner.adopt(in_force(replace(settings(routes=[ORDERS]), evidence=EvidenceSettings("hashed"))))
    assert rig.parts.table.routes["orders"].redactor.hides_values
    await rig.parts.runner.close()


async def test_when_the_kill_switch_is_turned_on_what_is_under_way_ends_at_once(store: Store) -> None:
    rig = await begun(store, IN_FORCE)
    rig.parts.runner.take(captured())
    on = KillSwitchState(True, "why", "now")
    rig.links.turned(on)
    rig.parts.runner.turned(on)
    rig.parts.runner.take(captured())
    assert rig.count("strangler_shadow_dropped_total", "orders", "killed") == 2
    rig.links.turned(OFF)
    rig.parts.runner.turned(OFF)
    await asyncio.sleep(0)
    rig.parts.runner.take(captured())
    assert rig.count("strangler_shadow_dropped_total", "orders", "killed") == 2
    await rig.parts.runner.close()


async def test_the_kill_switch_of_a_route_ends_its_shadows_at_once_and_leaves_the_others(store: Store) -> None:
    users = route("users", shadow=shadow())
    rig = await begun(store, settings(routes=[ORDERS, users]))

    def turn(*routes: str) -> None:
        switch = KillSwitchState(False, "", None, {name: KilledRoute("why", "now") for name in routes})
        rig.links.turned(switch)
        rig.parts.runner.turned(switch)

    def dropped() -> list[float]:
        return [rig.count("strangler_shadow_dropped_total", name, "killed") for name in ("orders", "users")]

    rig.parts.runner.take(captured())
    rig.parts.runner.take(captured(route="users"))
    turn("orders")
    assert dropped() == [1, 0]
    rig.parts.runner.take(captured())
    rig.parts.runner.take(captured(route="users"))
    assert dropped() == [2, 0]
    turn("users")
    assert dropped() == [2, 2]
    rig.parts.runner.take(captured())
    turn()
    rig.parts.runner.take(captured(route="users"))
    assert dropped() == [2, 2], "both go on"
    await rig.parts.runner.close()


async def test_a_store_that_fails_is_published_and_so_is_its_recovery(store: Store) -> None:
    rig = await begun(store, IN_FORCE)
    off = KillSwitchState(False, "", "now")
    rig.parts.writer.fail("no room")
    rig.parts.runner.turned(off)
    assert rig.listener.halts == ["no room"]
    assert await rig.parts.runner.store()
    rig.parts.runner.turned(off)
    assert rig.listener.halts == ["no room", "resumed"]
    await rig.parts.runner.close()


async def test_new_certificates_replace_no_upstream_of_shadows(store: Store) -> None:
    """Its breaker and its failures are those of before; the next handshake has the new files."""
    authority = make_ca()
    orders = replace(upstream("orders", "https://orders.internal"), tls=TlsSettings("/ca.pem", True))
    made = settings(routes=[ORDERS], upstreams=[upstream("legacy"), orders])
    rig = await begun(store, made)
    before = rig.parts.table.upstreams["orders"]
    with pytest.raises(FileNotFoundError):
        before.tls.context  # noqa: B018 - it is made by this
    rig.parts.runner.adopt(in_force(replace(made, files={"/ca.pem": authority.cert}), 2))
    assert rig.parts.table.upstreams["orders"] is before
    assert before.tls.context.cert_store_stats()["x509_ca"] == 1
    await rig.parts.runner.close()
