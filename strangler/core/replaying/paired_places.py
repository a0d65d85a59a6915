"""Places of two responses to one request where there is something to learn, which is less work than finding all.

Values that are equal on both sides are left out, unless they were learned before: then they are forgotten.
"""

from typing import NamedTuple, TypeAlias

from strangler.core.compare.bodies import Content
from strangler.core.compare.model.media import Body
from strangler.core.compare.model.tree import Json, parse_json
from strangler.core.compare.model.values import Node, Response
from strangler.core.replaying.found_values import (
    MAX_VALUES,
    FoundValue,
    FoundValues,
    NodePlace,
    Place,
    add_node,
    add_scalar,
    is_url,
    scalar_text,
)
from strangler.core.replaying.learned import CallerValues
from strangler.core.replaying.places import add_content, add_headers, content_within
from strangler.core.replaying.spots import path_thing, thing_name

PlacedValues: TypeAlias = dict[Place, FoundValue]


def paired_values(
    recorded: Response, replayed: Response, target: str, values: CallerValues
) -> tuple[PlacedValues, PlacedValues]:
    """Return the values of two responses by place, as far as a caller with these values learns or forgets any."""
    about = path_thing(target)
    found = FoundValues(about), FoundValues(about)
    add_headers(recorded, found[0])
    add_headers(replayed, found[1])
    left, right = content_within(recorded), content_within(replayed)
    if left is not None and right is not None:
        _add_contents(left, right, found, values)
    return found[0].values, found[1].values


def _add_contents(left: Content, right: Content, found: tuple[FoundValues, FoundValues], values: CallerValues) -> None:
    text, other = left.text, right.text
    if text is None or other is None:
        return
    knows_any = values.may_replace(text)
    if text == other and not knows_any:
        return
    if left.kind is right.kind is Body.JSON:
        trees = parse_json(text), parse_json(other)
        if isinstance(trees[0], Json) and isinstance(trees[1], Json):
            _add_trees(trees[0].tree, trees[1].tree, found, values, knows_any=knows_any)
        return
    add_content(left, found[0])
    add_content(right, found[1])


def _add_trees(
    recorded: Node, replayed: Node, found: tuple[FoundValues, FoundValues], values: CallerValues, *, knows_any: bool
) -> None:
    """Add the scalars of two trees at places that both have, in the order of the document.

    Nothing is learned of a value that another row of the replayed tree has: the values of all its rows are known here.
    """
    scalars, in_rows = _Walk(found[1], values, knows_any=knows_any).of(recorded, replayed, found[0].about)
    for left, right, at in scalars:
        text = scalar_text(left)
        family, position, _, _ = at
        if not position or left == right or is_url(text) or not any((family, form) in in_rows for form in _forms(text)):
            add_scalar(left, at, found[0])
            add_scalar(right, at, found[1])


class _Pair(NamedTuple):
    left: Node
    right: Node
    at: NodePlace


class _Walk:
    """A walk through two trees side by side."""

    def __init__(self, replayed: FoundValues, values: CallerValues, *, knows_any: bool) -> None:
        """`knows_any`: whether a learned value may stand in the recorded tree."""
        self._replayed = replayed
        self._values = values
        self._knows_any = knows_any
        self._scalars: list[_Pair] = []
        self._in_rows: set[tuple[str, Node]] = set()
        self._stack: list[tuple[Node, Node, NodePlace]] = []

    def of(self, recorded: Node, replayed: Node, about: str) -> tuple[list[_Pair], set[tuple[str, Node]]]:
        """Return the scalars of interest, and the texts in rows of the replayed tree by family."""
        self._stack.append((recorded, replayed, ("$", (), "", about)))
        for _ in range(MAX_VALUES):
            if not self._stack:
                break
            left, right, at = self._stack.pop()
            if isinstance(left, dict) and isinstance(right, dict):
                self._open_objects(left, right, at)
            elif isinstance(left, list) and isinstance(right, list):
                self._open_arrays(left, right, at)
            elif isinstance(left, dict | list) or isinstance(right, dict | list):
                add_node(right, at, self._replayed)
            else:
                if at[1]:
                    self._in_rows.add((at[0], right))
                if left != right or self._is_kept(left, at):
                    self._scalars.append(_Pair(left, right, at))
        return self._scalars, self._in_rows

    def _open_objects(self, left: dict[str, Node], right: dict[str, Node], at: NodePlace) -> None:
        family, position, name, around = at
        inner = thing_name(name) or around
        if position and right.keys() - left.keys():
            rest = {key: node for key, node in right.items() if key not in left}
            add_node(rest, at, self._replayed)
        self._stack += [
            (left[key], right[key], (f"{family}.{key}", position, key, inner)) for key in reversed(left) if key in right
        ]

    def _open_arrays(self, left: list[Node], right: list[Node], at: NodePlace) -> None:
        family, position, name, around = at
        within = f"{family}[*]"
        count = min(len(left), len(right), MAX_VALUES)
        for row in range(count, min(len(right), MAX_VALUES)):
            add_node(right[row], (within, (*position, row), name, around), self._replayed)
        self._stack += [
            (left[row], right[row], (within, (*position, row), name, around)) for row in range(count - 1, -1, -1)
        ]

    def _is_kept(self, node: Node, at: NodePlace) -> bool:
        """Return True for a scalar that is equal in both trees if it may be known, or says what is in a row."""
        if isinstance(node, str) and is_url(node):
            return self._knows_any or bool(at[1])
        return self._knows_any and self._values.has_text(scalar_text(node))


def _forms(text: str) -> tuple[Node, ...]:
    """Return the scalars of this text: a string, a number, a word."""
    return text, text.encode("utf-8", "surrogatepass"), {"true": True, "false": False}.get(text)
