"""Routes whose shadowing has stopped by itself, stored so that a new control process does not start it again."""

from collections.abc import Iterable
from dataclasses import dataclass

from strangler.store.connection import Connection


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the shadowing of a route has stopped. When the route's `key` changes, shadows start again."""

    key: str
    why: str


@dataclass(frozen=True, slots=True)
class StopChange:
    """A route's shadowing has stopped (`stop`), or its stop has ended; `has_started` unless it has no shadows now."""

    route: str
    stop: Stop | None
    has_started: bool = False
    reason: str = ""
    """Why it has started again."""


def stopped_text(route: str, why: str) -> str:
    """Return the message about a stop for the log, commands and the dashboard."""
    return f"shadowing of route '{route}' is stopped: {why}"


def load_stops(connection: Connection) -> dict[str, Stop]:
    """Return the stops by route, including those of earlier runs of the proxy."""
    rows = connection.execute("SELECT route, key, why FROM stops").fetchall()
    return {route: Stop(key, why) for route, key, why in rows}


def store_stop(connection: Connection, route: str, stop: Stop) -> None:
    connection.execute(
        """INSERT INTO stops VALUES (?, ?, ?)
        ON CONFLICT (route) DO UPDATE SET key = excluded.key, why = excluded.why""",
        (route, stop.key, stop.why),
    )


def settle_changes(connection: Connection, changes: Iterable[StopChange]) -> list[StopChange]:
    """Store the changes of a node that shares its store. Return those that no other node has made before."""
    found: list[StopChange] = []
    for change in changes:
        row = connection.execute("SELECT key FROM stops WHERE route = ?", (change.route,)).fetchone()
        store_changes(connection, [change])
        if (row is not None) if change.stop is None else (row is None or row[0] != change.stop.key):
            found.append(change)
    return found


def store_changes(connection: Connection, changes: Iterable[StopChange]) -> None:
    """Store new stops, and delete ended ones."""
    for change in changes:
        if change.stop is not None:
            store_stop(connection, change.route, change.stop)
        else:
            connection.execute("DELETE FROM stops WHERE route = ?", (change.route,))
