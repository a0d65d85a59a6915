"""The database in the state folder: opening, transactions, and checks for corruption."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

META_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"

_CORRUPT: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY_CODE: Final = 0xFF
"""The bits of SQLite's extended result codes that are the primary code."""


class CorruptError(sqlite3.DatabaseError):
    """A check found that the database is corrupt."""


def connect(path: Path, schema: str, upgrade: Callable[[sqlite3.Connection], object] | None) -> sqlite3.Connection:
    """Open the database for writing, with the tables of `schema`. `upgrade` is called first. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        connection.execute("PRAGMA cell_size_check = ON")  # finds corrupt pages early
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if upgrade is not None:
            upgrade(connection)
        with closing(connection.cursor()) as cursor:
            cursor.executescript(schema)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit all that is done in the block, or nothing if it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def empty_log(connection: sqlite3.Connection) -> None:
    """Write the log into the database, unless a reader still needs it; never waits. Raises sqlite3.Error."""
    (patience_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience_ms}")


def look_over(connection: sqlite3.Connection, *, is_thorough: bool = False) -> None:
    """Raise sqlite3.DatabaseError if the database is corrupt. It takes a second for 1 GB, and longer if `is_thorough`,
    which also checks indices against their tables."""
    pragma = "integrity_check" if is_thorough else "quick_check"
    (found,) = connection.execute(f"PRAGMA {pragma}(1)").fetchone()
    if found != "ok":
        raise CorruptError(" ".join(found.split()))


def corruption_text(path: Path, error: Exception) -> str:
    """Return what is wrong with a corrupt database, and the way out."""
    return (
        f"{path} is corrupt ({error}). It is left alone, and nothing is compared until it is moved away with its"
        f" -wal and -shm: mv {path}* ELSEWHERE. A new database is made by itself then"
    )


def is_corrupt(error: Exception) -> bool:
    """Return whether an error means that the database is corrupt. An error of the library, not of SQLite, has no
    code."""
    if isinstance(error, CorruptError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY_CODE in _CORRUPT


def read_meta(connection: sqlite3.Connection, key: str) -> str | None:
    """Return the text that is kept under a key; None if there is none."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def write_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Keep a text under a key, in place of a former one."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
