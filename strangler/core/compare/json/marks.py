"""Where in a tree rules apply that change how arrays are aligned, by Python's `id()` of the nodes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from strangler.core.compare.accept_rules.rules import CompareRules, Unordered
from strangler.core.compare.accept_rules.scopes import Scope
from strangler.core.compare.model.values import Node


@dataclass(frozen=True, slots=True)
class Marks:
    unordered: dict[int, Unordered] = field(default_factory=dict)
    ignored: dict[int, frozenset[str]] = field(default_factory=dict)
    """Keys of an object whose values are accepted anyway: they do not help to pair elements."""


def find_marks(roots: Iterable[Node], scope: Scope, rules: CompareRules) -> Marks:
    """Return the marks; only where a rule may still apply is the tree searched."""
    marks = Marks()
    if not rules.unordered and not any(rule.hides_values for rule in rules.accept):
        return marks
    stack = [(root, scope) for root in roots]
    while stack:
        node, at = stack.pop()
        if type(node) is list:
            if at.unordered:
                marks.unordered[id(node)] = at.unordered
            below = at.below(None)
            if below.is_alive:
                stack.extend([(value, below) for value in node if type(value) is list or type(value) is dict])
        elif type(node) is dict:
            hidden = []
            for key, value in node.items():
                child = at.below(key)
                if child.hides_values:
                    hidden.append(key)
                if child.is_alive and value and (type(value) is list or type(value) is dict):
                    stack.append((value, child))
            if hidden:
                marks.ignored[id(node)] = frozenset(hidden)
    return marks
