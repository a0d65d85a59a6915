"""The tables of the evidence, and the upgrade of a store that an earlier version wrote.

pairs          one row for each release, endpoint, hour, outcome and set of differences, with its count
member_sets    the signatures of such a set, those that differed and those that a rule accepted then: a pair can be
               judged again when a rule comes, goes or expires, or a difference is fixed
signatures     the inbox: each difference with its review, the same over all releases
sightings      how often a release has shown a signature, when, and an example; `state` is its state when set aside
claims         differences that are marked as fixed, and the new pairs that prove it
releases       the names of a candidate's releases; `era` is set for those that were set aside
samples        whole responses, at most `SAMPLES` for each signature and release
noise          what differed between two responses of legacy; `era` as above
latencies      the time of both arms for one request, measured alike
former_ids     the present id of a difference by an id that it had when its endpoint had another name
earlier_names  the routes whose endpoints are still named as an earlier version did
changes        the routes whose evidence has changed, the latest with the highest number
"""

import sqlite3
from typing import Final

from strangler.evidence.stored_claims import open_earlier_claims

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pairs (
    route TEXT NOT NULL, release TEXT NOT NULL, endpoint TEXT NOT NULL, hour INTEGER NOT NULL, outcome TEXT NOT NULL,
    reason TEXT NOT NULL, members TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (route, release, endpoint, hour, outcome, reason, members)
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
    route TEXT NOT NULL, release TEXT NOT NULL, signature TEXT NOT NULL, count INTEGER NOT NULL,
    accepted INTEGER NOT NULL, first_seen REAL NOT NULL, last_seen REAL NOT NULL, legacy TEXT NOT NULL,
    candidate TEXT NOT NULL, state TEXT NOT NULL DEFAULT '', PRIMARY KEY (route, release, signature)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sightings_by_signature ON sightings (signature);
CREATE TABLE IF NOT EXISTS claims (
    route TEXT NOT NULL, release TEXT NOT NULL, signature TEXT NOT NULL, endpoint TEXT NOT NULL, since REAL NOT NULL,
    needed INTEGER NOT NULL, pairs INTEGER NOT NULL, PRIMARY KEY (route, release, signature, endpoint)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS claims_by_signature ON claims (signature);
CREATE TABLE IF NOT EXISTS samples (
    id TEXT PRIMARY KEY, route TEXT NOT NULL, at REAL NOT NULL, size INTEGER NOT NULL, content BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS sample_links (
    signature TEXT NOT NULL, sample TEXT NOT NULL, at REAL NOT NULL, release TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (signature, sample)
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
    route TEXT NOT NULL, release TEXT NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
    timeable INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (route, release)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latencies (
    route TEXT NOT NULL, at REAL NOT NULL, legacy_s REAL NOT NULL, candidate_s REAL NOT NULL,
    release TEXT NOT NULL DEFAULT ''
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
"""

_REBUILT: Final = {
    # table -> its rows, selected from an earlier version's table, which had no releases
    "pairs": "SELECT route, '' AS release, endpoint, hour, outcome, reason, members, count FROM {old}",
    "noise": "SELECT route, '' AS era, place, path, kind, shape, count FROM {old}",
    "baselines": "SELECT route, '' AS era, pairs FROM {old}",
    "observed": """SELECT route, '' AS release, first, last, (
        SELECT coalesce(sum(p.count), 0) FROM {pairs} p WHERE p.route = o.route AND p.outcome != 'not_comparable'
        AND substr(p.endpoint, 1, instr(p.endpoint, ' ') - 1) IN ('GET', 'HEAD', 'OPTIONS')) AS timeable
        FROM {old} o""",
}
"""The tables whose primary key has grown."""

_GROWN: Final = {
    "latencies": ("release TEXT NOT NULL DEFAULT ''", "*, '' AS release"),
    "sample_links": ("release TEXT NOT NULL DEFAULT ''", "*, '' AS release"),
    "member_sets": ("accepted TEXT NOT NULL DEFAULT '[]'", "*, '[]' AS accepted"),
}
"""The tables that have one more column: its definition, and the columns selected from an earlier version."""

_SIGHTINGS = """SELECT route, '' AS release, id AS signature, count, 0 AS accepted, first_seen, last_seen, legacy,
    candidate, '' AS state FROM {signatures}"""
_EMPTY: Final = {
    "claims": "route, release, signature, endpoint, since, needed, pairs",
    "releases": "route, name, first_seen, last_seen, is_current, since, era",
    "changes": "route, number",
}
_YOUNGER: Final = {
    "former_ids": "id, now, at",
    "rollout_positions": "name, content",
    "rollout_moves": "id, name, at, content",
}
"""The tables that commands read, and that a store of the version before does not have."""


def is_earlier(connection: sqlite3.Connection) -> bool:
    """Return whether an earlier version, which had no releases, has written the evidence of this store."""
    columns = {row[1] for row in connection.execute("PRAGMA main.table_info(pairs)")}
    return bool(columns) and "release" not in columns


def upgrade(connection: sqlite3.Connection) -> bool:
    """Upgrade a store of an earlier version in place: all of it or, if that fails, nothing.

    If it had no releases, its evidence becomes that of the unnamed release. Its endpoints keep their names until
    `carry_over`. Return whether something was done. Raises sqlite3.Error.
    """
    if not _is_due(connection):
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        if is_earlier(connection):  # no other process was quicker
            _upgrade(connection)
        if _has_earlier_names(connection):
            _note_earlier_names(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return True


def _is_due(connection: sqlite3.Connection) -> bool:
    return is_earlier(connection) or _has_earlier_names(connection)


def _has_earlier_names(connection: sqlite3.Connection) -> bool:
    """Return whether a version has written the evidence that named endpoints otherwise, and kept no former ids."""
    tables = _tables(connection)
    return "pairs" in tables and "earlier_names" not in tables


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")}


def _note_earlier_names(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE earlier_names (route TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.execute("INSERT INTO earlier_names SELECT route FROM pairs UNION SELECT route FROM signatures")


def _upgrade(connection: sqlite3.Connection) -> None:
    tables = _tables(connection)
    for table in _REBUILT.keys() & tables:
        connection.execute(f"ALTER TABLE {table} RENAME TO earlier_{table}")
    for table in _GROWN.keys() & tables:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {_GROWN[table][0]}")
    connection.execute("DROP INDEX IF EXISTS latencies_by_route")
    for statement in SCHEMA.split(";"):
        if statement.strip() and "earlier_names" not in statement:
            connection.execute(statement)
    for table in _REBUILT.keys() & tables:
        rows = _REBUILT[table].format(old=f"earlier_{table}", pairs="earlier_pairs")
        connection.execute(f"INSERT INTO {table} {rows}")
    for table in _REBUILT.keys() & tables:
        connection.execute(f"DROP TABLE earlier_{table}")
    connection.execute(f"INSERT INTO sightings {_SIGHTINGS.format(signatures='signatures')}")
    connection.execute("INSERT INTO changes SELECT route, row_number() OVER () FROM (SELECT DISTINCT route FROM pairs)")
    open_earlier_claims(connection)


def read_as_now(connection: sqlite3.Connection) -> None:
    """Let a read-only connection see a store of an earlier version as one of this version, with temporary tables."""
    connection.execute("PRAGMA temp_store = MEMORY")
    there = _tables(connection)
    for table, columns in _YOUNGER.items():
        if table not in there:
            connection.execute(f"CREATE TEMP TABLE {table} ({columns})")
    if is_earlier(connection):
        _read_as_earlier(connection)


def _read_as_earlier(connection: sqlite3.Connection) -> None:
    for table, rows in _REBUILT.items():
        connection.execute(f"CREATE TEMP VIEW {table} AS {rows.format(old=f'main.{table}', pairs='main.pairs')}")
    for table, (_, columns) in _GROWN.items():
        connection.execute(f"CREATE TEMP VIEW {table} AS SELECT {columns} FROM main.{table}")  # noqa: S608 - our words
    connection.execute(f"CREATE TEMP VIEW sightings AS {_SIGHTINGS.format(signatures='main.signatures')}")
    for table, columns in _EMPTY.items():
        connection.execute(f"CREATE TEMP TABLE {table} ({columns})")
    open_earlier_claims(connection)


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables of the evidence, or upgrade those of an earlier version. Raises sqlite3.Error."""
    upgrade(connection)
    connection.executescript(SCHEMA)
