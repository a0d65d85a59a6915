"""The order of a replay: a caller's requests one after the other as recorded, callers side by side, at some pace.

Time is an argument everywhere, in seconds of a clock that never goes back. The recording's own clock may: requests are
due in the order of the recording, and a leap back of more than `MAX_SKEW_S` counts as no time at all. Only a bounded
part of the recording waits here, so that one of any length streams.
"""

import heapq
import math
import re
from collections import deque
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

MAX_WAITING = 10_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_SKEW_S = 60.0
"""A recording has its pairs as they ended, so that their beginnings go back a little all the time."""
_CATCH_UP_S = 1.0
"""How much of a rate is made up for when the caller of `begin` comes late."""
_SPEED = re.compile(r"x(?P<factor>\d+(?:\.\d+)?)|(?P<rate>\d+(?:\.\d+)?)/s", re.ASCII)


class SpeedError(ValueError):
    """A speed that cannot be read. The text names it, and what can."""


@dataclass(frozen=True, slots=True)
class Speed:
    """The pace of a replay: `factor` times the recorded one, or `rate` requests a second, or as fast as it goes."""

    factor: float | None = None
    rate: float | None = None


def parse_speed(text: str) -> Speed:
    """Return the speed that `recorded`, `x2`, `50/s` or `max` names; raise SpeedError for anything else."""
    if text == "recorded":
        return Speed(factor=1.0)
    if text == "max":
        return Speed()
    found = _SPEED.fullmatch(text)
    value = float(found["factor"] or found["rate"]) if found else 0.0
    if found is None or not 0 < value < math.inf:
        raise SpeedError(f"speed {text!r}: write recorded, x2, 50/s or max")
    return Speed(factor=value) if found["factor"] else Speed(rate=value)


class _Waiting(NamedTuple, Generic[T]):
    due: float
    number: int
    size: int
    item: T


class CallerOrderState(Generic[T]):
    """The requests of a recording that wait for their turn, and which callers are busy.

    Add requests while `wants_more`, call `begin` when something was added or has ended and at `next_at`, and `end` when
    a request has ended.
    """

    def __init__(
        self,
        speed: Speed,
        started_at: float,
        *,
        max_gap_s: float | None = None,
        max_running: int = 1000,
        max_waiting: int = MAX_WAITING,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        """`max_gap_s`: what a longer time without any request in the recording is cut to; None: it stays."""
        self._speed = speed
        self._clock = _RecordedClock(speed.factor, started_at, max_gap_s)
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._queues: dict[str, deque[_Waiting[T]]] = {}
        self._busy: set[str] = set()
        self._first: list[tuple[float, int, str]] = []
        """The first request of each caller that is not busy, as a heap."""
        self._number = 0
        self._waiting = 0
        self._waiting_bytes = 0
        self._next_turn = started_at
        """With a rate: when the next request may begin."""

    @property
    def wants_more(self) -> bool:
        """Whether more of the recording is to be read. A request over the limit of bytes is taken if nothing waits."""
        if not self._waiting:
            return True
        return self._waiting < self._max_waiting and self._waiting_bytes < self._max_waiting_bytes

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing runs: after the recording's end, the replay is over."""
        return not self._waiting and not self._busy

    def add(self, at: float, caller: str, item: T, size: int = 0) -> None:
        """Add the next request of the recording. `at`: its time there; `size`: the bytes that it takes here."""
        due = self._clock.due(at)
        queue = self._queues.setdefault(caller, deque())
        queue.append(_Waiting(due, self._number, size, item))
        if len(queue) == 1 and caller not in self._busy:
            heapq.heappush(self._first, (due, self._number, caller))
        self._number += 1
        self._waiting += 1
        self._waiting_bytes += size

    def begin(self, now: float) -> list[tuple[str, T]]:
        """Return the requests that begin now, in order, each with its caller, who is busy until `end`."""
        begun: list[tuple[str, T]] = []
        while self._may_begin(now):
            _, _, caller = heapq.heappop(self._first)
            waiting = self._queues[caller].popleft()
            self._busy.add(caller)
            self._waiting -= 1
            self._waiting_bytes -= waiting.size
            begun.append((caller, waiting.item))
            if self._speed.rate is not None:
                self._next_turn = max(self._next_turn, now - _CATCH_UP_S) + 1 / self._speed.rate
        if self._speed.rate is not None and not self._first:
            self._next_turn = max(self._next_turn, now)  # a turn that nobody took is lost
        return begun

    def _may_begin(self, now: float) -> bool:
        if not self._first or len(self._busy) >= self._max_running:
            return False
        return now >= self._turn()

    def _turn(self) -> float:
        """Return when the next request may begin, of those whose callers are not busy."""
        return self._next_turn if self._speed.rate is not None else self._first[0][0]

    def next_at(self) -> float | None:
        """Return when to call `begin` again; None if only another request, or the end of one, changes anything."""
        return self._turn() if self._first and len(self._busy) < self._max_running else None

    def end(self, caller: str) -> None:
        """Let the next request of a caller begin, since the one before has ended."""
        self._busy.remove(caller)
        queue = self._queues[caller]
        if queue:
            heapq.heappush(self._first, (queue[0].due, queue[0].number, caller))
        else:
            del self._queues[caller]

    def has_waiting(self, caller: str) -> bool:
        """Return whether more requests of a caller that is not busy wait, as far as the recording was read."""
        return caller in self._queues

    def behind_s(self, now: float) -> float:
        """Return how late the request is that is due first of those that may begin; 0 if none is."""
        is_paced = self._speed.factor is not None and self._first
        return max(0.0, now - self._first[0][0]) if is_paced else 0.0


class _RecordedClock:
    """The recording's clock on that of the replay."""

    def __init__(self, factor: float | None, started_at: float, max_gap_s: float | None) -> None:
        self._factor = factor
        self._max_gap_s = math.inf if max_gap_s is None else max_gap_s
        self._due = started_at
        self._latest: float | None = None
        """The latest time of the recording since its clock last leapt back."""

    def due(self, at: float) -> float:
        """Return when the request that follows the last one is due. Without a factor it is due at once."""
        latest = at if self._latest is None or at < self._latest - MAX_SKEW_S else max(self._latest, at)
        passed = 0.0 if self._latest is None else max(0.0, latest - self._latest)
        self._latest = latest
        if self._factor is not None:
            self._due += min(passed, self._max_gap_s) / self._factor
        return self._due
