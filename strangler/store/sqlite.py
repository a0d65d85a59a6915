"""SQLite, the database in the state folder: opening, transactions, copies, and checks for corruption."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strangler.store.connection import Connection
from strangler.store.errors import CorruptError, DatabaseError, MissingError

_CORRUPT: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY_CODE: Final = 0xFF
"""The bits of SQLite's extended result codes that are the primary code."""
_PATIENCE_S: Final = 5.0
"""How long another writer is waited for."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's errors into our own."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)  # an error of the library, not of SQLite, has none
        kind = CorruptError if code is not None and code & _PRIMARY_CODE in _CORRUPT else DatabaseError
        raise kind(str(error)) from error


def connect(path: Path, prepare: Callable[[Connection], object]) -> Connection:
    """Open the database for the proxy. `prepare` makes its tables. Raises DatabaseError."""
    with translated():
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_PATIENCE_S)
        try:
            connection.execute("PRAGMA cell_size_check = ON")  # finds corrupt pages early
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def open_to_read(path: Path) -> Iterator[Connection]:
    """Open a database that others may write. Raises DatabaseError, also for what fails in the block; MissingError if
    there is no such file."""
    _check_is_there(path)
    with translated(), closing(_read_only(path, _PATIENCE_S)) as connection:
        connection.execute("PRAGMA cell_size_check = ON")
        yield connection


def _check_is_there(path: Path) -> None:
    try:
        path.stat()  # `exists` cannot report a folder that this user may not read
    except (FileNotFoundError, NotADirectoryError):
        raise MissingError(f"there is no {path}") from None
    except OSError as error:
        raise DatabaseError(error.strerror) from None


def _read_only(path: Path, patience_s: float) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=patience_s)


@contextmanager
def open_to_write(path: Path, patience_s: float = _PATIENCE_S) -> Iterator[Connection]:
    """Open a database that no proxy uses; one that is made is readable by its owner only, in a folder of any mode.

    Raises DatabaseError, also for what fails in the block, and OSError if it cannot be made.
    """
    path.touch(mode=0o600)
    with translated(), closing(sqlite3.connect(path, isolation_level=None, timeout=patience_s)) as connection:
        yield connection


def in_memory() -> Connection:
    """Return an empty database that ends with its connection."""
    return sqlite3.connect(":memory:", isolation_level=None)


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Commit all that is done in the block, or nothing if it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # some failures have ended it already
            connection.execute("ROLLBACK")
        raise


def copy(source: Path, target: Path) -> None:
    """Write a consistent copy, made by SQLite itself while others write, as one file. Raises DatabaseError."""
    with translated(), closing(_read_only(source, 10.0)) as connection, closing(sqlite3.connect(target)) as other:
        connection.backup(other)
        other.execute("PRAGMA journal_mode = DELETE")  # nothing beside it


def empty_log(connection: Connection) -> None:
    """Write the log into the database, unless a reader still needs it; never waits. Raises DatabaseError."""
    with translated():
        (patience_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {patience_ms}")


def look_over(connection: Connection, *, is_thorough: bool = False) -> None:
    """Raise CorruptError if the database is corrupt. It takes a second for 1 GB, and longer if `is_thorough`, which
    also checks indices against their tables."""
    pragma = "integrity_check" if is_thorough else "quick_check"
    with translated():
        (found,) = connection.execute(f"PRAGMA {pragma}(1)").fetchone()
    if found != "ok":
        raise CorruptError(" ".join(found.split()))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its name, its type, and whether it is in the primary key."""

    name: str
    type: str
    is_key: bool


def tables(connection: Connection) -> set[str]:
    """Return the names of all tables."""
    rows = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {row[0] for row in rows}


def columns(connection: Connection, table: str) -> list[Column]:
    """Return the columns of a table, in their order."""
    found = connection.execute(f"PRAGMA main.table_info({table})").fetchall()
    return [Column(name, kind, bool(key)) for _, name, kind, _, _, key in found]


def user_version(connection: Connection) -> int:
    """Return the number that the head of the file has for its user; 0 if none was set."""
    return int(connection.execute("PRAGMA main.user_version").fetchone()[0])


def set_user_version(connection: Connection, number: int) -> None:
    """Set that number, in the transaction in progress."""
    connection.execute(f"PRAGMA user_version = {number}")


def corruption_text(path: Path, error: Exception) -> str:
    """Return what is wrong with a corrupt database, and the way out."""
    return (
        f"{path} is corrupt ({error}). It is left alone, and nothing is compared until it is moved away with its"
        f" -wal and -shm: mv {path}* ELSEWHERE. A new database is made by itself then"
    )
