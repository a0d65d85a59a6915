"""The batches that nodes have written, so that one whose COMMIT was in doubt is not written twice."""

from typing import Final

from strangler.store.connection import Connection

SCHEMA: Final = "CREATE TABLE IF NOT EXISTS batches (node TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;"


def begin_batch(connection: Connection, node: str, number: int) -> bool:
    """Note, in the transaction that writes it, a node's batch of a number. Return False if it is stored already: it
    must not be written again then. Numbers of a node rise; the batch of a number stays the same when it is repeated."""
    noted = connection.execute(
        """INSERT INTO batches VALUES (?, ?) ON CONFLICT (node) DO UPDATE SET number = excluded.number
        WHERE batches.number < excluded.number""",
        (node, number),
    )
    return noted.rowcount == 1


def last_batch(connection: Connection, node: str) -> int:
    """Return the number of the last batch that a node has stored; 0 if there is none."""
    row = connection.execute("SELECT number FROM batches WHERE node = ?", (node,)).fetchone()
    return 0 if row is None else int(row[0])
