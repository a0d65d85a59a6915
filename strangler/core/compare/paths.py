"""The folded paths of one comparison as a tree of nodes, so that each path meets the rules once, not once a value."""

from collections.abc import Sequence

from strangler.core.compare.accept import Accept
from strangler.core.compare.found import Site
from strangler.core.compare.jsonpath import Pattern
from strangler.core.compare.rules import CompareRules, Unordered
from strangler.core.compare.values import Kind, Step, Steps


class PathState:
    """One folded path. Made while two trees are walked, thrown away with the comparison."""

    __slots__ = ("_children", "_masks", "_parent", "_patterns", "_step", "accepts", "is_alive", "sites", "unordered")

    def __init__(self, parent: "PathState | None", step: Step, patterns: "_Patterns", masks: tuple[int, ...]) -> None:
        self._parent = parent
        self._step = step
        self._patterns = patterns
        self._masks = masks
        self._children: dict[Step, PathState] = {}
        self.sites: dict[Kind, Site] = {}
        """Differences found here, filled by FoundState."""
        self.is_alive = any(masks)
        """False if no rule can name a node below."""
        self.accepts: tuple[Accept, ...] = parent.accepts if parent else ()
        """Accept rules that cover this path, an ancestor's included."""
        self.unordered: Unordered | None = None
        if self.is_alive:
            self.accepts = patterns.accepted(masks, self.accepts)
            self.unordered = patterns.unordered(masks)

    def child(self, step: Step) -> "PathState":
        found = self._children.get(step)
        if found is None:
            if step is None and self._patterns.folds_lists:
                return self
            masks = self._patterns.advance(self._masks, step) if self.is_alive else self._masks
            found = self._children[step] = PathState(self, step, self._patterns, masks)
        return found

    @property
    def steps(self) -> Steps:
        steps: list[Step] = []
        node = self
        while node._parent is not None:
            steps.append(node._step)
            node = node._parent
        return tuple(reversed(steps))


class _Patterns:
    """Every pattern of a route's rules in one row; a path's masks are in the same order."""

    __slots__ = ("_accepts", "_patterns", "_unordered", "folds_lists")

    def __init__(self, rules: CompareRules, folds_lists: bool) -> None:
        self._accepts = [rule for rule in rules.accept if rule.pattern is not None]
        self._unordered = rules.unordered
        self._patterns: list[Pattern] = [rule.pattern for rule in self._accepts if rule.pattern is not None]
        self._patterns += [rule.pattern for rule in rules.unordered]
        self.folds_lists = folds_lists

    def __len__(self) -> int:
        return len(self._patterns)

    def advance(self, masks: Sequence[int], step: Step) -> tuple[int, ...]:
        return tuple(
            pattern.advance(mask, step) if mask else 0 for pattern, mask in zip(self._patterns, masks, strict=True)
        )

    def accepted(self, masks: Sequence[int], inherited: tuple[Accept, ...]) -> tuple[Accept, ...]:
        patterns = zip(self._accepts, self._patterns, masks, strict=False)
        named = [rule for rule, pattern, mask in patterns if mask & pattern.done and rule not in inherited]
        return (*inherited, *named) if named else inherited

    def unordered(self, masks: Sequence[int]) -> Unordered | None:
        for rule, mask in zip(self._unordered, masks[len(self._accepts) :], strict=True):
            if mask & rule.pattern.done:
                return rule
        return None


def root_path(rules: CompareRules, *, folds_lists: bool = False) -> PathState:
    """The path `$`. With `folds_lists` an element has its list's path: a form's field is `$.field`, however often."""
    patterns = _Patterns(rules, folds_lists)
    return PathState(None, None, patterns, (1,) * len(patterns))
