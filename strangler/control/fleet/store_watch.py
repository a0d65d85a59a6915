"""Watches whether the shared store can be reached, and publishes an event when it goes away and when it is back."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from strangler.store.events.event import Kind

LOOK_EVERY_S: Final = 0.5
STEADY_S: Final = 2.0
"""How long the store is away, or back, before it counts: the change of a server's primary is an outage, not ten."""


class Publisher(Protocol):
    """Publishes events."""

    def publish(self, kind: Kind, subject: str, data: Mapping[str, Any]) -> None: ...


class StoreWatch:
    """Publishes `store.away` and `store.back`, once for each outage of this node. `problem` returns why it is away."""

    def __init__(
        self,
        node: str,
        problem: Callable[[], str | None],
        events: Publisher,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node = node
        self._problem = problem
        self._events = events
        self._monotonic = monotonic
        self._away_since: float | None = None
        """Since when the store is away, as it was published."""
        self._changed: float | None = None
        """Since when it is not as it was published."""

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Publish a change that has lasted."""
        now, problem = self._monotonic(), self._problem()
        if (problem is None) == (self._away_since is None):
            self._changed = None
            return
        since = self._changed = now if self._changed is None else self._changed
        if now - since < STEADY_S:
            return
        self._changed = None
        if problem is not None:
            self._away_since = since
            self._events.publish(Kind.STORE_AWAY, "store", {"node": self._node, "reason": problem})
        elif self._away_since is not None:
            away_s = round(since - self._away_since, 1)
            self._away_since = None
            self._events.publish(Kind.STORE_BACK, "store", {"node": self._node, "away_s": away_s})
