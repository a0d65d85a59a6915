"""Add accept rules to routes of routes.yaml: every other byte of the file stays as it is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from strangler.config.document import Document, MappingNode, Node, Scalar, SequenceNode
from strangler.config.edit import Edit, EditError, add_key, fill, line_ending, route_table, shared
from strangler.config.scalars import written_endpoint
from strangler.config.source_files import Files
from strangler.core.settings import AcceptRule, RouteSettings, Settings


def add_accepts(files: Files, rules: Sequence[tuple[str, AcceptRule]], environ: Mapping[str, str]) -> Edit:
    """Return the texts with rules added to `compare.accept` of their routes, all or none. `rules`: route and rule.

    Each rule goes into the file that has its route. Raises EditError.
    """
    by_route: dict[str, list[AcceptRule]] = {}
    for route, rule in rules:
        by_route.setdefault(route, []).append(rule)
    after = files
    before = files.load(environ)
    for route, added in by_route.items():
        read, mapping = route_table(after, route, environ)
        if before.settings is None:
            raise EditError("nothing was changed, because the file has problems", before)
        after = after.with_text(read.name, _with_rules(read, mapping, route, list(map(rule_yaml, added))))
    loaded = after.load(environ)
    if loaded.settings is None:
        raise EditError("nothing was changed, because the file would have problems", loaded)
    if before.settings is None or not _is_as_wanted(before.settings, loaded.settings, by_route):
        summary = "; ".join(f"route '{route}': add {rule_yaml(rule)}" for route, rule in rules[:_SOME])
        raise EditError(f"the file is written in a way that cannot be edited; by hand: {summary}")
    return Edit(files, after, None, loaded)


_SOME = 5


def rule_yaml(rule: AcceptRule) -> str:
    """Return `{path: "$.note", endpoint: "GET /notes/{}", kind: extra, until: 2027-01-31, why: "agreed"}`."""
    parts = [f"status: [{rule.status[0]}, {rule.status[1]}]"] if rule.status is not None else []
    endpoint = None if rule.endpoint is None else written_endpoint(rule.endpoint)
    for name, value in (("path", rule.path), ("css", rule.css), ("header", rule.header), ("endpoint", endpoint)):
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
    """Return text as a JSON string, which is YAML too once what YAML folds or forbids is escaped. `${` would begin a
    variable, so it is written `$${`."""
    quoted = "".join(char if char.isprintable() else _escaped(char) for char in json.dumps(text, ensure_ascii=False))
    return quoted.replace("${", "$${")


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _with_rules(read: Document, route: MappingNode, name: str, rules: list[str]) -> str:
    text, compare = read.text, route.values.get("compare")
    accept = compare.values.get("accept") if isinstance(compare, MappingNode) else None
    merged = "compare" in route.merged or (isinstance(compare, MappingNode) and "accept" in compare.merged)
    if merged or any(node is not None and shared(read, node) for node in (route, compare, accept)):
        raise EditError(f"route '{name}': its compare comes from an anchor that others use too; write it out first")
    if compare is None:
        return _add_compare(text, route, rules)
    if isinstance(compare, Scalar):
        return fill(text, route, "compare", compare, f"{{accept: [{', '.join(rules)}]}}")
    if not isinstance(compare, MappingNode):
        raise EditError(f"route '{name}': compare is not a mapping; change it by hand")
    if accept is None:
        return _add_list(text, compare, rules)
    if isinstance(accept, Scalar):
        return fill(text, compare, "accept", accept, f"[{', '.join(rules)}]")
    if not isinstance(accept, SequenceNode):
        raise EditError(f"route '{name}': compare.accept is not a list; change it by hand")
    return _add_items(text, accept, rules)


def _add_compare(text: str, route: MappingNode, rules: list[str]) -> str:
    if route.flow:
        return add_key(text, route, f"compare: {{accept: [{', '.join(rules)}]}}")
    indent, line = " " * route.start.column, line_ending(text)
    added = f"{indent}compare:{line}{indent}  accept:{line}{_lines(rules, indent + '    ', line)}"
    return _put_line(text, _line_end(text, _last(route)), added)


def _add_list(text: str, compare: MappingNode, rules: list[str]) -> str:
    if compare.flow:
        return add_key(text, compare, f"accept: [{', '.join(rules)}]")
    indent, line = " " * compare.start.column, line_ending(text)
    added = f"{indent}accept:{line}{_lines(rules, indent + '  ', line)}"
    return _put_line(text, _line_end(text, _last(compare)), added)


def _add_items(text: str, accept: SequenceNode, rules: list[str]) -> str:
    """Add rules after the last one, so that a comment above the first stays with it."""
    if not accept.flow:
        indent, line = " " * accept.start.column, line_ending(text)
        return _put_line(text, _line_end(text, _last(accept)), _lines(rules, indent, line))
    joined = ", ".join(rules)
    if not accept.items:
        inside = accept.start.index + 1
        return f"{text[:inside]}{joined}{text[inside:]}"
    end = _last(accept.items[-1])
    return f"{text[:end]}, {joined}{text[end:]}"


def _lines(rules: list[str], indent: str, line: str) -> str:
    return "".join(f"{indent}- {rule}{line}" for rule in rules)


def _last(node: Node) -> int:
    """Return the index after a node's last character: libyaml ends a block only at the next token, after comments."""
    if isinstance(node, Scalar) or (node.flow and node.end is not None):
        end: int = node.end.index
        return end
    inner = node.items if isinstance(node, SequenceNode) else list(node.values.values())
    return max((_last(child) for child in inner), default=node.start.index)


def _line_end(text: str, index: int) -> int:
    """Return the index after the end of the line, its comment included."""
    end = text.find("\n", max(0, index - 1) if text[index - 1 : index] == "\n" else index)
    return len(text) if end < 0 else end + 1


def _put_line(text: str, at: int, line: str) -> str:
    if at == len(text) and not text.endswith("\n"):
        return text + line_ending(text) + line
    return text[:at] + line + text[at:]


def _is_as_wanted(before: Settings, after: Settings, added: Mapping[str, Sequence[AcceptRule]]) -> bool:
    """True if the rules were added to those of before, in any order, and all other settings are unchanged.

    The order may differ because rules of `defaults` come after the route's own.
    """

    def with_rules(route: RouteSettings, more: Sequence[AcceptRule]) -> RouteSettings:
        accept = tuple(sorted((*route.compare.accept, *more), key=repr))
        return replace(route, compare=replace(route.compare, accept=accept))

    wanted = tuple(with_rules(route, added.get(route.name, ())) for route in before.routes)
    found = tuple(with_rules(route, ()) for route in after.routes)
    return replace(before, routes=wanted) == replace(after, routes=found)
