"""Nodes report themselves to each other, and a name belongs to the first that has it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from strangler.control.fleet.feed import ChangeFeed
from strangler.control.fleet.feed_reader import FeedReader
from strangler.control.fleet.known_nodes import KnownNodes
from strangler.core.documents import NodeStatus
from strangler.store.nodes import claim_name, database_time, forget_gone, odd_digest
from strangler.store.postgres import opened
from tests.control.fleet.database import Server

PATIENCE_S: Final = 30.0


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - readings have no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def node(url: str, name: str, owner: str = "", requests: int = 0) -> AsyncIterator[KnownNodes]:
    nodes = KnownNodes(name, owner or f"folder of {name}", "run", lambda: requests)
    nodes.load("digest")
    reader = FeedReader(url, ChangeFeed(), nodes)
    running = asyncio.create_task(reader.run())
    try:
        yield nodes
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await reader.close()


def names(nodes: KnownNodes) -> list[str]:
    return [found.node for found in nodes.status(None)]


async def test_each_node_knows_all(postgres: Server, database: str) -> None:
    url = postgres.url(database)
    async with AsyncExitStack() as stack:
        a = await stack.enter_async_context(node(url, "a", requests=30))
        b = await stack.enter_async_context(node(url, "b", requests=10))
        await until(lambda: names(a) == names(b) == ["a", "b"])
        for each in (a, b):
            found = each.status("b")
            assert [(status.share, status.leader, status.digest) for status in found] == [
                (0.75, False, "digest"),
                (0.25, True, "digest"),
            ]
            assert all(0 <= status.heard < 5 for status in found)
        b.load("another")
        await until(lambda: [status.is_odd for status in a.status(None)] == [False, True])
        with opened(url, "test") as connection:
            found_odd = odd_digest(connection, database_time(connection))
        assert found_odd is not None
        assert [odd.node for odd in found_odd.odd] == ["b"]


async def test_a_node_that_ends_in_order_is_forgotten(postgres: Server, database: str) -> None:
    url = postgres.url(database)
    async with node(url, "a") as staying:
        async with node(url, "b"):
            await until(lambda: names(staying) == ["a", "b"])
        await until(lambda: names(staying) == ["a"])


async def test_a_second_node_of_a_name_is_not_among_them_and_says_so(postgres: Server, database: str) -> None:
    url = postgres.url(database)
    async with node(url, "a", "first folder") as first:
        with postgres.connect(database) as connection:
            await until(lambda: connection.execute("SELECT 1 FROM nodes").fetchall())
        async with node(url, "a", "second folder", requests=5) as second:
            await until(lambda: second.problem is not None)
            assert second.problem is not None
            assert "'a'" in second.problem
            assert "`node`" in second.problem
        assert first.problem is None


async def test_a_restart_of_a_node_keeps_its_name(postgres: Server, database: str) -> None:
    url = postgres.url(database)
    with opened(url, "test") as connection:
        assert claim_name(connection, "a", "folder") is None
        assert claim_name(connection, "a", "folder") is None
        assert claim_name(connection, "a", "another folder") is not None


async def test_the_name_of_a_node_that_is_silent_is_free(postgres: Server, database: str) -> None:
    with opened(postgres.url(database), "test") as connection:
        assert claim_name(connection, "a", "folder") is None
        connection.execute("UPDATE nodes SET heard = heard - 11")
        assert claim_name(connection, "a", "another folder") is None
        connection.execute("UPDATE nodes SET heard = heard + 3600")  # the clock of the database was set back
        assert claim_name(connection, "a", "folder") is None


async def test_nodes_that_are_gone_for_a_day_are_forgotten(postgres: Server, database: str) -> None:
    with opened(postgres.url(database), "test") as connection:
        for name, hours in (("a", 23), ("b", 25)):
            claim_name(connection, name, "folder")
            connection.execute("UPDATE nodes SET heard = heard - ? WHERE node = ?", (hours * 3600, name))
        forget_gone(connection, database_time(connection))
        assert connection.execute("SELECT node FROM nodes").fetchall() == [("a",)]


def test_without_a_shared_store_a_node_is_alone() -> None:
    nodes = KnownNodes("a", "", "run", lambda: 7)
    nodes.load("digest")
    assert nodes.status("a") == [NodeStatus("a", nodes.report().version, "digest", 0.0, 1.0, leader=True)]
    assert nodes.present == 1
