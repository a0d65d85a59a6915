"""The tables of a shared store: made, and brought to this version, by the first node that comes."""

from typing import Final

from strangler.store.postgres import PostgresConnection, has_table, tables_of, transaction
from strangler.store.schema import SCHEMA, STEPS
from strangler.store.schema_versions import NONE, StoredVersion, read_version, write_version
from strangler.store.server_locks import ServerLock, lock
from strangler.store.store import PATIENCE_S
from strangler.store.topics import CHANNEL

_MIGRATION_S: Final = 600.0
"""How long the server may take for all steps, in seconds."""
_NOTIFY: Final = f"""
CREATE OR REPLACE FUNCTION strangler_notify() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_notify('{CHANNEL}', NEW.topic); RETURN NULL; END $$;
CREATE OR REPLACE TRIGGER strangler_notify AFTER INSERT OR UPDATE ON topics
    FOR EACH ROW EXECUTE FUNCTION strangler_notify();
"""
"""The notification of a change, sent when its transaction is committed."""


def prepare_server(connection: PostgresConnection) -> None:
    """Bring the tables to this version, once for all nodes that start together. A later version that can be used stays
    as it is. Raises SchemaError, and errors of psycopg; nothing has changed then."""
    if _found(connection).is_current:
        return
    connection.limit(_MIGRATION_S)
    with transaction(connection):
        connection.allow(_MIGRATION_S)
        lock(connection, ServerLock.SCHEMA)
        found = _found(connection)
        if not found.is_current:  # no other node was quicker
            _migrate(connection, found)
    connection.limit(PATIENCE_S)


def _found(connection: PostgresConnection) -> StoredVersion:
    """Return the version of the tables. Raises SchemaError if this program cannot use them."""
    found = read_version(connection) if has_table(connection, "schema_version") else NONE
    found.check()
    return found


def _migrate(connection: PostgresConnection, found: StoredVersion) -> None:
    for step in STEPS:
        if step.version > found.version:
            step.in_server(connection)
    connection.raw.execute(tables_of(SCHEMA).encode())
    connection.raw.execute(_NOTIFY.encode())
    write_version(connection)
