"""The changes that other nodes make in the store: their followers are called within milliseconds.

PostgreSQL notifies of each change of a topic. The numbers of the topics are read each second as well, since a proxy
between us and the server, such as a pooler, may keep notifications back. By the same connection this node reports that
it is there, and reads which others are.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from strangler.control.fleet.feed import ChangeFeed
from strangler.control.fleet.known_nodes import REPORT_EVERY_S, KnownNodes
from strangler.control.fleet.own_connection import OwnConnection
from strangler.store.errors import DatabaseError
from strangler.store.nodes import NodeReport, StoredNode, database_time, leave, read_nodes, report_node
from strangler.store.postgres import PostgresConnection, translated
from strangler.store.topics import Topic, listen, topic_numbers

READ_EVERY_S: Final = 0.5
MAX_READ_S: Final = 2.0
"""How long a reading may take before its connection is closed."""
RETRY_S: Final = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Reading:
    """The numbers of topics, and the nodes, if this node has reported itself as well."""

    numbers: Mapping[str, int]
    nodes: Sequence[StoredNode] | None
    is_ours: bool


class FeedReader:
    """Reads changes and nodes, and reconnects by itself."""

    def __init__(self, url: str, feed: ChangeFeed, nodes: KnownNodes) -> None:
        self.problem: str | None = None
        """Why nothing can be read."""
        self._feed = feed
        self._nodes = nodes
        self._reported = float("-inf")
        self._own = OwnConnection(url, f"{nodes.node} feed", _listen)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed")
        self._numbers: Mapping[str, int] | None = None
        """The numbers that were read last; None after the connection was lost."""

    async def run(self) -> None:
        """Publish changes, and report this node, until cancelled."""
        while True:
            try:
                await self._step()
            except DatabaseError as error:
                if self.problem is None:
                    log.warning("feed.unreachable", reason=str(error))
                self.problem, self._numbers = str(error), None
                await asyncio.sleep(RETRY_S)

    async def close(self) -> None:
        """Let the others know that this node has ended, and close the connection."""
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self._leave)
        await asyncio.wait({closing}, timeout=MAX_READ_S)
        self._own.cut()
        await closing
        self._thread.shutdown()

    async def _step(self) -> None:
        """Read, publish what has changed, and wait for a notification, or a while."""
        reading = await self._read()
        self.problem = None
        if reading.nodes is not None:
            self._nodes.adopt(reading.nodes, is_ours=reading.is_ours)
        before, self._numbers = self._numbers, reading.numbers
        if before is None:
            self._feed.publish(Topic)
        else:
            self._feed.publish(topic for topic in Topic if before.get(topic) != reading.numbers.get(topic))
        await self._notification()

    async def _read(self) -> _Reading:
        now = time.monotonic()
        is_due = now - self._reported >= REPORT_EVERY_S
        report = self._nodes.report() if is_due else None
        found = await asyncio.get_running_loop().run_in_executor(self._thread, self._read_in_thread, report)
        self._reported = now if is_due else self._reported
        return found

    def _read_in_thread(self, report: NodeReport | None) -> _Reading:
        try:
            with translated():
                connection = self._own.get(MAX_READ_S)
                numbers = topic_numbers(connection)
                if report is None:
                    return _Reading(numbers, None, is_ours=False)
                is_ours = report_node(connection, report)
                return _Reading(numbers, read_nodes(connection, database_time(connection)), is_ours)
        except BaseException:
            self._own.close()
            raise

    def _leave(self) -> None:
        with suppress(Exception):  # the others see in a few seconds that it is not there
            if self._own.is_usable:
                leave(self._own.get(MAX_READ_S), self._nodes.node, self._nodes.owner)
        self._own.close()

    async def _notification(self) -> None:
        """Wait until the connection has something to read, which the next reading takes from it."""
        loop, is_readable, line = asyncio.get_running_loop(), asyncio.Event(), self._own.line
        assert line is not None
        loop.add_reader(line, is_readable.set)
        try:
            async with asyncio.timeout(READ_EVERY_S):
                await is_readable.wait()
        except TimeoutError:
            pass
        finally:
            loop.remove_reader(line)


def _listen(connection: PostgresConnection) -> None:
    connection.raw.add_notify_handler(lambda _: None)  # that there is one is enough
    listen(connection)
