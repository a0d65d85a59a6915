"""Short ways to write answers and rules in tests."""

import json
from datetime import date
from typing import Any

from strangler.core.compare import Comparison, Response, compare, compile_rules
from strangler.core.settings import AcceptRule, CompareSettings, UnorderedRule

TODAY = date(2026, 11, 23)
Found = set[tuple[str, str | None, str, str]]


def response(body: Any = b"", media: str | None = "application/json", status: int = 200, **headers: str) -> Response:
    """Anything but bytes is written as JSON; `set_cookie=…` becomes a Set-Cookie field."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    if media is not None:
        fields.append((b"Content-Type", media.encode()))
    return Response(status, fields, data)


def accept(path: str | None = None, **fields: Any) -> AcceptRule:
    return AcceptRule(path=path, **fields)


def settings(
    *accepted: AcceptRule, headers: tuple[str, ...] = (), unordered: dict[str, str | None] | None = None
) -> CompareSettings:
    rules = tuple(UnorderedRule(path, key) for path, key in (unordered or {}).items())
    return CompareSettings(headers, accepted, rules, (), "decimal")


def compared(legacy: Response, candidate: Response, rules: CompareSettings | None = None, **options: Any) -> Comparison:
    return compare(legacy, candidate, compile_rules(rules or settings()), TODAY, **options)


def trees(legacy: Any, candidate: Any, rules: CompareSettings | None = None) -> Comparison:
    return compared(response(legacy), response(candidate), rules)


def found(comparison: Comparison) -> Found:
    return {(d.in_.value, d.path, d.kind.value, d.severity.value) for d in comparison.differences}


def body(path: str, kind: str, severity: str) -> tuple[str, str | None, str, str]:
    return "body", path, kind, severity
