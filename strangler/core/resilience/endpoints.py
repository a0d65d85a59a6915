# Compiled with mypyc: see docs/hot-path.md.
"""The endpoints of one upstream, and which of them takes the next request.

Of two endpoints picked at random, the one with less to do takes the request. They are picked from those that are
healthy and not put aside; if there are none, from the healthy ones; if there are none, from all: an upstream is never
left without an endpoint by its own bookkeeping.

- *To do* is what is in flight. A response that is no success counts for as long as a success takes: else an
  endpoint that fails at once would have nothing to do, and draw nearly all requests.
- *Put aside* (passive): after five failures in a row, for 10 s, and for twice as long each time until it has
  been well again; never if that would leave no endpoint. A failure is a fault of the upstream or 502, 503 or
  504; any other 5xx, too, while a sibling shows that the application is well. Also after 20 responses in a row
  without a success (a 404, a redirect to a login), if siblings mostly have success.
- *The breaker* of the upstream does not get failures that are an endpoint's own: `is_own_failure`.
- *Health* (active): `fall` failed checks in a row make it unhealthy, `rise` good ones healthy again.
- *Slow start*: an endpoint that comes back takes a tenth of its share at first, and all of it after 30 s.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import NamedTuple

from strangler.core.fault import Fault
from strangler.core.result import Result
from strangler.core.settings import HealthSettings, Url

_FAILURES_TO_PUT_ASIDE = 5
_OWN_FAILURES = 3
"""This many failures in a row at one endpoint, while another is well, are its own and not the upstream's."""
_ODD_TO_PUT_ASIDE = 20
_MOSTLY = 0.5
_MEMORY = 1 / 16
"""The weight of the newest result in an endpoint's share of successes, and in the time that a success takes."""
_MAX_GHOSTS = 512
_ASIDE_S = 10.0
_MAX_ASIDE_S = 300.0
_SLOW_START_S = 30.0
_FIRST_SHARE = 0.1
_FAILED = frozenset({502, 503, 504, *(fault for fault in Fault if fault.is_upstream)})


def is_failure(result: Result) -> bool:
    """Return True for a fault of the upstream, and for any 5xx."""
    return result.cause in _FAILED or (result.fault is None and result.status is not None and result.status >= 500)


def is_good(result: Result) -> bool:
    """Return True for a success: a status below 300 (101 included), or 304."""
    status = result.status
    return result.fault is None and status is not None and (status < 300 or status == 304)


class EndpointKey(NamedTuple):
    """The key of an endpoint: the URL, and the address to connect to (one of those of its `connect_host`)."""

    url: Url
    address: str

    def __str__(self) -> str:
        return str(self.url) if self.address == self.url.connect_host else f"{self.url} ({self.address})"


class EndpointChanged(NamedTuple):
    """A change of an endpoint: it was put aside, or its health changed."""

    endpoint: EndpointKey
    is_usable: bool
    reason: str
    """The reason in words, with the numbers: `5 failures in a row, the last: connect; put aside for 10 s`."""
    at: float
    """Monotonic seconds."""


class EndpointState:
    """The state of one endpoint. Only `Endpoints` changes it; others read it."""

    __slots__ = (
        "aside_until",
        "failing",
        "failures",
        "ghosts",
        "in_flight",
        "is_healthy",
        "key",
        "odd",
        "results",
        "slow_until",
        "success_share",
        "times_aside",
    )

    def __init__(self, key: EndpointKey) -> None:
        self.key = key
        self.in_flight = 0
        self.failures = 0  # in a row
        self.odd = 0  # responses in a row that are neither failures nor successes: 3xx and 4xx
        self.results = 0
        self.failing = 0  # failures in a row of any kind, any 5xx included
        self.success_share = 0.0  # recently
        self.ghosts: deque[float] = deque()
        """The times up to which requests that did not succeed count as if they were in flight."""
        self.is_healthy = True
        self.aside_until = 0.0
        self.times_aside = 0
        self.slow_until = 0.0

    def is_usable(self, now: float) -> bool:
        return self.is_healthy and now >= self.aside_until

    def to_do(self, now: float) -> int:
        """Return the number of requests in flight, including those that count as if they were."""
        ghosts = self.ghosts
        while ghosts and ghosts[0] <= now:
            ghosts.popleft()
        return self.in_flight + len(ghosts)

    @property
    def is_well(self) -> bool:
        """Return True if its latest result was not a failure."""
        return self.results > 0 and not self.failing

    def share(self, now: float) -> float:
        """Return the share of its requests that it takes: from a tenth just after it came back, up to 1."""
        return min(1.0, max(_FIRST_SHARE, 1.0 - (self.slow_until - now) / _SLOW_START_S))


class Endpoints:
    """One upstream's endpoints. A request picks one and gives it back, with or without a result."""

    __slots__ = ("_all", "_review_at", "_success_s", "_usable")

    def __init__(self, keys: Sequence[EndpointKey]) -> None:
        self._all: tuple[EndpointState, ...] = ()
        self._success_s = 0.0  # how long a success takes until its head
        self._usable: tuple[EndpointState, ...] = ()
        self._review_at = 0.0
        self.adopt(keys)

    def adopt(self, keys: Sequence[EndpointKey]) -> None:
        """Replace the list (a reload, new addresses from DNS); endpoints that stay keep their state."""
        if not keys:
            raise ValueError("an upstream needs at least one endpoint")
        known = {state.key: state for state in self._all}
        self._all = tuple(known.get(key) or EndpointState(key) for key in dict.fromkeys(keys))
        self._review_at = 0.0

    @property
    def states(self) -> tuple[EndpointState, ...]:
        """Return all endpoints, for status and metrics."""
        return self._all

    def pick(self, now: float, draw: Callable[[], float], avoid: EndpointState | None = None) -> EndpointState:
        """Return the endpoint for the next request; it counts as in flight from now on.

        `avoid` is the endpoint of the attempt that has just failed: another is taken if there is one.
        """
        if now >= self._review_at:
            self._review(now)
        usable = self._usable
        if avoid is not None and len(usable) > 1:
            usable = tuple(state for state in usable if state is not avoid)
        state = usable[0] if len(usable) == 1 else _pick_of_two(usable, now, draw)
        state.in_flight += 1
        return state

    def pick_sibling(self, tried: Sequence[EndpointState], now: float) -> EndpointState | None:
        """Return another address of the same URL, for a request of which no byte was sent to those in `tried`; or None.

        It counts as in flight from now on. An endpoint that is unhealthy or put aside is not worth the wait.
        """
        url = tried[-1].key.url
        for state in self._all:
            if state.key.url == url and state not in tried and state.is_usable(now):
                state.in_flight += 1
                return state
        return None

    def addresses_of(self, url: Url) -> int:
        """Return how many endpoints are addresses of this URL."""
        return sum(state.key.url == url for state in self._all)

    def give_back(self, state: EndpointState) -> None:
        """Take back an endpoint whose request ended without a result: cancelled, or the client left."""
        state.in_flight -= 1

    def report(self, state: EndpointState, result: Result, now: float) -> EndpointChanged | None:
        """Take the result of a request; return the change if this put the endpoint aside."""
        state.in_flight -= 1
        is_alone = len(self._all) == 1
        if not is_alone:
            self._learn(state, result, now)
        if not is_failure(result) or (is_alone and result.cause not in _FAILED):
            if result.fault is None:
                self._learn_success(state, now)
            return None if is_alone else self._look_at_odd(state, result, now)
        if now < state.aside_until:
            return None
        if result.cause not in _FAILED and not self._is_application_well(state, now):
            self._learn_success(state, now)  # it is there; the application may be at fault everywhere
            return None
        state.failures += 1
        if state.failures < _FAILURES_TO_PUT_ASIDE or not any(True for _ in self._others_in_use(state, now)):
            return None
        failures, state.failures = state.failures, 0
        return self._put_aside(state, f"{failures} failures in a row, the last: {result.cause}", now)

    def is_own_failure(self, state: EndpointState, result: Result, now: float) -> bool:
        """Return True if only this endpoint fails: another one in use is well, or has no result yet.

        Call it after `report`.
        """
        if len(self._all) == 1 or not is_failure(result):
            return False
        if now >= state.aside_until and state.failing < _OWN_FAILURES:
            return False
        return any(other.is_well or not other.results for other in self._others_in_use(state, now))

    def _others_in_use(self, state: EndpointState, now: float) -> Iterator[EndpointState]:
        return (other for other in self._all if other is not state and other.is_usable(now))

    def _is_application_well(self, state: EndpointState, now: float) -> bool:
        return any(other.is_well and other.success_share > 0 for other in self._others_in_use(state, now))

    def _learn(self, state: EndpointState, result: Result, now: float) -> None:
        """Note a result, so that a fast failure does not look like a fast endpoint."""
        if result.fault is not None and not is_failure(result):
            return  # the client's doing
        is_success = is_good(result)
        state.results += 1
        state.failing = state.failing + 1 if is_failure(result) else 0
        weight = max(_MEMORY, 1 / state.results)
        state.success_share += weight * (is_success - state.success_share)
        if is_success:
            state.odd = 0
            step = _MEMORY if self._success_s else 1.0
            self._success_s += step * (result.duration_s - self._success_s)
            return
        left_s = self._success_s - result.duration_s
        if left_s > 0 and len(state.ghosts) < _MAX_GHOSTS:
            state.ghosts.append(now + left_s)

    def _look_at_odd(self, state: EndpointState, result: Result, now: float) -> EndpointChanged | None:
        """Put aside an endpoint that only redirects or refuses while its siblings succeed, such as one that lost its
        sessions, or runs another release."""
        if is_good(result) or result.fault is not None or now < state.aside_until:
            return None
        state.odd += 1
        if state.odd < _ODD_TO_PUT_ASIDE:
            return None
        if not any(
            other.results >= _ODD_TO_PUT_ASIDE and other.success_share >= _MOSTLY
            for other in self._others_in_use(state, now)
        ):
            return None
        odd, state.odd = state.odd, 0
        reason = f"{odd} responses in a row without a success, the last: {result.cause}, while others are well"
        return self._put_aside(state, reason, now)

    def set_health(self, key: EndpointKey, is_healthy: bool, reason: str, now: float) -> EndpointChanged | None:
        """Take over the result of the active checks; return the change, if there is one."""
        state = next((state for state in self._all if state.key == key), None)
        if state is None or state.is_healthy is is_healthy:
            return None
        state.is_healthy = is_healthy
        if is_healthy:
            state.slow_until = max(state.slow_until, now + _SLOW_START_S)
        self._review_at = 0.0
        return EndpointChanged(key, is_healthy, reason, now)

    def _learn_success(self, state: EndpointState, now: float) -> None:
        state.failures = 0
        if state.times_aside and now >= state.slow_until:
            state.times_aside = 0

    def _put_aside(self, state: EndpointState, why: str, now: float) -> EndpointChanged:
        aside_s = min(_ASIDE_S * 2.0 ** min(state.times_aside, 10), _MAX_ASIDE_S)
        state.times_aside += 1
        state.aside_until = now + aside_s
        state.slow_until = state.aside_until + _SLOW_START_S
        self._review_at = 0.0
        return EndpointChanged(state.key, False, f"{why}; put aside for {aside_s:g} s", now)

    def _review(self, now: float) -> None:
        """Determine which endpoints are usable, and for how long, so that `pick` need not check each of them."""
        healthy = tuple(state for state in self._all if state.is_healthy)
        usable = tuple(state for state in healthy if now >= state.aside_until)
        self._usable = usable or healthy or self._all
        self._review_at = min((state.aside_until for state in self._all if state.aside_until > now), default=inf)


def _pick_of_two(states: tuple[EndpointState, ...], now: float, draw: Callable[[], float]) -> EndpointState:
    """Return the less busy of two random endpoints; one in slow start leaves all but its share to the other."""
    first = int(draw() * len(states))
    second = int(draw() * (len(states) - 1))
    better, other = states[first], states[second if second < first else second + 1]
    if other.to_do(now) < better.to_do(now):
        better, other = other, better
    if now < better.slow_until and draw() >= better.share(now):
        return other
    return better


class HealthState:
    """The active checks of one endpoint, which starts as healthy unless it is known not to be."""

    __slots__ = ("_run", "_settings", "is_healthy")

    def __init__(self, settings: HealthSettings, is_healthy: bool = True) -> None:
        self._settings = settings
        self._run = 0  # checks in a row that contradict `is_healthy`
        self.is_healthy = is_healthy

    def report(self, is_good: bool) -> bool:
        """Take the result of one check; return True if it changed `is_healthy`."""
        if is_good is self.is_healthy:
            self._run = 0
            return False
        self._run += 1
        if self._run < (self._settings.rise if is_good else self._settings.fall):
            return False
        self.is_healthy = is_good
        self._run = 0
        return True

    def next_check_s(self, draw: Callable[[], float]) -> float:
        """Return the seconds to the next check: the interval plus or minus 10 %, so that checks do not run in step."""
        return self._settings.interval_s * (0.9 + 0.2 * draw())
