"""JSON text to tree and back. Nesting is limited by the parser alone; nothing else here recurses."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from strangler.core.compare.model.numbers import canonical, canonical_float, is_finite
from strangler.core.compare.model.values import Node


class ParseFailure(Enum):
    NOT_JSON = auto()
    TOO_DEEP = auto()


@dataclass(frozen=True, slots=True)
class Json:
    """A parsed document; wrapped, since the tree of `null` is None."""

    tree: Node


class _Numbers(dict[str, bytes]):
    """Token -> number, by `convert`. A dictionary, since a hit makes no Python call: 40 ns instead of 200."""

    def __init__(self, convert: Callable[[str], bytes]) -> None:
        self._convert = convert

    def __missing__(self, token: str) -> bytes:
        number = self[token] = self._convert(token)
        return number


def _decoder(text: str, is_typed: bool) -> json.JSONDecoder:
    """Return a decoder for a text. If all its numbers are canonical already, they cost 60 ns each, not 600.

    NaN, Infinity and -Infinity are not JSON (RFC 8259 section 6), but Python's `json` writes them: they are values.
    """
    number: Callable[[str], Any] = _Numbers(canonical).__getitem__  # the stubs ask for int and float
    plain: Callable[[str], Any] = str.encode
    is_plain = not _minus_zero(text) and not _long_run(text)
    has_plain_decimals = is_plain and text.count(".") > _MANY_DECIMALS and not (_last_zero(text) or _exponent(text))
    return json.JSONDecoder(
        parse_int=plain if is_plain else number,
        parse_float=_Numbers(canonical_float).__getitem__ if is_typed else plain if has_plain_decimals else number,
        parse_constant=plain,
    )


_MANY_DECIMALS = 1000
"""With fewer decimals it is not worth checking that all are canonical."""

_minus_zero = re.compile(r"-0(?![.eE])").search
_long_run = re.compile(r"[0-9]{64}").search
_last_zero = re.compile(r"\.[0-9]*0(?![0-9])").search
_exponent = re.compile(r"[eE](?<=[0-9].)[-+]?[0-9]").search


def parse_json(text: str, *, is_typed: bool = False) -> Json | ParseFailure:
    """Parse one document (RFC 8259), with or without BOM. Of duplicate keys the last wins; NaN and Infinity are values.

    With `is_typed` 5 and 5.0 are different numbers.
    """
    try:
        return Json(_decoder(text, is_typed).decode(text.removeprefix("\ufeff")))
    except RecursionError:
        return ParseFailure.TOO_DEEP
    except ValueError:
        return ParseFailure.NOT_JSON


def parse_ndjson(text: str, *, is_typed: bool = False) -> Json | ParseFailure:
    """Parse newline-delimited JSON as one array of documents. Blank lines do not count."""
    scan = _decoder(text, is_typed).scan_once  # type: ignore[attr-defined] # the decoder's own C scanner: decode() costs 1 µs more per line
    documents: list[Node] = []
    for line in text.removeprefix("\ufeff").split("\n"):
        stripped = line.strip(" \t\r")
        if not stripped:
            continue
        try:
            document, end = scan(stripped, 0)
        except RecursionError:
            return ParseFailure.TOO_DEEP
        except (ValueError, StopIteration):
            return ParseFailure.NOT_JSON
        if end != len(stripped):
            return ParseFailure.NOT_JSON
        documents.append(document)
    return Json(documents)


def write_json(root: Node, *, sort_keys: bool = False) -> str:
    """Return the tree as compact ASCII JSON, with exact numbers, NaN and Infinity as texts.

    With `sort_keys`, equal trees give equal text.
    """
    return "".join(_pieces(root, sort_keys))


def write_start(root: Node, limit: int) -> str:
    """Return the first `limit` + 1 characters of `write_json`, without writing the rest."""
    start: list[str] = []
    length = 0
    for piece in _pieces(root, False):
        start.append(piece)
        length += len(piece)
        if length > limit:
            break
    return "".join(start)[: limit + 1]


def _pieces(root: Node, sort_keys: bool) -> Iterator[str]:
    """Yield the pieces of the text. A tuple on the stack is a finished piece, since no node is a tuple."""
    stack: list[Node | tuple[str]] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            yield node[0]
        elif isinstance(node, dict):
            stack.append(("}",))
            for at, key in enumerate(reversed(sorted(node) if sort_keys else list(node)), 1):
                stack.append(node[key])
                stack.append((("," if at < len(node) else "") + json.dumps(key) + ":",))
            yield "{"
        elif isinstance(node, list):
            stack.append(("]",))
            for at, element in enumerate(reversed(node), 1):
                stack.append(element)
                stack.append(("," if at < len(node) else "",))
            yield "["
        else:
            yield node.decode() if isinstance(node, bytes) and is_finite(node) else json.dumps(_text_of(node))


def _text_of(scalar: Node) -> object:
    """Return a scalar, NaN and Infinity as texts, since no JSON parser reads them otherwise."""
    return scalar.decode() if isinstance(scalar, bytes) else scalar
