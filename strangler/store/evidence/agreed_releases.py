"""The current release of each route, as several nodes agree on it.

Each node judges by what it and the others have seen. What it proposes holds if it is newer than what is stored and, for
a release that a header has named, if no node has seen the stored one for a while: two nodes that see different releases
during a rolling deploy keep the former one, until it is gone from both.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from strangler.core.releases import SETTLES_AFTER_S, UNNAMED
from strangler.store.connection import Connection
from strangler.store.evidence.stored_releases import Release


class ReleaseChange(NamedTuple):
    """The current release of a route has changed, at a Unix time."""

    route: str
    former: str
    current: str
    at: float


class _Current(NamedTuple):
    name: str
    since: float
    last_seen: float


def agreed(connection: Connection, rows: Iterable[Release]) -> tuple[list[Release], list[ReleaseChange]]:
    """Return the rows of this node as they may be stored, and what they change. To be called in a turn."""
    found: list[Release] = []
    changes: list[ReleaseChange] = []
    for row in rows:
        stored = _stored(connection, row.route)
        if stored is not None and stored.name == row.name:
            # the others know it as the current one; it stays so until another row takes its place
            found.append(replace(row, is_current=True, since=stored.since))
        elif row.is_current and (stored is None or _takes_over(row, stored)):
            found.append(row)
            changes.append(ReleaseChange(row.route, UNNAMED if stored is None else stored.name, row.name, row.since))
        else:
            found.append(replace(row, is_current=False, since=0.0))
    replaced = {(change.route, change.former) for change in changes}
    return [
        replace(row, is_current=False, since=0.0) if (row.route, row.name) in replaced else row for row in found
    ], changes


def _takes_over(row: Release, stored: _Current) -> bool:
    if row.since < stored.since:
        return False
    return row.is_named or row.last_seen - stored.last_seen >= SETTLES_AFTER_S


def _stored(connection: Connection, route: str) -> _Current | None:
    row = connection.execute(
        "SELECT name, since, last_seen FROM releases WHERE route = ? AND is_current = 1", (route,)
    ).fetchone()
    return None if row is None else _Current(*row)
