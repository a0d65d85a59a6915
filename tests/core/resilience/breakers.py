"""Breakers of tests: settings, results of each kind, and breakers in each state."""

from dataclasses import replace

from strangler.core.fault import Fault
from strangler.core.resilience.breaker import OPEN, Breaker, BreakerChanged, BreakerPermit
from strangler.core.result import Result
from strangler.core.settings import BreakerSettings
from tests.factories import breaker

SETTINGS = breaker(failure_rate=0.5, consecutive=5, cooldown_s=10.0, trials=2)
ROW_ONLY = replace(SETTINGS, failure_rate=None)
RATE_ONLY = replace(SETTINGS, consecutive=None)

OK = Result(None, 200, 0.01)
NOT_FOUND = Result(None, 404, 0.01)
ERROR = Result(None, 503, 0.01)
REFUSED = Result(Fault.CONNECT, None, 0.01)
GONE = Result(Fault.CLIENT_GONE, None, 0.01)


def no_jitter() -> float:
    return 0.0


def send(breaker: Breaker, result: Result, now: float) -> BreakerChanged | None:
    """One request that starts and ends at `now`; it must be let through."""
    permit = breaker.try_acquire(now)
    assert permit is not None
    return breaker.report(permit, result, now, no_jitter)


def opened(settings: BreakerSettings = ROW_ONLY, at: float = 0.0) -> Breaker:
    breaker = Breaker("orders", settings)
    for _ in range(5):
        send(breaker, ERROR, at)
    assert breaker.state is OPEN
    return breaker


def half_opened(settings: BreakerSettings = ROW_ONLY) -> tuple[Breaker, BreakerPermit]:
    """A breaker whose first trial is out, at 10.0."""
    breaker = opened(settings)
    permit = breaker.try_acquire(10.0)
    assert permit is not None
    return breaker, permit
