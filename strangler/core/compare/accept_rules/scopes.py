"""Scopes: which rules apply at a place in a tree, and which may apply below it.

A few scopes are enough for all places, since all keys that no rule names are alike.
"""

from collections.abc import Sequence

from strangler.core.compare.accept_rules.accept import Accept
from strangler.core.compare.accept_rules.jsonpath import Pattern
from strangler.core.compare.accept_rules.rules import CompareRules, Unordered
from strangler.core.compare.model.values import Step

_Masks = tuple[int, ...]
"""The progress of each pattern: see `PathPattern`."""


class Scope:
    """The rules at one place, and the scopes below it, made on first use."""

    __slots__ = ("_below", "_masks", "_patterns", "accepts", "hides_values", "is_alive", "unordered")

    def __init__(self, patterns: "_Patterns", masks: _Masks, accepts: tuple[Accept, ...]) -> None:
        self._patterns = patterns
        self._masks = masks
        self._below: dict[Step, Scope] = {}
        self.is_alive = any(masks)
        """False if no rule can match a node below."""
        self.accepts = accepts
        """Accept rules that cover this place, an ancestor's included."""
        self.hides_values = any(rule.hides_values for rule in accepts)
        self.unordered: Unordered | None = patterns.unordered(masks)

    def below(self, step: Step) -> "Scope":
        """Return the scope one step further down."""
        if not self.is_alive or (step is None and self._patterns.folds_lists):
            return self
        known = step if step in self._patterns.names else None
        found = self._below.get(known)
        if found is None:
            found = self._below[known] = self._patterns.scope(self._patterns.advance(self._masks, known), self.accepts)
        return found


class _Patterns:
    """All patterns of a route's rules; masks are in the same order."""

    __slots__ = ("_accepts", "_patterns", "_scopes", "_unordered", "folds_lists", "names")

    def __init__(self, rules: CompareRules, folds_lists: bool) -> None:
        self._accepts = [rule for rule in rules.accept if rule.pattern is not None]
        self._unordered = rules.unordered
        self._patterns: list[Pattern] = [rule.pattern for rule in self._accepts if rule.pattern is not None]
        self._patterns += [rule.pattern for rule in rules.unordered]
        self._scopes: dict[tuple[_Masks, tuple[Accept, ...]], Scope] = {}
        self.folds_lists = folds_lists
        self.names = frozenset(
            segment.name for pattern in self._patterns for segment in pattern.segments if not segment.is_wild
        )

    def __len__(self) -> int:
        return len(self._patterns)

    def scope(self, masks: _Masks, inherited: tuple[Accept, ...]) -> Scope:
        key = masks, self._accepted(masks, inherited)
        if key not in self._scopes:
            self._scopes[key] = Scope(self, *key)
        return self._scopes[key]

    def advance(self, masks: Sequence[int], step: Step) -> _Masks:
        return tuple(
            pattern.advance(mask, step) if mask else 0 for pattern, mask in zip(self._patterns, masks, strict=True)
        )

    def _accepted(self, masks: Sequence[int], inherited: tuple[Accept, ...]) -> tuple[Accept, ...]:
        patterns = zip(self._accepts, self._patterns, masks, strict=False)
        named = [rule for rule, pattern, mask in patterns if mask & pattern.done and rule not in inherited]
        return (*inherited, *named) if named else inherited

    def unordered(self, masks: Sequence[int]) -> Unordered | None:
        for rule, mask in zip(self._unordered, masks[len(self._accepts) :], strict=True):
            if mask & rule.pattern.done:
                return rule
        return None


def root_scope(rules: CompareRules, *, folds_lists: bool = False) -> Scope:
    """Return the scope of `$`. With `folds_lists` elements have their list's scope."""
    patterns = _Patterns(rules, folds_lists)
    return patterns.scope((1,) * len(patterns), ())
