"""Ids of subtrees: equal subtrees have equal ids, so that any two compare in constant time."""

from collections.abc import Container, Iterable, Mapping
from hashlib import blake2b
from typing import TypeAlias

from strangler.core.compare.model.values import Node

Id: TypeAlias = "bool | str | bytes | int | None"
"""A scalar is its own id; a container's is an int from 2 on, so that none is ever True."""

_FIRST_ID = 2
_NO_KEYS: frozenset[str] = frozenset()


class TooManyError(Exception):
    """There are more containers than may get ids."""


class TreeIds:
    """Ids of containers by Python's `id()`, assigned on demand; the trees must outlive them.

    Lists whose `id()` is in `unordered` are multisets; `ignored` has the keys, by `id()` of a dict, that do not count.
    The cost is linear in the requested nodes, each container once; nothing recurses. Beyond `most` containers, a call
    with `is_bounded` raises TooManyError.
    """

    __slots__ = ("_ignored", "_left", "_of", "_table", "_unordered")

    def __init__(
        self, unordered: Container[int] = (), ignored: Mapping[int, frozenset[str]] | None = None, most: int = 2**62
    ) -> None:
        self._unordered = unordered
        self._ignored = ignored or {}
        self._left = most
        self._table: dict[object, int] = {}
        self._of: dict[int, int] = {}

    def of(self, node: Node, *, is_bounded: bool = False) -> Id:
        """Return the id of one node."""
        if not isinstance(node, (list, dict)):
            return node
        if id(node) not in self._of:
            self._give([node], is_bounded)
        return self._of[id(node)]

    def elements(self, array: list[Node], *, is_bounded: bool = False) -> tuple[Id, ...]:
        """Return the ids of the elements of a list."""
        of = self._of
        self._give(array, is_bounded)
        return tuple([of.get(id(value), value) for value in array])  # type: ignore[arg-type]

    def _give(self, roots: Iterable[Node], is_bounded: bool) -> None:
        of, table = self._of, self._table
        unknown: list[Node] = [
            root for root in roots if (type(root) is list or type(root) is dict) and id(root) not in of
        ]
        if not unknown:
            return
        if is_bounded and self._left <= 0:
            raise TooManyError
        containers, nested = _top_down(unknown, self._left if is_bounded else None)
        self._left -= len(containers)
        if is_bounded and self._left < 0:
            raise TooManyError
        for node in reversed(containers):  # children before parents
            identity = id(node)
            is_flat = identity not in nested
            key: object
            if type(node) is list:
                ids = tuple(node) if is_flat else tuple([of.get(id(value), value) for value in node])
                key = _multiset(ids) if identity in self._unordered else ids
            else:
                key = _members(node, is_flat, of, self._ignored.get(identity, _NO_KEYS))  # type: ignore[arg-type]
            of[identity] = table.setdefault(key, len(table) + _FIRST_ID)


def _top_down(roots: list[Node], most: int | None) -> tuple[list[Node], set[int]]:
    """Return all containers, parents first, and the `id()` of those that hold other containers.

    If there are more than `most`, it stops once it has more than that.
    """
    containers = list(roots)
    nested: set[int] = set()
    add = containers.append
    for node in containers:  # goes on over what it adds
        before = len(containers)
        for value in node.values() if type(node) is dict else node:  # type: ignore[union-attr]
            if type(value) is dict or type(value) is list:
                add(value)
        if len(containers) != before:
            nested.add(id(node))
            if most is not None and len(containers) > most:
                break
    return containers, nested


def _multiset(ids: tuple[object, ...]) -> tuple[str, frozenset[tuple[object, int]]]:
    counts: dict[object, int] = {}
    for value in ids:
        counts[value] = counts.get(value, 0) + 1
    return "multiset", frozenset(counts.items())


def _members(
    node: dict[str, Node], is_flat: bool, of: dict[int, int], ignored: frozenset[str]
) -> frozenset[tuple[str, object]]:
    if is_flat and not ignored:
        return frozenset(node.items())
    return frozenset([(key, of.get(id(value), value)) for key, value in node.items() if key not in ignored])


class DigestState:
    """Digests that depend only on a node's content: they break ties alike on both sides and in every process."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}

    def of(self, node: Node) -> bytes:
        """Return a node's digest; the cost is linear in the nodes not seen before."""
        if not isinstance(node, (list, dict)):
            return _digest(node)
        for container in reversed(self._unknown(node)):
            if isinstance(container, dict):
                members: object = sorted((key, self._part(value)) for key, value in container.items())
            else:
                members = [self._part(value) for value in container]
            self._known[id(container)] = _digest(members)
        return self._known[id(node)]

    def _unknown(self, node: Node) -> list[list[Node] | dict[str, Node]]:
        containers = [node] if isinstance(node, (list, dict)) and id(node) not in self._known else []
        for container in containers:
            values = container.values() if isinstance(container, dict) else container
            containers.extend(v for v in values if isinstance(v, (list, dict)) and id(v) not in self._known)
        return containers

    def _part(self, value: Node) -> str:
        return repr(self._known[id(value)]) if isinstance(value, (list, dict)) else repr(value)


def _digest(value: object) -> bytes:
    return blake2b(repr(value).encode("utf-8", "surrogatepass"), digest_size=16).digest()
