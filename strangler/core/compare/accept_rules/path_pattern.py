"""Following the path of a rule down a tree with any kind of steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

StepT = TypeVar("StepT")
_TakenT = TypeVar("_TakenT", contravariant=True)


class TakesSteps(Protocol[_TakenT]):
    """One segment of a path."""

    @property
    def is_deep(self) -> bool:
        """Return True if the segment may match at any depth."""

    def takes(self, step: _TakenT) -> bool:
        """Return True if the segment matches the node that the step leads to."""


SegmentT = TypeVar("SegmentT", bound=TakesSteps[Any])


@dataclass(frozen=True, slots=True)
class PathPattern(Generic[SegmentT, StepT]):
    """A rule's path. The progress of a walk along it is a bit mask: bit i is set if i segments are matched."""

    segments: tuple[SegmentT, ...]

    @property
    def done(self) -> int:
        """Return the bit that is set at a node that the whole pattern matches."""
        return 1 << len(self.segments)

    def advance(self, mask: int, step: StepT) -> int:
        """Return the mask one step further down; the first mask is 1. After a mask of 0 nothing can match."""
        after = 0
        for at, segment in enumerate(self.segments):
            if not mask >> at & 1:
                continue
            if segment.is_deep:
                after |= 1 << at
            if segment.takes(step):
                after |= 1 << (at + 1)
        return after

    def reach(self, steps: Sequence[StepT]) -> int | None:
        """Return how many of the steps lead to the first node that the pattern matches; None if there is none.

        A rule covers that node and all below it.
        """
        mask = 1
        for taken, step in enumerate(steps):
            if mask & self.done:
                return taken
            mask = self.advance(mask, step)
        return len(steps) if mask & self.done else None
