"""Which endpoints of a candidate are much slower than legacy's, by pairs of times measured in the same way."""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from strangler.core.documents import SlowEndpoint

SLOW_RATIO: Final = 3.0
"""From this median ratio on, an endpoint is slow."""
WELL_RATIO: Final = 2.0
"""Below this median ratio, a slow endpoint is well again; in between nothing changes."""
MIN_PAIRS: Final = 20
WINDOW_S: Final = 3600.0
MAX_PAIRS: Final = 500
"""The most pairs kept of an endpoint; the latest count."""
MAX_ENDPOINTS: Final = 2000
MIN_TIME_S: Final = 1e-6

Endpoint = tuple[str, str]
"""A route's name and an endpoint, `GET /api/orders/{}`."""


@dataclass(frozen=True, slots=True)
class Slowness:
    """How much slower the candidate is. `ratio` is the median of the ratios of all pairs, the times are medians."""

    route: str
    endpoint: str
    ratio: float
    legacy_s: float
    candidate_s: float
    pairs: int


@dataclass(frozen=True, slots=True)
class SlownessChange:
    """An endpoint that became slow or is no longer slow; `found` is None if it is no longer timed."""

    route: str
    endpoint: str
    is_slow: bool
    found: Slowness | None


@dataclass(slots=True)
class _Times:
    last: float  # when it was last timed
    pairs: deque[tuple[float, float, float]] = field(default_factory=lambda: deque(maxlen=MAX_PAIRS))


class SlownessState:
    """The times of the last hour, of at most `MAX_ENDPOINTS` endpoints. Times are Unix times in seconds."""

    def __init__(self) -> None:
        self.slow: dict[Endpoint, Slowness] = {}
        """The slow endpoints, as they were when last judged."""
        self._times: OrderedDict[Endpoint, _Times] = OrderedDict()

    def restore(self, slow: Iterable[Slowness], now: float) -> None:
        """Take over what was slow before this process started: for an hour, unless it is timed again."""
        for slowness in slow:
            self.slow[slowness.route, slowness.endpoint] = slowness
            self._times[slowness.route, slowness.endpoint] = _Times(now)

    def observe(self, route: str, endpoint: str, at: float, legacy_s: float, candidate_s: float) -> None:
        """Take a pair. At the limit, a new endpoint replaces the least recently seen one that is not slow."""
        key = route, endpoint
        times = self._times.get(key)
        if times is None:
            if len(self._times) >= MAX_ENDPOINTS and not self._has_made_room():
                return
            times = self._times[key] = _Times(at)
        times.last = at
        times.pairs.append((at, legacy_s, candidate_s))
        self._times.move_to_end(key)

    def forget(self, route: str) -> None:
        """Drop a route's times, since another release serves now. Slow endpoints stay so until new times differ."""
        for (name, _), times in self._times.items():
            if name == route:
                times.pairs.clear()

    def keep_only(self, routes: frozenset[str]) -> list[SlownessChange]:
        """Drop the routes that are no longer timed; return what has changed."""
        gone = [key for key in self._times if key[0] not in routes]
        return [change for key in gone if (change := self._let_go(key)) is not None]

    def judge(self, now: float) -> list[SlownessChange]:
        """Return what has changed since the last call."""
        changes = []
        for key in list(self._times):
            change = self._judge(key, now)
            if change is not None:
                changes.append(change)
        return changes

    def _judge(self, key: Endpoint, now: float) -> SlownessChange | None:
        times = self._times[key]
        while times.pairs and times.pairs[0][0] < now - WINDOW_S:
            times.pairs.popleft()
        if times.last < now - WINDOW_S:
            return self._let_go(key)
        if len(times.pairs) < MIN_PAIRS:
            return None
        found, was_slow = _slowness(key, times.pairs), key in self.slow
        if found.ratio >= (WELL_RATIO if was_slow else SLOW_RATIO):
            self.slow[key] = found
            return None if was_slow else SlownessChange(*key, is_slow=True, found=found)
        return None if self.slow.pop(key, None) is None else SlownessChange(*key, is_slow=False, found=found)

    def _let_go(self, key: Endpoint) -> SlownessChange | None:
        del self._times[key]
        return None if self.slow.pop(key, None) is None else SlownessChange(*key, is_slow=False, found=None)

    def _has_made_room(self) -> bool:
        oldest = next((key for key in self._times if key not in self.slow), None)
        if oldest is None:
            return False
        del self._times[oldest]
        return True


def _slowness(key: Endpoint, pairs: Iterable[tuple[float, float, float]]) -> Slowness:
    held = list(pairs)
    return Slowness(
        route=key[0],
        endpoint=key[1],
        ratio=median(candidate / max(legacy, MIN_TIME_S) for _, legacy, candidate in held),
        legacy_s=median(legacy for _, legacy, _ in held),
        candidate_s=median(candidate for _, _, candidate in held),
        pairs=len(held),
    )


def slow_text(slowness: SlowEndpoint) -> str:
    """Return `GET /api/orders/{} takes 3.4 times as long as at legacy (210 ms, 62 ms)`."""
    return (
        f"{slowness.endpoint} takes {slowness.ratio:.1f} times as long as at legacy"
        f" ({slowness.candidate_ms:.3g} ms, {slowness.legacy_ms:.3g} ms)"
    )
