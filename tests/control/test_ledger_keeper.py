"""The keeper of the ledger: each batch is counted once and acknowledged when it is stored, whatever happens between."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace as replaced
from pathlib import Path
from typing import Literal

import pytest
from msgspec.structs import replace

from strangler.control.ledger_home import LedgerOffError
from strangler.control.ledger_keeper import LedgerKeeper
from strangler.core.documents import ImportedSum, LedgerImportRequest
from strangler.core.settings import EvidenceSettings, Settings
from strangler.ipc.messages import LedgerBatch, LedgerSum
from strangler.ledger.actions import LedgerError
from strangler.ledger.ledger_queries import Filters
from strangler.store.file_store import FileStore
from strangler.store.schema import prepare_file
from strangler.store.store import StoreError
from tests import factories as f
from tests.control.control import in_force

DAY = 86_400.0
NOW = 20_000 * DAY + 3600
BROKEN = "CREATE TRIGGER broken BEFORE INSERT ON ledger_rows BEGIN SELECT RAISE(ABORT, 'the disk is bad'); END"


class Workers:
    """The way back to workers, which notes what is acknowledged."""

    def __init__(self) -> None:
        self.stored: list[tuple[str, int]] = []

    def ledger_stored(self, instance: str, number: int) -> None:
        self.stored.append((instance, number))


class Kept:
    """A keeper with its store, its workers and a clock that is set by hand."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.now = NOW
        self.workers = Workers()
        self.path = folder / "store.sqlite"
        self.store = FileStore(self.path, prepare_file)
        self.keeper = LedgerKeeper(self.store, self.workers, settings, lambda: self.now)

    def calls(self, endpoint: str = "GET /orders/{}") -> int:
        rows = {row.endpoint: row for row in self.keeper.document(Filters()).rows}
        return rows[endpoint].calls.legacy if endpoint in rows else 0


@asynccontextmanager
async def kept_in(folder: Path, settings: Settings | None = None) -> AsyncIterator[Kept]:
    kept = Kept(folder, settings or f.settings([f.route("orders", prefix="/orders", percent=25)]))
    await kept.keeper.restore()
    try:
        yield kept
    finally:
        await kept.store.close()


def batch(number: int, calls: int = 1, endpoint: str = "GET /orders/{}", at: float = NOW) -> LedgerBatch:
    method, _, template = endpoint.partition(" ")
    sums = [LedgerSum(method, template, "orders", "legacy", 200, "curl/8", calls, at, [calls, *[0] * 14], "/orders/7")]
    return LedgerBatch(number, sums, 0)


async def test_a_batch_is_acknowledged_when_it_is_stored(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as kept:
        kept.keeper.take("w0", batch(1, 3))
        assert kept.workers.stored == []
        await kept.keeper.save()
        assert kept.workers.stored == [("w0", 1)]
        await kept.keeper.save()
        assert kept.workers.stored == [("w0", 1)]


async def test_a_batch_that_is_sent_again_counts_once_and_is_acknowledged_again(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as kept:
        kept.keeper.take("w0", batch(1, 3))
        kept.keeper.take("w0", batch(1, 3))
        await kept.keeper.save()
        kept.keeper.take("w0", batch(1, 3))
        await kept.keeper.save()
        assert kept.calls() == 3
        assert kept.workers.stored == [("w0", 1), ("w0", 1)]


async def test_a_killed_control_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    """Nothing is closed in the first two: that is how a killed one leaves the store."""
    async with kept_in(tmp_path) as killed_before_it_stored:
        killed_before_it_stored.keeper.take("w0", batch(1, 3))
    async with kept_in(tmp_path) as killed_before_it_acknowledged:
        killed_before_it_acknowledged.keeper.take("w0", batch(1, 3))
        await killed_before_it_acknowledged.keeper.save()
    async with kept_in(tmp_path) as kept:
        kept.keeper.take("w0", batch(1, 3))
        kept.keeper.take("w1", batch(1, 5))
        kept.keeper.take("w0", batch(2, 1))
        assert kept.calls() == 9
        await kept.keeper.save()
        assert sorted(kept.workers.stored) == [("w0", 2), ("w1", 1)]


async def test_nothing_is_acknowledged_while_the_store_is_broken(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as kept:
        kept.keeper.take("w0", batch(1, 3))
        await kept.keeper.save()
        await kept.store.call(lambda connection: connection.execute(BROKEN))
        for number in range(2, 5):
            kept.keeper.take("w0", batch(number, 1))
            await kept.keeper.save()
        assert kept.workers.stored == [("w0", 1)]
        assert kept.store.problem == "the disk is bad"
        with closing(sqlite3.connect(kept.path)) as connection:
            connection.execute("DROP TRIGGER broken")
        await kept.keeper.save()
        assert kept.workers.stored == [("w0", 1), ("w0", 4)]
    async with kept_in(tmp_path) as after:
        assert after.calls() == 6


async def test_a_store_that_cannot_be_read_at_the_start_is_tried_again_and_no_batch_is_lost(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as before:
        before.keeper.take("w0", batch(1, 3))
        await before.keeper.save()
    content = before.path.read_bytes()
    for path in tmp_path.iterdir():
        path.unlink()
    before.path.mkdir()
    async with kept_in(tmp_path) as kept:
        kept.keeper.take("w0", batch(2, 1))
        kept.keeper.take("w0", batch(2, 1))
        await kept.keeper.save()
        with pytest.raises(StoreError):
            await kept.keeper.own("GET /orders/{}", "ana")
        kept.path.rmdir()
        kept.path.write_bytes(content)
        await kept.keeper.restore()
        await kept.keeper.save()
        assert kept.calls() == 4
        assert kept.workers.stored == [("w0", 2)]


async def test_the_two_last_batches_of_a_worker_that_ends_before_the_store_is_read_count(tmp_path: Path) -> None:
    settings = f.settings([f.route("orders", prefix="/orders", percent=25)])
    kept = Kept(tmp_path, settings)
    kept.keeper.take("w0", batch(1, 3))
    kept.keeper.take("w0", batch(2, 4))
    kept.keeper.take("w0", batch(1, 3))
    await kept.keeper.restore()
    await kept.keeper.save()
    assert kept.calls() == 7
    assert kept.workers.stored == [("w0", 2)]
    await kept.store.close()


def large(number: int, sums: int = 3000) -> LedgerBatch:
    return LedgerBatch(number, [replace(batch(1).sums[0], template=f"/a/{at % 9}x/b") for at in range(sums)], 0)


def counted(kept: Kept) -> int:
    return sum(row.calls.legacy for row in kept.keeper.document(Filters()).rows)


async def test_a_large_batch_is_counted_with_pauses_and_those_after_it_wait(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as kept:
        kept.keeper.take("w0", large(1))
        kept.keeper.take("w0", batch(2, 5))
        kept.keeper.take("w1", batch(1, 7))
        assert counted(kept) == 7
        saving = asyncio.create_task(kept.keeper.save())
        while counted(kept) == 7:  # noqa: ASYNC110 - its steps are not events
            await asyncio.sleep(0)
        assert counted(kept) < 3007
        kept.keeper.take("w0", batch(3, 1))
        kept.keeper.take("w0", large(1))
        await saving
        assert counted(kept) == 3013
        assert sorted(kept.workers.stored) == [("w0", 3), ("w1", 1)]
    async with kept_in(tmp_path) as after:
        assert counted(after) == 3013


async def test_a_large_batch_is_whole_where_control_ends_while_it_is_counted(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as kept:
        kept.keeper.take("w0", large(1))
        saving = asyncio.create_task(kept.keeper.save())
        while not counted(kept):  # noqa: ASYNC110 - its steps are not events
            await asyncio.sleep(0)
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving
        await kept.keeper.close()
        assert kept.workers.stored == [("w0", 1)]
    async with kept_in(tmp_path) as after:
        assert counted(after) == 3000


async def test_a_store_that_was_moved_away_gets_everything_again(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as kept:
        kept.keeper.take("w0", batch(1, 3))
        await kept.keeper.save()
        for path in tmp_path.iterdir():
            path.unlink()
        kept.keeper.take("w0", batch(2, 1, "GET /carts"))
        await kept.keeper.save()
        await kept.keeper.save()
        assert kept.workers.stored == [("w0", 1), ("w0", 2)]
    async with kept_in(tmp_path) as after:
        assert (after.calls(), after.calls("GET /carts")) == (3, 1)


async def test_time_is_watched_but_not_across_a_gap_or_a_clock_that_was_set(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as kept:
        for step in (0, 1, 1, 30, 3600, 1, -7200, 1, 1):
            kept.now += step
            kept.keeper.watch()
        watched = kept.keeper.state.watch
        assert watched.watched_s(0, NOW + 10 * DAY) == 1 + 1 + 30 + 1 + 1 + 1
        await kept.keeper.save()
    async with kept_in(tmp_path) as after:
        after.now = kept.now + 30
        after.keeper.watch()
        after.now += 1
        after.keeper.watch()
        assert after.keeper.state.watch.spans[0].end == after.now, "a restart does not interrupt"


async def test_without_a_ledger_batches_are_dropped_and_what_is_stored_is_kept(tmp_path: Path) -> None:
    off = replaced(f.settings(), ledger=None)
    async with kept_in(tmp_path) as kept:
        kept.keeper.take("w0", batch(1, 3))
        kept.keeper.adopt(in_force(off, 2))
        kept.keeper.watch()
        kept.keeper.take("w0", batch(2, 1))
        assert kept.workers.stored == [("w0", 2)]
        await kept.keeper.save()
        for read in (kept.keeper.history, lambda: kept.keeper.document(Filters())):
            with pytest.raises(LedgerOffError, match="`ledger: false`"):
                read()
        assert (kept.keeper.status(), kept.keeper.progress()) == (None, None)
        kept.keeper.adopt(in_force(f.settings(), 3))
        assert kept.calls() == 3


@pytest.mark.parametrize(("values", "example"), [("shown", "/orders/7"), ("hashed", "")])
async def test_an_example_is_kept_only_where_values_are(
    tmp_path: Path, values: Literal["shown", "hashed"], example: str
) -> None:
    async with kept_in(tmp_path, replaced(f.settings(), evidence=EvidenceSettings(values))) as kept:
        kept.keeper.take("w0", batch(1))
        await kept.keeper.save()
        assert [row.example for row in kept.keeper.document(Filters()).rows] == [example]


async def test_new_settings_give_names_and_rows(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as kept:
        kept.keeper.take("w0", batch(1, 2, "GET /shops/acme/menu"))
        kept.keeper.take("w0", batch(2, 2, "GET /shops/apex/menu"))
        shops = f.route("shops", path="/shops/{shop}/menu", percent=0)
        page = f.route("page", path="/page", percent=100, methods=["GET", "HEAD"])
        kept.keeper.adopt(in_force(f.settings([shops, page]), 2))
        found = {row.endpoint: (row.calls.legacy, row.source) for row in kept.keeper.document(Filters()).rows}
        assert found == {
            "GET /shops/{}/menu": (4, "traffic"),
            "GET /page": (0, "route"),
            "HEAD /page": (0, "route"),
        }
        kept.keeper.adopt(in_force(f.settings([shops]), 3))
        assert [row.endpoint for row in kept.keeper.document(Filters()).rows] == ["GET /shops/{}/menu"]


async def test_a_call_of_the_future_counts_now(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as kept:
        kept.keeper.take("w0", batch(1, at=NOW + 400 * DAY))
        assert kept.keeper.state.rows.rows["GET /orders/{}"].last_seen == NOW


async def test_changes_are_stored_at_once(tmp_path: Path) -> None:
    log = LedgerImportRequest("d1", "access.log", "combined", [("GET", "/a/{x}")], [], NOW - DAY, NOW)
    async with kept_in(tmp_path) as kept:
        kept.keeper.take("w0", batch(1, 3))
        assert await kept.keeper.own("GET /orders/9", "ana") == "GET /orders/{} belongs to ana"
        await kept.keeper.import_file(log)
    async with kept_in(tmp_path) as after:
        rows = {row.endpoint: row for row in after.keeper.document(Filters()).rows}
        assert rows["GET /orders/{}"].owner == "ana"
        assert rows["GET /a/{}"].source == "import"
        assert after.keeper.state.watch.watched_s(0, NOW) == DAY
        with pytest.raises(LedgerError, match="imported already"):
            await after.keeper.import_file(log)


async def test_an_import_that_is_cancelled_is_whole_all_the_same(tmp_path: Path) -> None:
    sums = [ImportedSum("GET", f"/a/{number % 7}x/b", 200, "curl/8", 1, NOW, [], "/a") for number in range(5000)]
    log = LedgerImportRequest("d1", "access.log", "combined", [], sums, None, None)
    async with kept_in(tmp_path) as kept:
        task = asyncio.create_task(kept.keeper.import_file(log))
        while not kept.keeper.state.rows.rows:  # noqa: ASYNC110 - its steps are not events
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await kept.keeper.close()
    async with kept_in(tmp_path) as after:
        assert sum(row.calls.legacy for row in after.keeper.document(Filters()).rows) == 5000
        assert "d1" in after.keeper.state.imports


async def test_memory_is_bounded_while_nothing_can_be_stored(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as kept:
        await kept.store.call(lambda connection: connection.execute(BROKEN))
        for number in range(1, 60):
            scan = [replace(batch(1).sums[0], template=f"/x{number}/{at}", status=404) for at in range(200)]
            kept.keeper.take("w0", LedgerBatch(number, scan, 0))
            await kept.keeper.save()
        rows = kept.keeper.state.rows
        assert (len(rows.rows), len(rows.changed), len(rows.dropped)) == (4999, 4999, 0)
        assert kept.workers.stored == []


async def test_rows_are_compacted_once_a_day(tmp_path: Path) -> None:
    async with kept_in(tmp_path) as kept:
        kept.keeper.take("w0", batch(1))
        await kept.keeper.save()
        kept.now += 100 * DAY
        kept.keeper.take("w0", batch(2, at=kept.now))
        await kept.keeper.save()
        document = kept.keeper.history()
        assert [(month.day, month.legacy) for month in document.months] == [("2024-10", 1)]
        assert [(day.day, day.legacy) for day in document.days] == [("2025-01-12", 1)]
