"""Values found in a response, each with its place and with what it is called in later requests."""

from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus, urlsplit

from strangler.core.compare.model.values import Node
from strangler.core.replaying.spots import Spot, field_spots, member_spots, path_thing, segment_spots, thing_name

MAX_VALUES = 10_000
MAX_VALUE = 8192
"""The longest value in characters: twice the longest cookie, and longer than usual JSON Web Tokens."""


class Place(NamedTuple):
    """A place in a response. Places of one family are alike but for their position: `$.items[*].id`, and `(3,)`."""

    family: str
    position: tuple[int, ...] = ()


class FoundValue(NamedTuple):
    text: str
    spots: tuple[Spot, ...]
    """Its names in later requests."""
    is_literal: bool = False
    """Whether it is a number or a word of JSON, and no text."""


@dataclass(frozen=True, slots=True)
class FoundValues:
    """The values of a response by their places. `about`: what the request was about."""

    about: str
    values: dict[Place, FoundValue] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        return len(self.values) >= MAX_VALUES

    def add(self, place: Place, text: str, spots: tuple[Spot, ...], *, is_literal: bool = False) -> None:
        if 0 < len(text) <= MAX_VALUE and not self.is_full:
            self.values[place] = FoundValue(text, spots, is_literal)

    def add_next(self, family: str, text: str, spots: tuple[Spot, ...]) -> None:
        """Add the next value of a family, which is counted."""
        at = self.counts.get(family, 0)
        self.counts[family] = at + 1
        self.add(Place(family, (at,)), text, spots)

    def add_url(self, base: Place, url: str) -> None:
        """Add the values of a URL at a place: those in its path, and the parameters of query and fragment."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return
        for _, written, family, spots in segment_spots(parts.path):
            self._add_part(base, family, unquote(written), spots)
        for parameter in (*parts.query.split("&"), *parts.fragment.split("&")):
            name, _, written = parameter.partition("=")
            plain = unquote_plus(name)
            self._add_part(base, f"query:{plain}", unquote_plus(written), field_spots(plain, path_thing(parts.path)))

    def _add_part(self, base: Place, family: str, text: str, spots: tuple[Spot, ...]) -> None:
        whole = f"{base.family} {family}"
        key = f"{whole}@{base.position}"
        at = self.counts.get(key, 0)
        self.counts[key] = at + 1
        self.add(Place(whole, (*base.position, at)), text, spots)


def add_tree(root: Node, path: str, found: FoundValues) -> None:
    """Add the scalars of a JSON tree, in the order of the document."""
    stack: list[tuple[Node, Place, str, str]] = [(root, Place(path), "", found.about)]
    while stack and not found.is_full:
        node, place, name, around = stack.pop()
        if isinstance(node, dict):
            inner = thing_name(name) or around
            stack += [(node[key], Place(f"{place.family}.{key}", place.position), key, inner) for key in reversed(node)]
        elif isinstance(node, list):
            family = place.family + "[*]"
            last = min(len(node), MAX_VALUES) - 1
            stack += [(node[at], Place(family, (*place.position, at)), name, around) for at in range(last, -1, -1)]
        else:
            _add_scalar(node, place, name, around, found)


def _add_scalar(node: Node, place: Place, name: str, around: str, found: FoundValues) -> None:
    if isinstance(node, bool):
        text = "true" if node else "false"
    elif isinstance(node, str):
        text = node
    else:
        text = node.decode() if isinstance(node, bytes) else ""
    if text.startswith(("/", "http://", "https://")):
        found.add_url(place, text)
    else:
        found.add(place, text, member_spots(name, around), is_literal=not isinstance(node, str))
