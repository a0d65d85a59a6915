"""How many callers there were, and what the busiest of them did, in bounded memory. Callers are hashes of 64 bits.

The number is estimated as by HyperLogLog (Flajolet et al., 2007), with linear counting where callers are few (Whang et
al., 1990): about one too few of 20, and within 7 % of many. The busiest are found as by Misra and Gries (1982): a
caller of more than a 17th of the requests has a counter in the end. Sketches of several workers can be merged.
`caller_tally.py` counts single requests; a worker's tally, with its counters, is such a sketch.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log
from typing import Final

from strangler.core.ledger.counts import summed_buckets
from strangler.core.rollout.caller_tally import MAX_BUSIEST as MAX_BUSIEST
from strangler.core.rollout.caller_tally import REGISTERS, note_caller

_BIAS: Final = 0.7213 / (1 + 1.079 / REGISTERS)
_FEW: Final = 2.5 * REGISTERS


@dataclass(frozen=True, slots=True)
class CallerCounts:
    """The requests of a caller, those of them that failed, and their times in buckets."""

    requests: int = 0
    failed: int = 0
    buckets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BusyCaller:
    """The counts of a caller since it has had a counter, and the counter, which is lowered to make room for others."""

    counts: CallerCounts
    counter: int


@dataclass(frozen=True, slots=True)
class CallerSketch:
    registers: bytes = bytes(REGISTERS)
    busiest: Mapping[int, BusyCaller] = field(default_factory=dict)

    def merged(self, other: "CallerSketch") -> "CallerSketch":
        """Return the sketch of the requests of both."""
        if not any(other.registers):
            return self
        registers = bytes(map(max, self.registers, other.registers))
        return CallerSketch(registers, _merged(self.busiest, other.busiest))

    @property
    def callers(self) -> int:
        """The number of different callers, estimated."""
        empty = self.registers.count(0)
        estimate = _BIAS * REGISTERS**2 / sum(many * 2.0**-rank for rank, many in Counter(self.registers).items())
        if estimate <= _FEW and empty:
            estimate = REGISTERS * log(REGISTERS / empty)
        return round(estimate)

    @property
    def busiest_caller(self) -> CallerCounts:
        """The counts of the caller with the most requests."""
        counts = [caller.counts for caller in self.busiest.values()]
        return max(counts, key=lambda each: each.requests, default=CallerCounts())


def sketch_of(callers: Mapping[int, CallerCounts]) -> CallerSketch:
    """Return the sketch of some callers."""
    registers = bytearray(REGISTERS)
    for caller in callers:
        note_caller(registers, caller)
    busy = {caller: BusyCaller(counts, counts.requests) for caller, counts in callers.items()}
    return CallerSketch(bytes(registers), _reduced(busy))


def _merged(first: Mapping[int, BusyCaller], second: Mapping[int, BusyCaller]) -> Mapping[int, BusyCaller]:
    if not second:
        return first
    total = dict(first)
    for caller, more in second.items():
        own = total.get(caller)
        total[caller] = more if own is None else _sum(own, more)
    return _reduced(total)


def _sum(first: BusyCaller, second: BusyCaller) -> BusyCaller:
    own, more = first.counts, second.counts
    buckets = tuple(summed_buckets(own.buckets, more.buckets))
    counts = CallerCounts(own.requests + more.requests, own.failed + more.failed, buckets)
    return BusyCaller(counts, first.counter + second.counter)


def _reduced(callers: dict[int, BusyCaller]) -> dict[int, BusyCaller]:
    """Return at most `MAX_BUSIEST` callers; all counters are lowered by the largest that has no place."""
    if len(callers) <= MAX_BUSIEST:
        return callers
    lost = sorted((each.counter for each in callers.values()), reverse=True)[MAX_BUSIEST]
    return {
        caller: BusyCaller(each.counts, each.counter - lost) for caller, each in callers.items() if each.counter > lost
    }
