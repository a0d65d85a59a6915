"""The delivery of events from the outbox to one sink: in order, at least once, with retries.

A sink that cannot be reached is tried again with growing pauses; nothing else waits for it. An event that it refuses
for good, or that grows older than the sink's patience, becomes a dead letter, and the next event has its turn.

Of several nodes only the one that leads delivers. Its successor goes on where the store says that it was, so an event
that was on its way then may be sent twice, with one id.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential, wait_random

from strangler.control.fleet.leadership import Leadership, SoleLeadership
from strangler.store.connection import Connection
from strangler.store.events import outbox
from strangler.store.events.outbox import Standing, Stored
from strangler.store.store import Store, StoreError

LOOK_EVERY_S: Final = 5.0
"""The pause without a hint that there is something new, for example after the store failed."""

LEAD_EVERY_S: Final = 0.5
"""How often a node that does not lead looks whether it does."""

log = structlog.get_logger()


class SinkError(Exception):
    """Nothing was delivered; a later try may succeed."""


@dataclass(frozen=True, slots=True)
class Done:
    """The first `count` events of a batch are settled. `dead`: by `seq`, why some were refused for good."""

    count: int
    dead: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Patience:
    """Pauses between tries, in seconds, and the age at which an event is given up."""

    first_s: float = 0.5
    most_s: float = 60.0
    age_s: float = 86400.0


class Sink(Protocol):
    """A receiver of events."""

    @property
    def name(self) -> str: ...

    @property
    def batch(self) -> int:
        """The most events of one delivery."""
        ...

    @property
    def patience(self) -> Patience: ...

    async def deliver(self, events: Sequence[Stored]) -> Done:
        """Deliver events. The result's `count` is at least 1. Raises SinkError."""
        ...

    async def close(self) -> None: ...


class Delivery:
    """The delivery to one sink. `tell` is called with the standings of all sinks after each change."""

    def __init__(
        self,
        sink: Sink,
        store: Store,
        tell: Callable[[dict[str, Standing]], None],
        leadership: Leadership | None = None,
    ) -> None:
        """`leadership`: None if no other node delivers."""
        self.sink = sink
        self.problem: str | None = None
        """Why the event at the head of the queue was not delivered so far."""
        self._store = store
        self._leadership: Leadership = leadership or SoleLeadership(store)
        self._log_problem = tell
        self._hint = asyncio.Event()

    def hint(self) -> None:
        """Look for new events soon."""
        self._hint.set()

    async def run(self) -> None:
        """Deliver events, while this node leads, until cancelled."""
        while True:
            await self._follow()
            self._hint.clear()
            try:
                batch = await self._store.call(partial(outbox.pending, sink=self.sink.name, most=self.sink.batch))
                if batch:
                    await self._deliver(batch)
                    continue
            except StoreError:  # logged by the store itself
                pass
            except Exception as error:  # a bug, ours or a library's, must not end this delivery for good
                log.exception("event_sink.crash", sink=self.sink.name)
                self.problem = repr(error)
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._hint.wait()
            except TimeoutError:
                continue

    async def _follow(self) -> None:
        """Wait until this node leads, and note meanwhile how the sinks stand."""
        looked = float("-inf")
        while not self._leadership.holds:
            self.problem = None
            if time.monotonic() - looked > LOOK_EVERY_S:
                looked = time.monotonic()
                with suppress(StoreError):  # logged by the store itself
                    self._log_problem(await self._store.call(outbox.standings))
            await asyncio.sleep(LEAD_EVERY_S)

    async def _deliver(self, batch: list[Stored]) -> None:
        patience = self.sink.patience
        done = Done(1)
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(SinkError),
                wait=wait_exponential(patience.first_s, patience.most_s) + wait_random(0, patience.first_s),
                stop=lambda _: not self._leadership.holds or time.time() - batch[0].at > patience.age_s,
                before_sleep=self._note,
                reraise=True,
            ):
                with attempt:
                    done = await self.sink.deliver(batch)
        except SinkError as error:
            if not self._leadership.holds:
                return
            done = Done(1, {batch[0].seq: f"given up after {patience.age_s:g} s: {error}"})
        if self.problem is not None:
            log.info("event_sink.recovered", sink=self.sink.name)
            self.problem = None
        await self._settle(batch[: done.count], done)

    def _note(self, state: RetryCallState) -> None:
        problem = str(state.outcome.exception()) if state.outcome is not None else ""
        if problem != self.problem:
            log.warning("event_sink.failed", sink=self.sink.name, reason=problem)
        self.problem = problem

    async def _settle(self, done: list[Stored], what: Done) -> None:
        for seq, reason in what.dead.items():
            log.error("event_sink.dead_letter", sink=self.sink.name, seq=seq, reason=reason)
        name, now = self.sink.name, time.time()

        def work(connection: Connection) -> dict[str, Standing]:
            outbox.settle(connection, name, done, what.dead, now)
            return outbox.standings(connection)

        self._log_problem(await self._leadership.call(work))
