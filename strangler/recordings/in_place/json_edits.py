"""Secrets in JSON, at their places in the text, which stays JSON: each hidden value becomes a string."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from strangler.core.compare.model.tree import Json, parse_json
from strangler.core.privacy.secrets import VALUE_MEMBERS, card_spans, holds_named_secret, is_secret_name
from strangler.recordings.in_place.edits import JSON_STRING, Edit, Search, moved
from strangler.recordings.in_place.patterns import Patterns

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{},:]|[^\s"\[\]{},:]+', re.DOTALL)


@dataclass(slots=True)
class _Node:
    """A value in a text. `members`: of an object, each with its key's token, decoded key and value."""

    start: int
    end: int
    members: "list[tuple[int, int, str, _Node]] | None" = None
    elements: "list[_Node] | None" = None


@dataclass(slots=True)
class _Open:
    """An object or array whose end has not come yet."""

    node: _Node
    key: tuple[int, int, str] | None = None
    has_colon: bool = False


def json_edits(text: str, search: Search, depth: int) -> list[Edit] | None:
    """Return the edits of a JSON document, in no order; None if the text is none. Each of doubled keys is searched."""
    if not isinstance(parse_json(text.strip("\ufeff \t\r\n")), Json):
        return None
    roots = list(_roots(text))
    return None if len(roots) != 1 else list(_edits(roots[0], text, search, depth))


def unescaped_json(text: str) -> str | None:
    """Return a JSON text with its escapes decoded; None if its strings could then not be told from what is in them."""
    plain = JSON_STRING.plain(text)
    return plain if "\\" not in plain and plain.count('"') == text.count('"') and '\\"' not in text else None


def lines_edits(text: str, search: Search, depth: int) -> list[Edit] | None:
    """Return the edits of lines of JSON; None if one of them is none."""
    found: list[Edit] = []
    at = 0
    for line in text.split("\n"):
        if line.strip("\ufeff \t\r"):
            edits = json_edits(line, search, depth)
            if edits is None:
                return None
            found += moved(edits, at)
        at += len(line) + 1
    return found


def _roots(text: str) -> Iterator[_Node]:
    """Yield the values of a text that is valid JSON, each with those within it."""
    stack: list[_Open] = []
    for token in _TOKEN.finditer(text):
        first = token[0][0]
        if first in ",\ufeff":
            continue
        if first == ":":
            stack[-1].has_colon = True
            continue
        if first in "]}":
            closed = stack.pop().node
            closed.end = token.end()
            if not stack:
                yield closed
            continue
        top = stack[-1] if stack else None
        if top is not None and top.node.members is not None and not top.has_colon:
            top.key = (token.start(), token.end(), JSON_STRING.plain(token[0][1:-1]))
            continue
        node = _Node(token.start(), token.end(), [] if first == "{" else None, [] if first == "[" else None)
        if top is not None:
            _add(top, node)
        if first in "[{":
            stack.append(_Open(node))
        elif top is None:
            yield node


def _add(top: _Open, node: _Node) -> None:
    if top.node.members is None:
        assert top.node.elements is not None
        top.node.elements.append(node)
        return
    assert top.key is not None
    top.node.members.append((*top.key, node))
    top.key, top.has_colon = None, False


def _edits(root: _Node, text: str, search: Search, depth: int) -> Iterator[Edit]:
    stack = [(root, Patterns(search.redactor.patterns))]
    while stack:
        node, patterns = stack.pop()
        if patterns.are_met:
            yield from _hidden(node, text, search)
        elif node.elements is not None:
            below = patterns.below(None)
            stack.extend((element, below) for element in node.elements)
        elif node.members is None:
            yield from _scalar(node, text, search, depth)
        else:
            named = VALUE_MEMBERS if _names_a_secret(node.members, text) else frozenset()
            for start, end, key, value in node.members:
                yield from _string(start, end, text, search, depth)
                if key in named or is_secret_name(key):
                    yield from _hidden(value, text, search)
                else:
                    stack.append((value, patterns.below(key)))


def _names_a_secret(members: "list[tuple[int, int, str, _Node]]", text: str) -> bool:
    """Return True if a member names a secret that another one, of `VALUE_MEMBERS`, holds."""
    if VALUE_MEMBERS.isdisjoint(key for _, _, key, _ in members):
        return False
    texts = ((key, text[value.start : value.end]) for _, _, key, value in members)
    return any(
        raw[0] == '"' and holds_named_secret({"value": "", key: JSON_STRING.plain(raw[1:-1])}) for key, raw in texts
    )


def _hidden(node: _Node, text: str, search: Search) -> Iterator[Edit]:
    """Yield the mark of a whole value; null is no secret, and a mark stays."""
    raw = text[node.start : node.end]
    parsed = parse_json(raw)
    if not isinstance(parsed, Json) or parsed.tree is None:
        return
    mark = search.redactor.marked_node(parsed.tree)
    if mark != parsed.tree and isinstance(mark, str):
        yield Edit(node.start, node.end, f'"{mark}"')


def _scalar(node: _Node, text: str, search: Search, depth: int) -> Iterator[Edit]:
    raw = text[node.start : node.end]
    if raw[0] == '"':
        yield from _string(node.start, node.end, text, search, depth)
    elif raw[0] in "-0123456789" and any(True for _ in card_spans(raw)):
        yield from _hidden(node, text, search)


def _string(start: int, end: int, text: str, search: Search, depth: int) -> list[Edit]:
    edits = JSON_STRING.edits(text[start + 1 : end - 1], lambda plain: search.inner(plain, depth + 1))
    return moved(edits, start + 1)
