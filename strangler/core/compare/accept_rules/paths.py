"""The folded paths of one comparison as a tree, so that rules are matched once per path, not once per value."""

from strangler.core.compare.accept_rules.accept import Accept
from strangler.core.compare.accept_rules.found import PathDifferences
from strangler.core.compare.accept_rules.jsonpath import write_path
from strangler.core.compare.accept_rules.rules import CompareRules
from strangler.core.compare.accept_rules.scopes import Scope, root_scope
from strangler.core.compare.model.values import Kind, Step, Steps


class PathState:
    """One folded path, made while two trees are walked, and dropped with the comparison."""

    __slots__ = ("_children", "_folds_lists", "_parent", "_secrets", "_step", "accepts", "is_secret", "scope", "sites")

    def __init__(
        self, parent: "PathState | None", step: Step, scope: Scope, folds_lists: bool, *, is_secret: bool = False
    ) -> None:
        self._parent = parent
        self._step = step
        self._folds_lists = folds_lists
        self._children: dict[Step, PathState] = {}
        self._secrets: dict[Step, PathState] = {}
        self.is_secret = is_secret
        self.scope = scope
        self.accepts: tuple[Accept, ...] = scope.accepts
        self.sites: dict[Kind, PathDifferences] = {}
        """Differences found here, filled by FoundState."""

    def child(self, step: Step) -> "PathState":
        found = self._children.get(step)
        if found is None:
            if step is None and self._folds_lists:
                return self
            found = self._children[step] = PathState(
                self, step, self.scope.below(step), self._folds_lists, is_secret=self.is_secret
            )
        return found

    def secret_child(self, step: Step) -> "PathState":
        """Return the child for a secret, which another member of its object names."""
        found = self._secrets.get(step)
        if found is None:
            scope = self.scope.below(step)
            found = self._secrets[step] = PathState(self, step, scope, self._folds_lists, is_secret=True)
        return found

    @property
    def text(self) -> str:
        """Return the path as text, `$.items[*].price`."""
        return write_path(self.steps)

    @property
    def steps(self) -> Steps:
        steps: list[Step] = []
        node = self
        while node._parent is not None:
            steps.append(node._step)
            node = node._parent
        return tuple(reversed(steps))


def root_path(rules: CompareRules, *, folds_lists: bool = False) -> PathState:
    """Return the path `$`. With `folds_lists` elements have their list's path, as for repeated fields of a form."""
    return PathState(None, None, root_scope(rules, folds_lists=folds_lists), folds_lists)
