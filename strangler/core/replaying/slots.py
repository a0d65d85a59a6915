"""Slots of a request: the parts of a text that hold one value each, with what the value is called there.

A slot can be filled anew, written as the text writes values, or be left out together with its name. Slots of one group
are beside each other: fields of a form, members of an object.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from strangler.core.replaying.spots import (
    Spot,
    Use,
    field_spots,
    member_spots,
    path_thing,
    reference_spots,
    segment_spots,
    thing_name,
)

Span: TypeAlias = tuple[int, int]
Write: TypeAlias = Callable[[str], str]

_ERRORS = "surrogateescape"
"""Bytes that are not UTF-8 stay as they are."""
_SEGMENT_SAFE = "!$'()*,:@~"
_QUERY_SAFE = "!$'()*,:@/?~"
_MAX_PLACE = 200


@dataclass(frozen=True, slots=True)
class Slot:
    """One value in a text. `value` is decoded; None for a part that only holds others."""

    span: Span
    value: str | None
    spots: tuple[Spot, ...]
    write: Write
    place: str
    outer: Span | None = None
    """The span that goes if the value is left out; None if it cannot be left out."""
    group: int = 0
    retype: Write | None = None
    """How a value is written that JSON has with another type on this side."""


def as_segment(value: str) -> str:
    return quote(value, safe=_SEGMENT_SAFE, errors=_ERRORS)


def as_parameter(value: str) -> str:
    return quote(value, safe=_QUERY_SAFE, errors=_ERRORS)


def as_field(value: str) -> str:
    return quote_plus(value, errors=_ERRORS)


def as_json(value: str) -> str:
    """Return a text as the inside of a JSON string. Lone surrogates are escaped."""
    written = json.dumps(value, ensure_ascii=False)[1:-1]
    return written if written.isprintable() else json.dumps(value)[1:-1]


def as_header(value: str) -> str:
    """Return a text for a header field, in which control characters would end the field."""
    return value if value.isprintable() else quote(value, safe="", errors=_ERRORS)


_NO_COOKIE = re.compile(r"[;,\s\"\\]")


def as_cookie(value: str) -> str:
    """Return a text as a cookie's value (RFC 6265 section 4.1.1), percent-encoded if it must be."""
    return quote(value, safe="", errors=_ERRORS) if _NO_COOKIE.search(value) else as_header(value)


def target_slots(target: str, *, start: int = 0, place: str = "") -> Iterator[Slot]:
    """Yield the slots of a request target or URL: values of its path, then its parameters. The path begins at `start`.

    A value of a path cannot be left out: the path would be another.
    """
    path = re.split("[?#]", target[start:], maxsplit=1)[0]
    for at, written, _, spots in segment_spots(path):
        begin = start + at
        yield Slot((begin, begin + len(written)), unquote(written, errors=_ERRORS), spots, as_segment, f"{place}path")
    question = start + len(path)
    if target[question : question + 1] == "?":
        query = target[question + 1 :].partition("#")[0]
        yield from form_slots(query, path_thing(path), start=question + 1, place=f"{place}query", write=as_parameter)


def form_slots(
    text: str, around: str, *, start: int = 0, place: str = "body", write: Write = as_field
) -> Iterator[Slot]:
    """Yield the fields of a form or a query (WHATWG URL standard section 5.1)."""
    at = start
    for part in text.split("&"):
        name, equals, value = part.partition("=")
        if part:
            plain = unquote_plus(name, errors=_ERRORS)
            begin = at + len(name) + len(equals)
            yield Slot(
                (begin, at + len(part)),
                unquote_plus(value, errors=_ERRORS),
                (*field_spots(plain, around), *reference_spots(plain)),
                write,
                f"{place}:{plain[:_MAX_PLACE]}",
                (at, at + len(part)),
            )
        at += len(part) + 1


def cookie_slots(text: str) -> Iterator[Slot]:
    """Yield the cookies of a Cookie field (RFC 6265 section 5.4)."""
    at = 0
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        plain, cookie = value.strip().strip('"'), name.strip()
        if equals:
            begin = at + len(name) + 1 + value.find(plain)
            outer = at + len(part) - len(part.lstrip()), at + len(part.rstrip())
            span, place = (begin, begin + len(plain)), f"cookie:{cookie[:_MAX_PLACE]}"
            yield Slot(span, plain, ((Use.COOKIE, cookie),), as_cookie, place, outer)
        at += len(part) + 1


_TAG = re.compile(r"\s*(?P<tag>(?:W/)?\"[^\"]*\"|[^,\s]+)\s*(?:,|\Z)")


def tag_slots(text: str, name: str) -> Iterator[Slot]:
    """Yield the entity tags of a list (RFC 9110 section 13.1.1)."""
    for found in _TAG.finditer(text):
        span = found.span("tag")
        yield Slot(span, found["tag"], ((Use.HEADER, "etag"),), as_header, f"header:{name}", span)


_JSON_TOKEN = re.compile(r"\"(?:[^\"\\]|\\.)*+\"?|[{}\[\],:]|[^\s{}\[\],:\"]+", re.DOTALL)
_LITERAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null", re.ASCII)


@dataclass(slots=True)
class _ContainerState:
    """An object or array that is open."""

    group: int
    start: int
    member_start: int
    name: str
    path: str
    around: str
    is_object: bool
    key: str = ""
    awaits_key: bool = True
    key_start: int = -1


def json_slots(text: str, around: str, is_wanted: Callable[[str], bool] | None = None) -> Iterator[Slot]:
    """Yield the members and elements of JSON text, also of several documents, each when it ends. Never fails.

    With `is_wanted` only the scalars whose text it accepts, and those with escapes.
    """
    groups = 0
    stack = [_ContainerState(0, 0, 0, "", "$", around, is_object=False)]
    for token in _JSON_TOKEN.finditer(text):
        sign, top = token[0], stack[-1]
        if sign in "{[":
            groups += 1
            start = top.key_start if top.is_object and top.key_start >= 0 else token.start()
            name = top.key if top.is_object else top.name
            inner = (thing_name(name) or top.around) if sign == "{" else top.around
            path = _inner_path(top)
            stack.append(_ContainerState(groups, token.start(), start, name, path, inner, is_object=sign == "{"))
        elif sign in "}]":
            if len(stack) > 1:
                stack.pop()
                if is_wanted is None:
                    yield _whole(top, stack[-1], token.end())
                stack[-1].awaits_key = False
        elif sign == ",":
            top.awaits_key, top.key_start = True, -1
        elif sign == ":":
            top.awaits_key = False
        elif top.is_object and top.awaits_key and sign[0] == '"':
            top.key, top.key_start = _plain(sign), token.start()
        elif is_wanted is None or "\\" in sign or is_wanted(sign.strip('"')):
            yield _scalar(top, token)


def _inner_path(top: _ContainerState) -> str:
    return f"{top.path}.{top.key}"[:_MAX_PLACE] if top.is_object else top.path if top.group == 0 else f"{top.path}[*]"


def _whole(inner: _ContainerState, outer: _ContainerState, end: int) -> Slot:
    span = inner.start, end
    return Slot(span, None, (), as_json, f"body:{inner.path}", (inner.member_start, end), outer.group)


def _scalar(top: _ContainerState, token: re.Match[str]) -> Slot:
    start, end = token.span()
    name = top.key if top.is_object else top.name
    outer = (top.key_start if top.is_object and top.key_start >= 0 else start, end)
    spots = (*member_spots(name, top.around), (Use.FIELD, name.lower()), *reference_spots(name))
    place = f"body:{_inner_path(top)}"
    if token[0][0] == '"' and len(token[0]) > 1:
        return Slot((start, end), _plain(token[0]), spots, as_text, place, outer, top.group, as_literal)
    value = token[0] if _LITERAL.fullmatch(token[0]) else None
    return Slot((start, end), value, spots, as_literal, place, outer, top.group, as_text)


def as_text(value: str) -> str:
    return f'"{as_json(value)}"'


def as_literal(value: str) -> str:
    """Return a value for the place of a JSON number or word: a string if it is neither."""
    return value if _LITERAL.fullmatch(value) else as_text(value)


def _plain(token: str) -> str:
    """Return the value of a JSON string; as written if it is invalid."""
    if "\\" not in token:
        return token[1:-1]
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token[1:-1]
