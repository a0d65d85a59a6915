"""All that nodes share, carried from one store to another, whatever their engines are: every row, or nothing.

A table whose name is not in `OWN` is carried, so that a new table is, too.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from strangler.store.connection import Connection, make_tables
from strangler.store.errors import DatabaseError
from strangler.store.schema import SCHEMA
from strangler.store.sqlite import columns, in_memory, tables

OWN: Final = frozenset(
    {
        "schema_version",  # each store has its own tables
        "numbers",  # counters of one node's processes
        "topics",  # said to nodes that run
        "nodes",
        "leader",
        "batches",
        "requests",
        "responses",
        "sealed_keys",  # by a secret that another store need not have; a backup has the keys as files
    }
)
"""The tables that are not carried. An import empties those that speak of nodes that ran."""
KEPT: Final = frozenset({"schema_version", "numbers", "topics", "leader"})
"""The tables that an import leaves as they are."""
_ROWS: Final = 500
"""The rows that are carried at a time."""
_OWN_META: Final = ("run", "tried")
_VALUES: Final = {"INTEGER": int, "REAL": float, "TEXT": str}


@dataclass(frozen=True, slots=True)
class CarriedTable:
    """A table, with its columns in their order. `numbers_itself`: the column that the database counts; None: none."""

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    numbers_itself: str | None

    def taken(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """Return a row with values of the columns' types, as a strict engine wants them."""
        return tuple(_taken(value, kind) for value, kind in zip(row, self.types, strict=True))


def _taken(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "BLOB":
        return value.encode() if isinstance(value, str) else bytes(value)
    return _VALUES[kind](value)


@cache
def all_tables() -> tuple[CarriedTable, ...]:
    """Return the tables of this version, by name."""
    with closing(in_memory()) as connection:
        make_tables(connection, SCHEMA)
        return tuple(_table(connection, name) for name in sorted(tables(connection)))


def _table(connection: Connection, name: str) -> CarriedTable:
    found = columns(connection, name)
    counted = [column.name for column in found if column.is_key and column.type == "INTEGER"]
    is_counted = len([column for column in found if column.is_key]) == 1 and name != "schema_version"
    return CarriedTable(
        name,
        tuple(column.name for column in found),
        tuple(column.type for column in found),
        counted[0] if counted and is_counted else None,
    )


def carried() -> tuple[CarriedTable, ...]:
    """Return the tables that are carried."""
    return tuple(table for table in all_tables() if table.name not in OWN)


def replace_all(source: Connection, target: Connection) -> dict[str, int]:
    """Put all that the source has in place of what the target has, within a transaction of the target.

    Return the rows of each table. Raises DatabaseError if not all of them have arrived.
    """
    for table in all_tables():
        if table.name not in KEPT:
            target.execute(f"DELETE FROM {table.name}")  # noqa: S608 - our own words
    counts = {table.name: _carry(source, target, table) for table in carried()}
    target.executemany("DELETE FROM meta WHERE key = ?", [(key,) for key in _OWN_META])
    return counts


def _carry(source: Connection, target: Connection, table: CarriedTable) -> int:
    count, marks = 0, ", ".join("?" * len(table.columns))
    for rows in _pages(source, table):
        target.executemany(
            f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({marks})",  # noqa: S608 - our own words
            [table.taken(row) for row in rows],
        )
        count += len(rows)
    (arrived,) = target.execute(f"SELECT count(*) FROM {table.name}").fetchone()  # noqa: S608 - our own words
    if arrived != count:
        raise DatabaseError(f"of {count} rows of {table.name}, {arrived} have arrived")
    return count


def _pages(source: Connection, table: CarriedTable) -> Iterator[list[Any]]:
    cursor = source.execute(f"SELECT {', '.join(table.columns)} FROM {table.name}")  # noqa: S608 - our own words
    while rows := cursor.fetchmany(_ROWS):
        yield rows
