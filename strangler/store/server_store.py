"""The store of several nodes, in PostgreSQL. One thread writes, some read; no request waits for either.

While the server cannot be reached, or is too slow, `problem` says so, calls fail at once, and one a second tries again.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import structlog

from strangler.store.connection import Connection
from strangler.store.errors import DatabaseError
from strangler.store.postgres import PostgresConnection, connect, transaction, translated
from strangler.store.store import StoreError

RETRY_S: Final = 1.0
"""How long calls fail at once after one has failed."""
READERS: Final = 2
"""The most calls that read at the same time, each on a connection of its own."""

log = structlog.get_logger()

_T = TypeVar("_T")


class ServerStore:
    """Runs each call in the store's thread, in one transaction. `prepare` makes the tables on a new connection."""

    is_shared: Final = True
    corruption: Final = None
    log_bytes: Final = 0
    log_problem: Final = None

    def __init__(self, url: str, node: str, folder: Path, prepare: Callable[[Connection], object]) -> None:
        self.problem: str | None = None
        """Why nothing can be stored."""
        self.folder = folder
        """The state folder of this node."""
        self._url = url
        self._node = node
        self._prepare = prepare
        self._connection: PostgresConnection | None = None
        self._failed_at = float("-inf")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._readers = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="store-reader")

    async def call(self, work: Callable[[Connection], _T]) -> _T:
        """Return the result of `work`. Raises StoreError; nothing of `work` is stored then."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Return the result of `work`, which only reads, beside the calls. Raises DatabaseError."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def doubt(self) -> None:
        """Do nothing: the server looks after its files."""

    async def close(self) -> None:
        """Wait for calls in progress, and close the connections."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()
        self._readers.shutdown()

    def _work(self, work: Callable[[Connection], _T]) -> _T:
        if time.monotonic() - self._failed_at < RETRY_S:
            raise StoreError(self.problem)
        try:
            with translated():
                connection = self._connection or self._connect()
                with transaction(connection):
                    result = work(connection)
        except (DatabaseError, msgspec.DecodeError) as error:
            self._fail(error)
            raise StoreError(self.problem) from error
        if self.problem is not None:
            log.info("store.recovered")
            self.problem = None
        return result

    def _connect(self) -> Connection:
        connection = connect(self._url, self._node)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _read(self, work: Callable[[Connection], _T]) -> _T:
        with translated():
            connection = connect(self._url, f"{self._node} reader")
            try:
                connection.execute("BEGIN READ ONLY")
                return work(connection)
            finally:
                connection.close()

    def _fail(self, error: Exception) -> None:
        self._disconnect()
        self._failed_at = time.monotonic()
        if self.problem != str(error):
            log.error("store.failed", store=self._url, reason=str(error))
        self.problem = str(error)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
