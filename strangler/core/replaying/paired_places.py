"""Places of two responses to one request where there is something to learn, which is less work than finding all.

Values that are equal on both sides are left out, unless they were learned before: then they are forgotten.
"""

from typing import TypeAlias

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
    url_parts,
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
    changed = _changed_in_fields(*found)
    knows_any = values.may_replace(text) or any(word in text for word in changed)
    if text == other and not knows_any:
        return
    if left.kind is right.kind is Body.JSON:
        trees = parse_json(text), parse_json(other)
        if isinstance(trees[0], Json) and isinstance(trees[1], Json):
            walk = _Walk(found[1])
            walk.through(trees[0].tree, trees[1].tree, found[0].about)
            _add_scalars(walk, found, values if knows_any else CallerValues(), changed)
        return
    add_content(left, found[0])
    add_content(right, found[1])


def _changed_in_fields(recorded: FoundValues, replayed: FoundValues) -> set[str]:
    """Return the recorded values of header fields that are other ones in the replayed response."""
    others = replayed.values
    return {
        value.text for place, value in recorded.values.items() if place in others and others[place].text != value.text
    }


def _add_scalars(
    walk: "_Walk", found: tuple[FoundValues, FoundValues], values: CallerValues, changed: set[str]
) -> None:
    """Add the scalars at places that both trees have, in the order of the document.

    An equal one is added if its value was learned before, or is learned at another place of the same response. Nothing
    is learned of a value that another row of the replayed tree has: the values of all its rows are known here.
    """
    for left, right, _ in walk.scalars:
        if left != right:
            text = scalar_text(left)
            changed.update([part for _, part, _ in url_parts(text)] if is_url(text) else [text])
    for left, right, at in walk.scalars:
        text = scalar_text(left)
        if left == right or text == scalar_text(right):
            is_taught = text in changed or values.has_text(text)
        else:
            is_taught = not at[1] or not any((at[0], form) in walk.in_rows for form in _forms(text))
        if is_taught or is_url(text):
            add_scalar(left, at, found[0])
            add_scalar(right, at, found[1])


class _Walk:
    """A walk through two trees side by side. `in_rows` has the scalars in rows of the replayed one, by family."""

    def __init__(self, replayed: FoundValues) -> None:
        self._replayed = replayed
        self._stack: list[tuple[Node, Node, NodePlace]] = []
        self.scalars: list[tuple[Node, Node, NodePlace]] = []
        self.in_rows: set[tuple[str, Node]] = set()

    def through(self, recorded: Node, replayed: Node, about: str) -> None:
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
                    self.in_rows.add((at[0], right))
                self.scalars.append((left, right, at))

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


def _forms(text: str) -> tuple[Node, ...]:
    """Return the scalars of this text: a string, a number, a word."""
    word = (text == "true",) if text in ("true", "false") else ()
    return text, text.encode("utf-8", "surrogatepass"), *word
