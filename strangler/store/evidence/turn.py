"""The turns in which nodes change the evidence: one transaction at a time, as with SQLite.

Each transaction that changes counts, reviews or releases takes its turn first, before any other row. So none waits for
a row that another holds, and the numbers of changes are in the order of their commits. A transaction that ends, however
it ends, gives its turn to the next one.
"""

from typing import Final

from strangler.store.connection import Connection

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS evidence_turn (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
"""


def take_turn(connection: Connection) -> None:
    """Wait until no other transaction has the turn, and keep it until the end of this one. May be called again."""
    connection.execute(
        """INSERT INTO evidence_turn VALUES ('evidence', 1)
        ON CONFLICT (name) DO UPDATE SET number = evidence_turn.number + 1"""
    )
