"""HTML as the tree that a browser builds from it, without what does not count."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

from strangler.core.compare.markup.elements import Element
from strangler.core.compare.markup.html_nodes import first_child, parse_nodes, top_node
from strangler.core.compare.markup.html_space import FLOWS, Flow, SpaceState
from strangler.core.compare.markup.html_tokens import TokenState
from strangler.core.compare.model.tree import Json, parse_json, write_json

_FLAGS = frozenset(
    re.findall(
        r"\w+",
        "allowfullscreen async autofocus autoplay checked compact controls declare default defer disabled"
        " formnovalidate hidden inert ismap itemscope loop multiple muted nohref nomodule noresize noshade novalidate"
        " nowrap open playsinline readonly required reversed selected",
    )
)
"""Attributes of which only the presence counts, not the value."""
_DOCTYPE = re.compile(r"(?:\s|(?><!--.*?-->)|(?><\?.*?>))*+<!doctype\b([^>]*)", re.DOTALL | re.IGNORECASE)
_JSON_TYPE = re.compile(r"(?:application|text)/(?:[\w.-]+\+)?json|importmap|speculationrules", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """A parsed page. `root`: a nameless element around the page's own. `by_node`: the elements by the ids of the
    library's nodes, for selectors."""

    root: Element
    parser: LexborHTMLParser
    by_node: dict[int, Element]

    def select(self, selector: str) -> list[Element]:
        """Return the elements that a CSS selector matches; none in a `<template>`, as in a browser."""
        by_node = self.by_node
        return [by_node[node.mem_id] for node in self.parser.css(selector) if node.mem_id in by_node]


def parse_html(text: str, *, has_selectors: bool = False) -> HtmlPage | None:
    """Parse a page; None if it could take long (see `html_limits`). `has_selectors`: `select` will be used."""
    parser = parse_nodes(text)
    if parser is None:
        return None
    root = Element("", {})
    tokens = TokenState(text)
    by_node, elements = _build(root, parser, tokens, has_selectors)
    doctype = _DOCTYPE.match(text)
    if doctype is not None:
        root.attributes["doctype"] = " ".join(doctype[1].lower().split())
    tokens.replace_elsewhere(elements)
    _read_json(elements)
    return HtmlPage(root, parser, by_node)


def _build(
    root: Element, parser: LexborHTMLParser, tokens: TokenState, has_selectors: bool
) -> tuple[dict[int, Element], list[Element]]:
    """Build the tree below `root`; return its elements by node, if there are selectors, and all of them.

    It is written as one loop: calls for each node would take half as long again, 10 ms for a page of 256 KiB.
    """
    by_node: dict[int, Element] = {}
    elements: list[Element] = []
    space = SpaceState(root)
    open_, flows, may_hold_token = space.open, FLOWS, tokens.may_hold
    waiting: list[tuple[LexborNode, Flow | None]] = []
    node = top_node(parser)
    while True:
        if node is None:
            if not waiting:
                return by_node, elements
            ended, flow = waiting.pop()
            if flow is None:
                open_.pop()
                space.lowest = min(space.lowest, len(open_))
            else:
                space.end(flow)
            node = ended.next
            continue
        name = node.tag
        if name == "-text":
            space.text(node.text_content or "")
        elif name is not None and name[0] != "-":
            element = Element(name, _attributes(node))
            elements.append(element)
            if name in may_hold_token or "nonce" in element.attributes:
                tokens.see(element)
            flow = flows.get(name)
            if name == "input" and element.attributes.get("type", "").lower() == "hidden":
                flow = Flow.UNSEEN
            parent = open_[-1]
            if flow is None:
                open_.append(element)
            else:
                space.start(element, flow)
            parent.children.append(element)
            if has_selectors:
                by_node[node.mem_id] = element
            waiting.append((node, flow))
            node = node.first_child if name != "template" else first_child(node, name)
            continue
        node = node.next


def _attributes(node: LexborNode) -> dict[str, str]:
    attributes = node.attributes
    if not attributes:
        return {}
    for name, value in attributes.items():
        if value is None or (name in _FLAGS and value != "until-found"):
            attributes[name] = ""
    return attributes  # type: ignore[return-value]


def _read_json(elements: Iterable[Element]) -> None:
    """Write JSON in scripts in a canonical form, so that only its content is compared."""
    for element in elements:
        if element.name != "script" or not element.children:
            continue
        if _JSON_TYPE.fullmatch(element.attributes.get("type", "").strip()):
            parsed = parse_json(element.own_text.strip())
            if isinstance(parsed, Json):
                element.children = [write_json(parsed.tree, sort_keys=True)]
