"""The conditions of a route as Envoy checks them: path, methods, headers and query."""

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from strangler.core.http.methods import IDEMPOTENT as IDEMPOTENT_METHODS
from strangler.core.http.methods import SAFE
from strangler.core.settings import MatchSettings
from strangler.envoy.resources import Resource

READS: Final = tuple(sorted(method.decode() for method in SAFE))
"""The methods that change nothing."""

IDEMPOTENT: Final = (*READS, *sorted((method.decode() for method in IDEMPOTENT_METHODS - SAFE), reverse=True))
"""The methods of requests that may be sent twice."""

EVERYTHING: Final[Resource] = {"prefix": ""}

_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]*")
_ANY_SEGMENT: Final = "[^/]+"


def segments(match: MatchSettings) -> tuple[str, ...]:
    """Return the segments of a match as written. A prefix's trailing slash does not count, an exact path's does."""
    text = match.path if match.path is not None else (match.prefix or "").rstrip("/")
    return tuple(text.split("/")[1:])


def is_name(segment: str) -> bool:
    """Return whether a segment stands for any one segment."""
    return segment.startswith("{") and segment.endswith("}")


def is_literal(segment: str) -> bool:
    """Return whether a segment can be written in one way only, among clean paths."""
    return _UNRESERVED.fullmatch(segment) is not None


def literal_head(match: MatchSettings) -> tuple[str, ...]:
    """Return the first segments of a match, as far as each can be written in one way only."""
    head: list[str] = []
    for segment in segments(match):
        if not segment or not is_literal(segment):
            break
        head.append(segment)
    return tuple(head)


def precedence(match: MatchSettings, index: int) -> tuple[Any, ...]:
    """Return the key that sorts routes of the same host, the most specific first; `index` is the place in the file.

    Two routes that both match a path have either the same literal segments or differ in where they have names: literal
    segments come first, from the left, as in `core.routing.table`.
    """
    parts = segments(match)
    is_exact = match.path is not None
    rank = (not match.methods, -len(match.headers), -len(match.query), index)
    return (not is_exact, 0 if is_exact else -len(parts), tuple(map(is_name, parts)), *rank)


def conditions(match: MatchSettings) -> Resource:
    """Return what a request must fulfil, but for its method."""
    found = _path(match)
    if match.headers:
        found["headers"] = [exact_header(name, value) for name, value in match.headers]
    if match.query:
        found["query_parameters"] = [
            {"name": name, "string_match": _regex(_any_writing(value.encode(), _QUERY))} for name, value in match.query
        ]
    return found


def exact_header(name: str, value: str) -> Resource:
    """Return the condition that a header field has exactly this value."""
    return {"name": field_name(name), "string_match": {"exact": value}}


def field_name(name: str) -> str:
    """Return the name by which Envoy finds a request's field: Host is a pseudo-header."""
    return ":authority" if name.lower() == "host" else name.lower()


def method_condition(methods: Iterable[str]) -> Resource:
    """Return the condition that a request has one of these methods, which are names without special characters or
    with such that a token may have (RFC 9110 section 5.6.2)."""
    names = sorted(methods)
    if len(names) == 1:
        return {"name": ":method", "string_match": {"exact": names[0]}}
    return {"name": ":method", "string_match": _regex("|".join(map(re.escape, names)))}


def _path(match: MatchSettings) -> Resource:
    parts = segments(match)
    if all(map(is_literal, parts)):
        text = "".join(f"/{part}" for part in parts)
        if match.path is not None:
            return {"path": text}
        return {"path_separated_prefix": text} if text else dict(EVERYTHING)
    text = "".join(f"/{_ANY_SEGMENT if is_name(part) else _segment(part)}" for part in parts)
    return _regex(text if match.path is not None else f"{text}(?:/.*)?")


def _regex(text: str) -> Resource:
    return {"safe_regex": {"regex": text}}


def _segment(text: str) -> str:
    """Return an expression for a segment in each way in which a clean path may have it."""
    return _any_writing(unquote_to_bytes(text), _PATH)


def _any_writing(text: bytes, writings: tuple[str, ...]) -> str:
    return "".join(writings[byte] for byte in text)


def _encoded(byte: int) -> str:
    """Return an expression for a percent-encoded byte, in either case."""
    digits = f"{byte:02x}"
    return "%" + "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)


def _in_path(byte: int) -> str:
    character = chr(byte)
    if character.isascii() and is_literal(character):
        return re.escape(character)
    is_raw = 0x20 < byte < 0x7F
    return f"(?:{re.escape(character)}|{_encoded(byte)})" if is_raw else _encoded(byte)


def _in_query(byte: int) -> str:
    character = chr(byte)
    if character == " ":
        return r"(?:\+|%20)"
    is_raw = 0x20 < byte < 0x7F and character not in "%+&#"
    return f"(?:{re.escape(character)}|{_encoded(byte)})" if is_raw else _encoded(byte)


_PATH: Final = tuple(map(_in_path, range(256)))
_QUERY: Final = tuple(map(_in_query, range(256)))
"""Expressions for each byte: in a clean path, which encodes nothing without need; and in a query, which may."""
