"""The changes that other nodes make in the store: their followers are called within milliseconds.

PostgreSQL notifies of each change of a topic. The numbers of the topics are read each second as well, since a proxy
between us and the server, such as a pooler, may keep notifications back.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from strangler.control.fleet.feed import ChangeFeed
from strangler.control.fleet.own_connection import OwnConnection
from strangler.store.errors import DatabaseError
from strangler.store.postgres import PostgresConnection, translated
from strangler.store.topics import CHANNEL, Topic, topic_numbers

READ_EVERY_S: Final = 0.8
MAX_READ_S: Final = 2.0
"""How long a reading may take before its connection is cut."""
RETRY_S: Final = 1.0

log = structlog.get_logger()


class FeedReader:
    """Reads the changes, and reconnects by itself."""

    def __init__(self, url: str, node: str, feed: ChangeFeed) -> None:
        self._feed = feed
        self._own = OwnConnection(url, f"{node} feed", _listen)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed")
        self._numbers: Mapping[str, int] | None = None
        """The numbers that were read last; None after the connection was lost."""

    async def run(self) -> None:
        """Publish changes until cancelled."""
        is_away = False
        while True:
            try:
                await self._step()
                is_away = False
            except DatabaseError as error:
                if not is_away:
                    log.warning("feed.unreachable", reason=str(error))
                is_away, self._numbers = True, None
                await asyncio.sleep(RETRY_S)

    async def close(self) -> None:
        """Close the connection."""
        self._own.cut()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._own.close)
        self._thread.shutdown()

    async def _step(self) -> None:
        """Read, publish what has changed, and wait for a notification, or a while."""
        numbers = await self._read()
        before, self._numbers = self._numbers, numbers
        if before is None:
            self._feed.publish(Topic)
        else:
            self._feed.publish(topic for topic in Topic if before.get(topic) != numbers.get(topic))
        await self._notification()

    async def _read(self) -> Mapping[str, int]:
        reading = asyncio.get_running_loop().run_in_executor(self._thread, self._read_in_thread)
        done, _ = await asyncio.wait({reading}, timeout=MAX_READ_S)
        if not done:
            self._own.cut()
        return await reading

    def _read_in_thread(self) -> Mapping[str, int]:
        try:
            with translated():
                return topic_numbers(self._own.get())
        except BaseException:
            self._own.close()
            raise

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
    connection.execute(f"LISTEN {CHANNEL}")
