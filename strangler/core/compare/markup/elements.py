"""The tree of HTML and XML alike, without what does not count; `html_tree` and `xml_tree` build it."""

import re
from collections.abc import Hashable, Mapping, Sequence
from html import escape
from typing import TypeAlias

from strangler.core.compare.accept_rules.accept import Accept

NO_RULES: tuple[Accept, ...] = ()
SETS = frozenset(["class", "rel"])
"""Attributes of HTML that are sets of words."""

_HAS_STRINGS = re.compile(r"[\"'(]")
_AROUND_SIGNS = re.compile(r"\s*([:;,])\s*")

Child: TypeAlias = "Element | str"


class Element:
    """An element of HTML, its name in lower case, or of XML, its name `URI local`. Built once, then only read, but for
    the rules, which are added before two trees are compared."""

    __slots__ = ("accepts", "alike", "attribute_accepts", "attributes", "children", "equal", "name", "text_accepts")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[Child] = []
        self.accepts = NO_RULES
        """Rules that cover the element and all in it, because they select it."""
        self.text_accepts = NO_RULES
        self.attribute_accepts: dict[str, tuple[Accept, ...]] | None = None
        self.equal = 0
        """An id that two elements share if and only if they are equal; 0: not known yet. See `ElementIds`."""
        self.alike = 0
        """The same without what rules accept whatever its value."""

    @property
    def elements(self) -> "list[Element]":
        return [child for child in self.children if type(child) is Element]

    @property
    def own_text(self) -> str:
        return "".join([child for child in self.children if type(child) is str])

    @property
    def visible_text(self) -> str:
        """Return `own_text` with the texts around an element kept apart, so that a secret in one is recognised."""
        pieces: list[str] = []
        for child in self.children:
            if type(child) is str and child:
                is_apart = not pieces or pieces[-1][-1].isspace() or child[0].isspace()
                pieces += [child] if is_apart else [" ", child]
        return "".join(pieces)

    @property
    def first_text(self) -> str:
        """Return the first text in the element or its descendants."""
        stack: list[Child] = [self]
        while stack:
            child = stack.pop()
            if isinstance(child, Element):
                stack.extend(reversed(child.children))
            elif not child.isspace():
                return child
        return ""

    def attribute_rules(self, name: str) -> tuple[Accept, ...]:
        return self.attribute_accepts.get(name, NO_RULES) if self.attribute_accepts else NO_RULES


def attribute_key(name: str, value: str) -> tuple[str, ...] | str:
    """Return what counts of an HTML attribute's value; in XML all of it does."""
    if name == "style" and not _HAS_STRINGS.search(value):
        return _AROUND_SIGNS.sub(r"\1", value.strip("; \t\n"))
    if name not in SETS:
        return value
    words = set(value.split())
    return words.pop() if len(words) == 1 else tuple(sorted(words))


class ElementIds:
    """The ids of elements, the same for equal elements of both trees."""

    __slots__ = ("_has_rules", "_is_html", "_table")

    def __init__(self, *, has_rules: bool, is_html: bool) -> None:
        self._has_rules = has_rules
        self._is_html = is_html
        self._table: dict[object, int] = {}

    def number(self, root: Element) -> None:
        """Number the element and all in it, children before parents."""
        table = self._table
        for element in reversed(_top_down(root)):
            attributes = element.attributes
            key = (
                element.name,
                self._attributes_key(attributes) if attributes else None,
                *[child if type(child) is str else child.equal for child in element.children],  # type: ignore[union-attr]
            )
            element.equal = element.alike = table.setdefault(key, len(table) + 1)
            if self._has_rules:
                element.alike = table.setdefault(self._open_key(element), len(table) + 1)

    def _attributes_key(self, attributes: Mapping[str, str]) -> Hashable:
        is_plain = not self._is_html or not (
            " " in attributes.get("class", "") or "rel" in attributes or "style" in attributes
        )
        if is_plain:
            return frozenset(attributes.items())
        return frozenset([(name, attribute_key(name, value)) for name, value in attributes.items()])

    def _open_key(self, element: Element) -> Hashable:
        """Return what counts of an element, without what rules accept."""
        if hides_values(element.accepts):
            return "alike", element.name
        attributes = {
            name: value for name, value in element.attributes.items() if not hides_values(element.attribute_rules(name))
        }
        hides_text = hides_values(element.text_accepts)
        children = [
            (None if hides_text else child) if isinstance(child, str) else child.alike for child in element.children
        ]
        return "alike", element.name, self._attributes_key(attributes), tuple(children)


def hides_values(rules: Sequence[Accept]) -> bool:
    """Return True if one of the rules accepts any two values."""
    return any(rule.hides_values for rule in rules)


def _top_down(root: Element) -> list[Element]:
    """Return all elements, parents before children."""
    found = [root]
    for element in found:  # goes on over what it adds
        found.extend([child for child in element.children if type(child) is Element])
    return found


def write_markup(root: Element, limit: int) -> str:
    """Return about the first `limit` characters of the element as markup, for a reader."""
    pieces: list[str] = []
    length = 0
    stack: list[Element | tuple[str]] = [root]
    while stack and length <= limit:
        item = stack.pop()
        if isinstance(item, tuple):
            piece = item[0]
        else:
            name = local_name(item.name)
            written = "".join(f' {local_name(key)}="{escape(value)}"' for key, value in item.attributes.items())
            piece = f"<{name}{written}>"
            stack.append((f"</{name}>",))
            children = reversed(item.children)
            stack.extend((escape(child, quote=False),) if isinstance(child, str) else child for child in children)
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces)


def local_name(name: str) -> str:
    """Return the name without its namespace."""
    return name.rpartition(" ")[2]
