"""The writing of evidence into SQLite: exact counts for ever, samples as examples. All of it is redacted.

The module `tables` describes the tables.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

import msgspec

from strangler.core.compare import Outcome
from strangler.core.documents import RuleReport
from strangler.store.connection import Connection
from strangler.store.evidence.findings import Finding, StoredDifference
from strangler.store.evidence.index import IndexState, Kept
from strangler.store.evidence.side_rows import SampleRows, SideRows
from strangler.store.evidence.stored_claims import ClaimCounts, close_claims, open_claims
from strangler.store.evidence.tables import SCHEMA as SCHEMA  # where others look for it
from strangler.store.upsert import added, greatest, least, replaced

ACCEPT_GRACE_S: Final = 30.0
"""How long a difference may still be seen after `diffs accept`: the file must be reloaded first."""


def store_findings(connection: Connection, index: IndexState, findings: Sequence[Finding], now: float) -> list[str]:
    """Write a batch. Return the ids of signatures that came back after they had been accepted or fixed.

    Each table is written once, always in this order, and its rows sorted: two writers cannot block each other for good.
    """
    if not findings:
        return []
    pairs: Counter[tuple[str, str, str, int, str, str, str, str]] = Counter()
    sets: dict[str, tuple[str, str, str]] = {}
    sightings = _Sightings()
    claims = ClaimCounts.load(connection)
    observed = _Observed()
    samples, sides = SampleRows(), SideRows()
    for finding in findings:
        kept = index.kept(finding)
        hour = int(finding.at // 3600)
        place = finding.route, finding.release, kept.endpoint
        pairs[*place, hour, finding.outcome, finding.reason, kept.members, finding.source] += 1
        if kept.members:
            sets[kept.members] = finding.route, _json(kept.ids), _json(kept.accepted_ids)
        sightings.add(finding, kept)
        observed.add(finding)
        if finding.outcome != Outcome.NOT_COMPARABLE and not kept.has_status and not finding.is_partial:
            claims.count((*place, finding.source), finding.at, kept.signatures)
        samples.add(index, finding, kept)
        sides.add(finding)
    samples.store(connection)
    sides.store(connection, index)
    connection.executemany(
        """INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (route, release, endpoint, hour, outcome, reason, members, source)
        DO UPDATE SET count = pairs.count + excluded.count""",
        [(*key, count) for key, count in sorted(pairs.items())],
    )
    connection.executemany(
        "INSERT INTO member_sets (id, route, ids, accepted) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        [(name, *row) for name, row in sorted(sets.items())],
    )
    claims.store(connection)
    sightings.store(connection, now)
    observed.store(connection)
    for route in sorted({finding.route for finding in findings}):
        note_change(connection, route)
    rows = connection.execute(
        "SELECT id FROM signatures WHERE state_since = ? AND state = 'regressed' ORDER BY id", (now,)
    )
    back = [row[0] for row in rows]
    close_claims(connection, back)
    return back


def note_change(connection: Connection, route: str) -> None:
    """Note that the evidence of a route has changed, so that it is judged again."""
    connection.execute(
        """INSERT INTO changes VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM changes))
        ON CONFLICT (route) DO UPDATE SET number = excluded.number""",
        (route,),
    )


def _json(ids: Iterable[str]) -> str:
    return msgspec.json.encode(list(ids)).decode()


@dataclass(slots=True)
class _Sighting:
    """The sightings of one signature in a batch."""

    seen: StoredDifference
    endpoint: str
    first: float
    last: float
    count: int = 0
    accepted: int = 0
    last_open: float | None = None
    """When it was last seen without a rule that accepted it."""

    def add(self, at: float, *, is_accepted: bool) -> None:
        self.count += 1
        self.accepted += is_accepted
        self.first, self.last = min(self.first, at), max(self.last, at)
        if not is_accepted:
            self.last_open = at if self.last_open is None else max(self.last_open, at)


_CAME_BACK = f"""((signatures.state = 'fixed' AND excluded.last_seen > signatures.state_since)
    OR (signatures.state = 'accepted' AND CAST(? AS double precision) > signatures.state_since + {ACCEPT_GRACE_S}))"""
_SEEN = f"""
INSERT INTO signatures
    (id, route, endpoint, place, path, kind, severity, count, first_seen, last_seen, state, state_since,
     legacy, candidate)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    {added("signatures", "count")}, last_seen = {greatest("signatures", "last_seen")},
    first_seen = CASE WHEN signatures.state = '' THEN excluded.first_seen ELSE {least("signatures", "first_seen")} END,
    {replaced("legacy", "candidate")},
    state_since = CASE WHEN {_CAME_BACK} OR signatures.state = '' THEN excluded.state_since
        ELSE signatures.state_since END,
    state = CASE WHEN {_CAME_BACK} THEN 'regressed' WHEN signatures.state = '' THEN excluded.state
        ELSE signatures.state END
"""  # noqa: S608 - only our own words


class _Sightings:
    """The signatures that a batch of findings has shown, by release and source."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str, str], _Sighting] = {}

    def add(self, finding: Finding, kept: Kept) -> None:
        for is_accepted, differences in ((False, kept.differences), (True, kept.accepted)):
            for seen in differences:
                key = finding.route, finding.release, seen.id, finding.source
                sighting = self._found.get(key)
                if sighting is None:
                    sighting = self._found[key] = _Sighting(seen, kept.endpoint, finding.at, finding.at)
                sighting.add(finding.at, is_accepted=is_accepted)
                if not is_accepted:
                    sighting.seen = seen

    def store(self, connection: Connection, now: float) -> None:
        connection.executemany(
            f"""INSERT INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')
            ON CONFLICT (route, release, signature, source) DO UPDATE SET {added("sightings", "count", "accepted")},
            first_seen = {least("sightings", "first_seen")}, last_seen = {greatest("sightings", "last_seen")},
            {replaced("legacy", "candidate")}""",  # noqa: S608 - only our own words
            [
                (
                    *key,
                    sighting.count,
                    sighting.accepted,
                    sighting.first,
                    sighting.last,
                    sighting.seen.legacy,
                    sighting.seen.candidate,
                )
                for key, sighting in sorted(self._found.items(), key=itemgetter(0))
            ],
        )
        connection.executemany(
            _SEEN,
            [
                (
                    seen.id, route, sighting.endpoint, seen.place, seen.path, seen.kind, seen.severity,
                    sighting.count, sighting.first, sighting.last,
                    "accepted" if sighting.last_open is None else "new", now, seen.legacy, seen.candidate,
                    sighting.last_open, sighting.last_open,
                )
                for (route, _, _, _), sighting in sorted(self._found.items(), key=lambda item: item[0][2])
                for seen in (sighting.seen,)
            ],
        )  # fmt: skip


class _Observed:
    """The first and last times of a batch's pairs by route, release and source, and how many could be timed."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], tuple[float, float, int]] = {}

    def add(self, finding: Finding) -> None:
        if finding.outcome == Outcome.NOT_COMPARABLE:
            return
        key, at = (finding.route, finding.release, finding.source), finding.at
        first, last, timeable = self._found.get(key, (at, at, 0))
        self._found[key] = min(first, at), max(last, at), timeable + finding.is_timeable

    def store(self, connection: Connection) -> None:
        connection.executemany(
            f"""INSERT INTO observed VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (route, release, source) DO UPDATE SET
            first = {least("observed", "first")}, last = {greatest("observed", "last")},
            {added("observed", "timeable")}""",  # noqa: S608 - only our own words
            [(*key, *row) for key, row in sorted(self._found.items())],
        )


STATES: Final = ("new", "known", "accepted", "fixed", "regressed")


def set_state(
    connection: Connection,
    signature: str,
    state: str,
    now: float,
    *,
    owner: str | None = None,
    why: str | None = None,
    until: str | None = None,
) -> bool:
    """Set the review of a signature. Return False if the id is unknown. An owner stays until another is named.

    `fixed` opens claims: see `stored_claims`.
    """
    changed = connection.execute(
        """
        UPDATE signatures SET state = ?, state_since = ?, owner = coalesce(?, owner), why = ?, until = ?
        WHERE id = ? AND state != '' RETURNING route
        """,
        (state, now, owner, why, until, signature),
    ).fetchone()
    if changed is None:
        return False
    if state == "fixed":
        open_claims(connection, signature, now)
    else:
        close_claims(connection, [signature])
    note_change(connection, changed[0])
    return True


def store_rules(connection: Connection, reports: Mapping[str, RuleReport]) -> None:
    """Store the reports of the accept rules of some routes."""
    connection.executemany(
        "INSERT INTO rule_uses VALUES (?, ?) ON CONFLICT (route) DO UPDATE SET content = excluded.content",
        [(route, msgspec.json.encode(report).decode()) for route, report in reports.items()],
    )
