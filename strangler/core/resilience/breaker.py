# Compiled with mypyc: see docs/hot-path.md.
"""The breaker of one upstream: after too many failures nothing is sent to it for a while, then a few trials.

`try_acquire` hands out a permit, `report` takes it back with the result, `give_back` without one. Every change of
state is returned to the caller, who passes it to the log, the metrics and the other workers.

**Failures.** A failure is a fault or status in `counts`, or any call whose response head took longer than
`slow_call`. A fault of the client, or of our own admission, is no result at all: it neither trips nor closes
a breaker. All else, a 404 as well as a fault that is not in `counts`, is a success. A success never trips: both
rules are checked when a failure is reported. `consecutive` counts failures without a success between them,
whenever they happened; `failure_rate` covers the last `window`, once `min_requests` have ended in it.

**Half open.** At most `trials` requests at a time go through, until that many have succeeded in all: then it
closes. One failure opens it again for twice as long. If all trials are out and none started or ended for a minute
(long downloads, say), they are written off and others go through.

**Several workers.** An opening is a fact with an end: "open until U" (`export`). A breaker that receives one
(`force_open`) is open until the latest end that it knows of; a fact whose end has passed changes nothing, and
receiving one never makes a new end. So facts may arrive late, twice or in any order and all workers agree, and
no two can keep each other open. `until` is the monotonic clock of one machine, which its processes share.
Closing is not published: at U each worker lets trials of its own through.
"""

from collections.abc import Callable
from enum import StrEnum
from math import inf
from typing import NamedTuple

from strangler.core.fault import Fault
from strangler.core.resilience.window import SlidingWindow
from strangler.core.result import Result
from strangler.core.settings import BreakerSettings
from strangler.core.transitions import next_state


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Trigger(StrEnum):
    """The triggers that move a breaker; the texts label the arrows of the diagram."""

    TRIPPED = "too many failures"
    REPORTED = "opened in another worker"
    COOLED_DOWN = "cooldown over"
    TRIALS_PASSED = "trials succeeded"
    TRIAL_FAILED = "a trial failed"
    TRIALS_LOST = "trials did not come back"
    REPLACED = "settings changed"


CLOSED, OPEN, HALF_OPEN = BreakerState

TRANSITIONS: dict[tuple[BreakerState, Trigger], BreakerState] = {
    (CLOSED, Trigger.TRIPPED): OPEN,
    (CLOSED, Trigger.REPORTED): OPEN,
    (CLOSED, Trigger.REPLACED): CLOSED,
    (OPEN, Trigger.COOLED_DOWN): HALF_OPEN,
    (OPEN, Trigger.REPORTED): OPEN,
    (OPEN, Trigger.REPLACED): CLOSED,
    (HALF_OPEN, Trigger.TRIALS_PASSED): CLOSED,
    (HALF_OPEN, Trigger.TRIAL_FAILED): OPEN,
    (HALF_OPEN, Trigger.TRIALS_LOST): HALF_OPEN,
    (HALF_OPEN, Trigger.REPORTED): OPEN,
    (HALF_OPEN, Trigger.REPLACED): CLOSED,
}


class BreakerChanged(NamedTuple):
    """One change of state."""

    upstream: str
    before: BreakerState
    after: BreakerState
    reason: str
    """The reason in words, with the numbers: `12 of 20 requests failed in 30 s, the last: 503`."""
    at: float
    """Monotonic seconds."""


class BreakerPermit(NamedTuple):
    """The permission to send one request. Its report counts only in its own epoch, the time between two changes."""

    epoch: int
    change: BreakerChanged | None
    """The change that `try_acquire` caused: open to half_open, on the first trial's permit."""


class BreakerOpening(NamedTuple):
    """The open state of a breaker in the form for other workers: plain data."""

    until: float
    """Monotonic seconds."""
    streak: int
    """The number of openings without a closing between them, this one included: the cooldown doubles with each."""
    reason: str


_NO_RESULT = frozenset(fault for fault in Fault if not fault.is_upstream)
_MAX_DOUBLINGS = 63  # beyond any max_cooldown; keeps the float finite
_TRIALS_LOST_AFTER_S = 60.0
_OFF = BreakerSettings(
    failure_rate=None,
    min_requests=0,
    window_s=0.0,
    consecutive=None,
    slow_call_s=None,
    cooldown_s=0.0,
    max_cooldown_s=0.0,
    trials=1,
    counts=(),
)


class Breaker:
    """One upstream's breaker. With `settings` None it is switched off: always closed."""

    __slots__ = (
        "_consecutive",
        "_counts",
        "_epoch",
        "_last_trial_at",
        "_opened_at",
        "_passed",
        "_permit",
        "_settings",
        "_slow_s",
        "_streak",
        "_trials",
        "_until",
        "_upstream",
        "_why_open",
        "_window",
        "in_trial",
        "last_change",
        "state",
    )

    def __init__(self, upstream: str, settings: BreakerSettings | None) -> None:
        self.state = CLOSED
        self.last_change: BreakerChanged | None = None
        self.in_trial = 0
        self._upstream = upstream
        self._epoch = 0
        self._passed = 0  # trials that succeeded since it became half open
        self._last_trial_at = 0.0
        self._opened_at = self._until = 0.0
        self._why_open = ""
        self._apply(settings or _OFF)

    def _apply(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._counts = frozenset(settings.counts)
        self._slow_s = settings.slow_call_s or inf
        self._trials = max(1, settings.trials)
        self._window = SlidingWindow(settings.window_s or 1.0)
        self._start_counting()

    def _start_counting(self) -> None:
        self._permit = BreakerPermit(self._epoch, None)  # one for all requests of a closed epoch
        self._consecutive = 0
        self._streak = 0
        self._window.clear()

    # 1. Ask.

    def try_acquire(self, now: float) -> BreakerPermit | None:
        """Return the permit to send one request; None if it must be refused with `Fault.OPEN`."""
        if self.state is CLOSED:
            return self._permit
        return self._try_trial(now)

    def _try_trial(self, now: float) -> BreakerPermit | None:
        if self.refuses(now):
            return None
        change = None
        if self.state is OPEN:
            change = self._move(Trigger.COOLED_DOWN, f"cooled down for {now - self._opened_at:.3g} s", now)
        elif self.in_trial >= self._trials:
            self._move(Trigger.TRIALS_LOST, f"no trial came or went for {_TRIALS_LOST_AFTER_S:g} s", now)
        self.in_trial += 1
        self._last_trial_at = now
        return BreakerPermit(self._epoch, change)

    def refuses(self, now: float) -> bool:
        """Return True if `try_acquire` would refuse now."""
        if self.state is CLOSED:
            return False
        if self.state is OPEN:
            return now < self._until
        return self.in_trial >= self._trials and now < self._last_trial_at + _TRIALS_LOST_AFTER_S

    def retry_after_s(self, now: float) -> float:
        """Return the seconds after which to try again; never negative, and 1 while trials are out."""
        if self.state is OPEN:
            return max(0.0, self._until - now)
        return 1.0 if self.state is HALF_OPEN else 0.0

    # 2. Report, or give back.

    def report(
        self, permit: BreakerPermit, result: Result, now: float, draw: Callable[[], float]
    ) -> BreakerChanged | None:
        """Take the result of a permitted request; each permit is reported or given back once.

        `draw` gives [0, 1) and is called only when the breaker opens. A permit of an earlier epoch is ignored.
        """
        if permit.epoch != self._epoch:
            return None
        # The healthy path: 0.3 µs with the window, nothing allocated.
        if (
            self.state is CLOSED
            and result.fault is None
            and result.status not in self._counts
            and result.duration_s <= self._slow_s
        ):
            self._consecutive = 0
            self._window.add(now)
            return None
        if result.fault in _NO_RESULT:
            self.give_back(permit)
            return None
        failure = self._failure(result)
        if self.state is HALF_OPEN:
            return self._end_trial(failure, now, draw)
        return self._count(failure, now, draw)

    def give_back(self, permit: BreakerPermit) -> None:
        """Take back the permit of a request without a result (cancelled, or the client left): a trial is free again."""
        if permit.epoch == self._epoch and self.state is HALF_OPEN:
            self.in_trial -= 1

    def _failure(self, result: Result) -> str | None:
        """Return the name of the failure, or None for a success."""
        if result.cause in self._counts:
            return str(result.cause)
        if result.duration_s > self._slow_s:
            return f"a response after {result.duration_s:.3g} s"
        return None

    def _count(self, failure: str | None, now: float, draw: Callable[[], float]) -> BreakerChanged | None:
        self._window.add(now)
        if failure is None:
            self._consecutive = 0
            return None
        self._window.mark(now)
        self._consecutive += 1
        trouble = self._trouble(now)
        if trouble is None:
            return None
        return self._open(Trigger.TRIPPED, f"{trouble}, the last: {failure}", now, draw)

    def _trouble(self, now: float) -> str | None:
        """Return the rule by which the breaker opens, in words; None if it stays closed."""
        settings = self._settings
        if settings.consecutive and self._consecutive >= settings.consecutive:
            return f"{self._consecutive} failures in a row"
        requests, failures = self._window.totals(now)
        if not settings.failure_rate or not settings.window_s or requests < settings.min_requests:
            return None
        if failures < settings.failure_rate * requests:
            return None
        return f"{failures} of {requests} requests failed in {settings.window_s:g} s"

    def _end_trial(self, failure: str | None, now: float, draw: Callable[[], float]) -> BreakerChanged | None:
        self.in_trial -= 1
        if failure is not None:
            return self._open(Trigger.TRIAL_FAILED, f"a trial failed: {failure}", now, draw)
        self._passed += 1
        if self._passed < self._trials:
            return None
        return self._move(Trigger.TRIALS_PASSED, f"{self._passed} trials succeeded", now)

    # 3. Change.

    def _open(self, trigger: Trigger, reason: str, now: float, draw: Callable[[], float]) -> BreakerChanged | None:
        settings = self._settings
        doublings = min(self._streak, _MAX_DOUBLINGS)
        cooldown_s = min(settings.cooldown_s * 2.0**doublings, settings.max_cooldown_s)
        self._streak += 1
        self._until = now + cooldown_s * (1.0 - 0.2 * draw())  # jitter downwards: max_cooldown is a promise
        self._why_open = reason
        return self._move(trigger, reason, now)

    def _move(self, trigger: Trigger, reason: str, now: float) -> BreakerChanged | None:
        """Start a new epoch; return the change, or None if the state is the same as before."""
        before, self.state = self.state, next_state(TRANSITIONS, self.state, trigger)
        self._epoch += 1
        self.in_trial = self._passed = 0
        if self.state is CLOSED:
            self._start_counting()
        if self.state is before:
            return None
        if self.state is OPEN:
            self._opened_at = now
        self.last_change = BreakerChanged(self._upstream, before, self.state, reason, now)
        return self.last_change

    # 4. Other workers, and reloads.

    def export(self) -> BreakerOpening | None:
        """Return the state for the other workers; None unless the breaker is open."""
        return BreakerOpening(self._until, self._streak, self._why_open) if self.state is OPEN else None

    def force_open(self, opening: BreakerOpening, now: float) -> BreakerChanged | None:
        """Follow another worker's opening; return the change of state, if there is one."""
        if self._settings is _OFF or opening.until <= now:
            return None
        self._streak = max(self._streak, opening.streak)
        if self.state is OPEN and opening.until <= self._until:
            return None
        self._until = opening.until
        self._why_open = opening.reason
        return self._move(Trigger.REPORTED, f"in another worker: {opening.reason}", now)

    def adopt(self, settings: BreakerSettings | None, now: float) -> BreakerChanged | None:
        """Start over with new settings, closed and with nothing counted; return the change if it was not closed."""
        change = self._move(Trigger.REPLACED, "settings changed", now)
        self._apply(settings or _OFF)
        return change
