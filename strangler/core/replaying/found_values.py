"""Values found in a response, each with its place and with what it is called in later requests."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote, unquote_plus, urlsplit

from strangler.core.compare.model.values import Node
from strangler.core.replaying.spots import Spot, field_spots, member_spots, path_thing, segment_spots, thing_name

MAX_VALUES = 10_000
MAX_VALUE = 8192
"""The longest value in characters: twice the longest cookie, and longer than usual JSON Web Tokens."""

SHORT_URL = 256
MANY_URLS = 4096
"""The links that are kept with their values: those of pages are mostly the same on both sides."""


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
        for family, text, spots in url_parts(url):
            self._add_part(base, family, text, spots)

    def _add_part(self, base: Place, family: str, text: str, spots: tuple[Spot, ...]) -> None:
        whole = f"{base.family} {family}"
        key = f"{whole}@{base.position}"
        at = self.counts.get(key, 0)
        self.counts[key] = at + 1
        self.add(Place(whole, (*base.position, at)), text, spots)


def url_parts(url: str) -> list[tuple[str, str, tuple[Spot, ...]]]:
    """Return the values of a URL, each with its family and spots."""
    return _url_parts(url) if len(url) <= SHORT_URL else _url_parts.__wrapped__(url)


@lru_cache(MANY_URLS)
def _url_parts(url: str) -> list[tuple[str, str, tuple[Spot, ...]]]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return []
    found = [(family, unquote(written), spots) for _, written, family, spots in segment_spots(parts.path)]
    if parts.query or parts.fragment:
        around = path_thing(parts.path)
        for parameter in (*parts.query.split("&"), *parts.fragment.split("&")):
            name, _, written = parameter.partition("=")
            plain = unquote_plus(name)
            found.append((f"query:{plain}", unquote_plus(written), field_spots(plain, around)))
    return found


NodePlace: TypeAlias = tuple[str, tuple[int, ...], str, str]
"""The place of a node of a JSON tree as family and position, the name of its member, and what is around it."""


def add_tree(root: Node, path: str, found: FoundValues) -> None:
    """Add the scalars of a JSON tree, in the order of the document."""
    add_node(root, (path, (), "", found.about), found)


def add_node(root: Node, at: NodePlace, found: FoundValues) -> None:
    """Add the scalars of a part of a JSON tree, in the order of the document."""
    stack: list[tuple[Node, NodePlace]] = [(root, at)]
    while stack and not found.is_full:
        node, (family, position, name, around) = stack.pop()
        if isinstance(node, dict):
            inner = thing_name(name) or around
            stack += [(node[key], (f"{family}.{key}", position, key, inner)) for key in reversed(node)]
        elif isinstance(node, list):
            last, within = min(len(node), MAX_VALUES) - 1, f"{family}[*]"
            stack += [(node[row], (within, (*position, row), name, around)) for row in range(last, -1, -1)]
        else:
            add_scalar(node, (family, position, name, around), found)


def add_scalar(node: Node, at: NodePlace, found: FoundValues) -> None:
    """Add a scalar of a JSON tree; of a URL its values."""
    family, position, name, around = at
    text = scalar_text(node)
    if is_url(text):
        found.add_url(Place(family, position), text)
    else:
        found.add(Place(family, position), text, member_spots(name, around), is_literal=not isinstance(node, str))


def scalar_text(node: Node) -> str:
    """Return the text of a scalar; that of null is empty."""
    if isinstance(node, str):
        return node
    if isinstance(node, bool):
        return "true" if node else "false"
    return node.decode() if isinstance(node, bytes) else ""


def is_url(text: str) -> bool:
    """Return True if a text of a JSON tree is read as a URL, or as its path."""
    return text.startswith(("/", "http://", "https://"))
