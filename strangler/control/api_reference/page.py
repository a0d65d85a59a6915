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
"""The most characters of an example on one line."""


def filled(page: str) -> str:
    """Return the page with the reference between its marks made again."""
    before, _, rest = page.partition(START)
    return f"{before}{START}\n\n{''.join(_lines())}\n{END}{rest.partition(END)[2]}"


def _lines() -> Iterator[str]:
    yield "## Operations\n\n| operation | |\n|---|---|\n"
    for operation in OPERATIONS:
        yield f"| [`{operation.method} {operation.path}`](#{_anchor(operation)}) | {operation.summary} |\n"
    for operation in OPERATIONS:
        yield "\n" + _operation(operation)
    yield "\n## Documents\n\nA field that is optional may be absent. Later versions may have further fields.\n"
    for name, schema in schemas().items():
        yield f"\n### {name}\n\n{schema.get('description', '')}\n\n" + _table(
            ("field", "type", "meaning"), _fields(schema)
        )


def _anchor(operation: Operation) -> str:
    """Return the anchor that GitHub gives the heading."""
    kept = "".join(char for char in f"{operation.method} {operation.path}".lower() if char.isalnum() or char in " -_")
    return kept.replace(" ", "-")


def _operation(operation: Operation) -> str:
    parts = [f"### {operation.method} {operation.path}\n", operation.summary + "\n"]
    rows = [(f"`{name}`", "path", "string", PATH_PARAMETERS[name]) for name in operation.names]
    rows += [
        (f"`{each.name}`" + ("" if each.is_required else " (optional)"), "query", each.type, each.meaning)
        for each in operation.query
    ]
    if rows:
        parts.append(_table(("parameter", "in", "type", "meaning"), rows))
    if operation.body is not None:
        parts.append(f"Body: {_link(type(operation.body).__name__)}.\n")
    response = f"`{operation.response}`" if isinstance(operation.response, str) else _link(operation.response.__name__)
    also = "; the same with status 503 if the proxy is not ready" if operation.unready is not None else ""
    parts.append(f"Response: {response}{also}.\n")
    refusals = "; ".join(f"{status}: {_clause(meaning)}" for status, meaning in sorted(operation.errors.items()))
    if refusals:
        parts.append(f"Errors: {refusals}.\n")
    parts.append(f"```\n{_call(operation)}\n```\n")
    if isinstance(operation.example, msgspec.Struct):
        parts.append(f"```json\n{_json(operation.example)}\n```\n")
    return "\n".join(parts)


def _clause(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:].removesuffix(".")


def _call(operation: Operation) -> str:
    path = operation.call if operation.call.startswith("/") else operation.path + operation.call
    url = f"'http://127.0.0.1:8081{path}'"
    if operation.body is None:
        return f"curl -s {url}"
    body = msgspec.json.encode(_without_defaults(operation.body)).decode()
    return f"curl -s {url} \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'"


def _without_defaults(body: msgspec.Struct) -> Mapping[str, object]:
    defaults = {field.encode_name: field.default for field in msgspec.structs.fields(body)}
    values: Mapping[str, object] = msgspec.to_builtins(body)
    return {name: value for name, value in values.items() if value != defaults[name]}


def _json(document: msgspec.Struct) -> str:
    """Return a document as JSON, with each short object or array on one line."""
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
    """Return a JSON Schema in words: `list of [AuditEntry](#auditentry)`, `number or null`."""
    if "$ref" in schema:
        return _link(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(item) for item in schema["anyOf"])
    if schema.get("type") == "array":
        return _array(schema)
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"object of {_type(inner)}" if isinstance(inner, dict) and inner else "object"
    return str(schema.get("type", "any"))


def _array(schema: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(_type(prefixItem) for prefixItem in schema['prefixItems'])}]"
    return f"list of {_type(schema['items'])}"


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
