"""Times as logs write them. All but the seconds is remembered, since neighbouring lines share it."""

import re
from datetime import datetime, timedelta, timezone
from typing import Final

MAX_REMEMBERED: Final = 4096
_LATEST: Final = 253402300800.0
"""The start of the year 10000."""
_MONTHS: Final = {
    name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1)
}
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d(?:[.,]\d+)?)? ?(Z|z|UTC|[+-]\d\d:?\d\d)?", re.ASCII)


class ClfClock:
    """Reads `10/Oct/2000:13:55:36 -0700` of the common log format; without a zone it is UTC."""

    def __init__(self) -> None:
        self._minutes: dict[bytes, float] = {}

    def at(self, stamp: bytes, zone: bytes = b"+0000") -> float | None:
        """Return the Unix time of `10/Oct/2000:13:55:36`, or None. The form has been checked, the values have not."""
        key = stamp[:17] + zone
        start = self._minutes.get(key)
        if start is None:
            start = _minute(stamp, zone)
            if start is None:
                return None
            if len(self._minutes) >= MAX_REMEMBERED:
                self._minutes.clear()
            self._minutes[key] = start
        return start + float(stamp[18:])


def _minute(stamp: bytes, zone: bytes) -> float | None:
    try:
        offset = timedelta(hours=int(zone[:3]), minutes=int(zone[:1] + zone[3:]))
        day, month, year = int(stamp[:2]), _MONTHS[stamp[3:6].capitalize()], int(stamp[7:11])
        at = datetime(year, month, day, int(stamp[12:14]), int(stamp[15:17]), tzinfo=timezone(offset))
        return _in_time(at.timestamp())
    except (ValueError, KeyError, OverflowError):
        return None


def _in_time(at: float) -> float | None:
    """Return a Unix time that a log may have; None for one before 1970."""
    return at if at >= 0 else None


class IsoClock:
    """Reads RFC 3339, and what is near it: a comma, a blank, no zone (UTC then)."""

    def __init__(self) -> None:
        self._minutes: dict[str, float] = {}

    def at(self, stamp: str) -> float | None:
        """Return the Unix time of `2018-07-02T22:23:00.186641Z`, or None."""
        start = self._minutes.get(stamp[:16])
        if start is not None and stamp[-1] == "Z" and stamp[16] == ":":
            try:
                second = float(stamp[17:-1])
            except ValueError:
                return None
            return start + second if 0 <= second < 61 else None
        found = _ISO.fullmatch(stamp)
        if found is None:
            return None
        try:
            minute = datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00").timestamp()
        except (ValueError, OverflowError):
            return None
        if len(self._minutes) >= MAX_REMEMBERED:
            self._minutes.clear()
        self._minutes[f"{found[1]}T{found[2]}"] = minute
        return _in_time(minute + float((found[3] or ":0")[1:].replace(",", ".")) - _offset_s(found[4]))


def _offset_s(zone: str | None) -> int:
    if not zone or zone in ("Z", "z", "UTC"):
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
    return -seconds if zone[0] == "-" else seconds


_CLF_TEXT: Final = re.compile(r"\[?(\d\d/[A-Za-z]{3}/\d{4}:\d\d:\d\d:\d\d(?:\.\d+)?)(?: ([+-]\d{4}))?\]?", re.ASCII)


class AnyClock:
    """Reads a JSON value that is a time: a number, or a text in one of the forms above."""

    def __init__(self) -> None:
        self._iso = IsoClock()
        self._clf = ClfClock()

    def at(self, value: object) -> float | None:
        """Return the Unix time, or None."""
        if isinstance(value, str):
            if not value:
                return None
            found = self._iso.at(value)
            if found is not None:
                return found
            clf = _CLF_TEXT.fullmatch(value)
            if clf is not None:
                return self._clf.at(clf[1].encode(), (clf[2] or "+0000").encode())
            return _epoch(value)
        return _epoch(value)


def _epoch(value: object) -> float | None:
    """Return seconds, milliseconds, microseconds or nanoseconds since 1970 as seconds: the size says which."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        at = float(value)
    except (ValueError, OverflowError):
        return None
    for _ in range(3):
        if at >= 1e11:
            at /= 1000
    return at if 0 < at < _LATEST else None
