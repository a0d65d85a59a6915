"""One recording of the running proxy: from the captures of workers to the text that its client gets."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from typing import Final

import msgspec
import structlog

from strangler.control.recording.capture_queue import CaptureQueue, Waiting
from strangler.control.recording.captured_pairs import EncodedPairs, encoded_pairs
from strangler.core.documents import RecordedLine, RecordingProgress, RecordingRequest, RecordingStatus
from strangler.recordings.recorded import Header
from strangler.recordings.redact_in_place import RecordingRedactor

BATCH: Final = 32
BATCH_BYTES: Final = 256 * 1024
"""The captures that are redacted in one go: the thread gives way to the others between."""
PROGRESS_S: Final = 1.0
LAST_S: Final = 0.3
"""How long the last captures and counts of workers may take to arrive."""

log = structlog.get_logger()


class LiveRecording:
    """Owns the queue and the counts. `stop` ends it; `text` is to be read by one reader."""

    def __init__(
        self,
        number: int,
        wanted: RecordingRequest,
        actor: str,
        header: Header,
        redactor: RecordingRedactor | None,
        drops: Callable[[], Counter[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`drops`: all requests that recordings have lost since the proxy has run, by reason."""
        self.number = number
        self.wanted = wanted
        self.actor = actor
        self.header = header
        self.redactor = redactor
        self.queue = CaptureQueue()
        self.pairs = self.bytes = 0
        self.ended: str | None = None
        """Why it has ended."""
        self._drops = drops
        self._drops_before = drops()
        self._clock = clock
        self._began = clock()
        self._woken = asyncio.Event()

    @property
    def seconds(self) -> float:
        return self._clock() - self._began

    def dropped(self) -> dict[str, int]:
        """Return the requests that were lost so far, by reason."""
        return dict(sorted((self._drops() - self._drops_before).items()))

    def status(self) -> RecordingStatus:
        wanted = self.wanted
        return RecordingStatus(
            who=self.actor,
            since=self.header.made,
            routes=None if wanted.all else wanted.routes,
            share=wanted.share,
            redacted=wanted.redact,
            pairs=self.pairs,
            bytes=self.bytes,
            dropped=self.dropped(),
            left_s=round(max(0.0, wanted.for_s - self.seconds), 1),
        )

    def wake(self) -> None:
        """Note that there is something in the queue."""
        self._woken.set()

    def stop(self, why: str) -> None:
        """End it soon: what is in the queue is still sent."""
        self.ended = self.ended or why
        self._woken.set()

    async def text(
        self,
        threads: Executor,
        end_capturing: Callable[[], None],
        grant: Callable[[dict[str, int]], None],
        count: Callable[[int, Counter[str]], None],
    ) -> AsyncGenerator[bytes, None]:
        """Yield the lines, some at a time, until it has ended. What was yielded counts when the next is asked for.

        `end_capturing` is called before the last captures are awaited, `grant` with new credits of workers, and
        `count` with the pairs that were sent and the drops.
        """
        yield msgspec.json.encode(self.header) + b"\n"
        due = self._began + PROGRESS_S
        while self.ended is None:
            batch = self.queue.take(BATCH, BATCH_BYTES)
            if batch:
                async for chunk in self._sent(batch, threads, grant, count):
                    yield chunk
            else:
                await self._wait(min(due, self._began + self.wanted.for_s))
            if self._clock() >= due:
                due = self._clock() + PROGRESS_S
                yield self._progress()
            if self.seconds >= self.wanted.for_s:
                self.stop("time")
        end_capturing()
        if self.ended != "size":
            await asyncio.sleep(LAST_S)
        while self.ended != "size" and (batch := self.queue.take(BATCH, BATCH_BYTES)):
            async for chunk in self._sent(batch, threads, grant, count):
                yield chunk
        yield self._progress()

    async def _sent(
        self,
        batch: list[Waiting],
        threads: Executor,
        grant: Callable[[dict[str, int]], None],
        count: Callable[[int, Counter[str]], None],
    ) -> AsyncGenerator[bytes, None]:
        """Yield the text of a batch, then count it and free its place."""
        made = await self._encoded(batch, threads)
        lines = self._fitting(made.lines)
        if lines:
            yield b"".join(lines)
        self.pairs += len(lines)
        self.bytes += sum(map(len, lines))
        count(len(lines), made.dropped)
        grant(self.queue.release(batch))

    def _fitting(self, lines: list[bytes]) -> list[bytes]:
        """Return the lines up to the greatest size of the recording, which ends with the first that is beyond."""
        size = self.bytes
        for at, line in enumerate(lines):
            size += len(line)
            if size > self.wanted.max_bytes:
                self.ended = "size"
                return lines[:at]
        return lines

    async def _encoded(self, batch: list[Waiting], threads: Executor) -> EncodedPairs:
        captures, redactor, max_body = [item.captured for item in batch], self.redactor, self.wanted.max_body
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(threads, encoded_pairs, captures, redactor, max_body)
        except Exception:  # a bug of ours costs only these pairs
            log.exception("recording.failed")
            return EncodedPairs([], Counter(failed=len(batch)))

    async def _wait(self, until: float) -> None:
        """Wait until there is something in the queue, or that time has come."""
        self._woken.clear()
        if self.ended is not None or len(self.queue):
            return
        try:
            async with asyncio.timeout(max(0.0, until - self._clock())):
                await self._woken.wait()
        except TimeoutError:
            pass

    def _progress(self) -> bytes:
        ended = msgspec.UNSET if self.ended is None else self.ended
        progress = RecordingProgress(self.pairs, self.bytes, self.dropped(), round(self.seconds, 3), ended)
        return msgspec.json.encode(RecordedLine(progress)) + b"\n"
