"""A store that the version before wrote, which knew no sources: upgraded in place, and read as it is."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from strangler.core.source import LIVE, SOURCES
from strangler.store.connection import Connection
from strangler.store.evidence import reading
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.reading import Filters
from strangler.store.evidence.tables import SCHEMA, is_earlier, prepare, upgrade
from strangler.store.evidence.writing import store_findings
from tests.store.evidence.earlier_stores import seen_as_now
from tests.store.evidence.pairs import NOON, match
from tests.store.evidence.test_upgrade import GATE, TODAY, write_earlier

WRITTEN: Final = Path(__file__).with_name("store_without_sources.sql").read_text()
"""The dump of a store that the version before wrote: two releases, and a difference of each state."""
_PRICE, _NOTE, _AT = "a" * 16, "b" * 16, "c" * 16


@pytest.fixture(params=["upgraded", "read"])
def before(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    """A store of the version before: upgraded, or read by a connection that cannot write."""
    path = tmp_path / "strangler.db"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(WRITTEN)
    with seen_as_now(request.param, tmp_path) as connection:
        yield connection


def test_its_evidence_is_that_of_shadows(before: Connection) -> None:
    found = reading.readiness(before, "orders", {}, GATE, TODAY)
    assert (found.release, found.pairs, found.set_aside, found.sources) == ("v2", 6, 1, (LIVE,))
    assert found.notes == []
    assert found.latency is not None
    assert found.age_s == 7201 - 60
    rows = {row.id: row for row in reading.signatures(before, {}, Filters(), TODAY)}
    assert {name: (row.state, row.owner, row.sources) for name, row in rows.items()} == {
        _PRICE: ("known", "ana", {LIVE: 1}),
        _NOTE: ("fixed", "ana", {LIVE: 1}),
        _AT: ("accepted", None, {LIVE: 1}),
    }
    assert reading.signatures(before, {}, Filters(source="replay"), TODAY) == []
    signature = reading.signature(before, {}, _PRICE, TODAY)
    assert signature is not None
    assert [kept.comparison.source for kept in signature.samples] == [LIVE]
    assert [row.name for row in reading.releases(before)] == ["v2", "v1"]
    assert reading.noise_counts(before, "orders")[0].noise_pairs == 1


def test_its_claims_go_on_where_they_were_and_begin_for_replays(before: Connection) -> None:
    (claim,) = reading.readiness(before, "orders", {}, GATE, TODAY).claims
    assert (claim.signature, claim.pairs) == (_NOTE, 2)
    rows = before.execute("SELECT source, pairs, needed FROM claims WHERE release = 'v2' ORDER BY source").fetchall()
    assert [row[:2] for row in rows] == [("live", 2), ("replay", 0)]
    assert len({row[2] for row in rows}) == 1


@pytest.mark.parametrize("write", ["without releases", "without sources"])
class TestBothSteps:
    def _made(self, path: Path, write: str) -> sqlite3.Connection:
        connection = sqlite3.connect(path / "strangler.db")
        if write == "without releases":
            write_earlier(connection)
        else:
            connection.executescript(WRITTEN)
        connection.commit()
        return connection

    def test_the_tables_are_those_of_a_new_store(self, write: str, tmp_path: Path) -> None:
        """Columns, keys and indexes: what a new store has is there, under the same names."""
        with closing(self._made(tmp_path, write)) as connection, closing(sqlite3.connect(":memory:")) as new:
            assert upgrade(connection)
            new.executescript(SCHEMA)
            for kind in ("table", "index"):
                query = f"SELECT name FROM sqlite_master WHERE type = '{kind}' AND sql IS NOT NULL"
                names = {row[0] for row in new.execute(query)}
                assert names <= {row[0] for row in connection.execute(query)}
            tables = [row[0] for row in new.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                info = f"PRAGMA table_info({table})"
                keys = [{row[1]: row[5] for row in each.execute(info)} for each in (new, connection)]
                assert keys[0] == keys[1], table

    def test_it_is_done_once_and_goes_on(self, write: str, tmp_path: Path) -> None:
        with closing(self._made(tmp_path, write)) as connection:
            assert is_earlier(connection)
            assert upgrade(connection)
            assert not upgrade(connection)
            prepare(connection)
            index = IndexState()
            index.load(connection)
            release = "" if write == "without releases" else "v2"
            pairs = reading.readiness(connection, "orders", {}, GATE, TODAY).pairs
            found = [match(at=NOON + 8000, release=release, source=source) for source in SOURCES]
            store_findings(connection, index, found, NOON + 8000)
            assert reading.readiness(connection, "orders", {}, GATE, TODAY).pairs == pairs + 1

    def test_nothing_is_done_by_halves(self, write: str, tmp_path: Path) -> None:
        with closing(self._made(tmp_path, write)) as connection:
            connection.execute("CREATE TABLE earlier_observed (x)")  # in the way
            connection.commit()
            before = list(connection.iterdump())
            with pytest.raises(sqlite3.OperationalError, match="earlier_observed"):
                upgrade(connection)
            assert list(connection.iterdump()) == before
            assert is_earlier(connection)
