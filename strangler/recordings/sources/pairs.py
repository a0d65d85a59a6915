"""The pairs of a foreign file, and what it has beside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from strangler.recordings.recorded import RecordedPair, Source


@dataclass(frozen=True, slots=True)
class Passed:
    """Something in a file that became no pair, and why."""

    why: str


NumberedPairs: TypeAlias = Iterator[tuple[int, "RecordedPair | Passed"]]


@dataclass(frozen=True, slots=True)
class PairSource:
    """A foreign file that is read once."""

    source: Source
    format: str
    """The name of its format, for people."""
    unit: str
    """The things that are numbered: lines, or entries."""
    pairs: NumberedPairs
    has_addresses: bool
    """True if a caller is a client's address."""
    notes: tuple[str, ...] = ()
