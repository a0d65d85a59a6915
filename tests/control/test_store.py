"""The store: what it keeps, and what it says when the disk is broken."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from strangler.control.store import Store, StoreError, load_numbers, save_numbers
from strangler.control.totals import RETIRED, Batch, Row

KEY = ("strangler_attempts_total", ("legacy", "2xx"))
ROWS = [Row("a", KEY, (3.0,)), Row(RETIRED, KEY, (1.0, 2.5))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "strangler.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    store = Store(path)
    yield store
    await store.close()


async def save(store: Store, rows: list[Row], gone: frozenset[str] = frozenset(), run: str = "run") -> bool:
    return await store.call(lambda connection: save_numbers(connection, run, Batch(rows, gone)))


async def load(store: Store, run: str = "run") -> list[Row]:
    return await store.call(lambda connection: load_numbers(connection, run))


async def test_what_is_saved_is_there_for_the_next_control(store: Store, path: Path) -> None:
    await save(store, ROWS)
    other = Store(path)
    assert sorted(await load(other), key=lambda row: row.instance) == sorted(ROWS, key=lambda row: row.instance)
    await other.close()


async def test_the_rows_of_those_who_are_gone_go(store: Store) -> None:
    await save(store, ROWS)
    await save(store, [], gone=frozenset({"a"}))
    assert [row.instance for row in await load(store)] == [RETIRED]


async def test_another_run_of_the_supervisor_begins_anew(store: Store) -> None:
    await save(store, ROWS)
    assert await load(store, "another") == []


async def test_a_store_that_knows_nothing_of_this_run_says_so(store: Store) -> None:
    assert not await save(store, ROWS)
    assert await save(store, ROWS)


async def test_a_file_that_is_no_database_is_put_aside_and_a_new_one_begun(store: Store, path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)
    assert not await save(store, ROWS)
    assert len(await load(store)) == 2
    assert store.problem is None
    assert [file.read_bytes()[:4] for file in path.parent.glob("strangler.corrupt-*")] == [b"this"]


async def test_a_folder_that_cannot_be_used_is_a_problem_until_it_can(store: Store, path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError):
        await save(store, ROWS)
    assert store.problem
    path.rmdir()
    await save(store, ROWS)
    assert store.problem is None


async def test_a_full_disk_is_a_problem_and_nothing_is_half_stored(store: Store) -> None:
    await save(store, ROWS)

    def fill(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    await store.call(fill)
    many = [Row(f"worker-{number}", KEY, (1.0,)) for number in range(10_000)]
    with pytest.raises(StoreError, match="full"):
        await save(store, many)
    assert "full" in (store.problem or "")
    assert len(await load(store)) == 2


async def test_a_failing_call_leaves_nothing_behind(store: Store) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM numbers")
        raise sqlite3.OperationalError("disk I/O error")

    await save(store, ROWS)
    with pytest.raises(StoreError):
        await store.call(fail)
    assert len(await load(store)) == 2
