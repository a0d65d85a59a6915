"""All tables of the store, whatever its engine is. Those of the fleet are empty where a node has the store alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from strangler.store import (
    leader,
    ledger_batches,
    ledger_changes,
    meta,
    nodes,
    numbered_batches,
    requests,
    schema_versions,
    sealed_keys,
    stored_kill_switch,
    stored_ledger,
    stored_metrics,
    topics,
)
from strangler.store.connection import Connection, make_tables
from strangler.store.events import outbox, stored_gates
from strangler.store.evidence import stored_rollouts, tables
from strangler.store.schema_versions import VERSION, version_of_file, write_file_version
from strangler.store.sqlite import transaction

SCHEMA: Final = "".join(
    (
        schema_versions.SCHEMA,
        meta.SCHEMA,
        stored_metrics.SCHEMA,
        tables.SCHEMA,
        outbox.SCHEMA,
        stored_gates.SCHEMA,
        stored_ledger.SCHEMA,
        ledger_batches.SCHEMA,
        ledger_changes.SCHEMA,
        stored_rollouts.SCHEMA,
        topics.SCHEMA,
        numbered_batches.SCHEMA,
        leader.SCHEMA,
        nodes.SCHEMA,
        requests.SCHEMA,
        stored_kill_switch.SCHEMA,
        sealed_keys.SCHEMA,
    )
)
"""The definitions, each of which ends with `;`, in SQLite's words: `postgres.tables_of` translates them."""

_Change = Callable[[Connection], object]


def _nothing(connection: Connection) -> None:
    """Change nothing: `SCHEMA` has what is new."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change that leads to tables of a version, on each engine; tables and indexes that are new need none."""

    version: int
    in_file: _Change = _nothing
    in_server: _Change = _nothing


STEPS: Final = (Step(1, in_file=tables.upgrade),)
"""The changes, in order. The first adopts a file from before there were versions, with what is in it."""


def prepare_file(connection: Connection) -> None:
    """Bring the tables of a SQLite file to this version; one of a later version that can be used stays as it is.

    Raises SchemaError, and DatabaseError; nothing has changed then.
    """
    found = version_of_file(connection)
    found.check()
    if found.version > VERSION:
        return
    for step in STEPS:
        if step.version > found.version:
            step.in_file(connection)
    make_tables(connection, SCHEMA)
    if not found.is_current:
        with transaction(connection):
            write_file_version(connection)
