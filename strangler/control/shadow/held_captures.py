"""The held captures: each is compared in a task of its own."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from strangler.control.shadow.counters import ShadowCounters
from strangler.control.shadow.route import ShadowRoute

MAX_HELD_BYTES = 64 * 1024 * 1024
"""The most bytes of all held captures."""


@dataclass(frozen=True, slots=True)
class _Held:
    route: ShadowRoute
    size: int


class HeldCaptures:
    """Owns the tasks, and counts the bytes that they hold."""

    def __init__(self, counters: ShadowCounters) -> None:
        self._counters = counters
        self._tasks: dict[asyncio.Task[None], _Held] = {}
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        return self._bytes >= MAX_HELD_BYTES

    def begin(self, route: ShadowRoute, size: int, work: Coroutine[Any, Any, None]) -> None:
        """Hold a capture of `size` bytes while its work runs."""
        route.open += 1
        self._bytes += size
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = _Held(route, size)
        task.add_done_callback(self._give_back)

    def _give_back(self, task: asyncio.Task[None]) -> None:
        """Release a capture, which may have been abandoned before its work began."""
        held = self._tasks.pop(task)
        held.route.open -= 1
        self._bytes -= held.size

    def abandon(self, reason: str, concerns: Callable[[ShadowRoute], bool]) -> None:
        """Abandon the captures of some routes, and count them as dropped."""
        for task, held in list(self._tasks.items()):
            if concerns(held.route):
                task.cancel()
                self._counters.count_dropped(held.route.name, reason)

    async def close(self) -> None:
        """Abandon all captures, and wait until their tasks have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
