"""The end of delivery tasks: they are cancelled at once, and awaited at the close."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()


def log_crash(task: asyncio.Task[None]) -> None:
    """Log a bug that has ended a task at once, and not only at the close."""
    if not task.cancelled() and (crash := task.exception()) is not None:
        log.error("events.crash", error=repr(crash), exc_info=crash)


class EndingTasks:
    """Owns the tasks that were cancelled and have not ended yet."""

    def __init__(self) -> None:
        self._ending: set[asyncio.Task[None]] = set()

    def end(self, task: asyncio.Task[None], close: Callable[[], Awaitable[None]] | None = None) -> None:
        """Cancel a task and, once it has ended, close what it used."""
        task.cancel()
        ending = asyncio.create_task(_ended(task, close))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def wait(self) -> None:
        """Wait until all of them have ended."""
        await asyncio.gather(*self._ending)


async def _ended(task: asyncio.Task[None], close: Callable[[], Awaitable[None]] | None) -> None:
    await asyncio.gather(task, return_exceptions=True)
    if close is not None:
        await close()
