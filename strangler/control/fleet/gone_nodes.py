"""The nodes that have gone for good: the leader forgets them."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Final

from strangler.control.fleet.leadership import Leadership
from strangler.control.fleet.store_clock import StoreClock
from strangler.store.nodes import forget_gone
from strangler.store.store import StoreError

FORGET_EVERY_S: Final = 600.0


class GoneNodes:
    """Forgets the nodes that have not been heard for a day."""

    def __init__(self, leadership: Leadership, clock: StoreClock) -> None:
        self._leadership = leadership
        self._clock = clock

    async def run(self) -> None:
        """Forget them every ten minutes, while this node leads, until cancelled."""
        while True:
            await asyncio.sleep(FORGET_EVERY_S)
            if self._leadership.holds:
                with suppress(StoreError):  # the next time will do
                    await self._leadership.call(partial(forget_gone, now=self._clock.now()))
