"""The calls that nodes have counted and the leader has not: batches of their workers, and the times that they watched.

A batch may be put twice, by a node that does not know whether the first time was committed: it is there once. If it was
taken in between, its number tells the leader that it was counted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from strangler.store.connection import Connection

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS ledger_batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL, instance TEXT NOT NULL, number INTEGER NOT NULL,
    at REAL NOT NULL, content BLOB NOT NULL, UNIQUE (instance, number)
);
CREATE TABLE IF NOT EXISTS ledger_watched (
    node TEXT NOT NULL, begun REAL NOT NULL, ended REAL NOT NULL, PRIMARY KEY (node, begun)
) WITHOUT ROWID;
"""
MAX_WAITING: Final = 10_000
"""The batches that may wait for a leader: those of an hour from three busy workers."""
MAX_WAITING_BYTES: Final = 64 << 20
MAX_TAKEN: Final = 200
"""The batches that the leader takes at once."""
MAX_TAKEN_BYTES: Final = 512 << 10
"""The bytes that it takes at once at most, but for a single batch: they are counted in half a second."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch as it waits. `instance` is the name of a worker, which no worker of any node has had; `id` is their order
    for each worker."""

    id: int
    instance: str
    number: int
    content: bytes


@dataclass(frozen=True, slots=True)
class WatchedSpan:
    """A time in which a node has watched all of its calls, in Unix time of the store's clock."""

    node: str
    begun: float
    ended: float


def waiting(connection: Connection) -> tuple[int, int]:
    """Return how many batches wait for the leader, and their bytes."""
    count, size = connection.execute(
        "SELECT COUNT(*), CAST(COALESCE(SUM(LENGTH(content)), 0) AS BIGINT) FROM ledger_batches"
    ).fetchone()
    return int(count), int(size)


def put_batches(connection: Connection, node: str, at: float, batches: Iterable[tuple[str, int, bytes]]) -> bool:
    """Add batches, each with its instance, number and content. Return False, and add nothing, if there is no room."""
    count, size = waiting(connection)
    if count >= MAX_WAITING or size >= MAX_WAITING_BYTES:
        return False
    connection.executemany(
        """INSERT INTO ledger_batches (node, instance, number, at, content) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (instance, number) DO NOTHING""",
        [(node, instance, number, at, content) for instance, number, content in batches],
    )
    return True


def first_batches(connection: Connection, most_bytes: int = MAX_TAKEN_BYTES) -> list[StoredBatch]:
    """Return the batches that have waited longest, in order: some, of `most_bytes` together, but one at least."""
    sizes = connection.execute(
        "SELECT id, LENGTH(content) FROM ledger_batches ORDER BY id LIMIT ?", (MAX_TAKEN,)
    ).fetchall()
    last, total = None, 0
    for batch, size in sizes:
        total += size
        if last is not None and total > most_bytes:
            break
        last = batch
    if last is None:
        return []
    rows = connection.execute(
        "SELECT id, instance, number, content FROM ledger_batches WHERE id <= ? ORDER BY id", (last,)
    )
    return [StoredBatch(batch, instance, number, bytes(content)) for batch, instance, number, content in rows]


def has_later(connection: Connection, node: str, batch: int) -> bool:
    """Return whether batches of a node wait after the one of this id."""
    row = connection.execute("SELECT 1 FROM ledger_batches WHERE node = ? AND id > ? LIMIT 1", (node, batch)).fetchone()
    return row is not None


def drop_batches(connection: Connection, batches: Sequence[int]) -> None:
    """Forget batches by their ids, in the transaction that stores the ledger with them."""
    connection.executemany("DELETE FROM ledger_batches WHERE id = ?", [(batch,) for batch in batches])


def put_watched(connection: Connection, span: WatchedSpan) -> None:
    """Note that a node has watched; a span that goes on has the same beginning."""
    connection.execute(
        "INSERT INTO ledger_watched VALUES (?, ?, ?) ON CONFLICT (node, begun) DO UPDATE SET ended = excluded.ended",
        (span.node, span.begun, span.ended),
    )


def watched(connection: Connection) -> list[WatchedSpan]:
    """Return the times that nodes have watched."""
    rows = connection.execute("SELECT node, begun, ended FROM ledger_watched ORDER BY node, begun")
    return [WatchedSpan(*row) for row in rows]


def drop_watched(connection: Connection, spans: Sequence[WatchedSpan]) -> None:
    """Forget spans that have ended, unless one went on meanwhile."""
    connection.executemany(
        "DELETE FROM ledger_watched WHERE node = ? AND begun = ? AND ended = ?",
        [(span.node, span.begun, span.ended) for span in spans],
    )
