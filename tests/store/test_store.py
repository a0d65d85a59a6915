"""The store: what it keeps, and what it says when the disk is broken."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from strangler.control.totals import RETIRED
from strangler.store import file_store as stores
from strangler.store.connection import Connection
from strangler.store.evidence.reading import CorruptEvidenceError, ask
from strangler.store.file_store import FileStore
from strangler.store.schema import prepare_file
from strangler.store.store import Store, StoreError
from strangler.store.stored_metrics import Batch, Row, load_metrics, save_metrics

KEY = ("strangler_attempts_total", ("legacy", "2xx"))
ROWS = [Row("a", KEY, (3.0,)), Row(RETIRED, KEY, (1.0, 2.5))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "strangler.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    store = FileStore(path, prepare_file)
    yield store
    await store.close()


async def save(store: Store, rows: list[Row], gone: frozenset[str] = frozenset(), run: str = "run") -> bool:
    return await store.call(lambda connection: save_metrics(connection, run, Batch(rows, gone)))


async def load(store: Store, run: str = "run") -> list[Row]:
    return await store.call(lambda connection: load_metrics(connection, run))


async def test_what_is_saved_is_there_for_the_next_control(store: Store, path: Path) -> None:
    await save(store, ROWS)
    other = FileStore(path, prepare_file)
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


def no_database(path: Path) -> None:
    path.write_bytes(b"this is no database\n" * 1000)


def a_page_of_zeros(path: Path) -> None:
    """The first page of what the table of numbers holds."""
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'numbers'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))


def cut_short(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


WAYS = [no_database, a_page_of_zeros, cut_short]


@pytest.mark.parametrize("break_it", WAYS, ids=[way.__name__ for way in WAYS])
async def test_a_corrupt_file_is_left_alone_until_it_is_moved_away(
    path: Path, break_it: Callable[[Path], None]
) -> None:
    first = FileStore(path, prepare_file)
    await save(first, [Row(f"worker-{number}", KEY, (1.0,)) for number in range(2000)])
    await first.close()
    break_it(path)
    content = path.read_bytes()

    store = FileStore(path, prepare_file)
    for _ in range(3):
        with pytest.raises(StoreError, match="is corrupt"):
            await save(store, ROWS)
    assert store.corruption == store.problem
    assert f"mv {path}* ELSEWHERE" in (store.problem or "")
    assert path.read_bytes() == content, "the evidence, as it was found"

    path.rename(path.with_name("elsewhere"))
    assert not await save(store, ROWS), "a new one, that knows nothing of this run"
    assert (store.problem, store.corruption) == (None, None)
    assert len(await load(store)) == 2
    assert path.with_name("elsewhere").read_bytes() == content
    await store.close()


async def test_another_file_in_the_place_of_a_corrupt_one_is_taken(store: Store, path: Path) -> None:
    good = path.with_name("good.db")
    saved = FileStore(good, prepare_file)
    await save(saved, ROWS)
    await saved.close()
    no_database(path)
    with pytest.raises(StoreError, match="is corrupt"):
        await load(store)
    path.write_bytes(good.read_bytes())  # in place, as cp does it
    assert len(await load(store)) == 2
    assert store.problem is None


async def test_what_is_found_corrupt_in_use_stops_the_store(store: Store, path: Path) -> None:
    await save(store, [Row(f"worker-{number}", KEY, (1.0,)) for number in range(2000)])
    await store.call(lambda connection: connection.execute("PRAGMA cache_size = 0"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StoreError, match="is corrupt"):
        await load(store)
    assert store.corruption


async def test_a_reader_beside_the_store_tells_it_what_is_corrupt(store: Store, path: Path) -> None:
    await save(store, [Row(f"worker-{number}", KEY, (1.0,)) for number in range(2000)])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    for _ in range(2):
        with pytest.raises(CorruptEvidenceError, match="is corrupt"):
            await ask(store, lambda connection: connection.execute("SELECT count(*) FROM numbers").fetchall())
    assert "is corrupt" in (store.corruption or "")


async def test_a_reader_who_is_wrong_changes_nothing(store: Store) -> None:
    await save(store, ROWS)
    await store.doubt()
    assert store.problem is None


async def test_a_file_that_is_moved_away_in_use_is_followed_by_a_new_one(store: Store, path: Path) -> None:
    await save(store, ROWS)
    for file in path.parent.glob(f"{path.name}*"):
        file.rename(file.with_name(f"old-{file.name}"))
    assert not await save(store, ROWS[:1])
    assert len(await load(store)) == 1
    moved = FileStore(path.with_name(f"old-{path.name}"), prepare_file)
    assert len(await load(moved)) == 2
    await moved.close()


async def test_a_problem_is_over_when_something_can_be_written_not_when_it_can_be_read(store: Store) -> None:
    def refuse_writes(connection: Connection) -> None:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON meta BEGIN SELECT raise(ABORT, 'no room'); END")

    await save(store, ROWS)
    await store.call(refuse_writes)
    with pytest.raises(StoreError):
        await store.call(lambda connection: connection.execute("INSERT INTO meta VALUES ('a', 'b')"))
    assert len(await load(store)) == 2, "it can be read"
    assert store.problem == "no room"


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

    def fill(connection: Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    await store.call(fill)
    many = [Row(f"worker-{number}", KEY, (1.0,)) for number in range(10_000)]
    with pytest.raises(StoreError, match="full"):
        await save(store, many)
    assert "full" in (store.problem or "")
    assert len(await load(store)) == 2


async def test_a_failing_call_leaves_nothing_behind(store: Store) -> None:
    def fail(connection: Connection) -> None:
        connection.execute("DELETE FROM numbers")
        raise sqlite3.OperationalError("disk I/O error")

    await save(store, ROWS)
    with pytest.raises(StoreError):
        await store.call(fail)
    assert len(await load(store)) == 2


async def test_a_reader_that_stays_lets_the_log_grow_which_is_told_once_until_it_ends(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "TRY_LOG_BYTES", 128 << 10)
    monkeypatch.setattr(stores, "TRY_LOG_EVERY_S", 0.0)
    monkeypatch.setattr(stores, "MAX_LOG_BYTES", 512 << 10)
    await save(store, ROWS)

    async def save_many(value: float) -> None:
        await save(store, [Row("a", (f"strangler_{number}", ("x" * 900,)), (value,)) for number in range(300)])

    with closing(sqlite3.connect(path, isolation_level=None)) as reader, capture_logs() as logs:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM numbers").fetchone()
        for turn in range(5):
            await save_many(float(turn))
        assert store.log_bytes > 512 << 10
        assert f"{path}-wal has grown to " in str(store.log_problem)
        assert store.problem is None
        reader.execute("COMMIT")
        await save_many(5.0)
    assert (store.log_bytes, store.log_problem) == (0, None)
    assert [line["event"] for line in logs] == ["store.log_large", "store.log_bounded"]


async def test_without_readers_the_log_stays_small(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "TRY_LOG_BYTES", 128 << 10)
    monkeypatch.setattr(stores, "TRY_LOG_EVERY_S", 0.0)
    for turn in range(10):
        await save(store, [Row("a", (f"strangler_{number}", ("x" * 900,)), (float(turn),)) for number in range(300)])
        assert path.with_name(f"{path.name}-wal").stat().st_size <= 128 << 10
