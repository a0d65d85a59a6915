"""The captures that wait for the client of a recording, bounded by the credit that workers have."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from strangler.ipc.messages import Captured, recorded_bytes

QUEUE_BYTES: Final = 16 * 1024 * 1024
"""The bytes that all workers together may send ahead."""
LEAST_WINDOW: Final = 1024 * 1024
"""The bytes that a worker may send ahead, however many there are."""
_GRANTS_PER_WINDOW: Final = 4


@dataclass(slots=True)
class _WorkerCredit:
    taken: int = 0  # bytes that have left the queue
    granted: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A capture that waits."""

    worker: str
    captured: Captured
    size: int


class CaptureQueue:
    """Owns the captures and the credit of each worker. A worker sends no more than was granted and a capture; so what
    is not taken out of here costs captures, and no memory."""

    def __init__(self, queue_bytes: int = QUEUE_BYTES) -> None:
        self.bytes = 0
        self._queue_bytes = queue_bytes
        self._waiting: deque[Waiting] = deque()
        self._workers: dict[str, _WorkerCredit] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, worker: str) -> int:
        """Add a worker, which has sent nothing yet. Return its credit."""
        credit = self._workers[worker] = _WorkerCredit()
        credit.granted = self._window()
        return credit.granted

    def leave(self, worker: str) -> None:
        """Forget a worker. What it has sent stays."""
        self._workers.pop(worker, None)

    def put(self, worker: str, captured: Captured) -> None:
        """Add a capture of a worker."""
        size = recorded_bytes(captured)
        self.bytes += size
        self._waiting.append(Waiting(worker, captured, size))

    def take(self, most: int, most_bytes: int) -> list[Waiting]:
        """Return the next captures; they count until `release`."""
        found: list[Waiting] = []
        size = 0
        while self._waiting and len(found) < most and size < most_bytes:
            found.append(self._waiting.popleft())
            size += found[-1].size
        return found

    def release(self, done: list[Waiting]) -> dict[str, int]:
        """Note that captures are no longer held. Return the new credits, by worker, of those that need one."""
        for item in done:
            self.bytes -= item.size
            if item.worker in self._workers:
                self._workers[item.worker].taken += item.size
        window, grants = self._window(), {}
        for worker, credit in self._workers.items():
            if credit.taken + window - credit.granted >= window // _GRANTS_PER_WINDOW:
                grants[worker] = credit.granted = credit.taken + window
        return grants

    def _window(self) -> int:
        return max(LEAST_WINDOW, self._queue_bytes // max(1, len(self._workers)))
