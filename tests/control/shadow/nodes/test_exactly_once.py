"""Findings are stored exactly once, whatever becomes of the connection, the server, or another node."""

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from strangler.control.shadow.batch import Replayed
from strangler.core.source import REPLAY
from strangler.store.connection import Connection
from strangler.store.events import outbox
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.reviews import Review, mark
from tests.control.fleet.database import Server
from tests.control.shadow.nodes.node import Node, node
from tests.factories import route, settings, shadow
from tests.store.evidence.pairs import match, mismatch, noisy, seen
from tests.store.store_proxy import store_proxy

ROUTES = [replace(route(name, prefix=f"/{name}"), shadow=shadow()) for name in ("orders", "items")]
IN_FORCE = settings(routes=ROUTES)


def findings(node_name: str, begin: int, count: int) -> list[Finding]:
    """Return findings of both routes: equal differences at all nodes, and each with a line and a sample."""
    now = time.time()
    return [
        replace(
            mismatch(seen(f"{number % 2}-{number % 7}"), at=now, line=b'{"n":%d}\n' % number, sample=b"{}"),
            id=f"{node_name}-{number}",
            route=("orders", "items")[number % 2],
            latency=(0.1, 0.2),
            baseline=(noisy(path=f"$.f{number % 7}"),),
        )
        for number in range(begin, begin + count)
    ]


async def sums(at: Node) -> dict[str, int]:
    """Return what the store has counted."""
    queries = {
        "pairs": "SELECT CAST(sum(count) AS bigint) FROM pairs",
        "sightings": "SELECT CAST(sum(count) AS bigint) FROM sightings",
        "signatures": "SELECT CAST(sum(count) AS bigint) FROM signatures",
        "latencies": "SELECT count(*) FROM latencies",
        "baselines": "SELECT CAST(sum(pairs) AS bigint) FROM baselines",
        "noise": "SELECT CAST(sum(count) AS bigint) FROM noise",
    }
    return {name: (await at.rows(query))[0][0] for name, query in queries.items()}


def all_of(count: int) -> dict[str, int]:
    return dict.fromkeys(("pairs", "sightings", "signatures", "latencies", "baselines", "noise"), count)


class TestALostResponseToACommit:
    async def test_costs_nothing_and_counts_nothing_twice(
        self, postgres: Server, database: str, tmp_path: Path
    ) -> None:
        with store_proxy(postgres.port) as proxy:
            async with node(postgres.url(database, proxy.port), "a", tmp_path, IN_FORCE) as a:
                for finding in findings("a", 0, 50):
                    a.parts.writer.add(finding)
                proxy.lose(2)
                assert not await a.parts.runner.store()
                for finding in findings("a", 50, 50):  # the batch that is in doubt stays as it is
                    a.parts.writer.add(finding)
                await a.stored()
                assert proxy.lost == 2
                assert await sums(a) == all_of(100)
                journal = (a.store.folder / "shadow-diffs.jsonl").read_bytes().splitlines()
                assert len(journal) == len(set(journal)) == 100

    async def test_events_are_published_once(self, postgres: Server, database: str, tmp_path: Path) -> None:
        with store_proxy(postgres.port) as proxy:
            async with node(postgres.url(database, proxy.port), "a", tmp_path, IN_FORCE) as a:
                a.parts.writer.add(mismatch(at=time.time()))
                proxy.lose(1)
                assert not await a.parts.runner.store()
                await a.stored()
                stored = await a.store.read(lambda connection: outbox.read(connection, 0, 0.0, 10))
                assert [each.event.type for each in stored] == ["signature.new"]
                assert a.rig.listener.stored == [("signature.new", "orders")]

    async def test_a_replay_is_counted_once(self, postgres: Server, database: str, tmp_path: Path) -> None:
        with store_proxy(postgres.port) as proxy:
            async with node(postgres.url(database, proxy.port), "a", tmp_path, IN_FORCE) as a:
                a.parts.writer.add(match(at=time.time()))
                proxy.lose(1)
                assert not await a.parts.runner.store()
                proxy.lose(1)
                found = [replace(each, source=REPLAY) for each in findings("a", 0, 10)]
                assert await a.parts.writer.add_replayed(found, Replayed("run", "ana")) == 10
                await a.stored()
                rows = await a.rows("SELECT source, CAST(sum(count) AS bigint) FROM pairs GROUP BY 1 ORDER BY 1")
                assert (proxy.lost, rows) == (2, [("live", 1), ("replay", 10)])


async def test_a_server_that_is_killed_again_and_again_costs_nothing(mortal_server: Server, tmp_path: Path) -> None:
    """Each kill is one of the process that is writing for a node: the server then ends all others, and recovers."""
    database = mortal_server.new_database()
    async with AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(node(mortal_server.url(database), name, tmp_path, IN_FORCE))
            for name in ("a", "b")
        ]
        is_over = asyncio.Event()
        writing = [asyncio.ensure_future(_keep_adding(each, f"n{at}", is_over)) for at, each in enumerate(nodes)]
        for _ in range(3):
            await asyncio.sleep(0.7)
            await asyncio.to_thread(_kill_a_writer, mortal_server, database)
        is_over.set()
        added = sum(await asyncio.gather(*writing))
        for each in nodes:
            await each.stored()
        assert await sums(nodes[0]) == all_of(added)
        dropped = sum(each.rig.count("strangler_shadow_dropped_total", "orders", "store") for each in nodes)
        assert dropped == 0


async def _keep_adding(at: Node, name: str, is_over: asyncio.Event) -> int:
    """Add and store findings until it is over. Return how many were added."""
    added = 0
    while not is_over.is_set() and added < 8000:
        for finding in findings(name, added, 20):
            at.parts.writer.add(finding)
        added += 20
        await at.parts.runner.store()
        await asyncio.sleep(0.005)
    return added


def _kill_a_writer(of: Server, database: str) -> None:
    """Kill -9 the server's process for a node's writer."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with psycopg.connect(of.url(database), autocommit=True) as connection:
                found = connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name ~ '^strangler [ab]$' ORDER BY random()"
                ).fetchone()
            if found is not None:
                os.kill(found[0], signal.SIGKILL)
                return
        except psycopg.OperationalError:
            pass  # it recovers from the last kill
        time.sleep(0.05)
    raise AssertionError("no writer is connected")


async def test_four_nodes_and_all_else_that_changes_the_evidence_never_block_each_other_for_good(
    postgres: Server, database: str, tmp_path: Path
) -> None:
    with postgres.connect(database) as connection:
        connection.execute(f"ALTER DATABASE {database} SET deadlock_timeout = '50ms'".encode())
        before = _deadlocks(connection, database)
    async with AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(node(postgres.url(database), name, tmp_path, IN_FORCE)) for name in "abcd"
        ]
        is_over = asyncio.Event()
        writing = [asyncio.ensure_future(_keep_adding(each, f"n{at}", is_over)) for at, each in enumerate(nodes)]
        ends = time.monotonic() + 6.0
        while time.monotonic() < ends:
            await nodes[0].parts.pruner.prune()
            await _mark_all(nodes[1])
            await nodes[2].parts.evidence.reset("items")
            await _rename(nodes[3], "GET /api/orders/{}", f"GET /api/orders/{time.time()}")
            await nodes[1].parts.evidence.name_release("orders", f"v{int(time.time())}")
        is_over.set()
        added = sum(await asyncio.gather(*writing))
        for each in nodes:
            await each.stored()
        late = sum(each.rig.count("strangler_shadow_dropped_total", "items", "reset") for each in nodes)
        assert await nodes[0].counted() == added - late
        assert {each.store.problem for each in nodes} == {None}
    with postgres.connect(database) as connection:
        assert _deadlocks(connection, database) == before
        numbers = [row[0] for row in connection.execute("SELECT number FROM changes").fetchall()]
        assert len(numbers) == len(set(numbers))


def _deadlocks(connection: "psycopg.Connection[Any]", database: str) -> int:
    ((count,),) = connection.execute(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = %s", (database,)
    ).fetchall()
    return int(count)


async def _mark_all(at: Node) -> None:
    """Mark all differences, the last first: in another order than they are written."""
    ids = [name for (name,) in await at.rows("SELECT id FROM signatures WHERE state != '' ORDER BY id DESC")]
    now = time.time()

    def work(connection: Connection) -> None:
        assert not mark(connection, ids, Review("fixed", None, "a patch"), "ana", now).unknown

    await at.store.call(work)


async def _rename(at: Node, former: str, present: str) -> None:
    async def names(stored: Any) -> dict[tuple[str, str], str]:
        return {each[:2]: present if each.name == former else each.name for each in stored if each.route == "orders"}

    await at.parts.writer.carry_over(names)
