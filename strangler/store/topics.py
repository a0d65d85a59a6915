"""The topics of a store: what has changed, so that other nodes read it again.

A change of a topic raises its number, in the transaction of the change. PostgreSQL notifies the nodes as well, by a
trigger of that table.
"""

from enum import StrEnum
from typing import Final

from strangler.store.connection import Connection

SCHEMA: Final = "CREATE TABLE IF NOT EXISTS topics (topic TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;"
CHANNEL: Final = "strangler"
"""The channel of PostgreSQL's notifications, whose payload is the topic."""


class Topic(StrEnum):
    """The kinds of changes that nodes follow."""

    KILL_SWITCH = "kill_switch"
    ROLLOUTS = "rollouts"
    REQUESTS = "requests"
    """Something waits for the leader."""
    LEDGER = "ledger"
    STOPS = "stops"
    RELEASES = "releases"
    EVIDENCE = "evidence"
    """Much of the evidence is gone, or has other names: it was pruned, carried over or set aside."""
    KEYS = "keys"
    EVENTS = "events"
    """Something has happened. Whoever stores events announces that first: see `outbox.insert`."""


def announce(connection: Connection, topic: Topic) -> None:
    """Let other nodes know, once this transaction is committed, that a topic has changed."""
    connection.execute(
        "INSERT INTO topics VALUES (?, 1) ON CONFLICT (topic) DO UPDATE SET number = topics.number + 1", (topic.value,)
    )


def topic_numbers(connection: Connection) -> dict[str, int]:
    """Return the number of each topic that has ever changed."""
    return dict(connection.execute("SELECT topic, number FROM topics").fetchall())


def listen(connection: Connection) -> None:
    """Have this connection notified of changes, and let nothing that it reads take long. For PostgreSQL alone."""
    connection.execute("SET statement_timeout = '2s'")
    connection.execute("SET lock_timeout = '1s'")
    connection.execute(f"LISTEN {CHANNEL}")
