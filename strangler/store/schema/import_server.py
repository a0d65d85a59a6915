"""The import into a shared store, and the export from it, while no node runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from strangler.store import postgres, sqlite
from strangler.store.errors import DatabaseError
from strangler.store.nodes import read_nodes
from strangler.store.postgres import PostgresConnection
from strangler.store.schema import prepare_file
from strangler.store.schema.server_tables import prepare_server
from strangler.store.schema.transfer import all_tables, carried, replace_all
from strangler.store.sealed_keys import load_sealed
from strangler.store.server_locks import ServerLock, lock

PATIENCE_S: Final = 3600.0
"""How long the server may take for all rows, in seconds."""


def export_server(url: str, target: Path, *, has_keys: bool) -> dict[str, int]:
    """Write all that is shared into a new SQLite file, as at one moment. Return the rows of each table.

    `has_keys`: whether the state folder has the keys that all nodes share. Raises DatabaseError.
    """
    with postgres.opened(url, "export") as server, sqlite.open_to_write(target) as file:
        prepare_server(server)
        if not has_keys and load_sealed(server):
            raise DatabaseError(
                "the state folder has not the keys that all nodes share; run this where a node has run with this store"
            )
        prepare_file(file)
        server.limit(PATIENCE_S)
        with postgres.snapshot(server), sqlite.transaction(file):
            server.allow(PATIENCE_S)
            return replace_all(server, file)


def import_server(url: str, source: Path) -> Mapping[str, int]:
    """Put all that a SQLite file of this version has in place of what is shared, or change nothing.

    Return the rows of each table. Raises DatabaseError, also while a node runs.
    """
    with postgres.opened(url, "import") as server, sqlite.open_to_read(source) as file:
        prepare_server(server)
        server.limit(PATIENCE_S)
        with postgres.transaction(server):
            server.allow(PATIENCE_S)
            lock(server, ServerLock.SCHEMA)
            _keep_nodes_out(server)
            counts = replace_all(file, server)
            _number_on(server)
            return counts


def _keep_nodes_out(server: PostgresConnection) -> None:
    """Lock all tables against nodes that start meanwhile. Raises DatabaseError while one runs."""
    server.execute(f"LOCK TABLE {', '.join(table.name for table in all_tables())} IN ACCESS EXCLUSIVE MODE")
    (now,) = server.execute("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)").fetchone()
    present = [node.node for node in read_nodes(server, now) if node.is_present]
    if present:
        raise DatabaseError(f"node '{present[0]}' uses it; stop all nodes ({len(present)}), and wait 10 s")


def _number_on(server: PostgresConnection) -> None:
    """Let the numbers that the server gives begin after those that were carried."""
    for table in carried():
        if table.numbers_itself is not None:
            server.execute(
                f"""SELECT setval(pg_get_serial_sequence('{table.name}', '{table.numbers_itself}'),
                coalesce(max({table.numbers_itself}), 0) + 1, false) FROM {table.name}"""  # noqa: S608 - our own words
            )
