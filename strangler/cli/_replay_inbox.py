"""The findings of a replay on their way into the inbox: in batches, in a thread, and never waited for by the replay."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import click

from strangler.core.documents import ReplayInbox
from strangler.store.evidence.findings import Finding

MAX_BATCH: Final = 500
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Findings that wait, at most; further ones are not stored."""
EVERY_S: Final = 0.5
TOO_SLOW: Final = "the inbox stores them more slowly than they are found"


class InboxBatches:
    """The findings that wait to be stored, and the numbers of those that were and were not."""

    def __init__(self, store: Callable[[Sequence[Finding]], object], say: Callable[[str], None]) -> None:
        """`store` is called in a thread and raises click.ClickException; `say` gets the first failure."""
        self._store = store
        self._say = say
        self._waiting: deque[Finding] = deque()
        self._bytes = 0
        self._has_ended = asyncio.Event()
        self._stored = self._not_stored = 0
        self._why: str | None = None

    def add(self, finding: Finding) -> None:
        """Take a finding to be stored."""
        if self._bytes + finding.size > MAX_WAITING_BYTES:
            self._fail(1, TOO_SLOW)
            return
        self._waiting.append(finding)
        self._bytes += finding.size

    async def run(self) -> None:
        """Store what waits until `end` was called and nothing waits any more."""
        while not self._has_ended.is_set() or self._waiting:
            if self._waiting:
                await self._store_next()
            else:
                await self._until_more()

    def end(self) -> None:
        """Let `run` return once all is stored."""
        self._has_ended.set()

    def result(self) -> ReplayInbox:
        return ReplayInbox(self._stored, self._not_stored, self._why)

    async def _until_more(self) -> None:
        try:
            async with asyncio.timeout(EVERY_S):
                await self._has_ended.wait()
        except TimeoutError:
            return

    async def _store_next(self) -> None:
        batch = self._next()
        try:
            await asyncio.to_thread(self._store, batch)
        except click.ClickException as error:
            self._fail(len(batch), error.format_message())
        else:
            self._stored += len(batch)

    def _next(self) -> list[Finding]:
        batch: list[Finding] = []
        size = 0
        while (
            self._waiting and len(batch) < MAX_BATCH and (not batch or size + self._waiting[0].size < MAX_BATCH_BYTES)
        ):
            finding = self._waiting.popleft()
            size += finding.size
            batch.append(finding)
        self._bytes -= size
        return batch

    def _fail(self, count: int, why: str) -> None:
        self._not_stored += count
        if self._why is None:
            self._why = why
            self._say(f"findings are not put into the inbox: {why}; the replay goes on")
