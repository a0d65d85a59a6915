"""Redaction of a text that is JSON, or lines of JSON."""

import json
import re

from strangler.core.compare.model.tree import Json, ParseFailure, parse_json, parse_ndjson, write_json
from strangler.core.compare.model.values import Node
from strangler.core.compare.redaction.nesting import Nesting, Searching


def redact_json(text: str, redactor: Searching, at: Nesting) -> str | None:
    """Return the text redacted, unchanged if it has no secret; None if it is no object, array or string."""
    start = text.lstrip("\ufeff \t\r\n")[:1]
    if start not in ("{", "[", '"') or not start:
        return None
    parsed = parse_json(text.strip("\ufeff \t\r\n"))
    if parsed is ParseFailure.TOO_DEEP:
        return at.mark(redactor, text)
    if isinstance(parsed, Json):
        redacted = redactor.tree_at(parsed.tree, at.deeper())
        is_same = redacted == parsed.tree and _is_spelt_once(text)
        return text if is_same else _compact(redacted)
    lines = parse_ndjson(text) if "\n" in text and start != '"' else None
    if not isinstance(lines, Json) or not isinstance(lines.tree, list):
        return None
    documents = redactor.tree_at(lines.tree, at.deeper())
    assert isinstance(documents, list)
    return text if documents == lines.tree and _is_spelt_once(text) else "\n".join(map(_compact, documents))


def _compact(node: Node) -> str:
    """Write a tree as `write_json` does, but without escaping printable letters of any script."""
    text = write_json(node)
    return text if "\\u" not in text else _NON_ASCII.sub(_letter, text)


_NON_ASCII = re.compile(r"(?<!\\)((?:\\\\)*)\\u([0-9a-f]{4})")


def _letter(found: "re.Match[str]") -> str:
    letter = chr(int(found[2], 16))
    return found[1] + letter if letter.isprintable() and not letter.isascii() else found[0]


def _is_spelt_once(text: str) -> bool:
    """Return True if no object in a JSON text has a key twice: only the last of such members was searched."""
    try:
        for line in [text] if "\n" not in text else _documents(text):
            json.loads(line, object_pairs_hook=_refuse_twice)
    except (ValueError, RecursionError):
        return False
    return True


def _documents(text: str) -> list[str]:
    try:
        json.loads(text)
    except ValueError:
        return [line for line in text.split("\n") if line.strip()]
    return [text]


def _refuse_twice(pairs: list[tuple[str, object]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
