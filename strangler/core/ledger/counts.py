"""The counts of an endpoint: by day and month, by arm and class of status, with a histogram of times."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

DAY_S = 86_400
DAYS_IN_DETAIL = 92
"""Days before this many are summed up in months."""
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(slots=True)
class Counts:
    """The calls of a day or of a month, by arm and class of status. There are very many of these: no dict in each."""

    legacy: int = 0
    candidate: int = 0
    probes: int = 0
    of_1xx: int = 0
    of_2xx: int = 0
    of_3xx: int = 0
    of_4xx: int = 0
    of_5xx: int = 0
    of_other: int = 0

    @property
    def calls(self) -> int:
        return self.legacy + self.candidate

    @property
    def refused(self) -> int:
        """The calls that neither arm was asked for: `retire` has ended the endpoint."""
        return max(0, sum(self.statuses.values()) - self.calls)

    @property
    def statuses(self) -> dict[str, int]:
        """The calls by class of status, `2xx`; classes without calls are left out."""
        found = zip(_CLASSES, (getattr(self, name) for name in _FIELDS), strict=True)
        return {name: calls for name, calls in found if calls}

    def add_status(self, status: int, calls: int) -> None:
        """Count calls with a status."""
        name = "of_" + by_status(status)
        setattr(self, name, getattr(self, name) + calls)

    def add(self, other: "Counts") -> None:
        self.legacy += other.legacy
        self.candidate += other.candidate
        self.probes += other.probes
        self.of_1xx += other.of_1xx
        self.of_2xx += other.of_2xx
        self.of_3xx += other.of_3xx
        self.of_4xx += other.of_4xx
        self.of_5xx += other.of_5xx
        self.of_other += other.of_other


_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
_FIELDS = tuple(f"of_{name}" for name in _CLASSES)


@dataclass(slots=True)
class History:
    """The counts by day (`2027-02-01`), and of earlier days by month (`2026-11`)."""

    days: dict[str, Counts] = field(default_factory=dict)
    months: dict[str, Counts] = field(default_factory=dict)
    _total: Counts | None = field(default=None, compare=False, repr=False)
    """The sum, until something is added: most endpoints are not called between two looks at the ledger."""

    def on(self, at: float) -> Counts:
        """Return the counts of a time's day (UTC), which may be added to at once."""
        self._total = None
        return self.days.setdefault(day_of(at), Counts())

    def total(self) -> Counts:
        """Return the sum of all that is kept, which must not be changed."""
        if self._total is None:
            self._total = total_of((*self.days.values(), *self.months.values()))
        return self._total

    def replace_days(self, days: Mapping[str, Counts]) -> None:
        """Put the counts of days in place of what the same days had."""
        self._total = None
        self.days.update(days)

    def merge(self, other: "History") -> None:
        """Add the counts of another history."""
        self._total = None
        for own, more in ((self.days, other.days), (self.months, other.months)):
            for name, counts in more.items():
                own.setdefault(name, Counts()).add(counts)


def day_of(at: float) -> str:
    """Return the day of a Unix time, in UTC: `2027-02-01`."""
    return _day(int(at // DAY_S))


@lru_cache(4096)
def _day(number: int) -> str:
    """Return a day by its number; one object for each, since every row has it as a key."""
    return date.fromordinal(_EPOCH + number).isoformat()


def hour_of(at: float) -> str:
    """Return the hour of a Unix time, in UTC: `2027-02-01T09`."""
    return f"{day_of(at)}T{int(at % DAY_S) // 3600:02}"


def total_of(counts: Iterable[Counts]) -> Counts:
    total = Counts()
    for each in counts:
        total.add(each)
    return total


def compacted(history: History, now: float, keep_s: float) -> History:
    """Return a history with its earlier days summed up in months, and without what is older than `keep_s`.

    A month is dropped when all of it is too old. Calls of the future (a clock that was set back) are kept.
    """
    today = date.fromordinal(_EPOCH + int(now // DAY_S))
    first_day = date.fromordinal(today.toordinal() - DAYS_IN_DETAIL).isoformat()
    oldest = date.fromordinal(max(1, _EPOCH + int((now - keep_s) // DAY_S))).isoformat()
    found = History(months={name: total_of([counts]) for name, counts in history.months.items() if name >= oldest[:7]})
    for name, counts in history.days.items():
        if name >= max(first_day, oldest):
            found.days[name] = total_of([counts])
        elif name[:7] >= oldest[:7]:
            found.months.setdefault(name[:7], Counts()).add(counts)
    return found


def p95_ms(buckets: Sequence[int], bounds_s: Sequence[float]) -> float | None:
    """Return the 95th percentile of times from counts of buckets, in ms; None without any.

    `bounds_s` are the upper bounds of the buckets, of which there is one more. It is interpolated within its bucket;
    beyond the last bound it is that bound.
    """
    rank = 0.95 * sum(buckets)
    before = 0
    for at, count in enumerate(buckets):
        if count and before + count >= rank:
            if at >= len(bounds_s):
                break
            low = bounds_s[at - 1] if at else 0.0
            return 1000 * (low + (bounds_s[at] - low) * (rank - before) / count)
        before += count
    return 1000 * bounds_s[-1] if before or any(buckets) else None


def summed_buckets(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """Return the sum of two histograms of one size; an empty one counts as zeros."""
    if not first or not second:
        return list(first or second)
    return [own + more for own, more in zip(first, second, strict=True)]


def by_status(status: int) -> str:
    """Return the class of a status: `2xx`; `other` for what is none."""
    return f"{status // 100}xx" if 100 <= status < 600 else "other"


def most_called(callers: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return callers with their calls, the most frequent first."""
    return sorted(callers.items(), key=lambda item: (-item[1], item[0]))
