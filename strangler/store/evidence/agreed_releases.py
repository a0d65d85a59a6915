"""The current release of each route, as several nodes agree on it.

Each node judges by what it and the others have seen. What it proposes holds if it is newer than what is stored and, for
a release that a header has named, if no node has seen the stored one for a while: two nodes that see different releases
during a rolling deploy keep the former one, until it is gone from both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class Agreement:
    """The rows of a node as they may be stored, what they change, and the current releases that it had not known."""

    rows: Sequence[Release] = ()
    changes: Sequence[ReleaseChange] = ()
    others: Sequence[Release] = ()


def agreed(connection: Connection, rows: Iterable[Release]) -> Agreement:
    """Return which of a node's rows are current. To be called in a turn."""
    found: list[Release] = []
    changes: list[ReleaseChange] = []
    others: list[Release] = []
    for row in rows:
        stored = _current(connection, row.route)
        if stored is not None and stored.name == row.name:
            found.append(replace(row, is_current=True, since=stored.since))
        elif row.is_current and (stored is None or _takes_over(row, stored)):
            found.append(row)
            changes.append(ReleaseChange(row.route, UNNAMED if stored is None else stored.name, row.name, row.since))
        else:
            found.append(_not_current(row))
            others += [stored] if row.is_current and stored is not None else []
    former = {(change.route, change.former) for change in changes}
    return Agreement([_not_current(row) if (row.route, row.name) in former else row for row in found], changes, others)


def _takes_over(row: Release, stored: Release) -> bool:
    if row.since < stored.since:
        return False
    return row.is_named or row.last_seen - stored.last_seen >= SETTLES_AFTER_S


def _not_current(row: Release) -> Release:
    return replace(row, is_current=False, since=0.0)


def _current(connection: Connection, route: str) -> Release | None:
    row = connection.execute(
        """SELECT route, name, first_seen, last_seen, is_current, since, era FROM releases
        WHERE route = ? AND is_current = 1""",
        (route,),
    ).fetchone()
    return None if row is None else Release(*row)


def unused_names(connection: Connection, evicted: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those of the releases that have to make room which are not the current ones, as other nodes see it."""
    stored = ((route, name, _current(connection, route)) for route, name in evicted)
    return [(route, name) for route, name, current in stored if current is None or current.name != name]
