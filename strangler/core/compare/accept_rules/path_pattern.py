"""Following the path of a rule down a tree, whatever the tree's steps are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

StepT = TypeVar("StepT")
_TakenT = TypeVar("_TakenT", contravariant=True)


class TakesSteps(Protocol[_TakenT]):
    """One segment of a path."""

    @property
    def is_deep(self) -> bool:
        """It may be reached at any depth."""

    def takes(self, step: _TakenT) -> bool:
        """True if it names the node that the step leads to."""


SegmentT = TypeVar("SegmentT", bound=TakesSteps[Any])


@dataclass(frozen=True, slots=True)
class PathPattern(Generic[SegmentT, StepT]):
    """A rule's path. How far a walk has come with it is a bit mask: bit i is set if i segments are matched."""

    segments: tuple[SegmentT, ...]

    @property
    def done(self) -> int:
        """The bit that is set at a node which the whole pattern names."""
        return 1 << len(self.segments)

    def advance(self, mask: int, step: StepT) -> int:
        """The mask one step further down; it starts as 1. A mask of 0 can never be done again."""
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
        """How many of the steps lead to the first node that the pattern names; None if none of them does.

        A rule covers that node and all below it.
        """
        mask = 1
        for taken, step in enumerate(steps):
            if mask & self.done:
                return taken
            mask = self.advance(mask, step)
        return len(steps) if mask & self.done else None
