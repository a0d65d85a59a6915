"""The store of several nodes, in PostgreSQL. One thread writes, some read; no request waits for either.

While the server cannot be reached, or is too slow, `problem` says so, calls fail at once, and one a second tries again.
A call ends with the time that the server may take for it, whatever has become of the server.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import structlog

from strangler.store.call_thread import CallThreads, CrowdedError
from strangler.store.connection import Connection
from strangler.store.errors import AwayError, DatabaseError, RefusedError
from strangler.store.postgres import CommitLostError, PostgresConnection, connect, snapshot, transaction, translated
from strangler.store.server_place import place_of
from strangler.store.store import PATIENCE_S, InDoubtError, StoreError

RETRY_S: Final = 1.0
"""How long calls fail at once after one has failed."""
READERS: Final = 2
"""The most calls that read at the same time, each on a connection of its own."""
CLOSE_S: Final = 3.0
"""How long `close` waits for a thread."""

log = structlog.get_logger()

_T = TypeVar("_T")


class ServerStore:
    """Runs each call in the store's thread, in one transaction. `prepare` makes the tables on a new connection."""

    is_shared: Final = True
    corruption: Final = None
    log_bytes: Final = 0
    log_problem: Final = None

    def __init__(self, url: str, node: str, folder: Path, prepare: Callable[[PostgresConnection], object]) -> None:
        self.problem: str | None = None
        """Why nothing can be stored."""
        self.folder = folder
        """The state folder of this node."""
        self.place = place_of(url)
        self._prepare = prepare
        self._is_closing = False
        self._is_tried = False
        self._refused = ""
        self._failed_at = self._read_failed_at = float("-inf")
        self._read_problem = ""
        writer, reader = _Line(url, node, self._is_open), _Line(url, f"{node} reader", self._is_open)
        self._writer = CallThreads("store", 1, lambda: writer, _Line.close)
        self._readers = CallThreads("store-reader", READERS, reader.another, _Line.close)

    async def call(self, work: Callable[[Connection], _T], patience_s: float = PATIENCE_S) -> _T:
        """Return the result of `work`, in one transaction. `patience_s`: how long the server may take for it.

        Raises StoreError; nothing of `work` is stored then, unless it is an InDoubtError.
        """
        if self.problem is None:
            return await self._submitted(work, patience_s)
        if self._is_tried or time.monotonic() - self._failed_at < RETRY_S:
            raise StoreError(self.problem)
        self._is_tried = True
        try:
            return await self._submitted(work, patience_s)
        finally:
            self._is_tried = False

    async def _submitted(self, work: Callable[[Connection], _T], patience_s: float) -> _T:
        try:
            future = self._writer.submit(lambda line: self._work(line, work, patience_s))
        except CrowdedError as error:
            raise StoreError(f"{self.place}: {error}") from None
        return await asyncio.wrap_future(future)

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Return the result of `work`, which only reads, beside the calls: all of it as at one moment.

        Raises DatabaseError.
        """
        try:
            future = self._readers.submit(lambda line: self._read(line, work))
        except CrowdedError as error:
            raise DatabaseError(str(error)) from None
        return await asyncio.wrap_future(future)

    async def doubt(self) -> None:
        """Do nothing: the server looks after its files."""

    async def close(self) -> None:
        """Run the calls that wait, and close the connections. A server that does not respond is not waited for."""
        if self.problem is not None:
            self._is_closing = True
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        for threads in (self._writer, self._readers):
            threads.close(CLOSE_S)
            self._is_closing = True  # what still waits for the server ends now
            threads.close(CLOSE_S)

    def _is_open(self) -> bool:
        return not self._is_closing

    # In the store's thread

    def _work(self, line: "_Line", work: Callable[[Connection], _T], patience_s: float) -> _T:
        if self.problem is not None and time.monotonic() - self._failed_at < RETRY_S:
            raise StoreError(self.problem)
        try:
            with translated():
                result = line.write(work, self._prepare, patience_s)
        except RefusedError as error:
            self._refuse(error)
            raise StoreError(f"{self.place}: {error}") from error
        except (DatabaseError, msgspec.DecodeError) as error:
            line.close()
            self._fail(error)
            kind = InDoubtError if isinstance(error, CommitLostError) else StoreError
            raise kind(self.problem) from error
        if self.problem is not None:
            log.info("store.recovered")
            self.problem = None
        return result

    def _refuse(self, error: RefusedError) -> None:
        if self._refused != str(error):
            log.error("store.refused", store=self.place, reason=str(error))
            self._refused = str(error)

    def _fail(self, error: Exception) -> None:
        self._failed_at = time.monotonic()
        problem = f"{self.place}: {error}"
        if self.problem != problem:
            log.error("store.failed", store=self.place, reason=str(error))
        self.problem = problem

    # In a reader's thread

    def _read(self, line: "_Line", work: Callable[[Connection], _T]) -> _T:
        if time.monotonic() - self._read_failed_at < RETRY_S:
            raise AwayError(self._read_problem)
        try:
            with translated():
                return line.read(work)
        except DatabaseError as error:
            line.close()
            if isinstance(error, AwayError):
                self._read_failed_at, self._read_problem = time.monotonic(), str(error)
            raise
        except BaseException:
            line.close()
            raise


class _Line:
    """The connection of a thread, made when it is needed and made again when it was lost."""

    def __init__(self, url: str, name: str, is_wanted: Callable[[], bool]) -> None:
        self._url = url
        self._name = name
        self._is_wanted = is_wanted
        self._connection: PostgresConnection | None = None

    def another(self) -> "_Line":
        """Return one of the same kind for another thread."""
        return _Line(self._url, self._name, self._is_wanted)

    def write(
        self, work: Callable[[Connection], _T], prepare: Callable[[PostgresConnection], object], patience_s: float
    ) -> _T:
        connection = self._usable(prepare)
        connection.limit(patience_s)
        with transaction(connection):
            connection.allow(patience_s)
            return work(connection)

    def read(self, work: Callable[[Connection], _T]) -> _T:
        connection = self._usable(None)
        connection.limit(PATIENCE_S)
        with snapshot(connection):
            return work(connection)

    def _usable(self, prepare: Callable[[PostgresConnection], Any] | None) -> PostgresConnection:
        """Return the connection. One that was lost since the last call, as by a restart of the server, is replaced."""
        if self._connection is not None and self._connection.is_alive():
            return self._connection
        self.close()
        connection = connect(self._url, self._name, is_wanted=self._is_wanted)
        try:
            if prepare is not None:
                prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
