"""The database on disk: all of a transaction or nothing, and what counts as corrupt."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from strangler.store.connection import Connection, make_tables
from strangler.store.errors import CorruptError, DatabaseError
from strangler.store.meta import SCHEMA as META_SCHEMA
from strangler.store.meta import read_meta, write_meta
from strangler.store.sqlite import connect, empty_log, look_over, open_to_read, open_to_write, transaction, translated


def make_meta(connection: Connection) -> None:
    make_tables(connection, META_SCHEMA)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Connection]:
    with closing(connect(tmp_path / "strangler.db", make_meta)) as connection:
        yield connection


def test_a_text_is_kept_under_its_key(database: Connection) -> None:
    assert read_meta(database, "run") is None
    write_meta(database, "run", "a")
    write_meta(database, "run", "b")
    assert read_meta(database, "run") == "b"


def test_a_transaction_that_raises_writes_nothing(database: Connection) -> None:
    def fail_after_a_write() -> None:
        with transaction(database):
            write_meta(database, "run", "a")
            raise KeyError

    with pytest.raises(KeyError):
        fail_after_a_write()
    assert read_meta(database, "run") is None
    with transaction(database):
        write_meta(database, "run", "b")
    assert read_meta(database, "run") == "b"


def test_a_log_is_emptied_into_the_database(database: Connection, tmp_path: Path) -> None:
    write_meta(database, "run", "a")
    log = tmp_path / "strangler.db-wal"
    assert log.stat().st_size > 0
    empty_log(database)
    assert log.stat().st_size == 0
    assert database.execute("PRAGMA busy_timeout").fetchone() == (5000,)


@pytest.mark.parametrize("is_thorough", [False, True])
def test_a_whole_database_passes(database: Connection, is_thorough: bool) -> None:
    look_over(database, is_thorough=is_thorough)


def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "strangler.db").write_bytes(b"this is no database\n" * 1000)
    with pytest.raises(CorruptError):
        connect(tmp_path / "strangler.db", make_meta)


def test_an_error_of_the_engine_is_ours_where_the_connection_was_opened(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="no such table: meta") as error, open_to_write(tmp_path / "new.db") as new:
        read_meta(new, "run")
    assert not isinstance(error.value, CorruptError)


@pytest.mark.parametrize("raised", [sqlite3.ProgrammingError("closed"), sqlite3.OperationalError("disk I/O error")])
def test_other_failures_are_no_corruption(raised: sqlite3.Error) -> None:
    with pytest.raises(DatabaseError, match=str(raised)) as error, translated():
        raise raised
    assert not isinstance(error.value, CorruptError)


def test_what_is_no_error_of_the_engine_stays_as_it_is() -> None:
    with pytest.raises(OSError, match="no space left"), translated():
        raise OSError("no space left")


def test_what_is_opened_to_read_cannot_be_written(database: Connection, tmp_path: Path) -> None:
    write_meta(database, "run", "a")
    with pytest.raises(DatabaseError, match="readonly"), open_to_read(tmp_path / "strangler.db") as reader:
        write_meta(reader, "run", "b")
    assert read_meta(database, "run") == "a"
