"""The write fence: callers who wrote to the candidate recently and must not see legacy's older state.

A mark is a caller of a group and the time until which it holds. Marks of other workers are merged in: only
the later time of two counts, so they may come in any order and more than once. Callers are kept as digests only.
Memory is bounded: if there is no space for another caller, the whole group is fenced instead, since an error is better
than stale data.
"""

from collections import OrderedDict
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

from strangler.core.http.methods import SAFE
from strangler.core.result import Result


class FenceMark(NamedTuple):
    """One caller's fence, in the form for other workers."""

    group: str
    digest: bytes
    """8 bytes of BLAKE2b over group and sticky key; empty: the whole group."""
    until: float
    """Monotonic seconds, a clock that the processes of one machine share."""


def is_fencing(method: bytes, result: Result) -> bool:
    """Return True if the candidate accepted a write: an unsafe method, and a status below 400."""
    return method not in SAFE and result.status is not None and result.status < 400


class WriteFence:
    """All fences that one process knows: at most `capacity` callers (about 300 bytes each), and one time per group."""

    __slots__ = ("_capacity", "_groups", "_marks")

    def __init__(self, capacity: int = 50_000) -> None:
        self._capacity = capacity
        self._marks: OrderedDict[bytes, FenceMark] = OrderedDict()  # by digest, the latest mark last
        self._groups: dict[str, float] = {}

    def __len__(self) -> int:
        """Return the number of callers held, including those whose time is over but who were not dropped yet."""
        return len(self._marks)

    def record(self, group: str, sticky_key: bytes, now: float, fence_s: float) -> FenceMark:
        """Fence a caller from now on; return the mark for the other workers to merge."""
        mark = FenceMark(group, _digest(group, sticky_key), now + fence_s)
        self.merge(mark, now)
        return mark

    def merge(self, mark: FenceMark, now: float) -> bool:
        """Take in a mark of this worker or another; return True if it was new."""
        self._drop_past(now)
        if not mark.digest:
            return self._fence_group(mark, now)
        held = self._marks.get(mark.digest)
        if mark.until <= (now if held is None else held.until):
            return False
        if held is None and len(self._marks) >= self._capacity:
            return self._fence_group(mark, now)
        self._marks[mark.digest] = mark
        self._marks.move_to_end(mark.digest)
        return True

    def marks(self, now: float) -> Iterator[FenceMark]:
        """Yield all marks that still hold, for a process that has none yet."""
        for group, until in self._groups.items():
            if until > now:
                yield FenceMark(group, b"", until)
        for mark in self._marks.values():
            if mark.until > now:
                yield mark

    def is_fenced(self, group: str, sticky_key: bytes, now: float) -> bool:
        """Return True while legacy must not serve reads of this caller and group in the candidate's place."""
        return now < self._groups.get(group, 0.0) or self.until(group, sticky_key, now) is not None

    def until(self, group: str, sticky_key: bytes, now: float) -> float | None:
        """Return the time until which this caller itself is fenced; None if it is not."""
        mark = self._marks.get(_digest(group, sticky_key))
        return mark.until if mark is not None and now < mark.until else None

    def _fence_group(self, mark: FenceMark, now: float) -> bool:
        if mark.until <= max(now, self._groups.get(mark.group, 0.0)):
            return False
        self._groups[mark.group] = mark.until
        return True

    def _drop_past(self, now: float) -> None:
        # Marks come in nearly the order in which they end (one length per route). A mark that outlasts those
        # behind it only keeps them in memory, within the capacity.
        while self._marks:
            digest, mark = next(iter(self._marks.items()))
            if mark.until > now:
                return
            del self._marks[digest]


def _digest(group: str, sticky_key: bytes) -> bytes:
    return blake2b(sticky_key, key=blake2b(group.encode(), digest_size=32).digest(), digest_size=8).digest()
