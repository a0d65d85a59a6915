"""Differences that were marked as fixed: new pairs of their endpoints are counted from then on, by source.

A claim belongs to the release that had shown the difference. Another release is judged by its own pairs, so that the
claim does not count there; if the former release comes back, it counts again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from strangler.core.claims import pairs_to_prove
from strangler.core.source import SOURCES
from strangler.store.connection import Connection
from strangler.store.evidence.states import LAST

FOLDED = "…"
"""The name of the difference or endpoint that stands for all beyond a limit."""
_HOUR_S = 3600

Place = tuple[str, str, str, str]
"""Route, release, endpoint and source."""


def open_claims(connection: Connection, signature: str, now: float) -> None:
    """Open the claims of a signature that is marked as fixed: one for each release and endpoint that showed it.

    Each has a row for every source, since a gate says whose pairs count. It needs as many pairs as the source needs in
    which the difference was rarest.
    """
    close_claims(connection, [signature])
    row = connection.execute("SELECT route, endpoint, path FROM signatures WHERE id = ?", (signature,)).fetchone()
    if row is None:
        return
    route, endpoint, path = row
    stands_for_many = path == FOLDED or endpoint.endswith(f" {FOLDED}")
    only = None if stands_for_many else endpoint
    needed: dict[tuple[str, str], int] = {}
    for release, source, seen in connection.execute(
        "SELECT release, source, count FROM sightings WHERE signature = ? AND state = ''", (signature,)
    ).fetchall():
        endpoints = _places(connection, (route, release, source), signature, only) or {endpoint: seen}
        for name, count in endpoints.items():
            pairs = pairs_to_prove(count, _compared(connection, (route, release, name, source)))
            needed[release, name] = max(pairs, needed.get((release, name), 0))
    connection.executemany(
        "INSERT INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
        [
            (route, release, signature, name, source, now, pairs)
            for (release, name), pairs in needed.items()
            for source in SOURCES
        ],
    )


def close_claims(connection: Connection, signatures: Iterable[str]) -> None:
    """Close the claims of signatures that were seen again, or are no longer marked as fixed."""
    connection.executemany("DELETE FROM claims WHERE signature = ?", [(signature,) for signature in signatures])


def open_earlier_claims(connection: Connection) -> None:
    """Open claims for marks of an earlier version. Pairs of later hours do not have the difference."""
    fixed = connection.execute("SELECT id, state_since FROM signatures WHERE state = 'fixed'").fetchall()
    for signature, since in fixed:
        open_claims(connection, signature, since)
    connection.execute(
        f"""UPDATE claims SET pairs = (SELECT coalesce(sum(count), 0) FROM pairs p
        WHERE p.route = claims.route AND p.release = claims.release AND p.endpoint = claims.endpoint
        AND p.source = claims.source AND p.outcome != 'not_comparable' AND p.hour * {_HOUR_S} > claims.since)"""  # noqa: S608 - a number
    )


def _places(connection: Connection, of: tuple[str, str, str], signature: str, endpoint: str | None) -> dict[str, int]:
    """Return, by endpoint, the pairs of a route, release and source that have the signature.

    A folded signature has many endpoints. `endpoint` is the only one that can have it; if it is None, all pairs of the
    release are searched.
    """
    rows = connection.execute(
        """SELECT p.endpoint, CAST(sum(p.count) AS bigint) FROM pairs p JOIN member_sets m ON m.id = p.members
        WHERE p.route = ? AND p.release = ? AND p.source = ? AND p.endpoint >= ? AND p.endpoint <= ?
        AND (m.ids LIKE ? OR m.accepted LIKE ?) GROUP BY 1""",
        (*of, endpoint or "", endpoint or LAST, *(f"%{signature}%",) * 2),
    )
    return dict(rows.fetchall())


def _compared(connection: Connection, place: Place) -> int:
    (count,) = connection.execute(
        """SELECT CAST(coalesce(sum(count), 0) AS bigint) FROM pairs
        WHERE route = ? AND release = ? AND endpoint = ? AND source = ? AND outcome != 'not_comparable'""",
        place,
    ).fetchone()
    return int(count)


@dataclass(slots=True)
class ClaimCounts:
    """The unproven claims that a batch of findings may concern, and the pairs that count for them."""

    since: Mapping[Place, Mapping[str, float]]
    """By place: the Unix time at which each signature was marked."""
    pairs: dict[tuple[str, str, str, str, str], int] = field(default_factory=dict)

    @classmethod
    def load(cls, connection: Connection) -> "ClaimCounts":
        """Read all unproven claims."""
        since: dict[Place, dict[str, float]] = {}
        for *place, signature, at in connection.execute(
            "SELECT route, release, endpoint, source, signature, since FROM claims WHERE pairs < needed"
        ):
            since.setdefault((place[0], place[1], place[2], place[3]), {})[signature] = at
        return cls(since)

    def count(self, place: Place, at: float, signatures: set[str]) -> None:
        """Count one comparable pair with its Unix time and differences."""
        for signature, marked_at in self.since.get(place, {}).items():
            if at > marked_at and signature not in signatures:
                key = (*place, signature)
                self.pairs[key] = self.pairs.get(key, 0) + 1

    def store(self, connection: Connection) -> None:
        connection.executemany(
            """UPDATE claims SET pairs = pairs + ?
            WHERE route = ? AND release = ? AND endpoint = ? AND source = ? AND signature = ?""",
            [(count, *key) for key, count in sorted(self.pairs.items())],
        )
