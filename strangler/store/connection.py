"""Connections to the database as its users see them, whatever the engine is."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol


class Cursor(Protocol):
    """The rows that a statement returns, read once."""

    @property
    def rowcount(self) -> int:
        """The number of rows that a statement has changed."""

    def fetchone(self) -> Any:
        """Return the next row; None if there is none."""

    def fetchmany(self, count: int, /) -> list[Any]:
        """Return the next rows, so many at most; none at the end."""

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection; a `?` in a statement stands for the next parameter. Errors become `DatabaseError` where it was
    opened, not in the statement."""

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Cursor:
        """Run one statement."""

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Cursor:
        """Run one statement once for each row of parameters."""

    def close(self) -> None:
        """Close the connection; what was not committed is lost."""


def make_tables(connection: Connection, schema: str) -> None:
    """Run the statements of a schema, which end with `;`, one by one."""
    for statement in schema.split(";"):
        if statement.strip():
            connection.execute(statement)
