"""A batch writes at once what its findings write one by one."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from strangler.core.source import LIVE, REPLAY
from strangler.store.connection import Connection, Cursor
from strangler.store.evidence.findings import Finding, Noisy
from strangler.store.evidence.index import SAMPLES, IndexState, Kept
from strangler.store.evidence.tables import SCHEMA
from strangler.store.evidence.writing import store_findings
from tests.store.evidence.pairs import NOON, seen

MANY: Final = Finding(
    "00",
    NOON,
    "orders",
    "GET /",
    "mismatch",
    "",
    (seen("a" * 16),),
    sample=b"{}",
    latency=(0.1, 0.2),
    baseline=(Noisy("body", "$.at", "value", ""),),
)
TABLES: Final = ("samples", "sample_links", "latencies", "baselines", "noise")

_differences = st.lists(st.sampled_from("abc"), max_size=3, unique=True).map(
    lambda names: tuple(seen(name * 16) for name in names)
)
_noise = st.lists(
    st.builds(Noisy, st.just("body"), st.sampled_from("pq"), st.just("value"), st.sampled_from(["", "n"]))
)
_findings = st.builds(
    Finding,
    id=st.integers(0, 99).map(lambda number: f"{number:02}"),
    at=st.integers(0, 9).map(lambda minutes: NOON + 90.0 * minutes),
    route=st.sampled_from(["orders", "carts"]),
    endpoint=st.just("GET /"),
    outcome=st.just("mismatch"),
    reason=st.just(""),
    differences=_differences,
    sample=st.none() | st.just(b"{}"),
    latency=st.none() | st.tuples(st.just(0.1), st.just(0.2)),
    baseline=st.none() | _noise.map(tuple),
    release=st.sampled_from(["", "2"]),
    source=st.sampled_from([LIVE, REPLAY]),
)
_batches = st.lists(st.lists(_findings, max_size=40, unique_by=lambda finding: finding.id), max_size=3)


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        yield connection


def store_one_by_one(connection: sqlite3.Connection, index: IndexState, finding: Finding) -> None:
    kept = index.kept(finding)
    store_sample(connection, index, finding, kept)
    if finding.latency is not None:
        row = (finding.route, finding.at, *finding.latency, finding.release, finding.source)
        connection.execute("INSERT INTO latencies VALUES (?, ?, ?, ?, ?, ?)", row)
    if finding.baseline is None:
        return
    connection.execute(
        "INSERT INTO baselines VALUES (?, '', 1) ON CONFLICT DO UPDATE SET pairs = pairs + 1", (finding.route,)
    )
    for noisy in finding.baseline:
        connection.execute(
            "INSERT INTO noise VALUES (?, '', ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
            (finding.route, noisy.place, noisy.path, noisy.kind, noisy.shape),
        )


def store_sample(connection: sqlite3.Connection, index: IndexState, finding: Finding, kept: Kept) -> None:
    if finding.sample is None:
        return
    of = finding.release, finding.source
    wanted = [item.id for item in kept.differences if index.add_sample_if_wanted(item.id, finding.at, *of)]
    if wanted:
        row = (finding.id, finding.route, finding.at, len(finding.sample), finding.sample)
        connection.execute("INSERT OR IGNORE INTO samples VALUES (?, ?, ?, ?, ?)", row)
    for name in wanted:
        connection.execute(
            "INSERT OR IGNORE INTO sample_links VALUES (?, ?, ?, ?, ?)", (name, finding.id, finding.at, *of)
        )
        connection.execute(
            """DELETE FROM sample_links WHERE signature = ?1 AND release = ?2 AND source = ?3 AND sample NOT IN (
                SELECT sample FROM sample_links WHERE signature = ?1 AND release = ?2 AND source = ?3
                ORDER BY at DESC, sample DESC LIMIT ?4)""",
            (name, *of, SAMPLES),
        )


@given(_batches)
def test_a_batch_writes_the_rows_of_its_findings(batches: list[list[Finding]]) -> None:
    together, apart = IndexState(), IndexState()
    with database() as grouped, database() as single:
        for batch in batches:
            store_findings(grouped, together, batch, NOON)
            for finding in batch:
                store_one_by_one(single, apart, finding)
        for table in TABLES:
            query = f"SELECT * FROM {table}"
            assert sorted(grouped.execute(query)) == sorted(single.execute(query)), table


class Counting:
    """A connection that counts its calls."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.calls = 0

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Cursor:
        self.calls += 1
        return self._connection.execute(statement, parameters)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Cursor:
        self.calls += 1
        return self._connection.executemany(statement, rows)

    def close(self) -> None:
        self._connection.close()


def calls_of(count: int) -> int:
    with database() as connection:
        counting = Counting(connection)
        findings = [
            replace(MANY, id=f"{number:03}", at=NOON + number, differences=(seen(f"{number:016}"),))
            for number in range(count)
        ]
        store_findings(counting, IndexState(), findings, NOON)
        assert connection.execute("SELECT count(*) FROM samples").fetchone() == (count,)
        return counting.calls


def test_a_batch_takes_as_many_calls_whatever_its_size() -> None:
    assert calls_of(2) == calls_of(300)


def store_many(connection: sqlite3.Connection, count: int) -> list[str]:
    """Store findings of one signature, each with a sample; return the ids of those that are still linked."""
    for start in range(0, count, 500):
        batch = [
            replace(MANY, id=f"{number:04}", at=NOON + 90.0 * number)
            for number in range(start, min(start + 500, count))
        ]
        store_findings(connection, IndexState(), batch, NOON)
    return sorted(row[0] for row in connection.execute("SELECT sample FROM sample_links"))


def test_of_many_samples_the_newest_stay_linked() -> None:
    with database() as connection:
        assert store_many(connection, 1200) == [f"{number:04}" for number in range(1200 - SAMPLES, 1200)]
