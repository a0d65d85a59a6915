"""A part of a test whose rows end with it, on either engine."""

from collections.abc import Iterator
from contextlib import contextmanager

from strangler.store.connection import Connection


@contextmanager
def undone(connection: Connection) -> Iterator[None]:
    """Undo at the end of the block all that was written in it."""
    connection.execute("SAVEPOINT undone")
    try:
        yield
    finally:
        connection.execute("ROLLBACK TO SAVEPOINT undone")
        connection.execute("RELEASE SAVEPOINT undone")
