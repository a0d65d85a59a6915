"""The rollouts that were last in force, as the watch for gates keeps them in the store."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from strangler.core.documents import PassedGate
from strangler.core.percents import RouteRollout
from strangler.store.connection import Connection
from strangler.store.meta import read_meta, write_meta
from strangler.store.upsert import replaced

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS rollouts (
    route TEXT PRIMARY KEY, at REAL NOT NULL, content TEXT NOT NULL, passed TEXT NOT NULL
) WITHOUT ROWID;
"""
"""By route: what was last in force, since when, and how it was raised past its gate (empty if it was not)."""

_META: Final = "rollouts_since"


@dataclass(frozen=True, slots=True)
class Stored:
    """The rollouts in the store. `since`: Unix time of the first start; None if this is the first."""

    since: float | None
    rollouts: dict[str, RouteRollout]
    times: dict[str, float]
    passed: dict[str, PassedGate]


def load_rollouts(connection: Connection) -> Stored:
    """Return the rollouts that were last in force."""
    since = read_meta(connection, _META)
    rows = connection.execute("SELECT route, at, content, passed FROM rollouts").fetchall()
    return Stored(
        since=None if since is None else float(since),
        rollouts={route: msgspec.json.decode(content, type=RouteRollout) for route, _, content, _ in rows},
        times={route: at for route, at, _, _ in rows},
        passed={route: msgspec.json.decode(passed, type=PassedGate) for route, _, _, passed in rows if passed},
    )


def store_rollouts(
    connection: Connection,
    before: Stored,
    after: Mapping[str, RouteRollout],
    passed: Mapping[str, PassedGate],
    now: float,
) -> None:
    """Store what is in force; only the routes that have changed are written."""
    if before.since is None:
        write_meta(connection, _META, str(now))
    connection.executemany("DELETE FROM rollouts WHERE route = ?", [(name,) for name in before.rollouts.keys() - after])
    for name, rollout in after.items():
        is_new = before.rollouts.get(name) != rollout
        if is_new or passed.get(name) != before.passed.get(name):
            at = now if is_new else before.times[name]
            texts = msgspec.json.encode(rollout).decode(), _text(passed.get(name))
            connection.execute(
                f"""INSERT INTO rollouts VALUES (?, ?, ?, ?)
                ON CONFLICT (route) DO UPDATE SET {replaced("at", "content", "passed")}""",  # noqa: S608 - our own words
                (name, at, *texts),
            )


def _text(passed: PassedGate | None) -> str:
    return "" if passed is None else msgspec.json.encode(passed).decode()


def take_back(connection: Connection, route: str) -> None:
    """Withdraw the report that a route was raised past its gate."""
    connection.execute("UPDATE rollouts SET passed = '' WHERE route = ?", (route,))
