"""The batches that writers have written, so that one whose commit is in doubt is written exactly once.

A writer numbers its batches upwards and tries each until it is known to be in, before it begins the next one. The
number is stored in the transaction of the batch: if the response to COMMIT is lost, the next try finds it.
"""

from typing import Final

from strangler.store.connection import Connection

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS batches (writer TEXT PRIMARY KEY, number INTEGER NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
"""
KEPT_S: Final = 7 * 86400.0
"""How long the number of a writer that is gone is kept."""


def begin_batch(connection: Connection, writer: str, number: int, now: float) -> bool:
    """Note a batch in its transaction. Return False if it is in the store already: it must not be written again.

    `writer` is unique to a process: a transaction that a dead process has left behind never counts as one of another.
    `now`: Unix time.
    """
    changed = connection.execute(
        """INSERT INTO batches VALUES (?, ?, ?) ON CONFLICT (writer)
        DO UPDATE SET number = excluded.number, at = excluded.at WHERE batches.number < excluded.number""",
        (writer, number, now),
    )
    return changed.rowcount > 0


def prune_batches(connection: Connection, now: float) -> None:
    """Delete the numbers of writers that have written nothing for long."""
    connection.execute("DELETE FROM batches WHERE at < ?", (now - KEPT_S,))
