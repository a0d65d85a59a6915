"""Routes whose shadowing has stopped by itself: written down, so that a new control process does not begin anew."""

from sqlite3 import Connection


def load_stops(connection: Connection, run: str) -> dict[str, tuple[str, str]]:
    """By route: what the stop is about, and why. Those of an earlier run of the proxy are over."""
    connection.execute("DELETE FROM stops WHERE key NOT LIKE ? || ' %'", (run,))
    return {route: (key, why) for route, key, why in connection.execute("SELECT route, key, why FROM stops")}


def store_stop(connection: Connection, route: str, key: str, why: str) -> None:
    connection.execute("INSERT OR REPLACE INTO stops VALUES (?, ?, ?)", (route, key, why))
