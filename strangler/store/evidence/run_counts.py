"""The counts of a replay's own store, of all sources and releases together: it has one of each."""

from collections.abc import Set

import msgspec

from strangler.store.connection import Connection

Place = tuple[str, str | None, str]
"""Place, path and kind of a difference."""


def outcomes_by_endpoint(connection: Connection) -> list[tuple[str, str, str, str, int]]:
    """Return route, endpoint, outcome, reason and count of all pairs, by route and endpoint."""
    return connection.execute(
        """SELECT route, endpoint, outcome, reason, CAST(sum(count) AS bigint) FROM pairs
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2"""
    ).fetchall()


def mismatches_within(connection: Connection, route: str, places: Set[Place]) -> int:
    """Return how many pairs of a route differ in these places alone."""
    rows = connection.execute("SELECT id, place, path, kind FROM signatures WHERE route = ?", (route,))
    others = {name for name, *place in rows if tuple(place) not in places}
    found = connection.execute(
        """SELECT ids, CAST(sum(count) AS bigint) FROM pairs JOIN member_sets ON member_sets.id = members
        WHERE pairs.route = ? AND outcome = 'mismatch' GROUP BY 1""",
        (route,),
    )
    return sum(count for ids, count in found if others.isdisjoint(msgspec.json.decode(ids)))
