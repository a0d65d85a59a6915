"""Two responses of a sample side by side, differences marked: fields by name, JSON by key, other text by line."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Literal

from strangler.core.compare import Kind
from strangler.core.documents import ComparedDifference, KeptBody, KeptPair, KeptResponse, SignatureRow
from strangler.store.evidence.json_rows import Row, json_rows, loose_lines, ndjson_rows, parse

__all__ = ["CONTEXT", "MAX_LINES", "Row", "sides", "value_text"]

CONTEXT = 3
_OF_THE_CONNECTION = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})
MAX_LINES = 4000
"""The most rows of a body; a last row counts the others."""

_JSON_KINDS = frozenset({"json", "form"})
_BETWEEN_TAGS = re.compile(r">\s*(?=<)")
_LACKS = {"legacy": Kind.EXTRA, "candidate": Kind.MISSING}


def value_text(difference: SignatureRow | ComparedDifference, arm: Literal["legacy", "candidate"]) -> str:
    """Return an arm's value at the place of a difference, as JSON; if there is none, `(nothing)`, which is not null."""
    if difference.kind == _LACKS[arm]:
        return "(nothing)"
    return json.dumps(getattr(difference, arm), ensure_ascii=False)


def sides(responses: KeptPair) -> tuple[list[Row], list[Row]]:
    """Return the rows of status and headers, and those of the bodies, with long equal stretches folded."""
    legacy, candidate = responses.legacy, responses.candidate
    body = list(_bounded(_folded(_body_rows(legacy.body, candidate.body))))
    return [_status_row(legacy, candidate), *_header_rows(legacy.headers, candidate.headers)], body


# Status and headers


def _status_row(legacy: KeptResponse, candidate: KeptResponse) -> Row:
    left, right = _status(legacy), _status(candidate)
    return Row(left, "" if left == right else "≠", right)


def _status(response: KeptResponse) -> str:
    fault = f" ({response.fault})" if response.fault else ""
    return f"{response.status or 'no response'}{fault}"


def _header_rows(legacy: Sequence[tuple[str, str]], candidate: Sequence[tuple[str, str]]) -> Iterator[Row]:
    """Yield fields by name, in any case; fields of one name stay in their order."""
    left, right = _by_name(legacy), _by_name(candidate)
    for name in sorted({*left, *right}):
        for first, second in zip_longest(left.get(name, ()), right.get(name, ())):
            yield _header_row(first, second)


def _by_name(headers: Iterable[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, value in headers:
        if name.lower() not in _OF_THE_CONNECTION:
            found[name.lower()].append((name, value.strip()))
    return found


def _header_row(first: tuple[str, str] | None, second: tuple[str, str] | None) -> Row:
    left, right = (": ".join(field) if field is not None else "" for field in (first, second))
    if first is None or second is None:
        return Row(left, "+" if first is None else "-", right)
    return Row(left, "" if first[1] == second[1] else "≠", right)


# Bodies


def _body_rows(legacy: KeptBody | None, candidate: KeptBody | None) -> Iterator[Row]:
    """Return rows by structure if both sides have the same kind, else line by line."""
    if legacy is not None and candidate is not None and legacy.kind == candidate.kind:
        try:
            if legacy.kind in _JSON_KINDS:
                return json_rows(parse(_text(legacy)), parse(_text(candidate)))
            if legacy.kind == "ndjson":
                return ndjson_rows(
                    *([parse(line) for line in _text(side).splitlines()] for side in (legacy, candidate))
                )
        except ValueError:  # cut
            pass
    return _line_rows(_body_lines(legacy), _body_lines(candidate))


def _text(body: KeptBody) -> str:
    """Return the text of a body; empty if only its hash is kept."""
    return body.text or ""


def _body_lines(body: KeptBody | None) -> list[str]:
    """Return a body as lines; one line describes a body that was not kept."""
    if body is None:
        return []
    if body.kind == "opaque":
        return [f"{body.length or 0:,} bytes, hash {body.hash}"]
    lines = _laid_out(body)
    left_out = [f"… {len(lines) - MAX_LINES} more lines"] if len(lines) > MAX_LINES else []
    return lines[:MAX_LINES] + left_out + ([f"… cut from {body.cut_from} characters"] if body.cut_from else [])


def _laid_out(body: KeptBody) -> list[str]:
    """Return a stored body in readable lines."""
    text = _text(body)
    if body.kind in _JSON_KINDS:
        try:
            return json.dumps(json.loads(text), indent=2, ensure_ascii=False).splitlines()
        except (ValueError, RecursionError):
            return loose_lines(text)
    if body.kind in ("html", "xml"):
        return _BETWEEN_TAGS.sub(">\n", text).splitlines()
    return text.splitlines()


def _line_rows(left: list[str], right: list[str]) -> Iterator[Row]:
    """Yield aligned lines in rows."""
    keys = [line.rstrip(",") for line in left], [line.rstrip(",") for line in right]  # no difference
    for name, a, b, c, d in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        for first, second in zip_longest(left[a:b], right[c:d]):
            if name == "equal":
                yield Row(first, "", second)
            else:
                yield Row(first or "", "+" if first is None else "-" if second is None else "≠", second or "")


# Folding


def _folded(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows, but only the first and the last ones of a long equal stretch."""
    alike: list[Row] = []
    for row in rows:
        if not row.mark:
            alike.append(row)
            continue
        yield from _stretch(alike)
        alike = []
        yield row
    yield from _stretch(alike)


def _stretch(alike: list[Row]) -> list[Row]:
    if len(alike) <= 2 * CONTEXT + 1:
        return alike
    skipped = f"⋮ {len(alike) - 2 * CONTEXT} equal lines"
    return [*alike[:CONTEXT], Row(skipped, "", skipped), *alike[-CONTEXT:]]


def _bounded(rows: Iterable[Row]) -> Iterator[Row]:
    more = 0
    for at, row in enumerate(rows):
        if at < MAX_LINES:
            yield row
        else:
            more += 1
    if more:
        yield Row(f"… {more:,} more rows", "", f"… {more:,} more rows")
