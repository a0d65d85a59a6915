"""A change on one node reaches the followers on the others: at once, and within a second without notifications."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import pytest
from structlog.testing import capture_logs

from strangler.control.fleet.feed import ChangeFeed
from strangler.control.fleet.feed_reader import FeedReader
from strangler.control.fleet.known_nodes import KnownNodes
from strangler.store.postgres import connect, transaction
from strangler.store.topics import Topic, announce
from tests.control.fleet.database import Server
from tests.store.store_proxy import store_proxy

PATIENCE_S: Final = 20.0


class Calls:
    """Counts the calls of the followers of each topic."""

    def __init__(self, feed: ChangeFeed) -> None:
        self.counts = dict.fromkeys(Topic, 0)
        for topic in Topic:
            feed.subscribe(topic, partial(self._count, topic))

    def _count(self, topic: Topic) -> None:
        self.counts[topic] += 1

    async def reach(self, topic: Topic, count: int) -> None:
        await until(lambda: self.counts[topic] >= count)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - counts have no event
            await asyncio.sleep(0.001)


@asynccontextmanager
async def following(url: str) -> AsyncIterator[Calls]:
    """Follow a store; every topic has been published once, as after each connect."""
    feed = ChangeFeed()
    calls, reader = Calls(feed), FeedReader(url, feed, KnownNodes("a", "id of a", "run", lambda: 0))
    running = asyncio.create_task(reader.run())
    try:
        await until(lambda: all(calls.counts.values()))
        yield calls
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await reader.close()


def change(url: str, *topics: Topic) -> None:
    """Change topics, as another node does, in one transaction."""
    connection = connect(url, "other")
    with transaction(connection):
        for topic in topics:
            announce(connection, topic)
    connection.close()


async def test_a_change_reaches_its_followers_at_once(postgres: Server, database: str) -> None:
    url = postgres.url(database)
    async with following(url) as calls:
        times = []
        for count in range(2, 7):
            await asyncio.to_thread(change, url, Topic.KILL_SWITCH)
            began = time.monotonic()
            await calls.reach(Topic.KILL_SWITCH, count)
            times.append(time.monotonic() - began)
        assert min(times) < 0.1
        assert calls.counts == {**dict.fromkeys(Topic, 1), Topic.KILL_SWITCH: 6}


async def test_topics_that_change_together_are_published_once_each(postgres: Server, database: str) -> None:
    url = postgres.url(database)
    async with following(url) as calls:
        await asyncio.to_thread(change, url, Topic.STOPS, Topic.RELEASES)
        await calls.reach(Topic.STOPS, 2)
        await asyncio.to_thread(change, url, Topic.KEYS)
        await calls.reach(Topic.KEYS, 2)
        changed = {Topic.STOPS: 2, Topic.RELEASES: 2, Topic.KEYS: 2}
        assert calls.counts == {**dict.fromkeys(Topic, 1), **changed}


async def test_without_notifications_a_change_arrives_within_a_second(postgres: Server, database: str) -> None:
    url = postgres.url(database)
    with postgres.connect(database) as connection:
        connection.execute("DROP TRIGGER strangler_notify ON topics")
    async with following(url) as calls:
        for count in range(2, 5):
            await asyncio.to_thread(change, url, Topic.ROLLOUTS)
            began = time.monotonic()
            await calls.reach(Topic.ROLLOUTS, count)
            assert time.monotonic() - began < 2  # 0.8 s, and time to spare


async def test_a_change_that_is_rolled_back_is_none(postgres: Server, database: str) -> None:
    url = postgres.url(database)
    async with following(url) as calls:
        connection = connect(url, "other")
        connection.execute("BEGIN")
        announce(connection, Topic.LEDGER)
        connection.execute("ROLLBACK")
        connection.close()
        await asyncio.to_thread(change, url, Topic.STOPS)
        await calls.reach(Topic.STOPS, 2)
        assert calls.counts[Topic.LEDGER] == 1


async def test_after_the_connection_was_lost_every_topic_is_published(postgres: Server, database: str) -> None:
    url = postgres.url(database)
    async with following(url) as calls:
        with postgres.connect(database) as connection, capture_logs() as logs:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'strangler a feed'"
            )
            assert ended.fetchall() == [(True,)]
            await until(lambda: all(count == 2 for count in calls.counts.values()))
        assert [line["event"] for line in logs] == ["feed.unreachable"]
        await asyncio.to_thread(change, url, Topic.STOPS)
        await calls.reach(Topic.STOPS, 3)


@pytest.mark.parametrize("pause_s", [0.0, 5.0], ids=["for a moment", "for long"])
async def test_a_connection_that_is_cut_in_silence_is_replaced(postgres: Server, database: str, pause_s: float) -> None:
    url = postgres.url(database)
    with store_proxy(postgres.port) as proxy:
        async with following(postgres.url(database, proxy.port)) as calls:
            proxy.drop()
            await asyncio.to_thread(change, url, Topic.RELEASES)
            await asyncio.sleep(pause_s)
            proxy.restore()
            await calls.reach(Topic.RELEASES, 2)
