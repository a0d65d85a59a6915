"""The tables of the evidence, and the upgrade of a store that an earlier version wrote.

`source` says whether shadows (`live`) or replays found it. Reviews, releases and names are the same for both, and noise
is known from shadows alone.

pairs          one row for each release, source, endpoint, hour, outcome and set of differences, with its count
member_sets    the signatures of such a set, those that differed and those that a rule accepted then: a pair can be
               judged again when a rule comes, goes or expires, or a difference is fixed
signatures     the inbox: each difference with its review, the same over all releases
sightings      how often a release has shown a signature, when, and an example; `state` is its state when set aside
claims         differences that are marked as fixed, and the new pairs of each source that prove it
releases       the names of a candidate's releases; `era` is set for those that were set aside
samples        whole responses, at most `SAMPLES` for each signature, release and source
noise          what differed between two responses of legacy; `era` as above
latencies      the time of both arms for one request, measured alike
former_ids     the present id of a difference by an id that it had when its endpoint had another name
earlier_names  the routes whose endpoints are still named as an earlier version did
changes        the routes whose evidence has changed, the latest with the highest number
resets         when the evidence of a route was last set aside
evidence_turn  one row, which each transaction that changes the evidence writes first
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from strangler.store import topics
from strangler.store.connection import Connection, make_tables
from strangler.store.evidence import resets, turn
from strangler.store.evidence.stored_claims import open_earlier_claims
from strangler.store.sqlite import transaction

SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS pairs (
    route TEXT NOT NULL, release TEXT NOT NULL, endpoint TEXT NOT NULL, hour INTEGER NOT NULL, outcome TEXT NOT NULL,
    reason TEXT NOT NULL, members TEXT NOT NULL, source TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (route, release, endpoint, hour, outcome, reason, members, source)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS member_sets (
    id TEXT PRIMARY KEY, route TEXT NOT NULL, ids TEXT NOT NULL, accepted TEXT NOT NULL DEFAULT '[]'
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS member_sets_by_route ON member_sets (route);
CREATE TABLE IF NOT EXISTS signatures (
    id TEXT PRIMARY KEY, route TEXT NOT NULL, endpoint TEXT NOT NULL, place TEXT NOT NULL, path TEXT,
    kind TEXT NOT NULL, severity TEXT NOT NULL, count INTEGER NOT NULL, first_seen REAL NOT NULL,
    last_seen REAL NOT NULL, state TEXT NOT NULL, state_since REAL NOT NULL, owner TEXT, why TEXT, until TEXT,
    legacy TEXT NOT NULL, candidate TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS signatures_by_route ON signatures (route);
CREATE INDEX IF NOT EXISTS signatures_by_state ON signatures (state_since);
CREATE TABLE IF NOT EXISTS sightings (
    route TEXT NOT NULL, release TEXT NOT NULL, signature TEXT NOT NULL, source TEXT NOT NULL, count INTEGER NOT NULL,
    accepted INTEGER NOT NULL, first_seen REAL NOT NULL, last_seen REAL NOT NULL, legacy TEXT NOT NULL,
    candidate TEXT NOT NULL, state TEXT NOT NULL DEFAULT '', PRIMARY KEY (route, release, signature, source)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sightings_by_signature ON sightings (signature);
CREATE TABLE IF NOT EXISTS claims (
    route TEXT NOT NULL, release TEXT NOT NULL, signature TEXT NOT NULL, endpoint TEXT NOT NULL, source TEXT NOT NULL,
    since REAL NOT NULL, needed INTEGER NOT NULL, pairs INTEGER NOT NULL,
    PRIMARY KEY (route, release, signature, endpoint, source)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS claims_by_signature ON claims (signature);
CREATE TABLE IF NOT EXISTS samples (
    id TEXT PRIMARY KEY, route TEXT NOT NULL, at REAL NOT NULL, size INTEGER NOT NULL, content BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS sample_links (
    signature TEXT NOT NULL, sample TEXT NOT NULL, at REAL NOT NULL, release TEXT NOT NULL DEFAULT '',
    source TEXT NOT NULL DEFAULT 'live', PRIMARY KEY (signature, sample)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sample_links_by_sample ON sample_links (sample);
CREATE TABLE IF NOT EXISTS noise (
    route TEXT NOT NULL, era TEXT NOT NULL, place TEXT NOT NULL, path TEXT NOT NULL, kind TEXT NOT NULL,
    shape TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (route, era, place, path, kind, shape)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS baselines (
    route TEXT NOT NULL, era TEXT NOT NULL, pairs INTEGER NOT NULL, PRIMARY KEY (route, era)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS observed (
    route TEXT NOT NULL, release TEXT NOT NULL, source TEXT NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
    timeable INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (route, release, source)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latencies (
    route TEXT NOT NULL, at REAL NOT NULL, legacy_s REAL NOT NULL, candidate_s REAL NOT NULL,
    release TEXT NOT NULL DEFAULT '', source TEXT NOT NULL DEFAULT 'live'
);
CREATE INDEX IF NOT EXISTS latencies_by_release ON latencies (route, release, at);
CREATE TABLE IF NOT EXISTS releases (
    route TEXT NOT NULL, name TEXT NOT NULL, first_seen REAL NOT NULL, last_seen REAL NOT NULL,
    is_current INTEGER NOT NULL, since REAL NOT NULL, era TEXT NOT NULL, PRIMARY KEY (route, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS former_ids (id TEXT PRIMARY KEY, now TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS former_ids_by_now ON former_ids (now);
CREATE TABLE IF NOT EXISTS earlier_names (route TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (route TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS changes_by_number ON changes (number);
CREATE TABLE IF NOT EXISTS rule_uses (route TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stops (route TEXT PRIMARY KEY, key TEXT NOT NULL, why TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, route TEXT NOT NULL,
    why TEXT NOT NULL, detail TEXT NOT NULL
);
{resets.SCHEMA}{turn.SCHEMA}{topics.SCHEMA}
"""

_CLAIMS_BY_SOURCE: Final = """
    SELECT route, release, signature, endpoint, 'live' AS source, since, needed, pairs FROM {old} UNION ALL
    SELECT route, release, signature, endpoint, 'replay' AS source, since, needed, 0 AS pairs FROM {old}"""


@dataclass(frozen=True, slots=True)
class _Earlier:
    """The tables of an earlier version that are others now."""

    rebuilt: Mapping[str, str]
    """The tables whose primary key has grown: their rows, selected from the earlier table."""
    grown: Mapping[str, tuple[str, ...]]
    """The tables that have more columns: their definitions, each with a default."""
    has_releases: bool

    def rows(self, table: str, schema: str = "main.", prefix: str = "") -> str:
        """Return the query for the rows of a table as they are now."""
        if table in self.rebuilt:
            return self.rebuilt[table].format(old=f"{schema}{prefix}{table}", pairs=f"{schema}{prefix}pairs")
        columns = [f"{definition.split('DEFAULT ')[1]} AS {definition.split()[0]}" for definition in self.grown[table]]
        return f"SELECT *, {', '.join(columns)} FROM {schema}{table}"  # noqa: S608 - our own words


_RELEASE: Final = "release TEXT NOT NULL DEFAULT ''"
_SOURCE: Final = "source TEXT NOT NULL DEFAULT 'live'"
_WITHOUT_RELEASES: Final = _Earlier(
    rebuilt={
        "pairs": """SELECT route, '' AS release, endpoint, hour, outcome, reason, members, 'live' AS source, count
            FROM {old}""",
        "noise": "SELECT route, '' AS era, place, path, kind, shape, count FROM {old}",
        "baselines": "SELECT route, '' AS era, pairs FROM {old}",
        "observed": """SELECT route, '' AS release, 'live' AS source, first, last, (
            SELECT coalesce(sum(p.count), 0) FROM {pairs} p WHERE p.route = o.route AND p.outcome != 'not_comparable'
            AND substr(p.endpoint, 1, instr(p.endpoint, ' ') - 1) IN ('GET', 'HEAD', 'OPTIONS')) AS timeable
            FROM {old} o""",
    },
    grown={
        "latencies": (_RELEASE, _SOURCE),
        "sample_links": (_RELEASE, _SOURCE),
        "member_sets": ("accepted TEXT NOT NULL DEFAULT '[]'",),
    },
    has_releases=False,
)
_WITHOUT_SOURCES: Final = _Earlier(
    rebuilt={
        "pairs": "SELECT route, release, endpoint, hour, outcome, reason, members, 'live' AS source, count FROM {old}",
        "sightings": """SELECT route, release, signature, 'live' AS source, count, accepted, first_seen, last_seen,
            legacy, candidate, state FROM {old}""",
        "observed": "SELECT route, release, 'live' AS source, first, last, timeable FROM {old}",
        "claims": _CLAIMS_BY_SOURCE,
    },
    grown={"latencies": (_SOURCE,), "sample_links": (_SOURCE,)},
    has_releases=True,
)

_SIGHTINGS = """SELECT route, '' AS release, id AS signature, 'live' AS source, count, 0 AS accepted, first_seen,
    last_seen, legacy, candidate, '' AS state FROM {signatures}"""
_EMPTY: Final = {
    "claims": "route, release, signature, endpoint, source, since, needed, pairs",
    "releases": "route, name, first_seen, last_seen, is_current, since, era",
    "changes": "route, number",
}
_YOUNGER: Final = {
    "former_ids": "id, now, at",
    "rollout_positions": "name, content",
    "rollout_moves": "id, name, at, content",
    "ledger_meta": "name, content",
    "ledger_rows": "endpoint, content",
    "ledger_past": "endpoint, content",
    "ledger_days": "endpoint, day, content",
}
"""The tables that commands read, and that a store of an earlier version does not have."""


def is_earlier(connection: Connection) -> bool:
    """Return whether an earlier version, which had no releases or no sources, has written the evidence."""
    return _earlier(connection) is not None


def _earlier(connection: Connection) -> _Earlier | None:
    columns = {row[1] for row in connection.execute("PRAGMA main.table_info(pairs)")}
    if not columns or "source" in columns:
        return None
    return _WITHOUT_SOURCES if "release" in columns else _WITHOUT_RELEASES


def upgrade(connection: Connection) -> bool:
    """Upgrade a store of an earlier version in place: all of it or, if that fails, nothing.

    If it had no releases, its evidence becomes that of the unnamed release; if it had no sources, that of shadows. Its
    endpoints keep their names until `carry_over`. Return whether something was done. Raises DatabaseError.
    """
    if not _is_due(connection):
        return False
    with transaction(connection):
        earlier = _earlier(connection)
        if earlier is not None:  # no other process was quicker
            _upgrade(connection, earlier)
        if _has_earlier_names(connection):
            _note_earlier_names(connection)
    return True


def _is_due(connection: Connection) -> bool:
    return is_earlier(connection) or _has_earlier_names(connection)


def _has_earlier_names(connection: Connection) -> bool:
    """Return whether a version has written the evidence that named endpoints otherwise, and kept no former ids."""
    tables = _tables(connection)
    return "pairs" in tables and "earlier_names" not in tables


def _tables(connection: Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")}


def _note_earlier_names(connection: Connection) -> None:
    connection.execute("CREATE TABLE earlier_names (route TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.execute("INSERT INTO earlier_names SELECT route FROM pairs UNION SELECT route FROM signatures")


def _upgrade(connection: Connection, earlier: _Earlier) -> None:
    tables = _tables(connection)
    rebuilt = sorted(earlier.rebuilt.keys() & tables)
    for table in rebuilt:
        connection.execute(f"ALTER TABLE {table} RENAME TO earlier_{table}")
        _drop_indexes(connection, f"earlier_{table}")
    for table in earlier.grown.keys() & tables:
        for definition in earlier.grown[table]:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
    connection.execute("DROP INDEX IF EXISTS latencies_by_route")
    make_tables(connection, ";".join(statement for statement in SCHEMA.split(";") if "earlier_names" not in statement))
    for table in rebuilt:
        connection.execute(f"INSERT INTO {table} {earlier.rows(table, '', 'earlier_')}")
    for table in rebuilt:
        connection.execute(f"DROP TABLE earlier_{table}")
    if not earlier.has_releases:
        connection.execute(f"INSERT INTO sightings {_SIGHTINGS.format(signatures='signatures')}")
        connection.execute(
            "INSERT INTO changes SELECT route, row_number() OVER () FROM (SELECT DISTINCT route FROM pairs)"
        )
        open_earlier_claims(connection)


def _drop_indexes(connection: Connection, table: str) -> None:
    """Drop the indexes of a renamed table, so that the new table gets them under the same names."""
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL", (table,)
    ).fetchall()
    for (name,) in names:
        connection.execute(f"DROP INDEX {name}")


def read_as_now(connection: Connection) -> None:
    """Let a read-only connection see a store of an earlier version as one of this version, with temporary tables."""
    connection.execute("PRAGMA temp_store = MEMORY")
    there = _tables(connection)
    for table, columns in _YOUNGER.items():
        if table not in there:
            connection.execute(f"CREATE TEMP TABLE {table} ({columns})")
    earlier = _earlier(connection)
    if earlier is not None:
        _read_as_earlier(connection, earlier)


def _read_as_earlier(connection: Connection, earlier: _Earlier) -> None:
    for table in (*earlier.rebuilt, *earlier.grown):
        connection.execute(f"CREATE TEMP VIEW {table} AS {earlier.rows(table)}")
    if earlier.has_releases:
        return
    connection.execute(f"CREATE TEMP VIEW sightings AS {_SIGHTINGS.format(signatures='main.signatures')}")
    for table, columns in _EMPTY.items():
        connection.execute(f"CREATE TEMP TABLE {table} ({columns})")
    open_earlier_claims(connection)


def prepare(connection: Connection) -> None:
    """Make the tables of the evidence, or upgrade those of an earlier version. Raises DatabaseError."""
    upgrade(connection)
    make_tables(connection, SCHEMA)
