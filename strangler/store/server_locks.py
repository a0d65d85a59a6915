"""Advisory locks of PostgreSQL, by which nodes take turns."""

from enum import IntEnum
from typing import Final

from strangler.store.connection import Connection

CLASS: Final = 1398035026
"""The first key of all our locks: `SSTR`, nearly."""


class ServerLock(IntEnum):
    """The second key of each lock."""

    LEADER = 1
    """Held by the session of the node that leads."""
    SCHEMA = 2
    """Held while tables are made."""


def lock(connection: Connection, which: ServerLock) -> None:
    """Wait for a lock, and hold it until the transaction ends. For PostgreSQL alone."""
    connection.execute("SELECT pg_advisory_xact_lock(CAST(? AS integer), CAST(? AS integer))", (CLASS, which.value))
