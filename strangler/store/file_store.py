"""The database in the state folder. One thread writes; no request waits for it.

If the disk is full or broken, `problem` says so, and the next call tries again. A corrupt file is left alone: nothing
is read from it or written to it until it was moved away or replaced.
"""

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import structlog

from strangler.store.connection import Connection
from strangler.store.errors import CorruptError, DatabaseError
from strangler.store.meta import write_meta
from strangler.store.sqlite import connect, corruption_text, empty_log, look_over, open_to_read, transaction, translated
from strangler.store.store import PATIENCE_S, StoreError

TRY_LOG_BYTES = 16 << 20  # SQLite itself starts the log again at 4 MiB, if it can

TRY_LOG_EVERY_S = 1.0

MAX_LOG_BYTES = 64 << 20

log = structlog.get_logger()

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _File:
    """The identity of a file and of its content."""

    inode: tuple[int, int]
    size: int
    changed_ns: int

    @classmethod
    def at(cls, path: Path) -> "_File | None":
        """Return the identity of the file at a path; None if there is none."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return cls((found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns)


class FileStore:
    """Runs each call in the store's thread, in one transaction. `prepare` makes the tables when the file is opened."""

    is_shared: Final = False

    def __init__(self, path: Path, prepare: Callable[[Connection], object]) -> None:
        self.problem: str | None = None
        """Why nothing can be stored."""
        self.corruption: str | None = None
        """The same as `problem`, if the file is corrupt: its content must not be used."""
        self.log_bytes = 0
        """The size of SQLite's write-ahead log."""
        self.log_problem: str | None = None
        """Why the log is large. It only costs disk space."""
        self._tried_log = float("-inf")
        self._path = path
        self._prepare = prepare
        self._connection: Connection | None = None
        self._open: _File | None = None
        self._left_alone: _File | None = None
        """The file that was found corrupt, as it was then."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    @property
    def folder(self) -> Path:
        """The state folder."""
        return self._path.parent

    @property
    def place(self) -> str:
        """The path of the file."""
        return str(self._path)

    async def call(self, work: Callable[[Connection], _T], patience_s: float = PATIENCE_S) -> _T:
        """Return the result of `work`. `patience_s` is for servers alone.

        Raises StoreError; nothing of `work` is stored then.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Return the result of `work`, which only reads, beside the calls. Raises DatabaseError."""
        return await asyncio.to_thread(self._read, work)

    def _read(self, work: Callable[[Connection], _T]) -> _T:
        with open_to_read(self._path) as connection:
            return work(connection)

    async def doubt(self) -> None:
        """Check the whole file, since a reader in another thread found it corrupt."""
        with suppress(StoreError):  # `corruption` has it
            await self.call(lambda connection: look_over(connection, is_thorough=True))

    async def close(self) -> None:
        """Wait for calls in progress, and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()

    def _work(self, work: Callable[[Connection], _T]) -> _T:
        try:
            self._follow_file()
            result = self._transact(work)
        except (DatabaseError, msgspec.DecodeError, OSError) as error:
            self._fail(error)
            raise StoreError(self.problem) from error
        if self.problem is not None:
            self._try_to_write()
        self._bound_log()
        return result

    def _bound_log(self) -> None:
        """Try to empty a large log of SQLite without waiting, which works only while no reader needs it."""
        self.log_bytes = self._measured_log()
        now = time.monotonic()
        if self.log_bytes > TRY_LOG_BYTES and self._connection is not None and now - self._tried_log >= TRY_LOG_EVERY_S:
            self._tried_log = now
            with suppress(DatabaseError):  # the next call finds a problem with the file
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
        """End the problem once something can be written: a full disk can still be read."""
        try:
            self._transact(lambda connection: write_meta(connection, "tried", str(time.time())))
        except (DatabaseError, OSError) as error:
            self._fail(error)
            return
        log.info("store.recovered")
        self.problem = self.corruption = None

    def _follow_file(self) -> None:
        """Close a file that was moved away. Raises StoreError for a corrupt file while it is unchanged."""
        file = _File.at(self._path)
        if self._left_alone is not None:
            if file == self._left_alone:
                raise StoreError(self.problem)
            self._left_alone = None
        if self._connection is not None and (file is None or self._open is None or file.inode != self._open.inode):
            log.warning("store.moved", path=str(self._path))
            self._disconnect()
            self._open = None

    def _transact(self, work: Callable[[Connection], _T]) -> _T:
        connection = self._connection or self._connect()
        with translated(), transaction(connection):
            return work(connection)

    def _connect(self) -> Connection:
        """Open the file, and check it if it was not open before."""
        before, self._open = self._open, None
        self._connection = connect(self._path, self._prepare)
        file = _File.at(self._path)
        if before is None or file is None or file.inode != before.inode:
            look_over(self._connection)
        self._open = file
        return self._connection

    def _fail(self, error: Exception) -> None:
        self._disconnect()
        if not isinstance(error, CorruptError):
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
