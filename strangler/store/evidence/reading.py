"""Reading the evidence, for the admin listener, and for commands when no proxy runs.

All results are plain data. The store is opened read-only, beside the one thread that writes it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import msgspec

from strangler.core.compare import Severity
from strangler.core.compare import path_steps as path_steps
from strangler.core.documents import ReleaseRow, RuleReport, SampleDocument, SignatureDocument, SignatureRow
from strangler.core.releases import UNNAMED
from strangler.core.source import SOURCES, Source
from strangler.store.connection import Connection
from strangler.store.evidence.access import CorruptEvidenceError as CorruptEvidenceError
from strangler.store.evidence.access import NoEvidenceError as NoEvidenceError
from strangler.store.evidence.access import ask as ask
from strangler.store.evidence.access import reader as reader
from strangler.store.evidence.counted import Counted, Sources
from strangler.store.evidence.judging import latencies as latencies
from strangler.store.evidence.judging import matches as matches
from strangler.store.evidence.judging import readiness as readiness
from strangler.store.evidence.judging import timeline as timeline
from strangler.store.evidence.states import (
    CLOSED,
    JudgedSignature,
    Rules,
    current_rows,
    named_rows,
    noise_keys,
    pairs_by_endpoint,
    rows_by_id,
    rows_of,
)
from strangler.store.evidence.states import noise_counts as noise_counts
from strangler.store.evidence.states import proposal as proposal
from strangler.store.evidence.stored_releases import (
    Release,
    load_releases,
    release_or_current,
    release_rows,
    seen_between,
)

_SOME_RELEASES = 12


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of the inbox; None: all. `since`: Unix time of the last sighting."""

    route: str | None = None
    severity: str | None = None
    state: str | None = None
    since: float | None = None
    release: str | None = None  # of the candidate; None: the current one
    source: Source | None = None

    @property
    def sources(self) -> Sources:
        """The sources whose differences are wanted."""
        return SOURCES if self.source is None else (self.source,)

    def take(self, row: SignatureRow) -> bool:
        return (
            self.route in (None, row.route)
            and self.severity in (None, row.severity)
            and self.state in (None, row.state)
            and (self.since is None or row.last_seen >= self.since)
        )


class UnknownReleaseError(NoEvidenceError):
    """The requested release is unknown; the message lists the known ones."""


def check_release(connection: Connection, route: str | None, release: str | None) -> None:
    """Raise UnknownReleaseError if no route, or not this one, has a release of this name."""
    if release is None:
        return
    problem = release_problem([release_row.name for release_row in releases(connection, route)], route, release)
    if problem is not None:
        raise UnknownReleaseError(problem)


def release_problem(known: Iterable[str], route: str | None, release: str) -> str | None:
    """Return that a route (None: any route) has no such release, and which it has; None if it has the release."""
    names = list(dict.fromkeys(known))
    if release in names:
        return None
    missing = "no route has a release" if route is None else f"route '{route}' has no release"
    some = ", ".join(repr(name) if name else "'' (unnamed)" for name in names[:_SOME_RELEASES])
    return f"{missing} {release!r}; " + (f"known are {some}" if names else "none is known yet")


def signatures(connection: Connection, rules: Rules, filters: Filters, today: date) -> list[SignatureRow]:
    """Return the inbox of the current releases, or of the requested one: most severe first, then most frequent."""
    check_release(connection, filters.route, filters.release)
    found = _wanted(connection, rules, filters, today)
    return _in_order(connection, [row.row for row in found if filters.take(row.row)], filters.sources)


def counted_signatures(connection: Connection, rules: Rules, counts: Counted, today: date) -> list[SignatureRow]:
    """Return the signatures of a release that count in the verdict, in the order of the inbox."""
    rows = [judged_row.row for judged_row in rows_of(connection, rules, today, counts)]
    return _in_order(connection, rows, counts.sources)


def _wanted(connection: Connection, rules: Rules, filters: Filters, today: date) -> list[JudgedSignature]:
    if filters.route is not None:
        release = release_or_current(connection, filters.route, filters.release)
        return rows_of(connection, rules, today, Counted(filters.route, release, filters.sources))
    if filters.release is not None:
        return named_rows(connection, rules, today, filters.release, filters.sources)
    return current_rows(connection, rules, today, filters.sources)


def _in_order(connection: Connection, rows: list[SignatureRow], sources: Sources) -> list[SignatureRow]:
    """Return the rows in order, each with its share of its endpoint's pairs, and whether it is noise."""
    of = {Counted(row.route, row.release or UNNAMED, sources) for row in rows}
    pairs = {key: pairs_by_endpoint(connection, key) for key in of}
    noisy = {key: noise_keys(connection, key) for key in of}

    def with_share(row: SignatureRow) -> SignatureRow:
        key = Counted(row.route, row.release or UNNAMED, sources)
        compared = pairs[key][row.endpoint]
        share = min(1.0, row.count / compared) if compared else None
        is_noise = (row.in_, row.path, row.kind) in noisy[key]
        return msgspec.structs.replace(row, share=share, is_noise=is_noise)

    found = [with_share(row) for row in rows]
    return sorted(found, key=lambda row: (_closedness(row), Severity(row.severity).rank, -row.count, row.id))


def _closedness(row: SignatureRow) -> bool:
    return row.state in CLOSED or row.is_noise


def signature(
    connection: Connection, rules: Rules, name: str, today: date, release: str | None = None
) -> SignatureDocument | None:
    """Return one signature, found by the start of its id, with samples, newest first; None unless exactly one matches.

    It is that of the requested release, else of the current one, else of the last that has shown it.
    """
    found = rows_by_id(connection, rules, today, name) if name else []
    if len({judged_signature.row.id for judged_signature in found}) != 1:
        return None
    chosen = _chosen(connection, [judged_signature.row for judged_signature in found], release)
    (row,) = _in_order(connection, [chosen], SOURCES)
    samples = connection.execute(
        """SELECT content FROM samples JOIN sample_links ON sample = samples.id
        WHERE signature = ? AND release = ? ORDER BY samples.at DESC""",
        (row.id, row.release or UNNAMED),
    )
    kept = [msgspec.json.decode(sample[0], type=SampleDocument) for sample in samples]
    return SignatureDocument(**msgspec.structs.asdict(row), samples=kept)


def _chosen(connection: Connection, found: list[SignatureRow], release: str | None) -> SignatureRow:
    """Return the row of a release. Raises UnknownReleaseError if the requested one did not show the difference."""
    by_release = {row.release or UNNAMED: row for row in found}
    if release is not None and release not in by_release:
        check_release(connection, found[0].route, release)
        raise UnknownReleaseError(f"{found[0].id} was not seen in release {release!r}")
    wanted = release_or_current(connection, found[0].route, release)
    return by_release.get(wanted) or max(found, key=lambda row: row.last_seen)


# For the report


def releases(connection: Connection, route: str | None = None) -> list[ReleaseRow]:
    """Return the releases of a route, or of all, with their comparable pairs; by route, the last seen first."""
    pairs = {
        (of, name): count
        for of, name, count in connection.execute(
            """SELECT route, release, CAST(sum(CASE WHEN outcome = 'not_comparable' THEN 0 ELSE count END) AS bigint)
            FROM pairs WHERE CAST(? AS text) IS NULL OR route = ? GROUP BY 1, 2""",
            (route, route),
        )
    }
    known = load_releases(connection, route)
    named = {(row.route, row.name) for row in known}
    current = {row.route for row in known if row.is_current}
    for of, name in sorted(pairs.keys() - named):  # an unnamed release has no row of its own
        first, last = seen_between(connection, of, name)
        known.append(Release(of, name, first, last, is_current=of not in current and name == UNNAMED))
    known.sort(key=lambda row: (row.route, bool(row.era), not row.is_current, -row.last_seen, row.name))
    return release_rows(known, pairs)


def rule_reports(connection: Connection) -> dict[str, RuleReport]:
    """Return the use of accept rules by route."""
    return {
        route: msgspec.json.decode(content, type=RuleReport)
        for route, content in connection.execute("SELECT route, content FROM rule_uses")
    }


def stops(connection: Connection) -> dict[str, str]:
    """Return, by route, why its shadowing has stopped by itself."""
    return dict(connection.execute("SELECT route, why FROM stops").fetchall())


def last_change(connection: Connection) -> int:
    """Return the number of the last change of any route's evidence; 0 if there is none."""
    (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM changes").fetchone()
    return int(last)


def changed_routes(connection: Connection, since: int) -> list[str]:
    """Return the routes whose evidence has changed after the change of a number, in the order of their changes."""
    rows = connection.execute("SELECT route FROM changes WHERE number > ? ORDER BY number", (since,))
    return [row[0] for row in rows]
