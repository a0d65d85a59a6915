"""The turns of a replay: pairs are read ahead in a thread, wait in their order, and are sent by a few slots at once."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final

from strangler.core.replaying.caller_order import CallerOrderState
from strangler.recordings.recorded import RecordedPair
from strangler.recordings.recording_reader import BadLine, Recording
from strangler.replay.progress import ReplayProgress

_BATCH_PAIRS: Final = 256
_BATCH_BYTES: Final = 4 * 1024 * 1024
_BATCH_S: Final = 0.05
"""The time after which a batch is handed over, however small: reading keeps the loop from its turn meanwhile."""
_PAIR_BYTES: Final = 2000
"""The bytes that a pair takes beside its bodies, as an estimate."""
_FIRST_LINES: Final = 5

Turn = tuple[str, RecordedPair]
_Line = tuple[int, RecordedPair | BadLine]


def size_of(pair: RecordedPair) -> int:
    """Return the bytes that a pair takes in memory, as an estimate."""
    bodies = (pair.request.body, None if pair.response is None else pair.response.body)
    return _PAIR_BYTES + sum(len(body.text or body.base64 or b"") for body in bodies if body is not None)


def next_batch(lines: Iterator[_Line], until: Callable[[], float] = time.monotonic) -> list[_Line]:
    """Return the next lines of a recording; empty at its end."""
    batch: list[_Line] = []
    size, ends_at = 0, until() + _BATCH_S
    for line in lines:
        batch.append(line)
        size += _PAIR_BYTES if isinstance(line[1], BadLine) else size_of(line[1])
        if len(batch) >= _BATCH_PAIRS or size >= _BATCH_BYTES or until() >= ends_at:
            break
    return batch


@dataclass(slots=True)
class Turns:
    """Reads a recording and lets `serve` send its pairs. `released`: called with a caller that has nothing waiting."""

    recording: Recording
    order: CallerOrderState[RecordedPair]
    slots: int
    threads: Executor
    """One thread, for reading."""
    progress: ReplayProgress
    serve: Callable[[str, RecordedPair], Awaitable[None]]
    released: Callable[[str], None]
    _ready: deque[Turn] = field(default_factory=deque)
    _resting: deque[asyncio.Future[Turn]] = field(default_factory=deque)
    """The slots without a turn."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _is_read: bool = False

    def stop(self, reason: str) -> None:
        """Let no further turn begin, and end `run`."""
        self.progress.stopped = self.progress.stopped or reason
        self._changed.set()

    async def run(self) -> None:
        """Send all pairs; return at the recording's end, or once stopped. Raises RecordingError, and what `serve` does.

        What is under way when it ends is given up.
        """
        slots = [asyncio.create_task(self._slot()) for _ in range(self.slots)]
        for slot in slots:
            slot.add_done_callback(lambda _: self._changed.set())
        pacing = asyncio.create_task(self._pace(slots))
        try:
            await pacing
        finally:
            for task in (pacing, *slots):
                task.cancel()
            await asyncio.gather(pacing, *slots, return_exceptions=True)

    async def _pace(self, slots: list[asyncio.Task[None]]) -> None:
        lines = iter(self.recording)
        while not self.progress.stopped:
            for slot in slots:
                if slot.done():
                    slot.result()  # raises: a slot never ends by itself
            if not self._is_read and self.order.wants_more:
                await self._read(lines)
                self._pump()
                continue
            if self._is_read and self.order.is_idle:
                return
            self._pump()
            await self._rest()

    async def _read(self, lines: Iterator[_Line]) -> None:
        reading = asyncio.get_running_loop().run_in_executor(self.threads, next_batch, lines)
        try:
            batch = await asyncio.shield(reading)
        except asyncio.CancelledError:
            await asyncio.wait([reading])  # the file must not be closed under it
            raise
        self._is_read = not batch
        progress = self.progress
        for number, pair in batch:
            if isinstance(pair, BadLine):
                progress.bad_lines[pair.reason.value] += 1
                first = progress.first_bad_lines.setdefault(pair.reason.value, [])
                if len(first) < _FIRST_LINES:
                    first.append(number)
            else:
                progress.read += 1
                self.order.add(pair.at, pair.caller, pair, size_of(pair))
        progress.share_read = 1.0 if self._is_read else self.recording.share_read

    def _pump(self) -> None:
        """Give the turns that begin now to slots; none once stopped."""
        if self.progress.stopped:
            return
        now = time.monotonic()
        self._ready.extend(self.order.begin(now))
        self.progress.behind_s = self.order.behind_s(now)
        while self._ready and self._resting:
            slot = self._resting.popleft()
            if not slot.done():
                slot.set_result(self._ready.popleft())

    async def _rest(self) -> None:
        """Wait until the next turn is due, or something has changed."""
        self._changed.clear()
        due = self.order.next_at()
        timer = (
            None
            if due is None
            else asyncio.get_running_loop().call_later(max(0.0, due - time.monotonic()), self._changed.set)
        )
        try:
            await self._changed.wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _slot(self) -> None:
        while True:
            caller, pair = await self._turn()
            self.progress.running += 1
            try:
                await self.serve(caller, pair)
            finally:
                self.progress.running -= 1
            self.order.end(caller)
            if not self.order.has_waiting(caller):
                self.released(caller)

    async def _turn(self) -> Turn:
        if not self._ready:
            self._pump()
        if self.order.wants_more or not self._ready:
            self._changed.set()
        if self._ready and not self.progress.stopped:
            return self._ready.popleft()
        slot: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._resting.append(slot)
        return await slot
