"""Where in a tree those rules apply that change how arrays are aligned, by Python's `id()` of the nodes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from strangler.core.compare.accept import Accept
from strangler.core.compare.paths import PathState
from strangler.core.compare.rules import CompareRules, Unordered
from strangler.core.compare.values import Kind, Node


@dataclass(frozen=True, slots=True)
class Marks:
    unordered: dict[int, Unordered] = field(default_factory=dict)
    ignored: dict[int, frozenset[str]] = field(default_factory=dict)
    """Keys of an object whose values are accepted anyway: they say nothing about which elements belong together."""


def find_marks(roots: Iterable[Node], path: PathState, rules: CompareRules) -> Marks:
    """Walks only where a rule may still apply, and nowhere if there is no such rule."""
    marks = Marks()
    if not rules.unordered and not any(map(_hides_values, rules.accept)):
        return marks
    stack = [(root, path) for root in roots]
    while stack:
        node, at = stack.pop()
        if isinstance(node, list):
            if at.unordered:
                marks.unordered[id(node)] = at.unordered
            below = at.child(None)
            if below.is_alive:
                stack.extend((element, below) for element in node if isinstance(element, (list, dict)))
        elif isinstance(node, dict):
            children = [(key, value, at.child(key)) for key, value in node.items()]
            hidden = frozenset(key for key, _, child in children if any(map(_hides_values, child.accepts)))
            if hidden:
                marks.ignored[id(node)] = hidden
            stack.extend((value, child) for _, value, child in children if child.is_alive and value)
    return marks


def _hides_values(rule: Accept) -> bool:
    return rule.pattern is not None and not rule.has_tolerance and rule.is_about(Kind.VALUE)
