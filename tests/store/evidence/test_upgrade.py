"""A store that the version before wrote, which knew no releases: upgraded in place, and read as it is."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest

from strangler.control.shadow.figures import FiguresState
from strangler.core.settings import GateSettings
from strangler.store.connection import Connection
from strangler.store.evidence import reading
from strangler.store.evidence.access import file_location
from strangler.store.evidence.audits import AuditFilters, entries
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.reading import Filters
from strangler.store.evidence.tables import is_earlier, prepare, upgrade
from strangler.store.evidence.writing import store_findings
from strangler.store.file_store import FileStore
from strangler.store.schema import SCHEMA, prepare_file
from tests.factories import route, settings
from tests.store.evidence.earlier_stores import seen_as_now
from tests.store.evidence.pairs import NOON, match, sample

EARLIER: Final = """
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

TODAY: Final = date(2026, 11, 23)
GATE: Final = GateSettings(min_pairs=2, min_match=0.1, max_breaking=9, max_latency_ratio=9, min_age_s=0)
_HOUR: Final = int(NOON // 3600)
_A, _B = "a" * 16, "b" * 16
_ENDPOINT: Final = "GET /api/orders/{}"


def write_earlier(connection: sqlite3.Connection) -> None:
    """Two pairs that match, two that differ in a price, one that differs in what is marked as fixed since."""
    connection.executescript(EARLIER)
    connection.executemany(
        "INSERT INTO pairs VALUES ('orders', ?, ?, ?, ?, ?, ?)",
        [
            (_ENDPOINT, _HOUR, "match", "", "", 2),
            (_ENDPOINT, _HOUR, "mismatch", "", "set-a", 2),
            (_ENDPOINT, _HOUR, "mismatch", "", "set-b", 1),
            (_ENDPOINT, _HOUR + 2, "match", "", "", 1),
            ("POST /api/orders", _HOUR, "not_comparable", "lag", "", 4),
        ],
    )
    connection.executemany(
        "INSERT INTO member_sets VALUES (?, 'orders', ?)", [("set-a", f'["{_A}"]'), ("set-b", f'["{_B}"]')]
    )
    connection.executemany(
        """INSERT INTO signatures VALUES (?, 'orders', 'GET /api/orders/{}', 'body', ?, 'value', 'value', ?, ?, ?, ?, ?,
        'ana', NULL, NULL, '1', '2')""",
        [
            (_A, "$.price", 2, NOON, NOON + 9, "known", NOON + 20),
            (_B, "$.note", 1, NOON, NOON, "fixed", NOON + 60),
        ],
    )
    connection.execute("INSERT INTO samples VALUES ('s', 'orders', ?, 7, ?)", (NOON, sample()))
    connection.execute("INSERT INTO sample_links VALUES (?, 's', ?)", (_A, NOON))
    connection.execute("INSERT INTO noise VALUES ('orders', 'body', '$.at', 'value', 'timestamp', 3)")
    connection.execute("INSERT INTO baselines VALUES ('orders', 3)")
    connection.execute("INSERT INTO observed VALUES ('orders', ?, ?)", (NOON, NOON + 7200))
    connection.execute("INSERT INTO latencies VALUES ('orders', ?, 0.01, 0.02)", (NOON,))
    connection.execute(
        "INSERT INTO audit (at, who, what, route, why, detail) VALUES (1, 'ana', 'x', 'orders', 'y', 'z')"
    )
    connection.execute("INSERT INTO stops VALUES ('orders', 'run key', 'why')")


@pytest.fixture(params=["upgraded", "read"])
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    """A store of the version before: upgraded, or read by a connection that cannot write."""
    path = tmp_path / "strangler.db"
    with closing(sqlite3.connect(path)) as made, made:
        write_earlier(made)
    with seen_as_now(request.param, tmp_path) as connection:
        yield connection


def test_its_evidence_is_that_of_the_unnamed_release(earlier: Connection) -> None:
    found = reading.readiness(earlier, "orders", {}, GATE, TODAY)
    assert (found.release, found.pairs, found.matches, found.set_aside) == (None, 5, 3, 1)
    assert found.endpoints == {_ENDPOINT: 5, "POST /api/orders": 0}
    assert found.not_comparable == {"lag": 4}
    assert found.latency is not None
    assert found.latency.median.value == 2.0
    assert found.age_s == 7200 - 60
    rows = {row.id: row for row in reading.signatures(earlier, {}, Filters(), TODAY)}
    assert {name: (row.count, row.state, row.owner) for name, row in rows.items()} == {
        _A: (2, "known", "ana"),
        _B: (1, "fixed", "ana"),
    }
    assert (rows[_A].first_seen, rows[_A].last_seen, rows[_A].legacy) == (NOON, NOON + 9, 1)
    signature = reading.signature(earlier, {}, _A, TODAY)
    assert signature is not None
    assert [sample_document.comparison.request_id for sample_document in signature.samples] == ["r-1"]
    noisiest = reading.noise_counts(earlier, "orders")[0]
    assert (noisiest.noise, noisiest.noise_pairs) == (3, 3)
    assert [line.who for line in entries(earlier, AuditFilters())] == ["ana"]
    assert reading.stops(earlier) == {"orders": "why"}
    assert [row["at"] for row in reading.timeline(earlier, "orders", {}, TODAY)] == [NOON, NOON + 7200]
    (release,) = reading.releases(earlier)
    assert (release.name, release.is_current, release.pairs) == ("", True, 6)


def test_what_it_calls_fixed_waits_for_proof(earlier: Connection) -> None:
    (claim,) = reading.readiness(earlier, "orders", {}, GATE, TODAY).claims
    assert (claim.signature, claim.endpoint, claim.pairs) == (_B, _ENDPOINT, 1)
    assert claim.needed >= 30


def test_it_is_done_once_and_goes_on(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "strangler.db")) as connection:
        write_earlier(connection)
        connection.commit()
        assert upgrade(connection)
        assert not upgrade(connection)
        prepare(connection)
        index = IndexState()
        index.load(connection)
        store_findings(connection, index, [match(at=NOON + 8000)], NOON + 8000)
        assert reading.readiness(connection, "orders", {}, GATE, TODAY).pairs == 6


def test_nothing_is_done_by_halves(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "strangler.db")) as connection:
        write_earlier(connection)
        connection.execute("CREATE TABLE earlier_noise (x)")  # in the way
        connection.commit()
        before = list(connection.iterdump())
        with pytest.raises(sqlite3.OperationalError, match="earlier_noise"):
            upgrade(connection)
        assert list(connection.iterdump()) == before
        assert is_earlier(connection)


@pytest.mark.parametrize("make", [lambda item: None, lambda item: item.executescript(SCHEMA)], ids=["none", "this one"])
def test_only_a_store_of_the_version_before_is_upgraded(make: Callable[[Connection], Any]) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        make(connection)
        assert not upgrade(connection)


async def test_a_store_is_upgraded_when_it_is_opened(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "strangler.db")) as connection, connection:
        write_earlier(connection)
    store = FileStore(tmp_path / "strangler.db", prepare_file)
    assert await store.call(lambda connection: reading.readiness(connection, "orders", {}, GATE, TODAY).pairs) == 5
    figures = FiguresState(store, settings(routes=[route("orders")]))
    await figures.look()
    found = figures.of("orders")
    assert found is not None
    assert found.pairs == 5, "it is judged without waiting for the next pair"
    await store.close()
    with reading.reader(file_location(tmp_path)) as again:
        assert not is_earlier(again)
