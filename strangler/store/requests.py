"""The requests of nodes to the one that leads: what they have counted and seen, and what people ask of it.

A node adds requests to the store; the leader takes them in the transaction that has their effect, so each has it once,
or not yet. A node that does not know whether its transaction was committed may repeat it, as a numbered batch.

A request that somebody waits for has a response, under its name. It may be withdrawn until it is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from strangler.store.connection import Connection
from strangler.store.topics import Topic, announce

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, content BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS requests_by_kind ON requests (kind, name);
CREATE TABLE IF NOT EXISTS responses (name TEXT PRIMARY KEY, at REAL NOT NULL, content BLOB NOT NULL) WITHOUT ROWID;
"""
RESPONSES_KEPT_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the leader takes it. `at`: Unix time of the store's clock. `id` is the order of one node's own."""

    id: int
    node: str
    at: float
    kind: str
    name: str
    content: bytes


def ask_leader(
    connection: Connection, node: str, kind: str, name: str, content: bytes, at: float, *, is_urgent: bool = True
) -> int:
    """Add a request, and return its id. One that is not urgent is not announced: the leader looks every second."""
    row = connection.execute(
        "INSERT INTO requests (node, at, kind, name, content) VALUES (?, ?, ?, ?, ?) RETURNING id",
        (node, at, kind, name, content),
    ).fetchone()
    if is_urgent:
        announce(connection, Topic.REQUESTS)
    return int(row[0])


def take_requests(connection: Connection, kinds: Sequence[str], most: int) -> list[Request]:
    """Remove requests of these kinds, at most so many of each, and return them in their order.

    The transaction that does so has to have their effect. A request that is withdrawn at the same time is either taken
    or withdrawn, never both.
    """
    rows: list[Request] = []
    for kind in kinds:
        taken = connection.execute(
            """DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE kind = ? ORDER BY id LIMIT ?)
            RETURNING id, node, at, kind, name, content""",
            (kind, most),
        ).fetchall()
        rows += [Request(*row) for row in taken]
    return sorted(rows, key=lambda request: request.id)


def waiting_requests(connection: Connection, kind: str, most: int) -> list[Request]:
    """Return requests of a kind in their order, at most so many, for a leader that has to work out their effect first:
    the transaction that stores it has to `withdraw` them, and to have no effect where one is there no longer."""
    rows = connection.execute(
        "SELECT id, node, at, kind, name, content FROM requests WHERE kind = ? ORDER BY id LIMIT ?", (kind, most)
    )
    return [Request(*row) for row in rows]


def waiting_names(connection: Connection, node: str, kind: str) -> set[str]:
    """Return the names of a node's requests of a kind that the leader has not taken yet."""
    rows = connection.execute("SELECT name FROM requests WHERE kind = ? AND node = ?", (kind, node))
    return {name for (name,) in rows}


def withdraw(connection: Connection, kind: str, name: str) -> bool:
    """Remove a request that was not taken yet. Return False if it was: its response is there."""
    return connection.execute("DELETE FROM requests WHERE kind = ? AND name = ?", (kind, name)).rowcount > 0


def respond(connection: Connection, name: str, content: bytes, at: float) -> None:
    """Leave the response to the request of this name, in the transaction that has its effect."""
    connection.execute(
        "INSERT INTO responses VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET content = excluded.content",
        (name, at, content),
    )


def response_to(connection: Connection, name: str) -> bytes | None:
    """Return the response to the request of this name; None while there is none."""
    row = connection.execute("SELECT content FROM responses WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])


def prune(connection: Connection, now: float) -> None:
    """Forget responses that nobody waits for any more."""
    connection.execute("DELETE FROM responses WHERE at < ?", (now - RESPONSES_KEPT_S,))
