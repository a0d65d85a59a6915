"""The totals of all metrics in the store, so that counters go on when control is replaced."""

from dataclasses import dataclass
from typing import Final

import msgspec

from strangler.store.connection import Connection
from strangler.store.meta import read_meta, write_meta

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS numbers (
    instance TEXT NOT NULL, name TEXT NOT NULL, labels TEXT NOT NULL, vector TEXT NOT NULL,
    PRIMARY KEY (instance, name, labels)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Row:
    """The last report of one instance for one key, which is a name and its labels."""

    instance: str
    key: tuple[str, tuple[str, ...]]
    vector: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """The changes to store: rows to replace, and instances whose rows are all deleted."""

    rows: list[Row]
    gone: frozenset[str]


def load_metrics(connection: Connection, run: str) -> list[Row]:
    """Return the metrics stored in this run of the supervisor, and delete those of earlier runs: counters restart."""
    _begin_run(connection, run)
    rows = connection.execute("SELECT instance, name, labels, vector FROM numbers")
    return [
        Row(
            instance,
            (name, msgspec.json.decode(labels, type=tuple[str, ...])),
            msgspec.json.decode(vector, type=tuple[float, ...]),
        )
        for instance, name, labels, vector in rows
    ]


def save_metrics(connection: Connection, run: str, batch: Batch) -> bool:
    """Store a batch. Return False if the store had nothing of this run yet, so that a batch is not enough."""
    is_known = not _begin_run(connection, run)
    connection.executemany("DELETE FROM numbers WHERE instance = ?", [(instance,) for instance in batch.gone])
    connection.executemany(
        """INSERT INTO numbers VALUES (?, ?, ?, ?)
        ON CONFLICT (instance, name, labels) DO UPDATE SET vector = excluded.vector""",
        [(row.instance, row.key[0], _json(row.key[1]), _json(row.vector)) for row in batch.rows],
    )
    return is_known


def _begin_run(connection: Connection, run: str) -> bool:
    """Assign the store to this run. Return whether it was another run's."""
    if read_meta(connection, "run") == run:
        return False
    connection.execute("DELETE FROM numbers")
    write_meta(connection, "run", run)
    return True


def _json(value: tuple[str, ...] | tuple[float, ...]) -> str:
    return msgspec.json.encode(value).decode()
