"""The database on disk: all of a transaction or nothing, and what counts as corrupt."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from strangler.state.database import (
    META_SCHEMA,
    CorruptError,
    connect,
    empty_log,
    is_corrupt,
    look_over,
    read_meta,
    transaction,
    write_meta,
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "strangler.db", META_SCHEMA, upgrade=None)) as connection:
        yield connection


def test_a_text_is_kept_under_its_key(database: sqlite3.Connection) -> None:
    assert read_meta(database, "run") is None
    write_meta(database, "run", "a")
    write_meta(database, "run", "b")
    assert read_meta(database, "run") == "b"


def test_a_transaction_that_raises_writes_nothing(database: sqlite3.Connection) -> None:
    def fail_after_a_write() -> None:
        with transaction(database):
            write_meta(database, "run", "a")
            raise KeyError

    with pytest.raises(KeyError):
        fail_after_a_write()
    assert read_meta(database, "run") is None
    assert not database.in_transaction


def test_a_log_is_emptied_into_the_database(database: sqlite3.Connection, tmp_path: Path) -> None:
    write_meta(database, "run", "a")
    log = tmp_path / "strangler.db-wal"
    assert log.stat().st_size > 0
    empty_log(database)
    assert log.stat().st_size == 0
    assert database.execute("PRAGMA busy_timeout").fetchone() == (5000,)


@pytest.mark.parametrize("is_thorough", [False, True])
def test_a_whole_database_passes(database: sqlite3.Connection, is_thorough: bool) -> None:
    look_over(database, is_thorough=is_thorough)


def test_an_upgrade_runs_before_the_tables_are_made(tmp_path: Path) -> None:
    with closing(
        connect(tmp_path / "new.db", META_SCHEMA, lambda connection: connection.execute(META_SCHEMA))
    ) as connection:
        assert read_meta(connection, "run") is None


def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "strangler.db").write_bytes(b"this is no database\n" * 1000)
    with pytest.raises(sqlite3.DatabaseError) as error:
        connect(tmp_path / "strangler.db", META_SCHEMA, upgrade=None)
    assert is_corrupt(error.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(CorruptError("row 1 missing from index"), True, id="looked over"),
        pytest.param(sqlite3.ProgrammingError("closed"), False, id="of the library"),
        pytest.param(OSError("no space left"), False, id="of the disk"),
    ],
)
def test_other_failures_are_no_corruption(error: Exception, expected: bool) -> None:
    assert is_corrupt(error) is expected
