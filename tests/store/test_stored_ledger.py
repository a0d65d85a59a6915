"""The ledger in the store: what is loaded equals what was saved, whatever happened between."""

from dataclasses import replace as replaced
from pathlib import Path

import pytest

from strangler.core.documents import LedgerImportRequest
from strangler.core.ledger.counts import hour_of
from strangler.ledger.actions import apply_import, fold, ignore, own
from strangler.ledger.ledger_state import MAX_HOURS, LedgerState
from strangler.state.files import STORE
from strangler.store import stored_ledger
from strangler.store.connection import Connection
from strangler.store.evidence.access import file_location
from strangler.store.evidence.reading import reader
from tests import factories as f
from tests.ledger.ledgers import DAY, NOW, QUIET, called, sum_of


class Kept:
    """A ledger and its store."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.state = LedgerState()

    def save(self, *, fails: bool = False) -> None:
        unsaved = stored_ledger.collect_unsaved(self.state, with_slow=True)
        if fails:
            stored_ledger.put_back(self.state, unsaved)
            return
        if stored_ledger.save(self.connection, unsaved):
            stored_ledger.confirm(self.state, unsaved)
        else:
            stored_ledger.put_back(self.state, unsaved)
            stored_ledger.put_all_back(self.state)

    def load(self) -> LedgerState:
        return stored_ledger.load(self.connection)

    def assert_equal(self) -> None:
        loaded = self.load()
        for name in ("tree", "rows", "watch", "imports", "batches", "sampled"):
            assert getattr(loaded, name) == getattr(self.state, name), name
        assert (loaded.names.listed, loaded.names.folded) == (self.state.names.listed, self.state.names.folded)
        assert loaded.stored == set(self.state.rows.rows)


@pytest.fixture
def kept(connection: Connection) -> Kept:
    return Kept(connection)


def fill(state: LedgerState) -> None:
    state.take("w1", 1, [sum_of("GET /orders/7"), sum_of("POST /orders", caller="okhttp/4", status=201)], 3, QUIET, NOW)
    called(state, "GET /orders/7", NOW - 3 * DAY, arm="candidate", route="orders", calls=4)
    called(state, "GET /wp-login.php", status=404)
    state.watch.add(NOW - DAY, NOW)


def test_all_that_was_saved_is_loaded(kept: Kept) -> None:
    fill(kept.state)
    own(kept.state, "POST /orders", "ana")
    ignore(kept.state, "GET /orders/{}")
    apply_import(
        kept.state, LedgerImportRequest("d1", "routes.txt", "list", [("GET", "/a/{x}")], [], None, None), QUIET, NOW
    )
    kept.save()
    kept.assert_equal()
    row = kept.load().rows.rows["POST /orders"]
    assert (row.owner, row.callers["okhttp/4"].legacy) == ("ana", 1)


def test_later_saves_write_what_has_changed(kept: Kept) -> None:
    fill(kept.state)
    kept.save()
    called(kept.state, "GET /orders/7", NOW + DAY)
    unsaved = stored_ledger.collect_unsaved(kept.state)
    assert [name for name, _ in unsaved.rows] == ["GET /orders/{}"]
    assert [(name, day) for name, day, _ in unsaved.days] == [("GET /orders/{}", "2024-10-05")]
    stored_ledger.put_back(kept.state, unsaved)
    kept.save()
    kept.assert_equal()
    assert stored_ledger.collect_unsaved(kept.state).is_empty


def test_the_tree_is_saved_now_and_then_and_whenever_a_template_changes(kept: Kept) -> None:
    fill(kept.state)
    assert "tree" in stored_ledger.collect_unsaved(kept.state).meta
    kept.save()
    called(kept.state, "GET /another")
    assert "tree" not in stored_ledger.collect_unsaved(kept.state).meta
    assert "tree" in stored_ledger.collect_unsaved(kept.state, with_slow=True).meta
    fold(kept.state, "/{}/menu")
    assert "tree" in stored_ledger.collect_unsaved(kept.state).meta


def test_a_failed_save_is_made_up_for(kept: Kept) -> None:
    fill(kept.state)
    kept.save(fails=True)
    called(kept.state, "GET /orders/7", NOW + DAY)
    kept.save(fails=True)
    kept.save()
    kept.assert_equal()


def test_time_that_was_watched_alone_is_saved_now_and_then_and_an_import_of_it_at_once(kept: Kept) -> None:
    fill(kept.state)
    kept.save()
    kept.state.watch.add(NOW, NOW + 1)
    assert stored_ledger.collect_unsaved(kept.state).is_empty
    log = LedgerImportRequest("d1", "access.log", "combined", [], [], NOW - 9 * DAY, NOW - 8 * DAY)
    apply_import(kept.state, log, QUIET, NOW)
    unsaved = stored_ledger.collect_unsaved(kept.state)
    assert {"given", "watch"} == unsaved.meta.keys()
    stored_ledger.put_back(kept.state, unsaved)
    kept.save()
    kept.assert_equal()


def test_folded_rows_leave_the_store(kept: Kept) -> None:
    for name in ("berlin", "paris"):
        called(kept.state, f"GET /{name}/menu", caller=name)
    kept.save()
    fold(kept.state, "/{}/menu")
    kept.save(fails=True)
    kept.save()
    kept.assert_equal()
    assert sorted(kept.load().rows.rows) == ["GET /{}/menu"]
    assert kept.connection.execute("SELECT COUNT(*) FROM ledger_past").fetchone() == (1,)


def test_a_row_that_went_and_came_again_has_none_of_its_former_days(kept: Kept) -> None:
    called(kept.state, "GET /a", NOW - DAY)
    kept.save()
    kept.state.rows.drop("GET /a")
    called(kept.state, "GET /a", NOW)
    kept.save()
    kept.assert_equal()
    assert list(kept.load().rows.rows["GET /a"].history.days) == ["2024-10-04"]


def test_a_store_that_lost_everything_gets_it_again(kept: Kept) -> None:
    fill(kept.state)
    kept.save()
    for table in ("ledger_rows", "ledger_past", "ledger_days", "ledger_meta"):
        kept.connection.execute(f"DELETE FROM {table}")
    called(kept.state, "GET /orders/7", NOW + DAY)
    kept.save()
    assert kept.load().rows.rows == {}
    kept.save()
    kept.assert_equal()


def test_compaction_keeps_the_sums_and_forgets_what_is_too_old(kept: Kept) -> None:
    for day in range(0, 300, 10):
        called(kept.state, "GET /a", NOW - day * DAY)
    called(kept.state, "GET /xmlrpc.php", NOW - 299 * DAY, status=404)
    kept.save()
    stored_ledger.compact(kept.state, list(kept.state.rows.rows), NOW, 200 * DAY)
    kept.save()
    kept.assert_equal()
    row = kept.load().rows.rows["GET /a"]
    assert list(kept.load().rows.rows) == ["GET /a"]
    assert row.history.total().legacy == 22  # the oldest month is kept as a whole
    assert min(row.history.days) == "2024-07-06"
    assert kept.connection.execute("SELECT COUNT(*) FROM ledger_past").fetchone() == (1,)


def test_content_that_cannot_be_read_is_left_out_and_the_rest_lives(
    kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(kept.state)
    called(kept.state, "GET /b")
    kept.save()
    kept.connection.execute("UPDATE ledger_rows SET content = ? WHERE endpoint = 'GET /b'", (b"\xff\x00",))
    kept.connection.execute("UPDATE ledger_past SET content = '{}}' WHERE endpoint = 'POST /orders'")
    kept.connection.execute("UPDATE ledger_meta SET content = ? WHERE name = 'tree'", (b'{"root":7}',))
    kept.state = kept.load()
    assert sorted(kept.state.rows.rows) == ["GET /orders/{}", "GET /wp-login.php", "POST /orders"]
    assert kept.state.rows.rows["POST /orders"].last_seen == NOW
    assert kept.state.tree.root.words == {}
    assert capsys.readouterr().out.count("ledger.unreadable") == 3
    kept.save()
    kept.state = kept.load()
    assert capsys.readouterr().out.count("ledger.unreadable") == 1  # a day's counts, until the row is written again
    assert kept.state.stored == set(kept.state.rows.rows)


def test_a_store_of_an_earlier_version_has_no_ledger_yet(tmp_path: Path) -> None:
    (tmp_path / STORE).touch()
    with reader(file_location(tmp_path)) as connection:
        loaded = stored_ledger.load(connection)
    assert (loaded.rows.rows, loaded.stored, loaded.meta) == ({}, set(), {})


def test_names_of_routes_come_from_the_settings_alone(kept: Kept) -> None:
    kept.state.adopt(f.settings([f.route("a", path="/a/{x}/b", percent=0)]), NOW)
    called(kept.state, "GET /a/red/b")
    kept.save()
    loaded = kept.load()
    loaded.adopt(f.settings(), NOW)
    called(loaded, "GET /a/blue/b")
    assert sorted(loaded.rows.rows) == ["GET /a/blue/b", "GET /a/{}/b"]


def test_calls_by_hour_are_kept_but_for_those_beside_legacy_and_bounded(connection: Connection) -> None:
    state = LedgerState()
    state.adopt(f.settings([replaced(f.route("chat", prefix="/chat"), is_passthrough=True)]), NOW)
    called(state, "GET /orders/7", NOW, calls=3)
    called(state, "GET /orders/7", NOW, arm="candidate", calls=2)
    called(state, "GET /chat/7", NOW, arm="candidate", calls=50, route="chat")
    assert state.hours == {hour_of(NOW): (3, 2)}
    assert stored_ledger.save(connection, stored_ledger.collect_unsaved(state))
    assert stored_ledger.load(connection).hours == {hour_of(NOW): (3, 2)}
    for back in range(2 * MAX_HOURS):
        called(state, "GET /orders/7", NOW - 3600 * back)
    assert len(state.hours) == MAX_HOURS
    assert min(state.hours) == hour_of(NOW - 3600 * (MAX_HOURS - 1))
