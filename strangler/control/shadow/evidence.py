"""What comparisons have shown, in SQLite: exact counts for ever, samples as examples. All that is written is redacted.

pairs          one row an endpoint, hour, outcome and set of differences, with its count
member_sets    which signatures such a set has: a pair can be judged anew when one is accepted, or fixed
signatures     the inbox
samples        whole answers, at most `SAMPLES` a signature
noise          what differed between two answers of legacy itself
latencies      the time that both arms took for one request, measured alike
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import msgspec

from strangler.core.compare import Outcome

SAMPLES: Final = 20
SAMPLE_EVERY_S: Final = 60.0
"""A signature that has all its samples gets a new one in place of its oldest at most this often."""

KEPT_S: Final = 30 * 86400.0
MAX_SAMPLE_BYTES: Final = 256 * 1024 * 1024
MAX_LATENCIES: Final = 20_000
"""Of one route; older ones go first."""

HOURLY_S: Final = 14 * 86400.0
"""After this, hours are added up to days."""

ACCEPT_GRACE_S: Final = 30.0
"""How long after `diffs accept` the difference may still be seen: the file has to be reloaded first."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pairs (
    route TEXT NOT NULL, endpoint TEXT NOT NULL, hour INTEGER NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL,
    members TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (route, endpoint, hour, outcome, reason, members)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS member_sets (id TEXT PRIMARY KEY, route TEXT NOT NULL, ids TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signatures (
    id TEXT PRIMARY KEY, route TEXT NOT NULL, endpoint TEXT NOT NULL, place TEXT NOT NULL, path TEXT,
    kind TEXT NOT NULL, severity TEXT NOT NULL, count INTEGER NOT NULL, first_seen REAL NOT NULL,
    last_seen REAL NOT NULL, state TEXT NOT NULL, state_since REAL NOT NULL, owner TEXT, why TEXT, until TEXT,
    legacy TEXT NOT NULL, candidate TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS samples (
    id TEXT PRIMARY KEY, route TEXT NOT NULL, at REAL NOT NULL, size INTEGER NOT NULL, content BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS sample_links (
    signature TEXT NOT NULL, sample TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (signature, sample)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sample_links_by_sample ON sample_links (sample);
CREATE TABLE IF NOT EXISTS noise (
    route TEXT NOT NULL, place TEXT NOT NULL, path TEXT NOT NULL, kind TEXT NOT NULL, shape TEXT NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (route, place, path, kind, shape)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS observed (route TEXT PRIMARY KEY, first REAL NOT NULL, last REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS baselines (route TEXT PRIMARY KEY, pairs INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latencies (route TEXT NOT NULL, at REAL NOT NULL, legacy_s REAL NOT NULL, candidate_s REAL
    NOT NULL);
CREATE INDEX IF NOT EXISTS latencies_by_route ON latencies (route, at);
CREATE TABLE IF NOT EXISTS rule_uses (route TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stops (route TEXT PRIMARY KEY, key TEXT NOT NULL, why TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, route TEXT NOT NULL,
    why TEXT NOT NULL, detail TEXT NOT NULL
);
"""

_MAX_SIGNATURES = 2000
"""Of one route; what is found beyond is counted under one name for each severity."""
_MAX_SETS = 5000
_MAX_ENDPOINTS = 1000
_MORE = "…"
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

    @property
    def size(self) -> int:
        """About so many bytes of memory."""
        texts = (len(one.legacy) + len(one.candidate) + len(one.path or "") for one in self.differences)
        parts = len(self.differences) + len(self.baseline or ())
        return len(self.line or b"") + len(self.sample or b"") + sum(texts) + _PART_BYTES * (1 + parts)


class IndexState:
    """What is in the store, as far as one must know to keep it bounded. Written by the store's thread only."""

    def __init__(self) -> None:
        self._samples: dict[str, tuple[int, float]] = {}  # by signature: how many, and when the last one was taken
        self._signatures: dict[str, set[str]] = {}
        self._sets: dict[str, set[str]] = {}
        self._endpoints: dict[str, set[str]] = {}
        self._noise: Counter[str] = Counter()

    def load(self, connection: sqlite3.Connection) -> None:
        """Begin with what the store has."""
        self.__init__()  # type: ignore[misc]
        for signature, count, last in connection.execute(
            "SELECT signature, count(*), max(at) FROM sample_links GROUP BY signature"
        ):
            self._samples[signature] = count, last
        for route, signature in connection.execute("SELECT route, id FROM signatures"):
            self._signatures.setdefault(route, set()).add(signature)
        for route, members in connection.execute("SELECT route, id FROM member_sets"):
            self._sets.setdefault(route, set()).add(members)
        for route, endpoint in connection.execute("SELECT DISTINCT route, endpoint FROM pairs"):
            self._endpoints.setdefault(route, set()).add(endpoint)
        for route, count in connection.execute("SELECT route, count(*) FROM noise GROUP BY route"):
            self._noise[route] = count

    def wants_sample(self, signatures: Iterable[str], at: float) -> bool:
        """True if any of them lacks samples, or has had no new one for a while. Any thread may ask."""
        return any(self._lacks_sample(signature, at) for signature in signatures)

    def _lacks_sample(self, signature: str, at: float) -> bool:
        count, last = self._samples.get(signature, (0, 0.0))
        return count < SAMPLES or at - last > SAMPLE_EVERY_S

    def takes_sample(self, signature: str, at: float) -> bool:
        """Note one more sample, if it is wanted."""
        if not self._lacks_sample(signature, at):
            return False
        count, _ = self._samples.get(signature, (0, 0.0))
        self._samples[signature] = min(count + 1, SAMPLES), at
        return True

    def folded(self, finding: Finding) -> tuple[str, tuple[Seen, ...], str]:
        """Endpoint, differences and the id of their set, folded where a route has too many of a kind."""
        endpoint = finding.endpoint
        if not _is_among(self._endpoints.setdefault(finding.route, set()), endpoint, _MAX_ENDPOINTS):
            endpoint = f"{endpoint.partition(' ')[0]} {_MORE}"
        signatures = self._signatures.setdefault(finding.route, set())
        differences: dict[str, Seen] = {}
        for seen in finding.differences:
            kept = seen if _is_among(signatures, seen.id, _MAX_SIGNATURES) else _folded(finding.route, seen)
            differences.setdefault(kept.id, kept)
        members = set_id(differences)
        sets = self._sets.setdefault(finding.route, set())
        if members and not _is_among(sets, members, _MAX_SETS):
            first = next(iter(differences))
            members = set_id([first])
            sets.add(members)
            differences = {first: differences[first]}
        return endpoint, tuple(differences.values()), members

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
    name = blake2b(f"{route}\0{seen.severity}\0{_MORE}".encode(), digest_size=8).hexdigest()
    return Seen(name, seen.place, _MORE, seen.kind, seen.severity, seen.legacy, seen.candidate)


def set_id(signatures: Iterable[str]) -> str:
    """Names a set of signatures; empty for none."""
    ids = sorted(signatures)
    return blake2b("\0".join(ids).encode(), digest_size=8).hexdigest() if ids else ""


def store_findings(
    connection: sqlite3.Connection, index: IndexState, findings: Sequence[Finding], now: float
) -> list[str]:
    """Write a batch. The ids of signatures that came back after they had been accepted or fixed."""
    pairs: Counter[tuple[str, str, int, str, str, str]] = Counter()
    for finding in findings:
        endpoint, differences, members = index.folded(finding)
        pairs[finding.route, endpoint, int(finding.at // 3600), finding.outcome, finding.reason, members] += 1
        _store_differences(connection, index, finding, endpoint, differences, members, now)
        _store_sides(connection, index, finding)
    connection.executemany(
        "INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(*key, count) for key, count in pairs.items()],
    )
    rows = connection.execute("SELECT id FROM signatures WHERE state = 'regressed' AND state_since = ?", (now,))
    return [row[0] for row in rows]


_CAME_BACK = f"""((state = 'fixed' AND excluded.last_seen > state_since)
    OR (state = 'accepted' AND excluded.last_seen > state_since + {ACCEPT_GRACE_S}))"""
_SEEN = f"""
INSERT INTO signatures
    (id, route, endpoint, place, path, kind, severity, count, first_seen, last_seen, state, state_since,
     legacy, candidate)
VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, 'new', ?, ?, ?)
ON CONFLICT DO UPDATE SET
    count = count + 1, last_seen = max(last_seen, excluded.last_seen),
    first_seen = min(first_seen, excluded.first_seen),
    legacy = excluded.legacy, candidate = excluded.candidate,
    state_since = CASE WHEN {_CAME_BACK} THEN excluded.state_since ELSE state_since END,
    state = CASE WHEN {_CAME_BACK} THEN 'regressed' ELSE state END
"""  # noqa: S608 - nothing of it comes from outside


def _store_differences(
    connection: sqlite3.Connection,
    index: IndexState,
    finding: Finding,
    endpoint: str,
    differences: tuple[Seen, ...],
    members: str,
    now: float,
) -> None:
    if not differences:
        return
    ids = [seen.id for seen in differences]
    connection.execute(
        "INSERT OR IGNORE INTO member_sets VALUES (?, ?, ?)",
        (members, finding.route, msgspec.json.encode(sorted(ids)).decode()),
    )
    connection.executemany(
        _SEEN,
        [
            (
                seen.id, finding.route, endpoint, seen.place, seen.path, seen.kind, seen.severity, finding.at,
                finding.at, now, seen.legacy, seen.candidate,
            )
            for seen in differences
        ],
    )  # fmt: skip
    if finding.sample is None:
        return
    wanted = [signature for signature in ids if index.takes_sample(signature, finding.at)]
    if wanted:
        _store_sample(connection, finding, finding.sample, wanted)


def _store_sample(connection: sqlite3.Connection, finding: Finding, sample: bytes, signatures: list[str]) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO samples VALUES (?, ?, ?, ?, ?)",
        (finding.id, finding.route, finding.at, len(sample), sample),
    )
    for signature in signatures:
        connection.execute("INSERT OR IGNORE INTO sample_links VALUES (?, ?, ?)", (signature, finding.id, finding.at))
        connection.execute(
            """
            DELETE FROM sample_links WHERE signature = ?1 AND sample NOT IN (
                SELECT sample FROM sample_links WHERE signature = ?1 ORDER BY at DESC LIMIT ?2)
            """,
            (signature, SAMPLES),
        )


def _store_sides(connection: sqlite3.Connection, index: IndexState, finding: Finding) -> None:
    """What else a comparison told: when, how fast both arms were, and how legacy compares with itself."""
    if finding.outcome != Outcome.NOT_COMPARABLE:
        connection.execute(
            """INSERT INTO observed VALUES (?1, ?2, ?2)
            ON CONFLICT DO UPDATE SET first = min(first, ?2), last = max(last, ?2)""",
            (finding.route, finding.at),
        )
    if finding.latency is not None:
        connection.execute("INSERT INTO latencies VALUES (?, ?, ?, ?)", (finding.route, finding.at, *finding.latency))
    if finding.baseline is None:
        return
    connection.execute(
        "INSERT INTO baselines VALUES (?, 1) ON CONFLICT DO UPDATE SET pairs = pairs + 1", (finding.route,)
    )
    for noisy in finding.baseline:
        key = finding.route, noisy.place, noisy.path, noisy.kind, noisy.shape
        updated = connection.execute(
            """UPDATE noise SET count = count + 1
            WHERE route = ? AND place = ? AND path = ? AND kind = ? AND shape = ?""",
            key,
        )
        if not updated.rowcount and index.takes_noise(finding.route):
            connection.execute("INSERT INTO noise VALUES (?, ?, ?, ?, ?, 1)", key)


def prune(connection: sqlite3.Connection, now: float, max_sample_bytes: int = MAX_SAMPLE_BYTES) -> None:
    """Let go of what is old or too much. Counts stay exact."""
    connection.execute("DELETE FROM sample_links WHERE at < ?", (now - KEPT_S,))
    connection.execute("DELETE FROM samples WHERE id NOT IN (SELECT sample FROM sample_links)")
    connection.execute(
        """
        DELETE FROM samples WHERE id IN (
            SELECT id FROM (SELECT id, sum(size) OVER (ORDER BY at DESC, id) AS total FROM samples) WHERE total > ?)
        """,
        (max_sample_bytes,),
    )
    connection.execute("DELETE FROM sample_links WHERE sample NOT IN (SELECT id FROM samples)")
    connection.execute(
        """
        DELETE FROM latencies WHERE rowid IN (
            SELECT rowid FROM (SELECT rowid, row_number() OVER (PARTITION BY route ORDER BY at DESC) AS place
            FROM latencies) WHERE place > ?)
        """,
        (MAX_LATENCIES,),
    )
    _fold_hours(connection, int((now - HOURLY_S) // 86400) * 24)


def _fold_hours(connection: sqlite3.Connection, before: int) -> None:
    rows = connection.execute(
        """
        SELECT route, endpoint, hour / 24 * 24, outcome, reason, members, sum(count) FROM pairs
        WHERE hour < ? GROUP BY 1, 2, 3, 4, 5, 6
        """,
        (before,),
    ).fetchall()
    connection.execute("DELETE FROM pairs WHERE hour < ?", (before,))
    connection.executemany("INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


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
    """What a reviewer says of a signature. False if there is none of that id. An owner stays until another is named."""
    changed = connection.execute(
        """
        UPDATE signatures SET state = ?, state_since = ?, owner = coalesce(?, owner), why = ?, until = ? WHERE id = ?
        """,
        (state, now, owner, why, until, signature),
    )
    return changed.rowcount > 0


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
