"""The reference as a page of the docs: docs/api.md."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from strangler.control.api_reference.openapi import schemas
from strangler.control.api_reference.operations import OPERATIONS, PATH_PARAMETERS, Operation

START: Final = "<!-- operations: made by `python -m strangler.control.api_reference docs` -->"
END: Final = "<!-- end of operations -->"
_MAX_INLINE: Final = 100
"""Characters of an example that stands on one line."""


def filled(page: str) -> str:
    """A page with the reference between its marks made anew."""
    before, _, rest = page.partition(START)
    return f"{before}{START}\n\n{''.join(_lines())}\n{END}{rest.partition(END)[2]}"


def _lines() -> Iterator[str]:
    yield "## Operations\n\n| operation | |\n|---|---|\n"
    for one in OPERATIONS:
        yield f"| [`{one.method} {one.path}`](#{_anchor(one)}) | {one.summary} |\n"
    for one in OPERATIONS:
        yield "\n" + _operation(one)
    yield "\n## Documents\n\nA field that is optional may be absent. Later versions may have further fields.\n"
    for name, schema in schemas().items():
        yield f"\n### {name}\n\n{schema.get('description', '')}\n\n" + _table(
            ("field", "type", "meaning"), _fields(schema)
        )


def _anchor(one: Operation) -> str:
    """The anchor that GitHub gives the heading."""
    kept = "".join(char for char in f"{one.method} {one.path}".lower() if char.isalnum() or char in " -_")
    return kept.replace(" ", "-")


def _operation(one: Operation) -> str:
    parts = [f"### {one.method} {one.path}\n", one.summary + "\n"]
    rows = [(f"`{name}`", "path", "string", PATH_PARAMETERS[name]) for name in one.names]
    rows += [
        (f"`{each.name}`" + ("" if each.is_required else " (optional)"), "query", each.type, each.meaning)
        for each in one.query
    ]
    if rows:
        parts.append(_table(("parameter", "in", "type", "meaning"), rows))
    if one.body is not None:
        parts.append(f"Body: {_link(type(one.body).__name__)}.\n")
    answer = f"`{one.response}`" if isinstance(one.response, str) else _link(one.response.__name__)
    also = "; the same with status 503 if it is not ready" if one.unready is not None else ""
    parts.append(f"Response: {answer}{also}.\n")
    refusals = "; ".join(f"{status}: {_clause(meaning)}" for status, meaning in sorted(one.errors.items()))
    if refusals:
        parts.append(f"Refusals: {refusals}.\n")
    parts.append(f"```\n{_call(one)}\n```\n")
    if isinstance(one.example, msgspec.Struct):
        parts.append(f"```json\n{_json(one.example)}\n```\n")
    return "\n".join(parts)


def _clause(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:].removesuffix(".")


def _call(one: Operation) -> str:
    path = one.call if one.call.startswith("/") else one.path + one.call
    url = f"'http://127.0.0.1:8081{path}'"
    if one.body is None:
        return f"curl -s {url}"
    body = msgspec.json.encode(_without_defaults(one.body)).decode()
    return f"curl -s {url} \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'"


def _without_defaults(body: msgspec.Struct) -> Mapping[str, object]:
    defaults = {one.encode_name: one.default for one in msgspec.structs.fields(body)}
    values: Mapping[str, object] = msgspec.to_builtins(body)
    return {name: value for name, value in values.items() if value != defaults[name]}


def _json(document: msgspec.Struct) -> str:
    """A document laid out: short objects and arrays on a line of their own."""
    return "\n".join(_laid_out(msgspec.to_builtins(document), ""))


def _laid_out(node: Any, indent: str) -> list[str]:
    line = json.dumps(node, ensure_ascii=False)
    if len(indent + line) <= _MAX_INLINE or not isinstance(node, (dict, list)):
        return [line]
    if isinstance(node, dict):
        braces, entries = "{}", [(f"{json.dumps(name)}: ", value) for name, value in node.items()]
    else:
        braces, entries = "[]", [("", value) for value in node]
    lines = [braces[0]]
    for at, (name, value) in enumerate(entries):
        first, *rest = _laid_out(value, indent + "  ")
        inner = [f"  {name}{first}", *(f"  {each}" for each in rest)]
        inner[-1] += "," if at < len(entries) - 1 else ""
        lines += inner
    return [*lines, braces[1]]


def _fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        mark = "" if name in required else " (optional)"
        yield f"`{name}`{mark}", _type(field), field.get("description", "")


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON Schema in words: `list of [AuditEntry](#auditentry)`, `number or null`."""
    if "$ref" in schema:
        return _link(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return _array(schema)
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"object of {_type(inner)}" if isinstance(inner, dict) and inner else "object"
    return str(schema.get("type", "any"))


def _array(schema: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(_type(one) for one in schema['prefixItems'])}]"
    return f"list of {_type(schema['items'])}"


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
