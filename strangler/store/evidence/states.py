"""The differences of a release with their present states, by their reviews and the rules in force."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import msgspec

from strangler.core.compare import Acceptance, CompareRules, Kind, NoiseCount, Where, acceptance, propose
from strangler.core.compare.accept_rules.proposals import MIN_BASELINES
from strangler.core.compare.model.noise import NoiseKey
from strangler.core.documents import SignatureRow
from strangler.core.source import SOURCES
from strangler.store.connection import Connection
from strangler.store.evidence.counted import COUNTED, Counted, Sources
from strangler.store.evidence.stored_releases import release_or_current

CLOSED: Final = frozenset({"accepted", "fixed"})

Rules = Mapping[str, CompareRules]
"""The rules in force by route, which decide what is accepted now."""

LAST: Final = "\U0010ffff"
"""A character that sorts after all others, so that an index finds texts by their start."""

_ROWS: Final = """
SELECT s.id, s.route, nullif(g.release, ''), s.endpoint, s.place, s.path, s.kind, s.severity, g.count, g.accepted,
    g.first_seen, g.last_seen, CASE WHEN g.state != '' THEN g.state ELSE s.state END, s.state_since, s.owner, s.why,
    s.until, g.legacy, g.candidate, g.source
FROM sightings g JOIN signatures s ON s.id = g.signature
"""
"""The columns of a `SignatureRow` in its order, except those that are not in the store; last the source."""
_COUNT: Final = 8
"""The place of the count in these columns."""
_OF_SOURCES: Final = "g.source IN (?, ?)"


@dataclass(frozen=True, slots=True)
class JudgedSignature:
    """A row of the inbox, with facts that only judging needs."""

    row: SignatureRow
    acceptance: Acceptance
    reviewed: str
    """The state of its review, whatever the rules in force say."""


def rows_of(connection: Connection, rules: Rules, today: date, counts: Counted) -> list[JudgedSignature]:
    """Return all signatures of one release of a route that its sources have shown."""
    found = connection.execute(f"{_ROWS} WHERE g.route = ? AND g.release = ? AND {_OF_SOURCES}", counts.key)
    return _judged_rows(found, rules, today)


def current_rows(connection: Connection, rules: Rules, today: date, sources: Sources) -> list[JudgedSignature]:
    """Return all signatures of the current releases of all routes."""
    found = connection.execute(
        f"""WITH now AS (
            SELECT route,
                coalesce((SELECT name FROM releases r WHERE r.route = o.route AND r.is_current = 1), '') AS name
            FROM (SELECT DISTINCT route FROM sightings) o)
        {_ROWS} JOIN now ON now.route = g.route AND now.name = g.release WHERE {_OF_SOURCES}""",  # noqa: S608 - ours
        (sources[0], sources[-1]),
    )
    return _judged_rows(found, rules, today)


def named_rows(
    connection: Connection, rules: Rules, today: date, release: str, sources: Sources
) -> list[JudgedSignature]:
    """Return all signatures of the releases of this name, of any route."""
    found = connection.execute(f"{_ROWS} WHERE g.release = ? AND {_OF_SOURCES}", (release, sources[0], sources[-1]))
    return _judged_rows(found, rules, today)


def rows_by_id(connection: Connection, rules: Rules, today: date, start: str) -> list[JudgedSignature]:
    """Return the signatures whose id, or a former one, begins with `start`, of every release that has shown them."""
    found = connection.execute(
        f"""{_ROWS} WHERE (g.signature >= ? AND g.signature < ?) OR g.signature IN (
            SELECT now FROM former_ids WHERE id >= ? AND id < ? AND id NOT IN (SELECT id FROM signatures))""",  # noqa: S608 - ours
        (start, start + LAST) * 2,
    )
    return _judged_rows(found, rules, today)


def _judged_rows(found: Iterable[tuple[Any, ...]], rules: Rules, today: date) -> list[JudgedSignature]:
    rows: dict[tuple[str, str, str | None], SignatureRow] = {}
    for values in found:
        row = _row(values)
        key = row.id, row.route, row.release
        rows[key] = _joined(rows[key], row) if key in rows else row
    return [_judged(row, rules, today) for row in rows.values()]


def _row(found: tuple[Any, ...]) -> SignatureRow:
    *known, legacy, candidate, source = found
    by_source = {source: known[_COUNT]}
    values = (*known, msgspec.json.decode(legacy), msgspec.json.decode(candidate), None, False, by_source)
    return SignatureRow(*values)


def _joined(row: SignatureRow, other: SignatureRow) -> SignatureRow:
    """Return the row of a signature that two sources have shown; the values are those that were seen last."""
    latest = max(row, other, key=lambda each: each.last_seen)
    return msgspec.structs.replace(
        latest,
        count=row.count + other.count,
        accepted=row.accepted + other.accepted,
        first_seen=min(row.first_seen, other.first_seen),
        sources=row.sources | other.sources,
    )


def _judged(row: SignatureRow, rules: Rules, today: date) -> JudgedSignature:
    of_route = rules.get(row.route)
    accepted = Acceptance.NONE if of_route is None else accepted_now(of_route, row, today)
    state = _state(row, accepted, has_rules=of_route is not None)
    return JudgedSignature(msgspec.structs.replace(row, state=state), accepted, row.state)


def accepted_now(rules: CompareRules, row: SignatureRow, today: date) -> Acceptance:
    """Return how much of a signature the rules of its route accept."""
    return acceptance(
        rules,
        row.endpoint,
        Where(row.in_),
        row.path,
        Kind(row.kind),
        legacy=row.legacy,
        candidate=row.candidate,
        today=today,
    )


def _state(row: SignatureRow, accepted: Acceptance, *, has_rules: bool) -> str:
    """Return the state under the rules in force. If rules depend on values, earlier judgements stay."""
    if accepted is Acceptance.ALL:
        return "accepted"
    if accepted is Acceptance.SOME and row.accepted == row.count:
        return "accepted"
    if row.state == "accepted" and has_rules:
        return "new"  # its rule was removed, or has expired
    return row.state


# Noise


def noise_counts(
    connection: Connection, route: str, release: str | None = None, sources: Sources = SOURCES
) -> list[NoiseCount]:
    """Return the counts of each difference between the arms, and between legacy and itself, noisiest first.

    Only shadows ask legacy twice, whatever the sources of the differences are.
    """
    counts = Counted(route, release_or_current(connection, route, release), sources)
    era = era_of(connection, route, counts.release)
    raw_pairs = pairs_by_endpoint(connection, counts).total()
    row = connection.execute("SELECT pairs FROM baselines WHERE route = ? AND era = ?", (route, era)).fetchone()
    noise_pairs = row[0] if row else 0
    raw: Counter[tuple[str, str, str]] = Counter()
    for place, path, kind, count in connection.execute(
        f"""SELECT s.place, coalesce(s.path, ''), s.kind, g.count
        FROM sightings g JOIN signatures s ON s.id = g.signature
        WHERE g.route = ? AND g.release = ? AND {_OF_SOURCES}""",  # noqa: S608 - our own words
        counts.key,
    ):
        raw[place, path, kind] += count
    noise: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for place, path, kind, shape, count in connection.execute(
        "SELECT place, path, kind, shape, count FROM noise WHERE route = ? AND era = ?", (route, era)
    ):
        noise[place, path, kind][shape] += count
    found = [
        NoiseCount(
            key=NoiseKey(route, Where(place), path or None, Kind(kind)),
            raw=raw[place, path, kind],
            raw_pairs=raw_pairs,
            noise=noise[place, path, kind].total(),
            noise_pairs=noise_pairs,
            shape=_commonest(noise[place, path, kind]),
        )
        for place, path, kind in {*raw, *noise}
    ]
    return sorted(found, key=lambda count: (-count.noise, -count.raw, count.key.path or ""))


def _commonest(shapes: Counter[str]) -> str | None:
    return (shapes.most_common(1)[0][0] or None) if shapes else None


def noise_keys(connection: Connection, counts: Counted) -> set[tuple[str, str | None, str]]:
    """Return place, path and kind of the differences that legacy has with itself about as often as the arms have."""
    return {
        (count.key.in_.value, count.key.path, count.key.kind.value)
        for count in noise_counts(connection, counts.route, counts.release, counts.sources)
        if count.is_noise
    }


def era_of(connection: Connection, route: str, release: str) -> str:
    """Return the mark of a release that was set aside; empty for all others."""
    row = connection.execute("SELECT era FROM releases WHERE route = ? AND name = ?", (route, release)).fetchone()
    return row[0] if row is not None else ""


def proposal(connection: Connection, route: str, min_baselines: int = MIN_BASELINES) -> str | None:
    """Return accept rules that the baseline of a route suggests, as a fragment of routes.yaml; of fewer pairs, none."""
    return propose(route, noise_counts(connection, route), min_baselines)


def pairs_by_endpoint(connection: Connection, counts: Counted) -> Counter[str]:
    """Return the comparable pairs of one release of a route and some sources, by endpoint."""
    rows = connection.execute(
        f"""SELECT endpoint, CAST(sum(count) AS bigint) FROM pairs WHERE {COUNTED} AND outcome != 'not_comparable'
        GROUP BY 1""",  # noqa: S608 - our own words
        counts.key,
    )
    return Counter(dict(rows.fetchall()))


def surfaced_signatures(
    connection: Connection, at: float
) -> list[tuple[str, str, str, str, str | None, str, str, str]]:
    """Return id, route, endpoint, place, path, kind, severity and state of what became new or came back at a time."""
    return connection.execute(
        """
        SELECT id, route, endpoint, place, path, kind, severity, state FROM signatures
        WHERE state IN ('new', 'regressed') AND state_since = ?
        """,
        (at,),
    ).fetchall()
