"""What a shared store takes: `python -m benchmarks.store` prints pairs a second and the CPU of control beside SQLite.

Each writer is a process with a store of its own to one PostgreSQL, which the benchmark starts from the system's package
and whose commits reach the disk (`fsync = on`). Findings are written in batches of 1,000, as control writes them: 50
endpoints, one pair in ten with a difference, one in a hundred with a sample of 2 KB. The rows of two days, with ten
times the traffic on one of them, are counted in SQLite, by times that are arguments.
"""

import asyncio
import json
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from strangler.store.connection import Connection
from strangler.store.evidence.findings import Finding, StoredDifference
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.retention import prune
from strangler.store.evidence.writing import store_findings
from strangler.store.location import StoreLocation
from strangler.store.postgres import connect
from strangler.store.schema import prepare_file
from strangler.store.schema.opening import open_store
from strangler.store.schema.transfer import all_tables
from strangler.store.sqlite import in_memory
from strangler.store.store import Store
from tests.store.postgres import running_server

BATCH: Final = 1000
ENDPOINTS: Final = 50
SAMPLE: Final = json.dumps({"text": "x" * 2000}).encode()
HOUR_S: Final = 3600.0
PER_HOUR: Final = (1, 10)
"""The batches of an hour, in the two days whose rows are counted."""
BEGUN: Final = 1_800_000_000.0
_TIMEOUT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Written:
    """The work of one writer: findings, seconds, and seconds of CPU in its process."""

    findings: int
    seconds: float
    cpu_s: float


def findings(writer: int, number: int, at: float | None = None) -> list[Finding]:
    """Return a batch. A tenth of it differs, in one of four differences of its endpoint."""
    at = BEGUN + number if at is None else at
    return [_finding(writer, number, place, at) for place in range(BATCH)]


def _finding(writer: int, number: int, place: int, at: float) -> Finding:
    endpoint = f"GET /api/orders/{place % ENDPOINTS}/{{}}"
    name = f"{writer}-{number}-{place}"
    if place % 10:
        return Finding(name, at, "orders", endpoint, "match", "", latency=(0.01, 0.012))
    seen = StoredDifference(f"{place % 200:016x}", "body", f"$.k{place % 200}", "type", "breaking", "1", '"1"')
    sample = SAMPLE if place % 100 == 0 else None
    return Finding(name, at, "orders", endpoint, "mismatch", "", (seen,), sample=sample, latency=(0.01, 0.012))


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def write(store: Store, writer: int, seconds: float, ready: Callable[[], object]) -> Written:
    """Write batches for some seconds."""
    index = IndexState()
    await store.call(index.load)
    batches = [findings(writer, number) for number in range(8)]
    await store.call(lambda connection: store_findings(connection, index, batches[0], time.time()))
    ready()
    began, cpu, count = time.monotonic(), cpu_s(), 0
    while time.monotonic() - began < seconds:
        batch = batches[count % len(batches)]

        def work(connection: Connection, batch: Sequence[Finding] = batch) -> object:
            return store_findings(connection, index, batch, time.time())

        await store.call(work)
        count += 1
    taken = Written(count * BATCH, time.monotonic() - began, cpu_s() - cpu)
    await store.close()
    return taken


def write_apart(
    writer: int,
    folder: Path,
    url: str | None,
    seconds: float,
    barrier: Barrier,
    results: "multiprocessing.Queue[Written]",
) -> None:
    """Write in a process of its own, beginning with the others."""
    store = open_store(StoreLocation(folder / "strangler.db", url), f"writer-{writer}")
    results.put(asyncio.run(write(store, writer, seconds, lambda: barrier.wait(_TIMEOUT_S))))


def measure(writers: int, folder: Path, url: str | None, seconds: float) -> list[Written]:
    """Return what each of some writers has written at the same time."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(writers), context.Queue()
    processes = [
        context.Process(target=write_apart, args=(number, folder, url, seconds, barrier, results))
        for number in range(writers)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=_TIMEOUT_S) for _ in processes]
    for process in processes:
        process.join()
    return found


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="strangler-store-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def size_of(url: str) -> tuple[int, int]:
    """Return the rows and the bytes that a server has for our tables, indexes included."""
    with closing(connect(url, "benchmark")) as connection:
        connection.execute("VACUUM ANALYZE")
        row = connection.execute(
            """SELECT CAST(sum(n_live_tup) AS bigint), CAST(sum(pg_total_relation_size(relid)) AS bigint)
            FROM pg_stat_user_tables"""
        ).fetchone()
    return int(row[0]), int(row[1])


def rows_of_a_day(batches: int) -> dict[str, int]:
    """Return the rows of each table after a day of so many batches an hour, pruned as control does."""
    index = IndexState()
    with closing(in_memory()) as connection:
        prepare_file(connection)
        for number in range(24 * batches):
            at = BEGUN + number * HOUR_S / batches
            store_findings(connection, index, findings(0, number, at), at)
        prune(connection, BEGUN + 24 * HOUR_S)
        counts = {
            table.name: int(connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0])
            for table in all_tables()
        }
    return {table: count for table, count in counts.items() if count > 1}


@click.command(help=__doc__)
@click.option("--seconds", default=10.0, show_default=True, help="The length of each run.")
def main(seconds: float) -> None:
    table = Table("store", "writers", "pairs/s", "CPU ms per 1,000", box=None)
    with scratch() as folder:
        add(table, "SQLite", measure(1, folder, None, seconds))
    with running_server(is_durable=True) as server:
        for writers in (1, 3):
            with server.connect() as connection:
                connection.execute(f"CREATE DATABASE of_{writers}".encode())
            with scratch() as folder:
                add(table, "PostgreSQL", measure(writers, folder, server.url(f"of_{writers}"), seconds))
        rows, size = size_of(server.url("of_3"))
    console = Console()
    console.print(table)
    by_traffic = [rows_of_a_day(batches) for batches in PER_HOUR]
    days = Table("table", *(f"{24 * BATCH * batches:,} pairs" for batches in PER_HOUR), box=None)
    for name in by_traffic[-1]:
        days.add_row(name, *(f"{rows.get(name, 0):,}" for rows in by_traffic))
    console.print(days, "rows after a day")
    console.print(f"after the last run: {rows} rows, {size / 2**20:.1f} MiB with indexes")


def add(table: Table, store: str, found: Sequence[Written]) -> None:
    pairs = sum(each.findings / each.seconds for each in found)
    cpu_ms = sum(each.cpu_s for each in found) * 1000 / (sum(each.findings for each in found) / BATCH)
    table.add_row(store, str(len(found)), f"{pairs:,.0f}", f"{cpu_ms:.1f}")


if __name__ == "__main__":
    main()
