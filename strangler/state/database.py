"""The database in the state folder: how it is opened, written in transactions, and looked over for corruption."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

META_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"

_CORRUPT: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY_CODE: Final = 0xFF
"""The bits of an extended result code of SQLite that are its primary code."""


class CorruptError(sqlite3.DatabaseError):
    """The database was looked over, and is not whole."""


def connect(path: Path, schema: str, upgrade: Callable[[sqlite3.Connection], object] | None) -> sqlite3.Connection:
    """Open the database for writing, with the tables of `schema`. `upgrade` is called first. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        connection.execute("PRAGMA cell_size_check = ON")  # pages are held to be what they say they are
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
    """Write all that is done meanwhile, or nothing of it if it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def empty_log(connection: sqlite3.Connection) -> None:
    """Write the log into the database, unless somebody reads what it holds; never waits. Raises sqlite3.Error."""
    (patience_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience_ms}")


def look_over(connection: sqlite3.Connection, *, is_thorough: bool = False) -> None:
    """Raise sqlite3.DatabaseError if the database is not whole. It takes a second for 1 GB, `is_thorough` some more:
    then indices are held against their tables, too."""
    pragma = "integrity_check" if is_thorough else "quick_check"
    (found,) = connection.execute(f"PRAGMA {pragma}(1)").fetchone()
    if found != "ok":
        raise CorruptError(" ".join(found.split()))


def corruption_text(path: Path, error: Exception) -> str:
    """Return what is wrong with a corrupt database, and the way out."""
    return (
        f"{path} is corrupt ({error}). It is left alone, and nothing is compared until it is moved away, with its"
        f" neighbours: mv {path}* ELSEWHERE. A new one is begun then by itself"
    )


def is_corrupt(error: Exception) -> bool:
    """Return whether what is stored is at fault. A failure that comes from the library and not from SQLite has no
    code."""
    if isinstance(error, CorruptError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY_CODE in _CORRUPT


def read_meta(connection: sqlite3.Connection, key: str) -> str | None:
    """Return the text that was last kept under a key; None if nothing ever was."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def write_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Keep a text under a key, in place of what was there."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
