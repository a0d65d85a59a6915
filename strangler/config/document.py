"""routes.yaml as a tree in which every value knows its place.

Nothing is interpreted yet, not even YAML's types: a scalar is its text; only an unquoted `null`, `~` or nothing
is None.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml

from strangler.config.problem import Problem

Plain = str | None | list["Plain"] | dict[str, "Plain"]
Loc = tuple[str | int, ...]
"""Path of keys and list indices from the top of the file: `("routes", 0, "split", "percent")`."""


@dataclass(slots=True, eq=False)
class Scalar:
    """One value. `text` has its variables filled in; everything else stays in libyaml's event."""

    text: str | None
    event: Any
    is_broken: bool = False
    """True if the value is unknown (a missing variable, a bad alias); the problem is noted already."""

    @property
    def written(self) -> str:
        """The value before variables were filled in."""
        return self.event.value if type(self.event) is yaml.ScalarEvent else ""

    @property
    def start(self) -> Any:
        """libyaml's mark: `line` and `column` from 0, `index` in characters."""
        return self.event.start_mark

    @property
    def end(self) -> Any:
        return self.event.end_mark

    @property
    def style(self) -> str:
        """The quote, `|` or `>`; empty for a plain scalar."""
        return self.event.style or ""


@dataclass(slots=True, eq=False)
class SequenceNode:
    """A list."""

    start: Any
    items: "list[Node]" = field(default_factory=list)
    flow: bool = False
    end: Any = None
    has_lost: bool = False
    """True once an item was cut out; `numbers` then holds the indices of the others in the file."""
    numbers: list[int] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class MappingNode:
    """A mapping. `keys` holds the mark of each key; `merged` names those that a merge key brought in."""

    start: Any
    values: "dict[str, Node]" = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    merged: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    """Keys that are in the file but were cut out, since what is wrong with them is noted already."""
    flow: bool = False
    end: Any = None


Node = Scalar | SequenceNode | MappingNode


@dataclass(slots=True)
class Document:
    """A file as it was read. `root` is None if no tree could be made of it; then `problems` says why."""

    name: str
    text: str
    root: MappingNode | None
    problems: list[Problem]
    aliased: set[int] = field(default_factory=set)
    """`id` of every node that is used in more than one place."""
    is_whole: bool = True
    """False once something was cut out of the tree."""

    def node(self, loc: Loc) -> Node | None:
        """Return the node at a path, or None."""
        node: Node | None = self.root
        for step in loc:
            if isinstance(node, MappingNode) and isinstance(step, str):
                node = node.values.get(step)
            elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
            else:
                return None
        return node

    def as_written(self, loc: Loc) -> Loc:
        """Return the path with the indices that lists have in the file, before anything was cut out."""
        if self.is_whole:
            return loc
        node: Node | None = self.root
        steps: list[str | int] = []
        for step in loc:
            if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.items):
                steps.append(node.numbers[step] if node.numbers else step)
                node = node.items[step]
            else:
                steps.append(step)
                node = node.values.get(str(step)) if isinstance(node, MappingNode) else None
        return tuple(steps)

    def place(self, loc: Loc, *, key: bool = False) -> tuple[str, int, int]:
        """Return file, line and column, from 1, of the value at a path (with `key`: of its key), or of the nearest node
        above it."""
        node: Node | None = self.root
        best = (self.name, 1, 1)
        for depth, step in enumerate(loc):
            mark = None
            if isinstance(node, MappingNode) and isinstance(step, str):
                mark, node = node.keys.get(step), node.values.get(step)
            elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
            else:
                break
            if node is None:
                break
            wants_key = mark is not None and (
                isinstance(node, MappingNode | SequenceNode) or (key and depth == len(loc) - 1)
            )
            mark = mark if wants_key and mark is not None else node.start
            best = place_of(mark)
        return best


def place_of(mark: Any) -> tuple[str, int, int]:
    """Return file, line and column, from 1, of libyaml's mark."""
    return mark.name, mark.line + 1, mark.column + 1


def plain(node: Node) -> Plain:
    """Return the bare values of a tree, for validation."""
    if type(node) is Scalar:
        return node.text
    if type(node) is MappingNode:
        return {key: plain(value) for key, value in node.values.items()}
    assert type(node) is SequenceNode
    return [plain(item) for item in node.items]


def without(node: Node, cut: set[int]) -> Node:
    """Return a copy of the tree without the nodes whose `id` is in `cut`."""
    if type(node) is MappingNode:
        kept = {key: without(value, cut) for key, value in node.values.items() if id(value) not in cut}
        lost = node.lost | (node.values.keys() - kept.keys())
        return MappingNode(node.start, kept, node.keys, node.merged, lost, node.flow, node.end)
    if type(node) is SequenceNode:
        numbers = [n for n, item in enumerate(node.items) if id(item) not in cut]
        items = [without(node.items[n], cut) for n in numbers]
        if node.numbers:
            numbers = [node.numbers[n] for n in numbers]
        return SequenceNode(
            node.start, items, node.flow, node.end, node.has_lost or len(items) < len(node.items), numbers
        )
    return node
