"""Asserts of a Hurl file on the fields of a JSON body."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from strangler.core.compare.accept_rules.jsonpath import Pattern, parse_pattern
from strangler.recordings.exports.hurl_text import hurl_quoted
from strangler.recordings.exports.redacted_values import is_redacted

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTABLE: Final = re.compile(r"[^'\\\x00-\x1f]+")
MAX_ASSERTS: Final = 50
"""The most asserts on one body."""
_MAX_INTEGER: Final = 2**53
_MAX_STRING: Final = 1000


@dataclass(frozen=True, slots=True)
class _Leaf:
    path: str
    steps: tuple[str | None, ...]
    """The names of members; None for an element of an array."""
    value: str | int | float | bool | None


def read_patterns(texts: tuple[str, ...]) -> tuple[Pattern, ...]:
    """Read paths such as `$.items[*].id`. Raises ValueError with the reason and the way out."""
    return tuple(map(parse_pattern, texts))


def field_asserts(body: str, patterns: tuple[Pattern, ...]) -> list[str]:
    """Return an assert for each value that the patterns name, for all values if there are none.

    Redacted values, and numbers that lose digits when they are read, are passed over. Raises ValueError if the body is
    not JSON.
    """
    try:
        document = json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    found = []
    for leaf in _leaves(document):
        if patterns and all(pattern.reach(leaf.steps) is None for pattern in patterns):
            continue
        found.append(f"jsonpath {hurl_quoted(leaf.path)} == {_literal(leaf.value)}")
        if len(found) == MAX_ASSERTS:
            break
    return found


def _literal(value: str | int | float | bool | None) -> str:
    return hurl_quoted(value) if isinstance(value, str) else json.dumps(value)


def _leaves(document: Any) -> Iterator[_Leaf]:
    """Yield the values that are no object and no array, in the order of the text."""
    waiting: list[tuple[str, tuple[str | None, ...], Any]] = [("$", (), document)]
    while waiting:
        path, steps, node = waiting.pop()
        if isinstance(node, dict):
            named = [(_member(name), name, value) for name, value in node.items()]
            waiting += [(path + step, (*steps, name), value) for step, name, value in reversed(named) if step]
        elif isinstance(node, list):
            waiting += [(f"{path}[{at}]", (*steps, None), node[at]) for at in range(len(node) - 1, -1, -1)]
        elif steps and _is_comparable(node):
            yield _Leaf(path, steps, node)


def _member(name: str) -> str | None:
    if _WORD.fullmatch(name):
        return f".{name}"
    return f"['{name}']" if _QUOTABLE.fullmatch(name) else None


def _is_comparable(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_STRING and not is_redacted(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bool) or value is None:
        return True
    return abs(value) < _MAX_INTEGER and "e" not in repr(value)
