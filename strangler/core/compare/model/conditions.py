"""Conditional requests (RFC 9110 sections 13 and 14): what two statuses mean if the request has validators.

A validator means something only to the arm that made it (section 8.8.3). An arm cannot know the other one's tags, so a
304 of one arm and a 200 of the other say nothing about the candidate.
"""

import re
from calendar import timegm
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from strangler.core.compare.model.values import Response

_TAG = re.compile(rb"\s*(?:([Ww]/)?\"([^\"]*)\"|([^,\s]+))\s*")
_ANY = b"*"
_OK = range(200, 300)
_NOT_MODIFIED, _PARTIAL, _FAILED, _UNSATISFIABLE = 304, 206, 412, 416
_OF_RANGES = (_PARTIAL, _UNSATISFIABLE)
_MAX_TAGS = 1000


@dataclass(frozen=True, slots=True)
class RequestConditions:
    """The conditions of one request. Values are raw, without outer blanks; an empty tuple means no such field."""

    none_match: tuple[bytes, ...] = ()
    modified_since: tuple[bytes, ...] = ()
    match: tuple[bytes, ...] = ()
    unmodified_since: tuple[bytes, ...] = ()
    if_range: tuple[bytes, ...] = ()
    ranges: tuple[bytes, ...] = ()


NO_CONDITIONS = RequestConditions()

_FIELDS = {
    b"if-none-match": "none_match",
    b"if-modified-since": "modified_since",
    b"if-match": "match",
    b"if-unmodified-since": "unmodified_since",
    b"if-range": "if_range",
    b"range": "ranges",
}


def conditions_of(headers: Iterable[tuple[bytes, bytes]]) -> RequestConditions:
    """Return the conditions in the header fields of a request. An empty field is no condition."""
    found: dict[str, list[bytes]] = {}
    for name, value in headers:
        field = _FIELDS.get(name.strip().lower())
        if field is not None and value.strip():
            found.setdefault(field, []).append(value.strip())
    return RequestConditions(**{field: tuple(values) for field, values in found.items()}) if found else NO_CONDITIONS


class Standing(Enum):
    """The meaning of two statuses for a pair."""

    ORDINARY = auto()
    """No condition decides: the pair is compared like any other."""
    MATCH = auto()
    CONDITIONAL = auto()
    """Each arm decided by its own validators: the pair says nothing."""
    STATUS_ALONE = auto()
    """The statuses differ, and what else differs follows from that."""


def standing_of(legacy: Response, candidate: Response, request: RequestConditions) -> Standing:
    """Judge two responses, neither of them a 5xx. Swapping the sides changes nothing."""
    statuses = {legacy.status, candidate.status}
    if _NOT_MODIFIED in statuses and (request.none_match or request.modified_since):
        return _of_not_modified(legacy, candidate, request)
    full = next((response for response in (legacy, candidate) if response.status in _OK), None)
    if _FAILED in statuses and full is not None and _has_precondition(request):
        return Standing.CONDITIONAL
    if request.if_range and request.ranges and statuses in ({200, _PARTIAL}, {200, _UNSATISFIABLE}):
        full = legacy if legacy.status == 200 else candidate
        return Standing.STATUS_ALONE if _is_same_range(request.if_range, full) else Standing.CONDITIONAL
    return Standing.STATUS_ALONE if statuses == {200, _PARTIAL} else Standing.ORDINARY


def may_decide(legacy: Response, candidate: Response) -> bool:
    """Return False if the conditions of a request decide nothing, so that they need not be read: 15 µs."""
    return legacy.status != candidate.status or legacy.status == _NOT_MODIFIED


def has_ranges(legacy: Response, candidate: Response) -> bool:
    """Return True for two responses whose Content-Range gives their range, or the length of the whole."""
    return legacy.status == candidate.status and legacy.status in _OF_RANGES


def _of_not_modified(legacy: Response, candidate: Response, request: RequestConditions) -> Standing:
    if legacy.status == candidate.status:
        return Standing.MATCH
    other = candidate if legacy.status == _NOT_MODIFIED else legacy
    if other.status not in _OK:  # section 13.2.1: a 304 says that it would have been a 2xx
        return Standing.STATUS_ALONE
    ignored_its_own = (
        _is_matched(request.none_match, other)
        if request.none_match
        else _is_unmodified(request.modified_since, other.field_values(b"last-modified"))
    )
    return Standing.STATUS_ALONE if ignored_its_own else Standing.CONDITIONAL


def _has_precondition(request: RequestConditions) -> bool:
    """Return True for conditions that fail with 412 (13.1.1, 13.1.2, 13.1.4). `If-None-Match: *` names no validator."""
    by_tag = request.none_match and _ANY not in request.none_match
    return bool(request.match or request.unmodified_since or by_tag)


# Entity tags (section 8.8.3)


def _tags(values: Sequence[bytes]) -> list[tuple[bool, bytes]]:
    """Return for each tag whether it is weak, and its text; one without quotes, which is invalid, as bare text."""
    tags: list[tuple[bool, bytes]] = []
    for found in _TAG.finditer(b",".join(values)):
        quoted = found[2] is not None
        tags.append((found[1] is not None, b'"' + found[2] + b'"' if quoted else found[3]))
        if len(tags) == _MAX_TAGS:
            break
    return tags


def _is_matched(requested: Sequence[bytes], response: Response) -> bool:
    """Return True if a response carries one of the requested tags, by weak comparison; `*` is any response."""
    if _ANY in requested:
        return True
    carried = {text for _, text in _tags(response.field_values(b"etag"))}
    return any(text in carried for _, text in _tags(requested))


def _is_same_range(requested: Sequence[bytes], response: Response) -> bool:
    """Return True if a response carries the validator of If-Range: a strong tag, or the exact date (section 13.1.5)."""
    date = _time_of(requested[0])
    if date is not None:
        return any(_time_of(value) == date for value in response.field_values(b"last-modified"))
    strong = {text for is_weak, text in _tags(requested) if not is_weak}
    return any(not is_weak and text in strong for is_weak, text in _tags(response.field_values(b"etag")))


# Dates (section 5.6.7)


def _is_unmodified(etags: Sequence[bytes], carried: Sequence[bytes]) -> bool:
    """Return True if a Last-Modified is not later than a requested date; what is no date is compared as text."""
    for since in etags:
        limit = _time_of(since)
        for modified in carried:
            time = _time_of(modified)
            if since == modified or (limit is not None and time is not None and time <= limit):
                return True
    return False


_MONTHS = {name: at for at, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_CLOCK = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rb"[a-z]{3}, +(?P<day>\d\d?) +(?P<month>[a-z]{3}) +(?P<year>\d{4}) +" + _CLOCK + rb" +(?:gmt|utc|\+0000)",
        rb"[a-z]{6,9}, +(?P<day>\d\d?)-(?P<month>[a-z]{3})-(?P<year>\d\d) +" + _CLOCK + rb" +(?:gmt|utc)",
        rb"[a-z]{3} +(?P<month>[a-z]{3}) +(?P<day>\d\d?) +" + _CLOCK + rb" +(?P<year>\d{4})",
    )
)
"""IMF-fixdate, RFC 850 and asctime dates, read a little more leniently than they are defined."""
_CENTURY_AFTER = 70
"""Two-digit years from here on are of the 1900s: RFC 850 dates were written from 1970 on."""


def _time_of(value: bytes) -> int | None:
    """Return the Unix time of an HTTP date, or None. `; length=…` after it, from old clients, is ignored."""
    text = value.partition(b";")[0].strip()
    found = next((match for match in (pattern.fullmatch(text) for pattern in _DATES) if match), None)
    month = _MONTHS.get(found["month"].lower()) if found else None
    if found is None or month is None:
        return None
    year = int(found["year"])
    if year < 100:
        year += 1900 if year >= _CENTURY_AFTER else 2000
    day, hour, minute, second = (int(found[name]) for name in ("day", "hour", "minute", "second"))
    if not (1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60 and year >= 1970):
        return None
    return timegm((year, month, day, hour, minute, second))


# Content-Range (section 14.4)

_RANGE = re.compile(rb"\s*([!-<>-~]+?)[\s=]+(?:(\d+)\s*-\s*(\d+)|(\*))\s*/\s*(\d+|\*)\s*")


def normal_range(value: bytes) -> bytes:
    """Return a Content-Range as `bytes 0-99/1234`: the unit's case, blanks and leading zeros do not count."""
    found = _RANGE.fullmatch(value)
    if found is None:
        return b" ".join(value.lower().split())
    unit, first, last, unknown, total = found.groups()
    span = unknown or _plain(first) + b"-" + _plain(last)
    return unit.lower() + b" " + span + b"/" + (total if total == b"*" else _plain(total))


def _plain(digits: bytes) -> bytes:
    return digits.lstrip(b"0") or b"0"
