"""Comparing the headers that a route lists; no other header is looked at."""

from collections.abc import Callable

from strangler.core.compare.found import FoundState
from strangler.core.compare.media import parse_media_type
from strangler.core.compare.values import Answer, Kind

Rewrite = Callable[[bytes], bytes]
"""A Location of the candidate as the client would get it."""

_LOCATIONS = ("location", "content-location")
_ATTRIBUTES_WITHOUT_VALUE = ("expires",)
"""A point in time moves on with every answer; that there is one, counts."""
_CASELESS_ATTRIBUTES = ("samesite", "domain", "priority")


def compare_headers(
    names: tuple[str, ...], legacy: Answer, candidate: Answer, found: FoundState, rewrite_back: Rewrite
) -> None:
    """`names` are lower-case. Values of a repeated field count as one list (RFC 9110 section 5.3)."""
    for name in names:
        left = legacy.field_values(name.encode("latin-1", "replace"))
        right = candidate.field_values(name.encode("latin-1", "replace"))
        if name == "set-cookie":
            _compare_cookies(left, right, found)
        else:
            _compare_field(name, left, [rewrite_back(value) for value in right] if name in _LOCATIONS else right, found)


def _compare_field(name: str, legacy: list[bytes], candidate: list[bytes], found: FoundState) -> None:
    if legacy and not candidate:
        found.header(name, Kind.MISSING, _joined(legacy), None)
    elif candidate and not legacy:
        found.header(name, Kind.EXTRA, None, _joined(candidate))
    elif _normal(name, legacy) != _normal(name, candidate):
        found.header(name, Kind.VALUE, _joined(legacy), _joined(candidate))


def _joined(values: list[bytes]) -> str:
    return b", ".join(values).decode("utf-8", "backslashreplace")


def _normal(name: str, values: list[bytes]) -> object:
    """What counts of a field's values."""
    if name != "content-type":
        return b", ".join(values)
    media = [parse_media_type(value) for value in values]
    return [(one.essence, [(key, value.lower()) for key, value in one.parameters]) for one in media]


def _compare_cookies(legacy: list[bytes], candidate: list[bytes], found: FoundState) -> None:
    """One difference for the whole set of cookies; order between them does not count."""
    left, right = sorted(map(cookie_shape, legacy)), sorted(map(cookie_shape, candidate))
    if left != right:
        found.header("set-cookie", Kind.VALUE, ", ".join(left), ", ".join(right))


def cookie_shape(set_cookie: bytes) -> str:
    """A Set-Cookie value without what it sets: `sid; httponly; path=/` (RFC 6265 section 5.2)."""
    pair, *attributes = set_cookie.decode("utf-8", "backslashreplace").split(";")
    return "; ".join([pair.partition("=")[0].strip(), *sorted(_attribute(text) for text in attributes if text.strip())])


def _attribute(text: str) -> str:
    name, equals, value = text.partition("=")
    name, value = name.strip().lower(), value.strip()
    if name in _ATTRIBUTES_WITHOUT_VALUE or not equals:
        return name
    return f"{name}={value.lower().removeprefix('.') if name in _CASELESS_ATTRIBUTES else value}"
