"""A batch writes at once what its findings write one by one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Final

from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from strangler.core.source import LIVE, REPLAY
from strangler.store.connection import Connection, Cursor
from strangler.store.evidence.findings import Finding, Noisy
from strangler.store.evidence.index import SAMPLES, IndexState, Kept
from strangler.store.evidence.writing import store_findings
from tests.store.evidence.pairs import NOON, seen
from tests.store.savepoints import undone

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


def store_one_by_one(connection: Connection, index: IndexState, finding: Finding) -> None:
    kept = index.kept(finding)
    store_sample(connection, index, finding, kept)
    if finding.latency is not None:
        row = (finding.route, finding.at, *finding.latency, finding.release, finding.source)
        connection.execute("INSERT INTO latencies VALUES (?, ?, ?, ?, ?, ?)", row)
    if finding.baseline is None:
        return
    connection.execute(
        "INSERT INTO baselines VALUES (?, '', 1) ON CONFLICT (route, era) DO UPDATE SET pairs = baselines.pairs + 1",
        (finding.route,),
    )
    for noisy in finding.baseline:
        connection.execute(
            """INSERT INTO noise VALUES (?, '', ?, ?, ?, ?, 1)
                ON CONFLICT (route, era, place, path, kind, shape) DO UPDATE SET count = noise.count + 1""",
            (finding.route, noisy.place, noisy.path, noisy.kind, noisy.shape),
        )


def store_sample(connection: Connection, index: IndexState, finding: Finding, kept: Kept) -> None:
    if finding.sample is None:
        return
    of = finding.release, finding.source
    wanted = [item.id for item in kept.differences if index.add_sample_if_wanted(item.id, finding.at, *of)]
    if wanted:
        row = (finding.id, finding.route, finding.at, len(finding.sample), finding.sample)
        connection.execute("INSERT INTO samples VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", row)
    for name in wanted:
        connection.execute(
            "INSERT INTO sample_links VALUES (?, ?, ?, ?, ?) ON CONFLICT (signature, sample) DO NOTHING",
            (name, finding.id, finding.at, *of),
        )
        connection.execute(
            """DELETE FROM sample_links WHERE signature = ? AND release = ? AND source = ? AND sample NOT IN (
                SELECT sample FROM sample_links WHERE signature = ? AND release = ? AND source = ?
                ORDER BY at DESC, sample DESC LIMIT ?)""",
            (name, *of, name, *of, SAMPLES),
        )


def rows_after(connection: Connection, work: Callable[[IndexState], object]) -> dict[str, list[Any]]:
    """Return the rows of each table after some work on a store that is empty."""
    with undone(connection):
        work(IndexState())
        return {table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall()) for table in TABLES}


@given(batches=_batches)
@budget(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_writes_the_rows_of_its_findings(connection: Connection, batches: list[list[Finding]]) -> None:
    def together(index: IndexState) -> None:
        for batch in batches:
            store_findings(connection, index, batch, NOON)

    def apart(index: IndexState) -> None:
        for finding in chain.from_iterable(batches):
            store_one_by_one(connection, index, finding)

    assert rows_after(connection, together) == rows_after(connection, apart)


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


def calls_of(connection: Connection, count: int) -> int:
    with undone(connection):
        counting = Counting(connection)
        findings = [
            replace(MANY, id=f"{number:03}", at=NOON + number, differences=(seen(f"{number:016}"),))
            for number in range(count)
        ]
        store_findings(counting, IndexState(), findings, NOON)
        assert connection.execute("SELECT count(*) FROM samples").fetchone() == (count,)
        return counting.calls


def test_a_batch_takes_as_many_calls_whatever_its_size(connection: Connection) -> None:
    assert calls_of(connection, 2) == calls_of(connection, 300)


def store_many(connection: Connection, count: int) -> list[str]:
    """Store findings of one signature, each with a sample; return the ids of those that are still linked."""
    for start in range(0, count, 500):
        batch = [
            replace(MANY, id=f"{number:04}", at=NOON + 90.0 * number)
            for number in range(start, min(start + 500, count))
        ]
        store_findings(connection, IndexState(), batch, NOON)
    return sorted(row[0] for row in connection.execute("SELECT sample FROM sample_links").fetchall())


def test_of_many_samples_the_newest_stay_linked(connection: Connection) -> None:
    assert store_many(connection, 1200) == [f"{number:04}" for number in range(1200 - SAMPLES, 1200)]
