"""Two answers of a sample side by side, line by line, with what differs marked."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from strangler.core.compare import Kind

CONTEXT = 3
_OF_THE_CONNECTION = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})
MAX_LINES = 4000
"""Lines of one side that are aligned; what follows is left out, and that is said."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of both sides. `mark`: empty if alike, else changed, gone from the candidate, new in it."""

    legacy: str
    mark: Literal["", "≠", "-", "+"]
    candidate: str


_LACKS = {"legacy": Kind.EXTRA, "candidate": Kind.MISSING}


def told_value(difference: Mapping[str, Any], arm: str) -> str:
    """What one arm has at the place of a difference, as JSON; `(nothing)` if it lacks the place, which is not null."""
    if difference["kind"] == _LACKS[arm]:
        return "(nothing)"
    return json.dumps(difference[arm], ensure_ascii=False)


def sides(answers: Mapping[str, Any]) -> tuple[list[Row], list[Row]]:
    """Of status and headers, and of the bodies."""
    legacy, candidate = answers["legacy"], answers["candidate"]
    heads = rows(head_lines(legacy), head_lines(candidate), context=None)
    return list(heads), list(rows(body_lines(legacy), body_lines(candidate), context=CONTEXT))


def head_lines(answer: Mapping[str, Any]) -> list[str]:
    """Status line and headers, sorted: their order is no difference."""
    fault = f" ({answer['fault']})" if answer["fault"] else ""
    shown = (f"{name}: {value}" for name, value in answer["headers"] if name.lower() not in _OF_THE_CONNECTION)
    return [f"{answer['status'] or 'no answer'}{fault}", *sorted(shown)]


def body_lines(answer: Mapping[str, Any]) -> list[str]:
    """A body as lines; one line about a body that was not kept."""
    body = answer["body"]
    if body is None:
        return []
    if body["kind"] == "opaque":
        return [f"{body['length']:,} bytes, hash {body['hash']}"]
    lines = pretty(body).splitlines()
    left_out = [f"… {len(lines) - MAX_LINES} more lines"] if len(lines) > MAX_LINES else []
    return lines[:MAX_LINES] + left_out + ([f"… cut from {body['cut_from']} characters"] if "cut_from" in body else [])


def pretty(body: Mapping[str, Any]) -> str:
    """A stored body as a person reads it."""
    text: str = body["text"]
    if body["kind"] not in ("json", "form"):
        return text
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:  # cut
        return text


def rows(left: list[str], right: list[str], *, context: int | None) -> Iterator[Row]:
    """Lines that belong together, in rows. `context`: how many alike ones to keep beside others; None: all."""
    keys = [line.rstrip(",") for line in left], [line.rstrip(",") for line in right]  # what follows is no difference
    for name, a, b, c, d in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if name == "equal":
            yield from _same(left[a:b], right[c:d], context)
            continue
        for at in range(max(b - a, d - c)):
            one = left[a + at] if a + at < b else ""
            other = right[c + at] if c + at < d else ""
            yield Row(one, "≠" if one and other else "-" if one else "+", other)


def _same(left: list[str], right: list[str], context: int | None) -> Iterator[Row]:
    pairs = list(zip(left, right, strict=True))
    if context is not None and len(pairs) > 2 * context + 1:
        skipped = f"⋮ {len(pairs) - 2 * context} lines alike"
        pairs = [*pairs[:context], (skipped, skipped), *pairs[-context:]]
    for one, other in pairs:
        yield Row(one, "", other)
