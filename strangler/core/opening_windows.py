"""Windows of the week in which something may happen: `mon-fri 09:00-17:00 Europe/Berlin`, several with commas.

A window is read on the wall clock of its zone. On the day on which clocks go forward, times that are left out are not
open; on the day on which they go back, times that occur twice are open twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import lru_cache
from re import compile as pattern
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM: Final = pattern(r"(?:([a-z]{3})(?:-([a-z]{3}))? )?(\d\d):(\d\d)-(\d\d):(\d\d) (\S+)")
_EXAMPLE: Final = "mon-fri 09:00-17:00 Europe/Berlin"
_HORIZON_DAYS: Final = 15
"""A window of a single day that is left out by a change of clocks opens a week later, at most."""
_CLOCKS_CHANGE_S: Final = 6 * 3600
"""Clocks change at most once in so many seconds."""
_DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """Some days of the week, from one minute to another; over midnight if the end is not after the beginning."""

    days: frozenset[int]  # 0 is Monday
    begins: int  # minutes since midnight
    ends: int  # minutes since midnight, up to 24:00
    zone: ZoneInfo

    def is_open(self, at: float) -> bool:
        """Return whether a Unix time is within the window."""
        local = datetime.fromtimestamp(at, self.zone)
        minute = local.hour * 60 + local.minute
        if self.begins < self.ends:
            return local.weekday() in self.days and self.begins <= minute < self.ends
        yesterday = (local.weekday() - 1) % 7
        return (local.weekday() in self.days and minute >= self.begins) or (
            yesterday in self.days and minute < self.ends
        )

    def openings(self, at: float) -> Iterator[float]:
        """Yield the times from `at` on at which the window may open: its beginnings, and changes of clocks."""
        today = datetime.fromtimestamp(at, self.zone).date()
        for days in range(-1, _HORIZON_DAYS):
            yield from self._beginnings(today + timedelta(days=days))
        yield from _clock_changes(self.zone, at)

    def _beginnings(self, day: date) -> Iterator[float]:
        clock = time(self.begins // 60, self.begins % 60)
        for fold in (0, 1):
            yield datetime.combine(day, clock.replace(fold=fold), self.zone).timestamp()


def _clock_changes(zone: ZoneInfo, at: float) -> Iterator[float]:
    """Yield the times within the horizon at which the zone's clocks change."""
    for step in range(_HORIZON_DAYS * _DAY_MINUTES * 60 // _CLOCKS_CHANGE_S):
        low = int(at) + step * _CLOCKS_CHANGE_S
        high = low + _CLOCKS_CHANGE_S
        before = _offset(zone, low)
        if _offset(zone, high) == before:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
        yield float(high)


def _offset(zone: ZoneInfo, at: float) -> timedelta | None:
    return datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()


@dataclass(frozen=True, slots=True)
class OpeningWindows:
    """Several windows: open while at least one of them is."""

    windows: tuple[Window, ...]

    def is_open(self, at: float) -> bool:
        return any(window.is_open(at) for window in self.windows)

    def next_opening(self, at: float) -> float | None:
        """Return the first time from `at` on that is within a window; None if there is none within two weeks."""
        if self.is_open(at):
            return at
        return min(
            (time for window in self.windows for time in window.openings(at) if time >= at and window.is_open(time)),
            default=None,
        )


@lru_cache(maxsize=256)
def opening_windows(text: str) -> OpeningWindows:
    """Return the windows that a text names. Raise ValueError, which says how it should read."""
    return OpeningWindows(tuple(_window(part.strip()) for part in text.split(",")))


def _window(text: str) -> Window:
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no window; write days, hours and zone as in {_EXAMPLE!r}")
    first, last, *clock, zone = found.groups()
    begin_hour, begin_minute, end_hour, end_minute = map(int, clock)
    begins, ends = begin_hour * 60 + begin_minute, end_hour * 60 + end_minute
    if begins >= _DAY_MINUTES or ends > _DAY_MINUTES or max(begin_minute, end_minute) > 59:
        raise ValueError(f"{text!r}: hours are from 00:00 to 24:00")
    if begins == ends:
        raise ValueError(f"{text!r} begins when it ends; a whole day is 00:00-24:00")
    return Window(_days(first, last, text), begins, ends, _zone(zone))


def _days(first: str | None, last: str | None, text: str) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    for name in (first, last or first):
        if name not in DAYS:
            raise ValueError(f"{text!r}: {name!r} is no day; days are {', '.join(DAYS)}")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return frozenset((begin + more) % 7 for more in range((end - begin) % 7 + 1))


def _zone(name: str) -> ZoneInfo:
    names = available_timezones()
    if name in names:
        return ZoneInfo(name)
    if not names:
        raise ValueError(f"time zone {name!r} cannot be read; this machine has no time zones: pip install tzdata")
    near = get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else "names are those of the IANA time zone database, as Europe/Berlin"
    raise ValueError(f"unknown time zone {name!r}; {hint}")
