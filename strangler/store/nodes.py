"""The table of the nodes that share the store: each says every second that it is there, and what it runs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from strangler.store.connection import Connection

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS nodes (
    node TEXT PRIMARY KEY, owner TEXT NOT NULL, run TEXT NOT NULL, version TEXT NOT NULL, digest TEXT NOT NULL,
    started REAL NOT NULL, heard REAL NOT NULL, requests INTEGER NOT NULL
) WITHOUT ROWID;
"""
ABSENT_S: Final = 10
"""A node that was not heard for so long counts no more."""
GONE_S: Final = 86_400
"""A node that was not heard for so long is forgotten."""
_NOW: Final = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)"
"""Unix time of PostgreSQL, which alone has nodes."""
_IS_FREE: Final = f"""
    nodes.owner = excluded.owner
    OR nodes.heard NOT BETWEEN excluded.heard - {ABSENT_S} AND excluded.heard + {ABSENT_S}
"""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """The facts that a node reports about itself. `owner` is the id of its state folder: a name belongs to one."""

    node: str
    owner: str
    run: str
    version: str
    digest: str
    """The digest of the routes.yaml in force; empty: none is yet."""
    requests: int
    """Those of the last minute."""


@dataclass(frozen=True, slots=True)
class StoredNode:
    """A node as the store knows it. `heard_s`: how long ago it was heard."""

    node: str
    version: str
    digest: str
    heard_s: float
    requests: int

    @property
    def is_present(self) -> bool:
        """Whether it was heard lately. A clock of the database that was set back says nothing of a node."""
        return abs(self.heard_s) <= ABSENT_S


@dataclass(frozen=True, slots=True)
class OddDigests:
    """The digest that most nodes have, and those that have another."""

    digest: str
    odd: tuple[StoredNode, ...]


def claim_name(connection: Connection, node: str, owner: str) -> float | None:
    """Take a name for the state folder `owner`. Return None, or when another node of that name was heard."""
    statement = f"""
        INSERT INTO nodes VALUES (?, ?, '', '', '', {_NOW}, {_NOW}, 0)
        ON CONFLICT (node) DO UPDATE SET owner = excluded.owner, heard = excluded.heard WHERE {_IS_FREE}
    """  # noqa: S608 - made of constants
    if connection.execute(statement, (node, owner)).rowcount:
        return None
    row = connection.execute("SELECT heard FROM nodes WHERE node = ?", (node,)).fetchone()
    return None if row is None else float(row[0])


def report_node(connection: Connection, report: NodeReport) -> bool:
    """Store that a node is there; False if another node has its name."""
    statement = f"""
        INSERT INTO nodes VALUES (?, ?, ?, ?, ?, {_NOW}, {_NOW}, ?)
        ON CONFLICT (node) DO UPDATE SET owner = excluded.owner, run = excluded.run, version = excluded.version,
            digest = excluded.digest, heard = excluded.heard, requests = excluded.requests,
            started = CASE WHEN nodes.run = excluded.run THEN nodes.started ELSE excluded.started END
        WHERE {_IS_FREE}
    """  # noqa: S608 - made of constants
    values = (report.node, report.owner, report.run, report.version, report.digest, report.requests)
    return connection.execute(statement, values).rowcount > 0


def leave(connection: Connection, node: str, owner: str) -> None:
    """Forget a node that has ended in order."""
    connection.execute("DELETE FROM nodes WHERE node = ? AND owner = ?", (node, owner))


def forget_gone(connection: Connection, now: float) -> None:
    """Forget the nodes that have not been heard for a day."""
    connection.execute("DELETE FROM nodes WHERE heard < ?", (now - GONE_S,))


def database_time(connection: Connection) -> float:
    """Return Unix time of PostgreSQL."""
    (now,) = connection.execute(f"SELECT {_NOW}").fetchone()
    return float(now)


def read_nodes(connection: Connection, now: float) -> list[StoredNode]:
    """Return all nodes, by their names. `now`: Unix time of the database."""
    rows = connection.execute("SELECT node, version, digest, heard, requests FROM nodes ORDER BY node").fetchall()
    return [StoredNode(node, version, digest, now - heard, requests) for node, version, digest, heard, requests in rows]


def odd_digest(connection: Connection, now: float) -> OddDigests | None:
    """Return which nodes that were heard lately have another routes.yaml than most; None if all have the same."""
    return odd_digests(read_nodes(connection, now))


def odd_digests(nodes: Sequence[StoredNode]) -> OddDigests | None:
    """Return which of the present nodes have another routes.yaml than most; None if all have the same.

    Of digests that are as frequent, that of the nodes whose names come first is taken for the right one.
    """
    present = [node for node in nodes if node.is_present and node.digest]
    counts = Counter(node.digest for node in present)
    if len(counts) < 2:
        return None
    ((digest, _),) = counts.most_common(1)
    return OddDigests(digest, tuple(node for node in present if node.digest != digest))


def name_taken(node: str) -> str:
    """Return what is wrong where another node has the same name, and the way out."""
    return f"another node is called {node!r}; give this one a name of its own in `node`, and start it again"
