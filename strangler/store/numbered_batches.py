"""The number of each sender's last batch, so that one whose COMMIT was in doubt may be repeated and is stored once."""

from typing import Final

from strangler.store.connection import Connection

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS batches (
    sender TEXT PRIMARY KEY, run TEXT NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
"""
KEPT_S: Final = 30 * 86400.0
"""How long a sender may be silent before its last number is forgotten, which nobody repeats by then."""


def is_new_batch(connection: Connection, sender: str, run: str, number: int, at: float) -> bool:
    """Return whether this transaction is the first one with this number; one that is not must add nothing.

    `sender`: a node and what of it sends. `run`: chosen anew by each process; the numbers of a run rise.
    """
    changed = connection.execute(
        """INSERT INTO batches VALUES (?, ?, ?, ?)
        ON CONFLICT (sender) DO UPDATE SET run = excluded.run, number = excluded.number, at = excluded.at
        WHERE batches.run <> excluded.run OR batches.number < excluded.number""",
        (sender, run, number, at),
    )
    return changed.rowcount == 1


def prune(connection: Connection, now: float) -> None:
    """Forget the numbers of nodes that have long gone."""
    connection.execute("DELETE FROM batches WHERE at < ?", (now - KEPT_S,))
