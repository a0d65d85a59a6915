"""The end of evidence: an operator sets it aside, or it is deleted as too old or too much. Counts stay exact."""

from collections.abc import Callable, Iterable
from typing import Final

from strangler.core.releases import UNNAMED
from strangler.store.connection import Connection
from strangler.store.evidence.former_ids import prune_former_ids
from strangler.store.evidence.resets import note_reset
from strangler.store.evidence.stored_releases import (
    MAX_RELEASES,
    Release,
    current_release,
    names_with_pairs,
    save_releases,
    seen_between,
)
from strangler.store.evidence.turn import take_turn
from strangler.store.evidence.writing import note_change
from strangler.store.topics import Topic, announce
from strangler.times import rfc3339

KEPT_S: Final = 30 * 86400.0
MAX_SAMPLE_BYTES: Final = 256 * 1024 * 1024
MAX_LATENCIES: Final = 20_000
"""The most times of one route, release and source; the oldest are deleted first."""
HOURLY_S: Final = 14 * 86400.0
"""The age at which hours are added up to days."""
UNNAMED_ASIDE: Final = "unnamed"
"""The name of the unnamed release once it is set aside."""

_BY_RELEASE: Final = ("pairs", "sightings", "observed", "latencies", "claims")
"""Tables with the columns route and release."""


def set_aside(connection: Connection, route: str, now: float) -> list[str]:
    """Rename all evidence of a route to `NAME@TIME`, release by release, so that it starts again. Return these names.

    The reviews of its differences go with it. An `IndexState` must be loaded again afterwards.
    """
    take_turn(connection)
    era = _unused_era(connection, route, now)
    names, current = names_with_pairs(connection, route), current_release(connection, route)
    connection.execute(
        """UPDATE sightings SET state = coalesce((SELECT state FROM signatures WHERE id = signature), 'new')
        WHERE route = ? AND state = ''""",
        (route,),
    )
    asides = [f"{name or UNNAMED_ASIDE}@{era}" for name in names]
    for name, aside in zip(names, asides, strict=True):
        _rename(connection, route, name, aside, era)
    for table in ("noise", "baselines"):
        connection.execute(f"UPDATE {table} SET era = ? WHERE route = ? AND era = ''", (era, route))  # noqa: S608 - ours
    connection.execute(
        """UPDATE signatures SET state = '', count = 0, owner = NULL, why = NULL, until = NULL WHERE route = ?""",
        (route,),
    )
    connection.execute("DELETE FROM rule_uses WHERE route = ?", (route,))
    if current != UNNAMED and current in names:
        save_releases(connection, [Release(route, current, now, now, is_current=True, since=now)])
    note_change(connection, route)
    note_reset(connection, route, now)
    announce(connection, Topic.RELEASES)
    announce(connection, Topic.EVIDENCE)
    return asides


def _unused_era(connection: Connection, route: str, now: float) -> str:
    """Return the time in UTC, to the millisecond; a later one if it is already in use."""
    while True:
        era = rfc3339(now)
        taken = connection.execute("SELECT 1 FROM releases WHERE route = ? AND name LIKE ?", (route, f"%@{era}"))
        if taken.fetchone() is None:
            return era
        now += 0.001


def _rename(connection: Connection, route: str, name: str, aside: str, era: str) -> None:
    for table in _BY_RELEASE:
        connection.execute(
            f"UPDATE {table} SET release = ? WHERE route = ? AND release = ?",  # noqa: S608 - our own words
            (aside, route, name),
        )
    connection.execute(
        """UPDATE sample_links SET release = ? WHERE release = ?
        AND signature IN (SELECT id FROM signatures WHERE route = ?)""",
        (aside, name, route),
    )
    moved = connection.execute(
        "UPDATE releases SET name = ?, is_current = 0, since = 0, era = ? WHERE route = ? AND name = ?",
        (aside, era, route, name),
    )
    if not moved.rowcount:
        first, last = seen_between(connection, route, aside)
        connection.execute("INSERT INTO releases VALUES (?, ?, ?, ?, 0, 0, ?)", (route, aside, first, last, era))


def drop_evidence(connection: Connection, evicted: Iterable[tuple[str, str]]) -> None:
    """Delete all evidence of some releases, by route and name."""
    for route, name in evicted:
        for table in _BY_RELEASE:
            connection.execute(f"DELETE FROM {table} WHERE route = ? AND release = ?", (route, name))  # noqa: S608 - ours
        connection.execute(
            "DELETE FROM sample_links WHERE release = ? AND signature IN (SELECT id FROM signatures WHERE route = ?)",
            (name, route),
        )
        connection.execute("DELETE FROM releases WHERE route = ? AND name = ?", (route, name))
        note_change(connection, route)


def prune(connection: Connection, now: float, max_sample_bytes: int = MAX_SAMPLE_BYTES) -> None:
    """Delete what is too old or too much. An `IndexState` must be loaded again afterwards."""
    for step in pruning(now, max_sample_bytes):
        step(connection)


def pruning(now: float, max_sample_bytes: int = MAX_SAMPLE_BYTES) -> tuple[Callable[[Connection], None], ...]:
    """Return the steps of `prune`. Each may have a transaction of its own, so that other writers get their turns in
    between; the last one lets other nodes know."""
    return (
        _drop_surplus,
        _drop_orphans,
        lambda connection: _drop_samples(connection, now, max_sample_bytes),
        lambda connection: drop_latencies(connection, MAX_LATENCIES),
        lambda connection: _fold_hours(connection, int((now - HOURLY_S) // 86400) * 24),
        lambda connection: announce(connection, Topic.EVIDENCE),
    )


def _drop_surplus(connection: Connection) -> None:
    take_turn(connection)
    drop_evidence(connection, _surplus_releases(connection))


def _drop_samples(connection: Connection, now: float, max_sample_bytes: int) -> None:
    take_turn(connection)
    connection.execute("DELETE FROM sample_links WHERE at < ?", (now - KEPT_S,))
    connection.execute("DELETE FROM samples WHERE id NOT IN (SELECT sample FROM sample_links)")
    connection.execute(
        """
        DELETE FROM samples WHERE id IN (
            SELECT id FROM (SELECT id, sum(size) OVER (ORDER BY at DESC, id) AS total FROM samples) AS summed
            WHERE total > ?)
        """,
        (max_sample_bytes,),
    )
    connection.execute("DELETE FROM sample_links WHERE sample NOT IN (SELECT id FROM samples)")


def drop_latencies(connection: Connection, most: int) -> None:
    """Delete the oldest times beyond the `most` of a route, release and source."""
    full = connection.execute(
        "SELECT route, release, source FROM latencies GROUP BY 1, 2, 3 HAVING count(*) > ?", (most,)
    )
    for key in full.fetchall():
        (since,) = connection.execute(
            """SELECT at FROM latencies WHERE route = ? AND release = ? AND source = ?
            ORDER BY at DESC LIMIT 1 OFFSET ?""",
            (*key, most - 1),
        ).fetchone()
        connection.execute(
            "DELETE FROM latencies WHERE route = ? AND release = ? AND source = ? AND at < ?", (*key, since)
        )


def _surplus_releases(connection: Connection) -> list[tuple[str, str]]:
    """Return releases beyond `MAX_RELEASES` of a route, set aside or not; the current and the last seen ones stay."""
    rows = connection.execute(
        """
        SELECT route, name FROM (SELECT route, name, row_number() OVER (
            PARTITION BY route ORDER BY is_current DESC, last_seen DESC, name) AS place FROM releases)
        AS placed WHERE place > ?
        """,
        (MAX_RELEASES,),
    )
    return rows.fetchall()


def _drop_orphans(connection: Connection) -> None:
    """Delete differences, sets and noise that no release has any more."""
    take_turn(connection)
    connection.execute("DELETE FROM signatures WHERE id NOT IN (SELECT signature FROM sightings)")
    connection.execute("DELETE FROM member_sets WHERE id NOT IN (SELECT members FROM pairs)")
    connection.execute("DELETE FROM claims WHERE signature NOT IN (SELECT id FROM signatures)")
    prune_former_ids(connection)
    for table in ("noise", "baselines"):
        connection.execute(
            f"DELETE FROM {table} WHERE era != '' AND (route, era) NOT IN (SELECT route, era FROM releases)"  # noqa: S608
        )


def _fold_hours(connection: Connection, before: int) -> None:
    take_turn(connection)
    rows = connection.execute(
        """
        SELECT route, release, endpoint, hour / 24 * 24, outcome, reason, members, source,
            CAST(sum(count) AS bigint) FROM pairs
        WHERE hour < ? GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
        """,
        (before,),
    ).fetchall()
    connection.execute("DELETE FROM pairs WHERE hour < ?", (before,))
    connection.executemany("INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
