"""Redacted values as plain JSON that any writer accepts, of bounded length."""

from typing import TypeAlias

from strangler.core.compare.model.numbers import plain_value
from strangler.core.compare.model.tree import write_start
from strangler.core.compare.model.values import Node

KeptValue: TypeAlias = "bool | int | float | str | list[KeptValue] | dict[str, KeptValue] | None"
"""One side of a difference as it is kept: plain JSON, bounded, without secrets."""

_MAX_LENGTH = 300
"""Characters of one value."""


def bounded_text(text: str) -> str:
    """Return a text, or its start if it is too long."""
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}… ({len(text)} characters)"


def plain_json(node: Node) -> KeptValue:
    """Return a redacted node as plain JSON; if it is too long, the start of its text."""
    if isinstance(node, bytes):
        value = plain_value(node)
        return bounded_text(value) if isinstance(value, str) else value
    if isinstance(node, str):
        return bounded_text(printable(node))
    if not isinstance(node, (list, dict)):
        return node
    start = write_start(node, _MAX_LENGTH)
    return start[:_MAX_LENGTH] + "…" if len(start) > _MAX_LENGTH else _plain_short(node)


def _plain_short(node: Node) -> KeptValue:
    """Return a node whose text is short, and whose nesting is therefore shallow, as plain JSON."""
    if isinstance(node, dict):
        return {printable(key): _plain_short(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain_short(value) for value in node]
    return plain_json(node)


def printable(text: str) -> str:
    """Return a string that any JSON writer accepts: lone surrogates are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()
