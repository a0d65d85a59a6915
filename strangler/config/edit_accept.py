"""Adding an accept rule to a route of routes.yaml: every other byte of the file stays as it is."""

import json
from collections.abc import Mapping
from dataclasses import replace

from strangler.config import document
from strangler.config.document import Document, Items, Node, Scalar, Table
from strangler.config.edit import Edit, EditError, add_key, fill, find_route, line_ending, route_table, shared
from strangler.config.load import parse
from strangler.core.settings import AcceptRule, RouteSettings, Settings


def add_accept(text: str, name: str, route: str, rule: AcceptRule, environ: Mapping[str, str]) -> Edit:
    """The text with a rule added to `compare.accept` of a route. `name`: the file's, for messages. Raises EditError."""
    read = document.read(text, name, environ)
    table = route_table(read, text, route, environ)
    before = parse(text, name, environ)
    if before.settings is None:
        raise EditError("nothing was changed, because the file has problems", before)
    after = _with_rule(read, table, route, rule_yaml(rule))
    loaded = parse(after, name, environ)
    if loaded.settings is None:
        raise EditError("nothing was changed, because the file would have problems", loaded)
    if not _is_as_wanted(before.settings, loaded.settings, route, rule):
        raise EditError(f"route '{route}': the file is written in a way that cannot be edited; add {rule_yaml(rule)}")
    return Edit(text, after, None, loaded)


def rule_yaml(rule: AcceptRule) -> str:
    """`{path: "$.note", endpoint: "GET /notes/{}", kind: extra, owner: "ana", until: 2027-01-31, why: "agreed"}`"""
    parts = [f"status: [{rule.status[0]}, {rule.status[1]}]"] if rule.status is not None else []
    for name, value in (("path", rule.path), ("css", rule.css), ("header", rule.header), ("endpoint", rule.endpoint)):
        parts += [f"{name}: {_quoted(value)}"] if value is not None else []
    parts += [f"kind: {rule.kind}"] if rule.kind is not None else []
    for name, value in (("abs", rule.abs), ("rel", rule.rel)):
        parts += [f"{name}: {value}"] if value is not None else []
    for name, value in (("from", rule.from_), ("to", rule.to)):
        parts += [f"{name}: {_quoted(value)}"] if value is not None else []
    parts += [f"owner: {_quoted(rule.owner)}"] if rule.owner is not None else []
    parts += [f"until: {rule.until}"] if rule.until is not None else []
    parts += [f"why: {_quoted(rule.why)}"] if rule.why is not None else []
    return "{" + ", ".join(parts) + "}"


def _quoted(text: str) -> str:
    """A JSON string is a YAML one too. A dollar before a brace would be a variable: `$$` is a dollar."""
    return json.dumps(text, ensure_ascii=False).replace("${", "$${")


def _with_rule(read: Document, route: Table, name: str, rule: str) -> str:
    text, compare = read.text, route.values.get("compare")
    accept = compare.values.get("accept") if isinstance(compare, Table) else None
    merged = "compare" in route.merged or (isinstance(compare, Table) and "accept" in compare.merged)
    if merged or any(node is not None and shared(read, node) for node in (route, compare, accept)):
        raise EditError(f"route '{name}': its compare comes from an anchor that others use too; write it out first")
    if compare is None:
        return _add_compare(text, route, rule)
    if isinstance(compare, Scalar):
        return fill(text, route, "compare", compare, f"{{accept: [{rule}]}}")
    if not isinstance(compare, Table):
        raise EditError(f"route '{name}': compare is not a mapping; change it by hand")
    if accept is None:
        return _add_list(text, compare, rule)
    if isinstance(accept, Scalar):
        return fill(text, compare, "accept", accept, f"[{rule}]")
    if not isinstance(accept, Items):
        raise EditError(f"route '{name}': compare.accept is not a list; change it by hand")
    return _add_item(text, accept, rule)


def _add_compare(text: str, route: Table, rule: str) -> str:
    if route.flow:
        return add_key(text, route, f"compare: {{accept: [{rule}]}}")
    end = _line_end(text, _last(route))
    indent, line = " " * route.start.column, line_ending(text)
    added = f"{indent}compare:{line}{indent}  accept:{line}{indent}    - {rule}{line}"
    return _put_line(text, end, added)


def _add_list(text: str, compare: Table, rule: str) -> str:
    if compare.flow:
        return add_key(text, compare, f"accept: [{rule}]")
    indent, line = " " * compare.start.column, line_ending(text)
    return _put_line(text, _line_end(text, _last(compare)), f"{indent}accept:{line}{indent}  - {rule}{line}")


def _add_item(text: str, accept: Items, rule: str) -> str:
    """Behind the last one, so that a comment above the first stays with it."""
    if not accept.flow:
        indent = " " * accept.start.column
        return _put_line(text, _line_end(text, _last(accept)), f"{indent}- {rule}{line_ending(text)}")
    if not accept.items:
        inside = accept.start.index + 1
        return f"{text[:inside]}{rule}{text[inside:]}"
    end = _last(accept.items[-1])
    return f"{text[:end]}, {rule}{text[end:]}"


def _last(node: Node) -> int:
    """The index behind the last character of a node. libyaml ends a block at the next token, comments included."""
    if isinstance(node, Scalar) or (node.flow and node.end is not None):
        end: int = node.end.index
        return end
    inner = node.items if isinstance(node, Items) else list(node.values.values())
    return max((_last(child) for child in inner), default=node.start.index)


def _line_end(text: str, index: int) -> int:
    """The index behind the end of the line, its comment included."""
    end = text.find("\n", max(0, index - 1) if text[index - 1 : index] == "\n" else index)
    return len(text) if end < 0 else end + 1


def _put_line(text: str, at: int, line: str) -> str:
    if at == len(text) and not text.endswith("\n"):
        return text + line_ending(text) + line
    return text[:at] + line + text[at:]


def _is_as_wanted(before: Settings, after: Settings, name: str, rule: AcceptRule) -> bool:
    """True if the rule is there and nothing else has another meaning."""
    has = find_route(after, name).compare.accept
    place = next((at for at, one in enumerate(has) if one == rule), None)
    if place is None:
        return False

    def without(route: RouteSettings) -> RouteSettings:
        accept = route.compare.accept
        return replace(route, compare=replace(route.compare, accept=accept[:place] + accept[place + 1 :]))

    routes = tuple(without(route) if route.name == name else route for route in after.routes)
    return replace(after, routes=routes) == before
