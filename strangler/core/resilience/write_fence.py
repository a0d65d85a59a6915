"""The write fence: who wrote to the candidate lately and must not be shown legacy's older state.

A mark is a caller of a group and the time until which it holds. Marks of other workers are merged in: only
the later time of two counts, so they may come in any order and more than once. Callers are kept as a
digest, never as they are. Memory is bounded: where there is no room left for a caller, the whole group is
fenced instead. That errs towards an error instead of stale data.
"""

from collections import OrderedDict
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

from strangler.core.http.methods import SAFE
from strangler.core.result import Result


class FenceMark(NamedTuple):
    """One caller's fence, as the other workers are told of it."""

    group: str
    digest: bytes
    """8 bytes of BLAKE2b over group and sticky key; empty: the whole group."""
    until: float
    """Monotonic seconds, a clock that the processes of one machine share."""


def is_fencing(method: bytes, result: Result) -> bool:
    """True if the candidate's answer says that it took a write: an unsafe method, a status below 400."""
    return method not in SAFE and result.status is not None and result.status < 400


class WriteFence:
    """All fences that one process knows of: at most `capacity` callers (about 300 bytes each), one time per group."""

    __slots__ = ("_capacity", "_groups", "_marks")

    def __init__(self, capacity: int = 50_000) -> None:
        self._capacity = capacity
        self._marks: OrderedDict[bytes, FenceMark] = OrderedDict()  # by digest, the latest mark last
        self._groups: dict[str, float] = {}

    def __len__(self) -> int:
        """Callers held, those whose time is over but who were not yet dropped included."""
        return len(self._marks)

    def record(self, group: str, sticky_key: bytes, now: float, fence_s: float) -> FenceMark:
        """Fence a caller from now on. Returns the mark that the other workers are to merge."""
        mark = FenceMark(group, _digest(group, sticky_key), now + fence_s)
        self.merge(mark, now)
        return mark

    def merge(self, mark: FenceMark, now: float) -> bool:
        """Take in a mark of this worker or another. True if it was news."""
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
        """All that still hold: for a process that knows of none yet."""
        for group, until in self._groups.items():
            if until > now:
                yield FenceMark(group, b"", until)
        for mark in self._marks.values():
            if mark.until > now:
                yield mark

    def is_fenced(self, group: str, sticky_key: bytes, now: float) -> bool:
        """True while legacy must not answer reads of this caller and group in the candidate's place."""
        return now < self._groups.get(group, 0.0) or self.until(group, sticky_key, now) is not None

    def until(self, group: str, sticky_key: bytes, now: float) -> float | None:
        """The time until which this caller is fenced by itself; None if it is not."""
        mark = self._marks.get(_digest(group, sticky_key))
        return mark.until if mark is not None and now < mark.until else None

    def _fence_group(self, mark: FenceMark, now: float) -> bool:
        if mark.until <= max(now, self._groups.get(mark.group, 0.0)):
            return False
        self._groups[mark.group] = mark.until
        return True

    def _drop_past(self, now: float) -> None:
        # Marks come in nearly the order in which they end (one length per route). One that outlasts those
        # behind it only keeps them in memory, within the capacity.
        while self._marks:
            digest, mark = next(iter(self._marks.items()))
            if mark.until > now:
                return
            del self._marks[digest]


def _digest(group: str, sticky_key: bytes) -> bytes:
    return blake2b(sticky_key, key=blake2b(group.encode(), digest_size=32).digest(), digest_size=8).digest()
