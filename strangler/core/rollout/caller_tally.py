# Compiled with mypyc: see docs/hot-path.md.
"""Callers counted one request at a time, in bounded memory: what a worker fills, and a `CallerSketch` is made of.

Memory and time do not depend on the callers. A request costs at most one pass over `MAX_BUSIEST` counters, and one step
of it on average: each pass takes back a request of every caller that has a counter.
"""

from typing import Final

from strangler.core.time_buckets import BOUNDS_S

REGISTERS: Final = 256
"""The registers of HyperLogLog: the low bits of a hash choose one, and the others have a rank, of which the largest is
kept."""
MAX_BUSIEST: Final = 16
"""The most callers that have a counter."""
_INDEX_BITS: Final = 8
_RANK_BITS: Final = 56
_LOW: Final = 255
_HIGH: Final = 0xFF_FFFF_FFFF_FFFF
_BUCKETS: Final = len(BOUNDS_S) + 1


def note_caller(registers: bytearray, caller: int) -> None:
    """Note a caller, a hash of 64 bits, in the registers. Once or often is the same."""
    index = caller & _LOW
    rank = _RANK_BITS - ((caller >> _INDEX_BITS) & _HIGH).bit_length() + 1
    if rank > registers[index]:
        registers[index] = rank


class CallerCounter:
    """The requests of a caller since it has had a counter; the counter is lowered to make room for others."""

    __slots__ = ("buckets", "counter", "failed", "requests")

    def __init__(self) -> None:
        self.counter = 0
        self.requests = 0
        self.failed = 0
        self.buckets = [0] * _BUCKETS


class CallerTally:
    """The callers of some requests: registers that tell how many there were, and counters of the busiest.

    The counters are those of Misra and Gries (1982): of a caller, at most a 17th of all requests are missing.
    """

    __slots__ = ("busiest", "registers")

    def __init__(self) -> None:
        self.registers = bytearray(REGISTERS)
        self.busiest: dict[int, CallerCounter] = {}

    def add(self, caller: int, bucket: int, failed: int) -> None:
        """Count a request of a caller, a hash of 64 bits. Its time is in a bucket of `BOUNDS_S`; `failed` is 1 or 0."""
        own = self.busiest.get(caller)
        if own is None:
            note_caller(self.registers, caller)
            if len(self.busiest) >= MAX_BUSIEST:
                self._lower_all()
                return
            own = self.busiest[caller] = CallerCounter()
        own.counter += 1
        own.requests += 1
        own.failed += failed
        own.buckets[bucket] += 1

    def _lower_all(self) -> None:
        """Lower all counters by the one request that has no place; a caller whose counter ends makes room."""
        ended = []
        for caller, own in self.busiest.items():
            own.counter -= 1
            if not own.counter:
                ended.append(caller)
        for caller in ended:
            del self.busiest[caller]
