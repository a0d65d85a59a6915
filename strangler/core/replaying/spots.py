"""Spots: what a value is called where it stands, so that a short one is only used where the same thing is meant.

A spot is alike in a response and in a later request: the `id` of `{"order": {"id": 17}}`, the `order_id` of a form and
the `17` of `/orders/17` are all the id of an `order`.
"""

import re
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import unquote

from strangler.core.ledger.value_forms import is_plain_value, is_token, is_value
from strangler.core.privacy.secrets import MARK, is_secret_name


class Use(Enum):
    COOKIE = auto()
    HEADER = auto()
    ID = auto()  # of what the name says, wherever it is written
    FIELD = auto()  # of a form or a query
    MEMBER = auto()  # of a JSON object, after the name of what holds it


Spot: TypeAlias = tuple[Use, str]

_ID_WORDS = frozenset({"id", "ids", "uuid", "uuids", "guid", "ulid", "pk"})
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_VERSION = re.compile(r"v\d{1,3}(?:\.\d{1,3})*", re.ASCII | re.IGNORECASE)
_DIGIT = re.compile(r"\d", re.ASCII)
_ES = re.compile(r"(?:ss|x|ch|sh)es\Z")
_MAX_NAME = 128
_MANY_NAMES = 4096
"""The names that are kept with what they mean: most of an application's stand in each response."""


def thing_name(name: str) -> str:
    """Return what a name stands for, without case, separators and plural: `Order-Items` -> `orderitem`."""
    return _thing_name(name[:_MAX_NAME])


@lru_cache(_MANY_NAMES)
def _thing_name(name: str) -> str:
    return _singular("".join(_WORDS.findall(name)).lower())


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if _ES.search(word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 2 else word


def identified(name: str, around: str) -> str:
    """Return what a field of this name identifies: `order` for `order_id`, `around` for `id`; empty if it is no id."""
    thing = _identified(name[:_MAX_NAME])
    return "" if thing is None else thing or around


@lru_cache(_MANY_NAMES)
def _identified(name: str) -> str | None:
    """Return what a name says that it identifies, empty if it does not say; None if it is no id."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return thing_name("".join(words[:-1])) if words and words[-1] in _ID_WORDS else None


def field_spots(name: str, around: str = "") -> tuple[Spot, ...]:
    """Return the spots of a field of a form or query. `around`: what the request or response is about."""
    thing, field = identified(name, around), (Use.FIELD, name.lower())
    return ((Use.ID, thing), field) if thing else (field,)


def member_spots(name: str, around: str) -> tuple[Spot, ...]:
    """Return the spots of a member of a JSON object. `around`: what the object is."""
    return _member_spots(name, around) if len(name) <= _MAX_NAME else _member_spots.__wrapped__(name, around)


@lru_cache(_MANY_NAMES)
def _member_spots(name: str, around: str) -> tuple[Spot, ...]:
    thing, member = identified(name, around), (Use.MEMBER, f"{around}.{name.lower()}")
    return ((Use.ID, thing), member) if thing else (member,)


def reference_spots(name: str) -> tuple[Spot, ...]:
    """Return the spot of an id in a field of a request that is called as the thing itself: `{"orders": [17, 18]}`."""
    thing = thing_name(name)
    return ((Use.ID, thing),) if thing else ()


def is_id_segment(segment: str) -> bool:
    """Return True if a decoded segment of a path is a value, and no word: one with a digit may be, as `ord-17`."""
    return _is_id_segment(segment) if len(segment) <= _MAX_NAME else _is_id_segment.__wrapped__(segment)


@lru_cache(_MANY_NAMES)
def _is_id_segment(segment: str) -> bool:
    if not segment or _VERSION.fullmatch(segment):
        return False
    return is_value(segment) or _DIGIT.search(segment) is not None or MARK.search(segment) is not None


def segment_spots(path: str) -> Iterator[tuple[int, str, str, tuple[Spot, ...]]]:
    """Yield the values of a path: where each begins, its text as written, what it is one of, and its spots.

    A second value after one word is called by its number: `/orders/17/5` has an `order` and an `order/1`. Parameters of
    segments (`;jsessionid=…`) are fields.
    """
    at, thing, count = 0, "", 0
    for segment in path.split("/"):
        written, *parameters = segment.split(";")
        plain = unquote(written)
        if is_id_segment(plain):
            name = f"{thing}/{count}" if count else thing
            yield at, written, f"path:{name}", ((Use.ID, name),)
            count += 1
        elif plain:
            thing, count = thing_name(plain), 0
        begin = at + len(written) + 1
        for parameter in parameters:
            field, equals, value = parameter.partition("=")
            if equals and value:
                yield begin + len(field) + 1, value, f"path:;{unquote(field)}", field_spots(unquote(field))
            begin += len(parameter) + 1
        at += len(segment) + 1


def path_thing(target: str) -> str:
    """Return what a request is about: the last word of its path, `order` for `/api/orders/17`."""
    for segment in reversed(re.split("[?#]", target, maxsplit=1)[0].split("/")):
        plain = unquote(segment.partition(";")[0])
        if plain and not is_id_segment(plain):
            return thing_name(plain)
    return ""


def _names_secret(spot: Spot) -> bool:
    return is_secret_name(spot[1].rpartition(".")[2] if spot[0] is Use.MEMBER else spot[1])


_NUMBER = re.compile(r"[+-]?\d+(?:[.,:/-]\d+)*", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ].*)?", re.ASCII)
_TOKEN = re.compile(r"[!#-~]+", re.ASCII)
_LEAST_DIGITS = 6
_LEAST_TOKEN = 7
_LEAST_SECRET = 8
_SURELY = 16
"""The length from which characters that look like a value are no word."""


def is_distinctive(text: str, spots: Iterable[Spot] = ()) -> bool:
    """Return True if a value can be recognised wherever it stands: a token, a UUID, a number of six digits or more.

    Dates, prices, words and small numbers are not: by chance the same one stands elsewhere and means another thing.
    A secret by its name may be shorter and look less like one.
    """
    if MARK.fullmatch(text):
        return True
    plain = text.removeprefix("W/").strip('"')
    if len(plain) < _LEAST_DIGITS or not _TOKEN.fullmatch(plain) or _DATE.fullmatch(plain) or "://" in plain:
        return False
    if _NUMBER.fullmatch(plain):
        return plain.isdigit()
    if len(plain) < _LEAST_TOKEN or plain.startswith("/"):
        return False
    if len(plain) >= _LEAST_SECRET and _DIGIT.search(plain) and any(map(_names_secret, spots)):
        return True
    return is_plain_value(plain) or is_token(plain) or (len(plain) >= _SURELY and is_value(plain))
