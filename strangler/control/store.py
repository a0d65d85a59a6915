"""The database in the state folder. One thread writes; nobody waits for it who serves.

A disk that is full or broken makes `problem` say so and is tried again with the next call; a file that is no database
any more is put aside under another name and a new one begun.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import structlog

from strangler.control.totals import Batch, Row

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS numbers (
    instance TEXT NOT NULL, name TEXT NOT NULL, labels TEXT NOT NULL, vector TEXT NOT NULL,
    PRIMARY KEY (instance, name, labels)
) WITHOUT ROWID;
"""
_CORRUPT: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

log = structlog.get_logger()

_T = TypeVar("_T")


class StoreError(Exception):
    """Nothing was stored; `Store.problem` says why."""


class Store:
    """Each call runs in the store's thread, in one transaction."""

    def __init__(self, path: Path, schema: str = "") -> None:
        self.problem: str | None = None
        self._path = path
        self._schema = _SCHEMA + schema
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    async def call(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Raises StoreError; nothing of `work` is stored then."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)

    async def close(self) -> None:
        """Wait for what is under way, and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()

    def _work(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            try:
                result = self._transact(work)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) not in _CORRUPT:  # the library's own errors have none
                    raise
                self._put_aside(error)
                result = self._transact(work)
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            raise StoreError(str(error)) from error
        if self.problem is not None:
            log.info("store.recovered")
            self.problem = None
        return result

    def _transact(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._connection is None:
            self._connection = _connect(self._path, self._schema)
        with _transaction(self._connection):
            return work(self._connection)

    def _put_aside(self, error: sqlite3.DatabaseError) -> None:
        self._disconnect()
        aside = self._path.with_suffix(f".corrupt-{int(time.time())}")
        self._path.rename(aside)
        for suffix in ("-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        log.error("store.corrupt", reason=str(error), put_aside=str(aside))

    def _fail(self, error: Exception) -> None:
        self._disconnect()
        if self.problem != str(error):
            log.error("store.failed", path=str(self._path), reason=str(error))
        self.problem = str(error)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def load_numbers(connection: sqlite3.Connection, run: str) -> list[Row]:
    """The numbers stored in this run of the supervisor; those of an earlier run go, for counters begin anew then."""
    _begin_run(connection, run)
    rows = connection.execute("SELECT instance, name, labels, vector FROM numbers")
    return [
        Row(
            instance,
            (name, msgspec.json.decode(labels, type=tuple[str, ...])),
            msgspec.json.decode(vector, type=tuple[float, ...]),
        )
        for instance, name, labels, vector in rows
    ]


def save_numbers(connection: sqlite3.Connection, run: str, batch: Batch) -> bool:
    """Store a batch; False if the store had nothing of this run yet, so that a batch is not enough."""
    is_known = not _begin_run(connection, run)
    connection.executemany("DELETE FROM numbers WHERE instance = ?", [(instance,) for instance in batch.gone])
    connection.executemany(
        "INSERT OR REPLACE INTO numbers VALUES (?, ?, ?, ?)",
        [(row.instance, row.key[0], _json(row.key[1]), _json(row.vector)) for row in batch.rows],
    )
    return is_known


def _begin_run(connection: sqlite3.Connection, run: str) -> bool:
    """Make the store this run's; True if it was not."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'run'").fetchone()
    if row is not None and row[0] == run:
        return False
    connection.execute("DELETE FROM numbers")
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('run', ?)", (run,))
    return True


def _json(value: tuple[str, ...] | tuple[float, ...]) -> str:
    return msgspec.json.encode(value).decode()


def _connect(path: Path, schema: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with closing(connection.cursor()) as cursor:
            cursor.executescript(schema)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
