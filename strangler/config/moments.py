"""Readers of dates and times: ISO 8601 as RFC 3339 profiles it, to the second. A bare date is 00:00 UTC of that day."""

import re
from datetime import UTC, datetime

MOMENT_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2})?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$"

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(r"[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(.*)", re.ASCII)
_ZONE = re.compile(r"[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_WAY_OUT = "write a date such as 2027-03-01, or a time with its zone such as 2027-03-01T09:00Z"


def moment(text: str) -> int:
    """Return the Unix time of `2027-03-01`, `2027-03-01T09:00Z` or `2027-03-01T09:00:30+01:00`."""
    day, rest = text[:10], text[10:]
    if _DATE.fullmatch(day) is None:
        raise ValueError(_WAY_OUT)
    if not rest:
        return _unix(f"{day}T00:00+00:00")
    found = _TIME.fullmatch(rest)
    if found is None:
        raise ValueError(_WAY_OUT)
    clock, zone = found[1], found[2]
    if not zone:
        raise ValueError(
            f"its zone is missing: write {day}T{clock}Z for UTC, or another one such as {day}T{clock}+01:00"
        )
    if zone.startswith("."):
        raise ValueError("write whole seconds: HTTP dates have no fractions")
    if _ZONE.fullmatch(zone) is None:
        raise ValueError(f"write its zone as Z for UTC, or as hours and minutes such as {day}T{clock}+01:00")
    return _unix(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")


def _unix(text: str) -> int:
    try:
        unix = int(datetime.fromisoformat(text).timestamp())
        is_known = unix < 0 or datetime.fromtimestamp(unix, UTC).year > 0
    except (ValueError, OverflowError):
        is_known = False
    if not is_known:
        raise ValueError("there is no such day, or no such time of the day")
    if unix < 0:  # Unix times begin there, and so do those of Deprecation
        raise ValueError("times begin at 1970-01-01")
    return unix
