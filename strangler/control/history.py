"""The recent history: requests, errors and times by route and arm, by second and by minute.

It is made from the totals, which only grow. The totals survive a restart of control; the history does not.
"""

import asyncio
import time
from array import array
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from strangler.control.totals import Key, TotalsState, Vector
from strangler.core.routing.arm import Arm
from strangler.ipc.metrics import BOUNDS_S

RATE_S = 10
"""A live rate is the mean of this many seconds."""

RECENT_S = 60
"""The error share and the 95th percentile are those of this many seconds."""

MAX_ROUTES = 1000
"""The most routes with a history of their own, 45 KB each; all others are only part of the sums."""

OBSERVE_EVERY_S = 1.0

_SECONDS, _MINUTES = 300, 1440
_MARK_EVERY_S = 10
_NO_TIMES: Vector = (0.0,) * (len(BOUNDS_S) + 2)

RouteArm = tuple[str | None, str]
"""Route and arm. None: all requests, with or without a route."""


@dataclass(frozen=True, slots=True)
class Count:
    """Since the proxy started: requests, 5xx responses, and durations by bucket, their sum last."""

    requests: int = 0
    errors: int = 0
    times: Vector = _NO_TIMES

    def __sub__(self, other: "Count") -> "Count":
        times = tuple(new - old for new, old in zip(self.times, other.times, strict=True))
        return Count(self.requests - other.requests, self.errors - other.errors, times)


@dataclass(frozen=True, slots=True)
class Point:
    """One slot of a history. `age_s`: how long ago it ended. `p95_s`: None if there was no response."""

    age_s: float
    requests: int
    errors: int
    p95_s: float | None


@dataclass(frozen=True, slots=True)
class Recent:
    """The current figures of an arm."""

    rate: float = 0.0  # requests a second
    error_share: float | None = None
    p95_s: float | None = None


def counts(totals: Mapping[Key, Vector]) -> dict[RouteArm, Count]:
    """Return the counts by route and arm, and of all routes together, from all totals."""
    requests: dict[RouteArm, list[int]] = {}
    times: dict[RouteArm, Vector] = {}
    for (name, labels), vector in totals.items():
        if name == "strangler_requests_total":
            figures = requests.setdefault((labels[0], labels[1]), [0, 0])
            figures[0] += int(vector[0])
            figures[1] += int(vector[0]) if labels[3] == "5xx" else 0
        elif name == "strangler_request_duration_seconds":
            times[labels[0], labels[1]] = vector
    found: dict[RouteArm, Count] = {
        key: Count(figures[0], figures[1], times.get(key, _NO_TIMES)) for key, figures in requests.items()
    }
    for arm in Arm:
        of_arm = [count for (_, name), count in found.items() if name == arm.value]
        found[None, arm.value] = _sum(of_arm)
    return found


def _sum(of: Iterable[Count]) -> Count:
    """Return the sum, in one pass over the figures and not one for each addition."""
    listed = list(of)
    times = tuple(map(sum, zip(*(count.times for count in listed), strict=True))) if listed else _NO_TIMES
    return Count(sum(count.requests for count in listed), sum(count.errors for count in listed), times)


def quantile_s(times: Vector, share: float) -> float | None:
    """Return the seconds that a share of the requests did not exceed, estimated like Prometheus' `histogram_quantile`:
    evenly spread within a bucket; beyond the last bound, that bound. None if there are no requests."""
    buckets = times[: len(BOUNDS_S) + 1]
    total = sum(buckets)
    if total <= 0:
        return None
    rank = share * total
    lower = 0.0
    for bound, count, cumulated in zip(BOUNDS_S, buckets, accumulate(buckets), strict=False):
        if cumulated >= rank:
            return lower + (bound - lower) * (rank - (cumulated - count)) / count
        lower = bound
    return BOUNDS_S[-1]


class _Ring:
    """The last slots of one length, 12 bytes each."""

    __slots__ = ("_begin", "_errors", "_p95_ms", "_requests", "_size", "_slot", "step_s")

    def __init__(self, step_s: int, size: int, now: float, begin: Count) -> None:
        self.step_s = step_s
        self._size = size
        self._requests = array("I", bytes(4 * size))
        self._errors = array("I", bytes(4 * size))
        self._p95_ms = array("f", bytes(4 * size))
        self._slot = int(now // step_s)
        self._begin = begin

    def observe(self, now: float, count: Count) -> None:
        """Assign the counts since a slot began to it, once it is over. A missed slot is empty."""
        slot = int(now // self.step_s)
        if slot <= self._slot:
            return
        at = self._slot % self._size
        self._requests[at], self._errors[at], self._p95_ms[at] = 0, 0, 0.0
        if count.requests != self._begin.requests:
            gained = count - self._begin
            self._requests[at], self._errors[at] = gained.requests, gained.errors
            self._p95_ms[at] = 1000 * (quantile_s(gained.times, 0.95) or 0.0)
        for missed in range(max(self._slot + 1, slot - self._size + 1), slot):
            at = missed % self._size
            self._requests[at], self._errors[at], self._p95_ms[at] = 0, 0, 0.0
        self._slot, self._begin = slot, count

    def requests(self, now: float, seconds: int) -> int:
        """Return the requests in the slots that ended within this many seconds; the ring's slots must be seconds."""
        first = max(int(now) - seconds, self._slot - self._size + 1)
        return sum(self._requests[slot % self._size] for slot in range(first, self._slot))

    def points(self, now: float, most: int) -> list[Point]:
        """Return the slots that are over, oldest first."""
        current = int(now // self.step_s)
        found = []
        for slot in range(self._slot - min(most, self._size - 1), self._slot):
            at = slot % self._size
            requests = self._requests[at]
            p95_s = self._p95_ms[at] / 1000 if requests else None
            found.append(Point((current - slot - 1) * self.step_s, requests, self._errors[at], p95_s))
        return found


@dataclass(slots=True)
class _Course:
    """The history of one arm of one route."""

    seconds: _Ring
    minutes: _Ring
    marks: deque[tuple[float, Count]] = field(default_factory=lambda: deque(maxlen=RECENT_S // _MARK_EVERY_S + 1))
    latest: Count = field(default_factory=Count)


class HistoryState:
    """Owns the histories of at most `max_routes` routes. `observe` must be called every second."""

    def __init__(self, max_routes: int = MAX_ROUTES) -> None:
        self._max_routes = max_routes
        self._courses: dict[RouteArm, _Course] = {}
        self._routes: set[str] = set()
        self._has_begun = False
        self._since = float("inf")

    def age_s(self, now: float) -> float:
        """Return how far back the history reaches; 0 before the first observation."""
        return max(0.0, now - self._since)

    def observe(self, now: float, totals: Mapping[Key, Vector]) -> None:
        """Add the totals. `now`: monotonic seconds."""
        for key, count in counts(totals).items():
            course = self._courses.get(key) or self._begun(key, now, count)
            if course is None:
                continue
            course.seconds.observe(now, count)
            course.minutes.observe(now, count)
            course.latest = count
            if not course.marks or now - course.marks[-1][0] >= _MARK_EVERY_S:
                course.marks.append((now, count))
        self._has_begun = True
        self._since = min(self._since, now)

    def _begun(self, key: RouteArm, now: float, count: Count) -> _Course | None:
        """Begin a key's history. Totals at the start belong to an earlier control; those of later keys count whole."""
        route = key[0]
        if route is not None and route not in self._routes:
            if len(self._routes) >= self._max_routes:
                return None
            self._routes.add(route)
        begin = Count() if self._has_begun else count
        course = _Course(_Ring(1, _SECONDS, now - 1, begin), _Ring(60, _MINUTES, now, begin))
        course.marks.append((now - 1, begin))
        self._courses[key] = course
        return course

    def last_minute(self, now: float) -> int:
        """Return all requests of the last minute."""
        courses = [self._courses.get((None, arm.value)) for arm in Arm]
        return sum(course.seconds.requests(now, RECENT_S) for course in courses if course is not None)

    def recent(self, now: float, route: str | None, arm: str) -> Recent:
        """Return the current figures of an arm."""
        course = self._courses.get((route, arm))
        if course is None:
            return Recent()
        rate = course.seconds.requests(now, RATE_S) / RATE_S
        since = next((count for at, count in course.marks if now - at <= RECENT_S + _MARK_EVERY_S), course.latest)
        if since.requests == course.latest.requests:
            return Recent(rate)
        gained = course.latest - since
        return Recent(rate, gained.errors / gained.requests, quantile_s(gained.times, 0.95))

    def seconds(self, now: float, route: str | None, arm: str) -> list[Point]:
        """Return the last five minutes by second, oldest first; empty if there never was any traffic."""
        course = self._courses.get((route, arm))
        return course.seconds.points(now, _SECONDS) if course else []

    def minutes(self, now: float, route: str | None, arm: str) -> list[Point]:
        """Return the last day by minute, oldest first; empty if there never was any traffic."""
        course = self._courses.get((route, arm))
        return course.minutes.points(now, _MINUTES) if course else []


class HistorySampler:
    """Adds the totals to the history every second."""

    def __init__(self, history: HistoryState, totals: TotalsState) -> None:
        self._history = history
        self._totals = totals

    async def run(self) -> None:
        """Observe the totals every second until cancelled."""
        while True:
            self._history.observe(time.monotonic(), self._totals.values())
            await asyncio.sleep(OBSERVE_EVERY_S)
