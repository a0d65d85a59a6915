"""The kill switch of all nodes in the store: of each scope, a route or all of them, the last turn.

A turn replaces an earlier one of its scope, whichever comes first: the later turn holds. Rows are never deleted: that a
scope was turned off is known by its row.
"""

from dataclasses import dataclass
from typing import Final

from strangler.store.connection import Connection
from strangler.store.upsert import replaced

ALL_ROUTES: Final = ""
"""The scope of the kill switch for all routes; any other is the name of a route."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS kill_switches (
    scope TEXT PRIMARY KEY, is_on INTEGER NOT NULL, reason TEXT NOT NULL, since REAL NOT NULL, node TEXT NOT NULL,
    actor TEXT NOT NULL
) WITHOUT ROWID;
"""

_REPLACED: Final = replaced("is_on", "reason", "node", "actor")
_LATER: Final = f"""INSERT INTO kill_switches (scope, is_on, reason, since, node, actor) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (scope) DO UPDATE SET since = excluded.since, {_REPLACED}
    WHERE kill_switches.since < excluded.since"""  # noqa: S608 - our own words
_NEXT: Final = f"""INSERT INTO kill_switches (scope, is_on, reason, since, node, actor) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (scope) DO UPDATE SET {_REPLACED}, since = CASE
        WHEN kill_switches.since < excluded.since THEN excluded.since ELSE kill_switches.since + 0.001 END"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """The last turn of a scope. `since`: Unix time of the database, in whole milliseconds."""

    on: bool
    reason: str
    since: float
    node: str
    actor: str


def load_turns(connection: Connection) -> dict[str, StoredTurn]:
    """Return the last turn of each scope that was ever turned."""
    rows = connection.execute("SELECT scope, is_on, reason, since, node, actor FROM kill_switches ORDER BY scope")
    return {scope: StoredTurn(bool(is_on), *rest) for scope, is_on, *rest in rows}


def save_later(connection: Connection, scope: str, turn: StoredTurn) -> bool:
    """Store a turn that was made some time ago; return False if that of another node is not earlier, and stays."""
    return connection.execute(_LATER, _row(scope, turn)).rowcount == 1


def save_next(connection: Connection, scope: str, turn: StoredTurn) -> None:
    """Store a turn that is being made: it is later than the one that is there, whatever a clock says."""
    connection.execute(_NEXT, _row(scope, turn))


def _row(scope: str, turn: StoredTurn) -> tuple[str, int, str, float, str, str]:
    return scope, int(turn.on), turn.reason, turn.since, turn.node, turn.actor
