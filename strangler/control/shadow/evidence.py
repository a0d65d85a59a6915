"""What comparisons have shown, in SQLite: exact counts for ever, samples as examples. All that is written is redacted.

The tables are told of in `schema`.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import msgspec

from strangler.control.shadow.claims import FOLDED, ClaimCounts, close_claims, open_claims
from strangler.control.shadow.schema import SCHEMA as SCHEMA  # where others look for it
from strangler.core.compare import Outcome, Where

SAMPLES: Final = 20
SAMPLE_EVERY_S: Final = 60.0
"""A signature that has all its samples gets a new one in place of its oldest at most this often."""

ACCEPT_GRACE_S: Final = 30.0
"""How long after `diffs accept` the difference may still be seen: the file has to be reloaded first."""

MAX_SAMPLE_COUNTS: Final = 50_000
"""Signatures and releases whose samples are counted in memory; of one that is forgotten, one is taken too often."""

_MAX_SIGNATURES = 2000
"""Of one route; what is found beyond is counted under one name for each severity."""
_MAX_SETS = 5000
_MAX_ENDPOINTS = 1000
_PART_BYTES = 500
"""Of a finding, and of each difference in it, beside its texts."""
_MAX_NOISE = 2000


@dataclass(frozen=True, slots=True)
class Seen:
    """One difference of a comparison, in the form in which it may be kept. `legacy` and `candidate` are JSON."""

    id: str
    place: str
    path: str | None
    kind: str
    severity: str
    legacy: str = field(repr=False)
    candidate: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Noisy:
    """One difference between two answers of legacy. `shape`: what its values look like, or empty."""

    place: str
    path: str
    kind: str
    shape: str


@dataclass(frozen=True, slots=True)
class Finding:
    """All that is kept of one comparison."""

    id: str
    at: float  # Unix time of the request
    route: str
    endpoint: str  # `GET /api/orders/{}`
    outcome: str
    reason: str
    differences: tuple[Seen, ...] = ()
    line: bytes | None = field(default=None, repr=False)  # of shadow-diffs.jsonl
    sample: bytes | None = field(default=None, repr=False)
    latency: tuple[float, float] | None = None  # seconds of legacy and of the candidate
    baseline: tuple[Noisy, ...] | None = None  # None: legacy was not asked twice
    release: str = ""  # of the candidate that was compared; empty: unnamed
    accepted: tuple[Seen, ...] = ()  # differences that a rule accepted
    is_timeable: bool = False  # both arms could have been timed for this request: see `shadow.baseline`
    is_partial: bool = False  # more may differ than is told: the comparison was cut, or found too much

    @property
    def size(self) -> int:
        """About so many bytes of memory."""
        differences = (*self.differences, *self.accepted)
        texts = (len(one.legacy) + len(one.candidate) + len(one.path or "") for one in differences)
        parts = len(differences) + len(self.baseline or ())
        return len(self.line or b"") + len(self.sample or b"") + sum(texts) + _PART_BYTES * (1 + parts)


@dataclass(frozen=True, slots=True)
class Kept:
    """A finding as it is counted: folded where its route has too many of a kind."""

    endpoint: str
    differences: tuple[Seen, ...]
    accepted: tuple[Seen, ...]
    members: str
    """The id of the set of differences that the pair is counted under."""
    ids: tuple[str, ...]
    """The signatures in that set that differed, and below those that a rule accepted."""
    accepted_ids: tuple[str, ...]

    @property
    def signatures(self) -> set[str]:
        """All that was seen, whatever set it is counted under."""
        return {seen.id for seen in (*self.differences, *self.accepted)} | {*self.ids, *self.accepted_ids}

    @property
    def has_status(self) -> bool:
        """Whether the statuses differed: then the bodies are about different things."""
        return any(seen.place == Where.STATUS for seen in self.differences)


class IndexState:
    """What is in the store, as far as one must know to keep it bounded. Written by the store's thread only."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, str], tuple[int, float]] = {}
        """By signature and release: how many, and when the last one was taken."""
        self._signatures: dict[str, set[str]] = {}
        self._sets: dict[str, set[str]] = {}
        self._endpoints: dict[str, set[str]] = {}
        self._noise: Counter[str] = Counter()

    def load(self, connection: sqlite3.Connection) -> None:
        """Begin with what the store has; what was set aside does not count."""
        self.__init__()  # type: ignore[misc]
        for signature, release, count, last in connection.execute(
            """SELECT signature, release, count(*), max(at) FROM sample_links GROUP BY 1, 2
            ORDER BY 4 DESC LIMIT ?""",
            (MAX_SAMPLE_COUNTS,),
        ):
            self._samples[signature, release] = count, last
        for route, signature in connection.execute("SELECT route, id FROM signatures WHERE state != ''"):
            self._signatures.setdefault(route, set()).add(signature)
        for route, endpoint, members in connection.execute(
            """SELECT DISTINCT route, endpoint, members FROM pairs WHERE (route, release) NOT IN
            (SELECT route, name FROM releases WHERE era != '')"""
        ):
            self._endpoints.setdefault(route, set()).add(endpoint)
            if members:
                self._sets.setdefault(route, set()).add(members)
        for route, count in connection.execute("SELECT route, count(*) FROM noise WHERE era = '' GROUP BY route"):
            self._noise[route] = count

    def wants_sample(self, signatures: Iterable[str], at: float, release: str = "") -> bool:
        """True if any of them lacks samples, or has had no new one for a while. Any thread may ask."""
        return any(self._lacks_sample((signature, release), at) for signature in signatures)

    def _lacks_sample(self, of: tuple[str, str], at: float) -> bool:
        count, last = self._samples.get(of, (0, 0.0))
        return count < SAMPLES or at - last > SAMPLE_EVERY_S

    def takes_sample(self, signature: str, at: float, release: str = "") -> bool:
        """Note one more sample, if it is wanted."""
        of = signature, release
        if not self._lacks_sample(of, at):
            return False
        count, _ = self._samples.pop(of, (0, 0.0))
        while len(self._samples) >= MAX_SAMPLE_COUNTS:
            del self._samples[next(iter(self._samples))]
        self._samples[of] = min(count + 1, SAMPLES), at
        return True

    def kept(self, finding: Finding) -> Kept:
        """Return the finding as it is counted."""
        route, endpoint = finding.route, finding.endpoint
        if not _is_among(self._endpoints.setdefault(route, set()), endpoint, _MAX_ENDPOINTS):
            endpoint = f"{endpoint.partition(' ')[0]} {FOLDED}"
        differences, accepted = self._known(route, finding.differences), self._known(route, finding.accepted)
        accepted = {name: seen for name, seen in accepted.items() if name not in differences}
        if finding.is_partial and differences:  # what was not told is never accepted
            rest = _folded(route, finding.differences[-1])
            differences.setdefault(rest.id, rest)
        ids, accepted_ids = tuple(sorted(differences)), tuple(sorted(accepted))
        members = set_id(ids, accepted_ids)
        sets = self._sets.setdefault(route, set())
        if members and not _is_among(sets, members, _MAX_SETS):
            gravest = _folded(route, next(iter((differences or accepted).values())))
            (differences or accepted).setdefault(gravest.id, gravest)
            ids, accepted_ids = ((gravest.id,), ()) if differences else ((), (gravest.id,))
            members = set_id(ids, accepted_ids)
            sets.add(members)
        return Kept(endpoint, (*differences.values(),), (*accepted.values(),), members, ids, accepted_ids)

    def _known(self, route: str, differences: Iterable[Seen]) -> dict[str, Seen]:
        signatures = self._signatures.setdefault(route, set())
        found: dict[str, Seen] = {}
        for seen in differences:
            one = seen if _is_among(signatures, seen.id, _MAX_SIGNATURES) else _folded(route, seen)
            found.setdefault(one.id, one)
        return found

    def takes_noise(self, route: str) -> bool:
        self._noise[route] += 1
        return self._noise[route] <= _MAX_NOISE


def _is_among(known: set[str], one: str, most: int) -> bool:
    if one in known:
        return True
    if len(known) >= most:
        return False
    known.add(one)
    return True


def _folded(route: str, seen: Seen) -> Seen:
    name = blake2b(f"{route}\0{seen.severity}\0{FOLDED}".encode(), digest_size=8).hexdigest()
    return Seen(name, seen.place, FOLDED, seen.kind, seen.severity, seen.legacy, seen.candidate)


def set_id(signatures: Iterable[str], accepted: Iterable[str] = ()) -> str:
    """Names a set of signatures, some of which were accepted; empty for none."""
    ids, others = sorted(signatures), sorted(accepted)
    if not ids and not others:
        return ""
    parts = "\0".join(ids) + ("\0\0" + "\0".join(others) if others else "")
    return blake2b(parts.encode(), digest_size=8).hexdigest()


def store_findings(
    connection: sqlite3.Connection, index: IndexState, findings: Sequence[Finding], now: float
) -> list[str]:
    """Write a batch. The ids of signatures that came back after they had been accepted or fixed."""
    if not findings:
        return []
    pairs: Counter[tuple[str, str, str, int, str, str, str]] = Counter()
    sets: dict[str, tuple[str, str, str]] = {}
    sightings = _Sightings()
    claims = ClaimCounts.load(connection)
    observed = _Observed()
    for finding in findings:
        kept = index.kept(finding)
        hour = int(finding.at // 3600)
        pairs[finding.route, finding.release, kept.endpoint, hour, finding.outcome, finding.reason, kept.members] += 1
        if kept.members:
            sets[kept.members] = finding.route, _json(kept.ids), _json(kept.accepted_ids)
        sightings.add(finding, kept)
        observed.add(finding)
        if finding.outcome != Outcome.NOT_COMPARABLE and not kept.has_status and not finding.is_partial:
            claims.count((finding.route, finding.release, kept.endpoint), finding.at, kept.signatures)
        _store_samples(connection, index, finding, kept)
        _store_sides(connection, index, finding)
    connection.executemany(
        "INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(*key, count) for key, count in pairs.items()],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO member_sets (id, route, ids, accepted) VALUES (?, ?, ?, ?)",
        [(name, *row) for name, row in sets.items()],
    )
    claims.store(connection)
    sightings.store(connection, now)
    observed.store(connection)
    for route in dict.fromkeys(finding.route for finding in findings):
        note_change(connection, route)
    rows = connection.execute("SELECT id FROM signatures WHERE state_since = ? AND state = 'regressed'", (now,))
    back = [row[0] for row in rows]
    close_claims(connection, back)
    return back


def note_change(connection: sqlite3.Connection, route: str) -> None:
    """Note that what is to be said of a route has changed, so that whoever judges it does so anew."""
    connection.execute(
        """INSERT INTO changes VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM changes))
        ON CONFLICT DO UPDATE SET number = excluded.number""",
        (route,),
    )


def _json(ids: Iterable[str]) -> str:
    return msgspec.json.encode(list(ids)).decode()


@dataclass(slots=True)
class _Sighting:
    """What a batch has shown of one signature."""

    seen: Seen
    endpoint: str
    first: float
    last: float
    count: int = 0
    accepted: int = 0
    last_open: float | None = None
    """When it was last seen and no rule accepted it."""

    def add(self, at: float, *, is_accepted: bool) -> None:
        self.count += 1
        self.accepted += is_accepted
        self.first, self.last = min(self.first, at), max(self.last, at)
        if not is_accepted:
            self.last_open = at if self.last_open is None else max(self.last_open, at)


_CAME_BACK = f"""((state = 'fixed' AND ?9 > state_since)
    OR (state = 'accepted' AND ?10 > state_since + {ACCEPT_GRACE_S}))"""
_SEEN = f"""
INSERT INTO signatures
    (id, route, endpoint, place, path, kind, severity, count, first_seen, last_seen, state, state_since,
     legacy, candidate)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?11, ?8, ?9, CASE WHEN ?10 IS NULL THEN 'accepted' ELSE 'new' END, ?12, ?13, ?14)
ON CONFLICT DO UPDATE SET
    count = count + excluded.count, last_seen = max(last_seen, excluded.last_seen),
    first_seen = CASE WHEN state = '' THEN excluded.first_seen ELSE min(first_seen, excluded.first_seen) END,
    legacy = excluded.legacy, candidate = excluded.candidate,
    state_since = CASE WHEN {_CAME_BACK} OR state = '' THEN excluded.state_since ELSE state_since END,
    state = CASE WHEN {_CAME_BACK} THEN 'regressed' WHEN state = '' THEN excluded.state ELSE state END
"""  # noqa: S608 - nothing of it comes from outside


class _Sightings:
    """What a batch of findings has shown of each signature, by release."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], _Sighting] = {}

    def add(self, finding: Finding, kept: Kept) -> None:
        for is_accepted, differences in ((False, kept.differences), (True, kept.accepted)):
            for seen in differences:
                key = finding.route, finding.release, seen.id
                sighting = self._found.get(key)
                if sighting is None:
                    sighting = self._found[key] = _Sighting(seen, kept.endpoint, finding.at, finding.at)
                sighting.add(finding.at, is_accepted=is_accepted)
                if not is_accepted:
                    sighting.seen = seen

    def store(self, connection: sqlite3.Connection, now: float) -> None:
        connection.executemany(
            """INSERT INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '') ON CONFLICT DO UPDATE SET
            count = count + excluded.count, accepted = accepted + excluded.accepted,
            first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen),
            legacy = excluded.legacy, candidate = excluded.candidate""",
            [
                (*key, one.count, one.accepted, one.first, one.last, one.seen.legacy, one.seen.candidate)
                for key, one in self._found.items()
            ],
        )
        connection.executemany(
            _SEEN,
            [
                (
                    seen.id, route, one.endpoint, seen.place, seen.path, seen.kind, seen.severity, one.first, one.last,
                    one.last_open, one.count, now, seen.legacy, seen.candidate,
                )
                for (route, _, _), one in self._found.items()
                for seen in (one.seen,)
            ],
        )  # fmt: skip


class _Observed:
    """When a batch has observed which releases, and how many pairs could be timed."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[float, float, int]] = {}

    def add(self, finding: Finding) -> None:
        if finding.outcome == Outcome.NOT_COMPARABLE:
            return
        key, at = (finding.route, finding.release), finding.at
        first, last, timeable = self._found.get(key, (at, at, 0))
        self._found[key] = min(first, at), max(last, at), timeable + finding.is_timeable

    def store(self, connection: sqlite3.Connection) -> None:
        connection.executemany(
            """INSERT INTO observed VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET first = min(first, excluded.first),
            last = max(last, excluded.last), timeable = timeable + excluded.timeable""",
            [(*key, *row) for key, row in self._found.items()],
        )


def _store_samples(connection: sqlite3.Connection, index: IndexState, finding: Finding, kept: Kept) -> None:
    if finding.sample is None:
        return
    ids = [seen.id for seen in kept.differences]
    wanted = [name for name in ids if index.takes_sample(name, finding.at, finding.release)]
    if wanted:
        _store_sample(connection, finding, finding.sample, wanted)


def _store_sample(connection: sqlite3.Connection, finding: Finding, sample: bytes, signatures: list[str]) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO samples VALUES (?, ?, ?, ?, ?)",
        (finding.id, finding.route, finding.at, len(sample), sample),
    )
    for signature in signatures:
        connection.execute(
            "INSERT OR IGNORE INTO sample_links VALUES (?, ?, ?, ?)",
            (signature, finding.id, finding.at, finding.release),
        )
        connection.execute(
            """
            DELETE FROM sample_links WHERE signature = ?1 AND release = ?2 AND sample NOT IN (
                SELECT sample FROM sample_links WHERE signature = ?1 AND release = ?2 ORDER BY at DESC LIMIT ?3)
            """,
            (signature, finding.release, SAMPLES),
        )


def _store_sides(connection: sqlite3.Connection, index: IndexState, finding: Finding) -> None:
    """What else a comparison told: how fast both arms were, and how legacy compares with itself."""
    if finding.latency is not None:
        connection.execute(
            "INSERT INTO latencies VALUES (?, ?, ?, ?, ?)",
            (finding.route, finding.at, *finding.latency, finding.release),
        )
    if finding.baseline is None:
        return
    connection.execute(
        "INSERT INTO baselines VALUES (?, '', 1) ON CONFLICT DO UPDATE SET pairs = pairs + 1", (finding.route,)
    )
    for noisy in finding.baseline:
        key = finding.route, noisy.place, noisy.path, noisy.kind, noisy.shape
        updated = connection.execute(
            """UPDATE noise SET count = count + 1
            WHERE route = ? AND era = '' AND place = ? AND path = ? AND kind = ? AND shape = ?""",
            key,
        )
        if not updated.rowcount and index.takes_noise(finding.route):
            connection.execute("INSERT INTO noise VALUES (?, '', ?, ?, ?, ?, 1)", key)


STATES: Final = ("new", "known", "accepted", "fixed", "regressed")


def set_state(
    connection: sqlite3.Connection,
    signature: str,
    state: str,
    now: float,
    *,
    owner: str | None = None,
    why: str | None = None,
    until: str | None = None,
) -> bool:
    """What a reviewer says of a signature. False if there is none of that id. An owner stays until another is named.

    `fixed` is a claim: see `claims`.
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


MAX_AUDIT_ROWS: Final = 100_000
AUDIT_KEPT_S: Final = 400 * 86400.0
"""The audit holds more than a year; what is older goes."""
MAX_AUDIT_TEXT: Final = 1000
"""Characters of each text of an entry."""


def write_audit(
    connection: sqlite3.Connection, now: float, who: str, what: str, route: str, why: str, detail: str
) -> None:
    """Note one action that has changed something, at `now` in Unix time."""
    texts = tuple(_audit_text(text) for text in (who, what, route, why, detail))
    connection.execute("INSERT INTO audit (at, who, what, route, why, detail) VALUES (?, ?, ?, ?, ?, ?)", (now, *texts))
    connection.execute(
        """
        DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?1
            OR id < (SELECT id FROM audit WHERE at >= ?2 ORDER BY id LIMIT 1)
        """,
        (MAX_AUDIT_ROWS, now - AUDIT_KEPT_S),
    )


def _audit_text(text: str) -> str:
    kept = text.encode("utf-8", "backslashreplace").decode()
    return kept if len(kept) <= MAX_AUDIT_TEXT else kept[: MAX_AUDIT_TEXT - 1] + "…"
