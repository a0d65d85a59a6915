"""Two answers side by side, with what differs marked."""

import json
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_CONTEXT = 3
_OF_THE_CONNECTION = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})
_MAX_LINES = 4000
"""Lines of one side that are aligned; what follows is left out, and that is said."""


def side_by_side(sample: Mapping[str, Any]) -> RenderableType:
    """Status, headers and body of both answers."""
    legacy, candidate = sample["legacy"], sample["candidate"]
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0), expand=True)
    made.add_column(f"legacy{_took(legacy)}", ratio=1, overflow="fold")
    made.add_column("", width=1)
    made.add_column(f"candidate{_took(candidate)}", ratio=1, overflow="fold")
    left, right = _head(legacy), _head(candidate)
    for row in (*_rows(left, right, context=None), None, *_rows(_body(legacy), _body(candidate), context=_CONTEXT)):
        if row is None:
            made.add_row("", "", "")
        else:
            made.add_row(*row)
    return Group(made)


def _head(answer: Mapping[str, Any]) -> list[str]:
    """Status line and headers, sorted: their order is no difference."""
    fault = f" ({answer['fault']})" if answer["fault"] else ""
    shown = (f"{name}: {value}" for name, value in answer["headers"] if name.lower() not in _OF_THE_CONNECTION)
    return [f"{answer['status'] or 'no answer'}{fault}", *sorted(shown)]


def _took(answer: Mapping[str, Any]) -> str:
    return "" if answer["duration_ms"] is None else f"  {answer['duration_ms']:.1f} ms"


def _body(answer: Mapping[str, Any]) -> list[str]:
    body = answer["body"]
    if body is None:
        return []
    if body["kind"] == "opaque":
        return [f"{body['length']:,} bytes, hash {body['hash']}"]
    lines = pretty(body).splitlines()
    left_out = [f"… {len(lines) - _MAX_LINES} more lines"] if len(lines) > _MAX_LINES else []
    return lines[:_MAX_LINES] + left_out + ([f"… cut from {body['cut_from']} characters"] if "cut_from" in body else [])


def pretty(body: Mapping[str, Any]) -> str:
    """A stored body as a person reads it."""
    text: str = body["text"]
    if body["kind"] not in ("json", "form"):
        return text
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:  # cut
        return text


def _rows(left: list[str], right: list[str], *, context: int | None) -> Iterator[tuple[Text, str, Text]]:
    keys = [line.rstrip(",") for line in left], [line.rstrip(",") for line in right]  # what follows is no difference
    for name, a, b, c, d in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if name == "equal":
            yield from _same(left[a:b], right[c:d], context)
            continue
        for at in range(max(b - a, d - c)):
            one = left[a + at] if a + at < b else ""
            other = right[c + at] if c + at < d else ""
            mark = "≠" if one and other else "-" if one else "+"
            yield Text(one, style="red"), mark, Text(other, style="green")


def _same(left: list[str], right: list[str], context: int | None) -> Iterator[tuple[Text, str, Text]]:
    pairs = list(zip(left, right, strict=True))
    if context is not None and len(pairs) > 2 * context + 1:
        skipped = len(pairs) - 2 * context
        middle = (f"⋮ {skipped} lines alike", f"⋮ {skipped} lines alike")
        pairs = [*pairs[:context], middle, *pairs[-context:]]
    for one, other in pairs:
        yield Text(one, style="dim"), " ", Text(other, style="dim")
