"""Two JSON texts as rows: members paired by key, elements aligned; equal values are not marked."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Final, Literal, TypeAlias

MAX_DEPTH: Final = 60
"""The levels that are laid out; deeper values are on one line."""

_MAX_NESTED = 200
_MAX_ALIGNED = 600
"""The most elements of an array that are aligned by content; longer arrays are paired by place."""

_INDENT = "  "
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)

Mark: TypeAlias = Literal["", "≠", "-", "+"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of both sides. `mark`: empty if equal, else changed, missing in the candidate, or new in it."""

    legacy: str
    mark: Mark
    candidate: str


@dataclass(frozen=True, slots=True)
class _Number:
    """A number in canonical form, so that equal numbers have equal texts."""

    text: str


class _Absent:
    """The place of a member or an element that one side lacks."""


_ABSENT = _Absent()


def parse(text: str) -> Any:
    """Return a stored text as a tree whose numbers are texts. Raises ValueError if it was cut or nests too deeply."""
    try:
        tree = json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if _is_deep(tree):
        raise ValueError("nested too deeply")
    return tree


def _is_deep(tree: Any) -> bool:
    """Return whether a tree is too deep for recursive functions."""
    level = [tree]
    for _ in range(_MAX_NESTED):
        level = [
            inner
            for node in level
            if isinstance(node, (dict, list))
            for inner in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return False
    return True


def json_rows(legacy: Any, candidate: Any) -> Iterator[Row]:
    """Return the rows of two trees of `parse`."""
    return _pair(legacy, candidate, 0, ("", ""), ("", ""))


def ndjson_rows(legacy: Sequence[Any], candidate: Sequence[Any]) -> Iterator[Row]:
    """Yield the rows of two sequences of documents; equal documents are on one line."""
    for left, right in _aligned(legacy, candidate):
        if left == right:
            yield Row(compact(left), "", compact(right))
        else:
            yield from _pair(left, right, 0, ("", ""), ("", ""))


_Two: TypeAlias = tuple[str, str]
"""The texts before or after a value on both sides: `"key": ` or a comma."""


def _pair(first: Any, second: Any, level: int, names: _Two, commas: _Two) -> Iterator[Row]:
    if first is _ABSENT or second is _ABSENT:
        yield from _single(first, second, level, names, commas)
        return
    is_alike = first == second
    if is_alike or level >= MAX_DEPTH:
        mark: Mark = "" if is_alike else "≠"
        lines = (_lines(first, level, names[0], commas[0]), _lines(second, level, names[1], commas[1]))
        yield from (Row(left, mark, right) for left, right in zip_longest(*lines, fillvalue=""))
    elif isinstance(first, dict) and isinstance(second, dict):
        yield from _braced("{}", _members(first, second), level, names, commas)
    elif isinstance(first, list) and isinstance(second, list):
        yield from _braced("[]", [("", *pair) for pair in _aligned(first, second)], level, names, commas)
    else:
        lines = (_lines(first, level, names[0], commas[0]), _lines(second, level, names[1], commas[1]))
        for left, right in zip_longest(*lines, fillvalue=""):
            yield Row(left, "≠" if left and right else "-" if left else "+", right)


def _single(left: Any, right: Any, level: int, names: _Two, commas: _Two) -> Iterator[Row]:
    if right is _ABSENT:
        yield from (Row(line, "-", "") for line in _lines(left, level, names[0], commas[0]))
    else:
        yield from (Row("", "+", line) for line in _lines(right, level, names[1], commas[1]))


def _braced(
    braces: str, entries: Sequence[tuple[str, Any, Any]], level: int, names: _Two, commas: _Two
) -> Iterator[Row]:
    """Yield the rows of an object or an array; each entry has its name and its values."""
    indent = _INDENT * level
    yield Row(f"{indent}{names[0]}{braces[0]}", "", f"{indent}{names[1]}{braces[0]}")
    lasts = [max((at for at, entry in enumerate(entries) if entry[side] is not _ABSENT), default=-1) for side in (1, 2)]
    for at, (name, left, right) in enumerate(entries):
        after = ("" if at >= lasts[0] else ",", "" if at >= lasts[1] else ",")
        yield from _pair(left, right, level + 1, (name, name), after)
    yield Row(f"{indent}{braces[1]}{commas[0]}", "", f"{indent}{braces[1]}{commas[1]}")


def _members(left: dict[str, Any], right: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return the members by key: legacy's in its order, then those that only the candidate has."""
    keys = [*left, *(key for key in right if key not in left)]
    return [(f"{_quoted(key)}: ", left.get(key, _ABSENT), right.get(key, _ABSENT)) for key in keys]


def _aligned(sequence: Sequence[Any], other: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Return elements in pairs: equal ones at both ends first, then by their content."""
    left, right = list(map(_canonical, sequence)), list(map(_canonical, other))
    shortest = min(len(left), len(right))
    start = next((at for at in range(shortest) if left[at] != right[at]), shortest)
    end = next((at for at in range(shortest - start) if left[-1 - at] != right[-1 - at]), shortest - start)
    middle = slice(start, len(left) - end), slice(start, len(right) - end)
    pairs = list(zip(sequence[:start], other[:start], strict=True))
    pairs += _middle(sequence[middle[0]], other[middle[1]], left[middle[0]], right[middle[1]])
    return pairs + list(zip(sequence[len(left) - end :], other[len(right) - end :], strict=True))


def _middle(sequence: Sequence[Any], other: Sequence[Any], left: list[str], right: list[str]) -> list[tuple[Any, Any]]:
    if max(len(left), len(right)) > _MAX_ALIGNED:
        return list(zip_longest(sequence, other, fillvalue=_ABSENT))
    pairs: list[tuple[Any, Any]] = []
    for _, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        pairs += zip_longest(sequence[a:b], other[c:d], fillvalue=_ABSENT)
    return pairs


# Text


def compact(node: Any) -> str:
    """Return a tree on one line."""
    return _written(node, is_sorted=False)


def _canonical(node: Any) -> str:
    return _written(node, is_sorted=True)


def _written(node: Any, *, is_sorted: bool) -> str:
    if isinstance(node, dict):
        items = sorted(node.items()) if is_sorted else node.items()
        return "{" + ", ".join(f"{_quoted(k)}: {_written(v, is_sorted=is_sorted)}" for k, v in items) + "}"
    if isinstance(node, list):
        return "[" + ", ".join(_written(item, is_sorted=is_sorted) for item in node) + "]"
    return _scalar(node)


def _lines(node: Any, level: int, name: str, comma: str) -> list[str]:
    """Return the lines of a tree of one side."""
    indent = _INDENT * level
    entries: list[tuple[str, Any]]
    if isinstance(node, dict) and node:
        braces, entries = "{}", [(f"{_quoted(key)}: ", value) for key, value in node.items()]
    elif isinstance(node, list) and node:
        braces, entries = "[]", [("", value) for value in node]
    else:
        return [f"{indent}{name}{compact(node)}{comma}"]
    if level >= MAX_DEPTH:
        return [f"{indent}{name}{compact(node)}{comma}"]
    inner = [
        line
        for at, (key, value) in enumerate(entries)
        for line in _lines(value, level + 1, key, "," if at < len(entries) - 1 else "")
    ]
    return [f"{indent}{name}{braces[0]}", *inner, f"{indent}{braces[1]}{comma}"]


def _scalar(node: Any) -> str:
    return node.text if isinstance(node, _Number) else json.dumps(node, ensure_ascii=False)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def loose_lines(text: str) -> list[str]:
    """Return the lines of a JSON text that does not parse because it was cut."""
    lines, line, level = [], "", 0

    def end() -> None:
        nonlocal line
        if line.strip():
            lines.append(_INDENT * min(level, MAX_DEPTH) + line.strip())
        line = ""

    for piece in _PIECE.findall(text):
        if piece in "}]":
            end()
            level = max(0, level - 1)
            line = piece
        elif piece in "{[":
            line += piece
            end()
            level += 1
        elif piece == ",":
            line += piece
            end()
        else:
            line += ": " if piece == ":" else piece
    end()
    return lines
