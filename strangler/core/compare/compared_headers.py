"""Comparing the header fields that a route lists, and no others."""

from collections.abc import Callable

from strangler.core.compare.accept_rules.found import FoundState
from strangler.core.compare.model.conditions import normal_range
from strangler.core.compare.model.media import Body, MediaType, body_of, parse_media_type
from strangler.core.compare.model.values import Kind, Response, Severity

Rewrite = Callable[[bytes], bytes]
"""The function that turns a Location, or a Set-Cookie, of the candidate into the client's."""

CONTENT_RANGE = "content-range"
_LOCATIONS = ("location", "content-location")
_ATTRIBUTES_WITHOUT_VALUE = ("expires",)
"""Times change with every response; only their presence counts."""
_CASELESS_ATTRIBUTES = ("samesite", "domain", "priority")


def compare_headers(
    names: tuple[str, ...],
    legacy: Response,
    candidate: Response,
    found: FoundState,
    rewrite_back: Rewrite,
    cookie_back: Rewrite,
) -> None:
    """Put differences into `found`. `names` are lower-case; a repeated field is one list (RFC 9110 section 5.3)."""
    for name in names:
        left = legacy.field_values(name.encode("latin-1", "replace"))
        right = candidate.field_values(name.encode("latin-1", "replace"))
        if name == "set-cookie":
            _compare_cookies(left, [cookie_back(value) for value in right], found)
        else:
            _compare_field(name, left, [rewrite_back(value) for value in right] if name in _LOCATIONS else right, found)


def _compare_field(name: str, legacy: list[bytes], candidate: list[bytes], found: FoundState) -> None:
    if legacy and not candidate:
        found.header(name, Kind.MISSING, _joined(legacy), None)
    elif candidate and not legacy:
        found.header(name, Kind.EXTRA, None, _joined(candidate))
    elif _normal(name, legacy) != _normal(name, candidate):
        found.header(name, Kind.VALUE, _joined(legacy), _joined(candidate), _severity(name, legacy, candidate))


def _joined(values: list[bytes]) -> str:
    return b", ".join(values).decode("utf-8", "backslashreplace")


def _normal(name: str, values: list[bytes]) -> object:
    """Return what counts of a field's values."""
    if name == CONTENT_RANGE:
        return [normal_range(value) for value in values]
    if name != "content-type":
        return b", ".join(values)
    return [normal_media(parse_media_type(value)) for value in values]


def normal_media(media: MediaType) -> tuple[str, list[tuple[str, str]]]:
    """Return what counts of a media type: not the boundary of a multipart body, which differs each time."""
    is_multipart = media.essence.startswith("multipart/")
    kept = [(key, value.lower()) for key, value in media.parameters if not (is_multipart and key == "boundary")]
    return media.essence, kept


def _severity(name: str, legacy: list[bytes], candidate: list[bytes]) -> Severity | None:
    """Return the severity, or None for the default: a charset of JSON, which has only one, is additive (RFC 8259)."""
    if name != "content-type" or len(legacy) != 1 or len(candidate) != 1:
        return None
    left, right = parse_media_type(legacy[0]), parse_media_type(candidate[0])
    is_json = body_of(left) in (Body.JSON, Body.NDJSON)
    return Severity.ADDITIVE if is_json and without_charset(left) == without_charset(right) else None


def without_charset(media: MediaType) -> tuple[str, list[tuple[str, str]]]:
    """Return what counts of a media type, without its charset."""
    essence, parameters = normal_media(media)
    return essence, [(key, value) for key, value in parameters if key != "charset"]


def _compare_cookies(legacy: list[bytes], candidate: list[bytes], found: FoundState) -> None:
    """Report at most one difference for the whole set of cookies; their order does not count."""
    left, right = sorted(map(cookie_shape, legacy)), sorted(map(cookie_shape, candidate))
    if left != right:
        found.header("set-cookie", Kind.VALUE, ", ".join(left), ", ".join(right))


def cookie_shape(set_cookie: bytes) -> str:
    """Return a Set-Cookie value without the cookie's value: `sid; httponly; path=/` (RFC 6265 section 5.2)."""
    pair, *attributes = set_cookie.decode("utf-8", "backslashreplace").split(";")
    return "; ".join([pair.partition("=")[0].strip(), *sorted(_attribute(text) for text in attributes if text.strip())])


def _attribute(text: str) -> str:
    name, equals, value = text.partition("=")
    name, value = name.strip().lower(), value.strip()
    if name in _ATTRIBUTES_WITHOUT_VALUE or not equals:
        return name
    return f"{name}={value.lower().removeprefix('.') if name in _CASELESS_ATTRIBUTES else value}"
