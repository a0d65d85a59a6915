"""The database in the state folder. One thread writes; nobody waits for it who serves.

A disk that is full or broken makes `problem` say so and is tried again with the next call. A file that is corrupt is
left alone: nothing is read from it or written to it until somebody has moved it away or put another in its place.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import structlog

from strangler.state.database import (
    META_SCHEMA,
    connect,
    corruption_text,
    empty_log,
    is_corrupt,
    look_over,
    transaction,
)

_SCHEMA: Final = f"""
{META_SCHEMA}
CREATE TABLE IF NOT EXISTS numbers (
    instance TEXT NOT NULL, name TEXT NOT NULL, labels TEXT NOT NULL, vector TEXT NOT NULL,
    PRIMARY KEY (instance, name, labels)
) WITHOUT ROWID;
"""

TRY_LOG_BYTES = 16 << 20  # SQLite itself begins anew at 4 MiB, if it can

TRY_LOG_EVERY_S = 1.0

MAX_LOG_BYTES = 64 << 20

log = structlog.get_logger()

_T = TypeVar("_T")


class StoreError(Exception):
    """Nothing was stored; `Store.problem` says why."""


@dataclass(frozen=True, slots=True)
class _File:
    """The identity of a file and of its content."""

    inode: tuple[int, int]
    size: int
    changed_ns: int

    @classmethod
    def at(cls, path: Path) -> "_File | None":
        """None if there is none."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return cls((found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns)


class Store:
    """Each call runs in the store's thread, in one transaction."""

    def __init__(
        self, path: Path, schema: str = "", upgrade: Callable[[sqlite3.Connection], object] | None = None
    ) -> None:
        """`upgrade` makes what an earlier version has written fit for `schema`, when the file is opened."""
        self.problem: str | None = None
        """Why nothing can be stored."""
        self.corruption: str | None = None
        """`problem`, if the file is corrupt: what is in it must not be judged by."""
        self.log_bytes = 0
        """Size of SQLite's write-ahead log."""
        self.log_problem: str | None = None
        """Why that is large. It does no harm but to the disk."""
        self._tried_log = float("-inf")
        self._path = path
        self._schema = _SCHEMA + schema
        self._upgrade = upgrade
        self._connection: sqlite3.Connection | None = None
        self._open: _File | None = None
        self._left_alone: _File | None = None
        """The file that was found corrupt, as it is since then."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    @property
    def folder(self) -> Path:
        """The state folder."""
        return self._path.parent

    async def call(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Raises StoreError; nothing of `work` is stored then."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)

    async def doubt(self) -> None:
        """Somebody who reads beside the store found the file corrupt: look it over, all of it."""
        with suppress(StoreError):  # told by `corruption`
            await self.call(lambda connection: look_over(connection, is_thorough=True))

    async def close(self) -> None:
        """Wait for what is under way, and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()

    def _work(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            self._follow_file()
            result = self._transact(work)
        except (sqlite3.Error, msgspec.DecodeError, OSError) as error:
            self._fail(error)
            raise StoreError(self.problem) from error
        if self.problem is not None:
            self._try_to_write()
        self._bound_log()
        return result

    def _bound_log(self) -> None:
        """SQLite's log is emptied only while nobody reads what it holds: try to where it is large, never waiting."""
        self.log_bytes = self._measured_log()
        now = time.monotonic()
        if self.log_bytes > TRY_LOG_BYTES and self._connection is not None and now - self._tried_log >= TRY_LOG_EVERY_S:
            self._tried_log = now
            with suppress(sqlite3.Error):  # what is wrong with the file the next call finds
                empty_log(self._connection)
            self.log_bytes = self._measured_log()
        if (self.log_bytes > MAX_LOG_BYTES) is (self.log_problem is None):
            self._log_recovery()

    def _measured_log(self) -> int:
        with suppress(OSError):
            return os.stat(f"{self._path}-wal").st_size
        return 0

    def _log_recovery(self) -> None:
        if self.log_problem is not None:
            self.log_problem = None
            log.info("store.log_bounded", bytes=self.log_bytes)
            return
        self.log_problem = (
            f"{self._path}-wal has grown to {self.log_bytes >> 20} MiB, because a program keeps reading from an earlier"
            f" state of the database; end it (`fuser {self._path}` names it)"
        )
        log.warning("store.log_large", bytes=self.log_bytes, remedy=self.log_problem)

    def _try_to_write(self) -> None:
        """A full disk can still be read: the problem is over once something can be written."""
        try:
            self._transact(
                lambda connection: connection.execute("INSERT OR REPLACE INTO meta VALUES ('tried', ?)", (time.time(),))
            )
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            return
        log.info("store.recovered")
        self.problem = self.corruption = None

    def _follow_file(self) -> None:
        """Let go of a file that was moved away; leave a corrupt one alone, by StoreError, while it is what it was."""
        file = _File.at(self._path)
        if self._left_alone is not None:
            if file == self._left_alone:
                raise StoreError(self.problem)
            self._left_alone = None
        if self._connection is not None and (file is None or self._open is None or file.inode != self._open.inode):
            log.warning("store.moved", path=str(self._path))
            self._disconnect()
            self._open = None

    def _transact(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        connection = self._connection or self._connect()
        with transaction(connection):
            return work(connection)

    def _connect(self) -> sqlite3.Connection:
        """A file that was not open before is looked over first."""
        before, self._open = self._open, None
        self._connection = connect(self._path, self._schema, self._upgrade)
        file = _File.at(self._path)
        if before is None or file is None or file.inode != before.inode:
            look_over(self._connection)
        self._open = file
        return self._connection

    def _fail(self, error: Exception) -> None:
        self._disconnect()
        if not is_corrupt(error):
            if self.problem != str(error):
                log.error("store.failed", path=str(self._path), reason=str(error))
            self.problem, self.corruption = str(error), None
            return
        self._open, self._left_alone = None, _File.at(self._path)
        self.problem = self.corruption = corruption_text(self._path, error)
        log.error("store.corrupt", path=str(self._path), reason=str(error), remedy=self.problem)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
