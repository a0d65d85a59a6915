"""The table of the leader: of the nodes that share a store, the one whose connection holds an advisory lock.

The lock belongs to a connection, so that the server releases it with the connection. `epoch` counts the leaders, and
fences what they write; `beats` changes each second while the leader lives. No time is compared.
"""

from dataclasses import dataclass
from typing import Final

from strangler.store.connection import Connection
from strangler.store.server_locks import CLASS, ServerLock

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS leader (
    id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, node TEXT NOT NULL, owner TEXT NOT NULL, backend INTEGER NOT NULL,
    beats INTEGER NOT NULL
);
"""
LOCK: Final = f"{CLASS}, {ServerLock.LEADER.value}"
"""The keys of the advisory lock."""

_SETTINGS: Final = """
    SELECT set_config('statement_timeout', '3s', false), set_config('lock_timeout', '2s', false),
        set_config('idle_session_timeout', '6s', false),
        set_config('idle_in_transaction_session_timeout', '5s', false),
        set_config('client_connection_check_interval', '1s', false),
        set_config('tcp_keepalives_idle', '2', false), set_config('tcp_keepalives_interval', '1', false),
        set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '5s', false)
"""


@dataclass(frozen=True, slots=True)
class Leader:
    """The leader that the database knows."""

    epoch: int
    node: str
    """Its name; empty: it has resigned, or there was none."""
    owner: str
    """The id of its state folder."""
    beats: int
    now: float
    """Unix time of the database when this was read."""


def bound_session(connection: Connection) -> None:
    """Let the server end this connection soon after its process was stopped or cut off. For PostgreSQL alone."""
    connection.execute(_SETTINGS)


def make_leader(connection: Connection) -> None:
    """Make the row of the leader, if there is none."""
    connection.execute("INSERT INTO leader VALUES (1, 0, '', '', 0, 0) ON CONFLICT (id) DO NOTHING")


def read_leader(connection: Connection) -> Leader:
    """Return the leader that the database knows."""
    statement = """
        SELECT epoch, node, owner, beats, CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)
        FROM leader WHERE id = 1
    """
    return Leader(*connection.execute(statement).fetchone())


def try_lock(connection: Connection) -> bool:
    """Take the lock of the leader for this connection, until it ends; False if another has it."""
    (has_lock,) = connection.execute(f"SELECT pg_try_advisory_lock({LOCK})").fetchone()
    return bool(has_lock)


def take_lead(connection: Connection, node: str, owner: str) -> int:
    """Make this connection, which has the lock, that of the leader; return its epoch."""
    statement = """
        UPDATE leader SET epoch = epoch + 1, node = ?, owner = ?, backend = pg_backend_pid(), beats = beats + 1
        WHERE id = 1 RETURNING epoch
    """
    (epoch,) = connection.execute(statement, (node, owner)).fetchone()
    return int(epoch)


def beat(connection: Connection, epoch: int) -> float | None:
    """Show that the leader lives, and return Unix time of the database; None if this connection does not lead."""
    statement = """
        UPDATE leader SET beats = beats + 1 WHERE id = 1 AND epoch = ? AND backend = pg_backend_pid()
        RETURNING CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)
    """
    row = connection.execute(statement, (epoch,)).fetchone()
    return None if row is None else float(row[0])


def is_fenced(connection: Connection, epoch: int) -> bool:
    """Return whether this connection leads; nobody else can until its transaction ends."""
    statement = "SELECT 1 FROM leader WHERE id = 1 AND epoch = ? AND backend = pg_backend_pid() FOR UPDATE"
    return connection.execute(statement, (epoch,)).fetchone() is not None


def resign(connection: Connection, epoch: int) -> None:
    """Let a successor lead at once."""
    statement = (
        "UPDATE leader SET node = '', beats = beats + 1 WHERE id = 1 AND epoch = ? AND backend = pg_backend_pid()"
    )
    connection.execute(statement, (epoch,))


def end_silent(connection: Connection, silent: Leader) -> bool:
    """End the connection of a leader without a beat since it was read as `silent`; True if it still had the lock."""
    statement = f"""
        SELECT pg_terminate_backend(pid) FROM pg_locks JOIN leader ON leader.backend = pg_locks.pid
        WHERE locktype = 'advisory' AND classid = {CLASS} AND objid = {ServerLock.LEADER.value}
            AND objsubid = 2 AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND leader.id = 1 AND epoch = ? AND beats = ?
    """  # noqa: S608 - made of constants
    return bool(connection.execute(statement, (silent.epoch, silent.beats)).fetchall())
