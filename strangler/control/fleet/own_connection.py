"""Connections to the shared store beside its own: each is used by one thread, and any thread may cut it."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress

from strangler.store.postgres import PostgresConnection, connect


class OwnConnection:
    """A connection that is opened when it is needed. `prepare` is called with each new one."""

    def __init__(self, url: str, name: str, prepare: Callable[[PostgresConnection], object]) -> None:
        self._url = url
        self._name = name
        self._prepare = prepare
        self._connection: PostgresConnection | None = None
        self._line: socket.socket | None = None

    def get(self, limit_s: float) -> PostgresConnection:
        """Return the connection, whose server may take so long altogether until the next call. Raises DatabaseError if
        it cannot be opened."""
        connection = self._connection or self._open(limit_s)
        connection.limit(limit_s)
        return connection

    def _open(self, limit_s: float) -> PostgresConnection:
        connection = connect(self._url, self._name)
        try:
            self._line = socket.socket(fileno=os.dup(connection.raw.fileno()))
            connection.limit(limit_s)
            self._prepare(connection)
        except BaseException:
            self._forget_line()
            connection.close()
            raise
        self._connection = connection
        return connection

    @property
    def is_usable(self) -> bool:
        """Whether there is a connection that works, and is in no transaction."""
        if self._connection is None:
            return False
        raw = self._connection.raw
        return not self._connection.is_lost and raw.info.transaction_status == raw.info.transaction_status.IDLE

    @property
    def line(self) -> socket.socket | None:
        """The socket below the connection; None if there is none."""
        return self._line

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._forget_line()
        if self._connection is not None:
            with suppress(Exception):  # it has ended already
                self._connection.close()
            self._connection = None

    def cut(self) -> None:
        """End the connection at once, also for the thread that waits for it."""
        line = self._line
        if line is not None:
            with suppress(OSError):  # it has ended already
                line.shutdown(socket.SHUT_RDWR)

    def _forget_line(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
