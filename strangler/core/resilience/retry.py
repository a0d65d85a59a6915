# Compiled with mypyc: see docs/hot-path.md.
"""Retries: whether an attempt may be repeated at the same upstream, and after how long."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from math import inf

from strangler.core.fault import Fault
from strangler.core.http.methods import IDEMPOTENT
from strangler.core.resilience.window import SlidingWindow
from strangler.core.result import Result
from strangler.core.settings import RetrySettings

_BUDGET_SPAN_S = 10.0
_FLOOR_PER_S = 3.0
_MAX_DOUBLINGS = 63  # beyond any max_backoff; keeps the float finite


@dataclass(frozen=True, slots=True)
class Retry:
    """The decision to try again, `after_s` seconds from now."""

    after_s: float


class NoRetry(StrEnum):
    """The reasons against a retry, for the access log, in the order in which the rules are checked."""

    OFF = "off"
    NOT_LISTED = "not_listed"
    ATTEMPTS = "attempts"
    RESPONSE_STARTED = "answer_started"
    METHOD = "method"
    BODY = "body"
    DEADLINE = "deadline"
    BUDGET = "budget"


class RetryBudget:
    """How many retries an upstream gets: a share of its attempts of the last 10 s, plus 3 per second.

    It keeps retries from multiplying the load on an upstream that is failing because of load. The `workers` share the 3
    per second.
    """

    __slots__ = ("_floor", "_share", "_window")

    def __init__(self, share: float, workers: int = 1) -> None:
        self._share = share
        self._floor = max(1.0, _FLOOR_PER_S * _BUDGET_SPAN_S / workers)
        self._window = SlidingWindow(_BUDGET_SPAN_S)

    def add_attempt(self, now: float) -> None:
        """Count an attempt that was let through, first or not."""
        self._window.add(now)

    def try_spend(self, now: float) -> bool:
        """Take one retry out of the budget; return False if none is left."""
        attempts, retries = self._window.totals(now)
        first_attempts = max(0, attempts - retries)
        if retries + 1 > self._share * first_attempts + self._floor:
            return False
        self._window.mark(now)
        return True


class RetryRules:
    """One upstream's `retry`, compiled. With `settings` None there is none."""

    __slots__ = ("_settings", "when")

    def __init__(self, settings: RetrySettings | None) -> None:
        self._settings = settings
        self.when: frozenset[str | int] = frozenset(settings.when if settings is not None else ())

    def deadline(self, started: float, response_s: float) -> float | None:
        """Return when the last attempt must have its response head; None without a limit (`response_s` is infinite).

        All attempts share the time of one, unless timeouts are retried: then each attempt has its own.
        """
        if response_s == inf or self._settings is None:
            return None
        return started + response_s * (self._settings.attempts if Fault.TIMEOUT in self.when else 1)

    def decide(
        self,
        budget: RetryBudget,
        method: bytes,
        results: Sequence[Result],
        *,
        is_response_started: bool,
        is_body_resendable: bool,
        retry_after_s: float | None,
        deadline: float | None,
        now: float,
        draw: Callable[[], float],
    ) -> Retry | NoRetry:
        """Decide after an attempt; a `Retry` has been taken out of the budget.

        `results` are those of all attempts at this upstream, the last one being the attempt in question.
        `retry_after_s` is its Retry-After. It lengthens the backoff as far as the deadline of the whole request
        (monotonic seconds) allows; without a deadline, as far as `max_backoff`.
        """
        settings = self._settings
        if settings is None:
            return NoRetry.OFF
        if results[-1].cause not in self.when:
            return NoRetry.NOT_LISTED
        if len(results) >= settings.attempts:
            return NoRetry.ATTEMPTS
        if is_response_started:
            return NoRetry.RESPONSE_STARTED
        if method not in IDEMPOTENT and not all(result.is_unsent for result in results):
            return NoRetry.METHOD
        if not is_body_resendable:
            return NoRetry.BODY
        latest = now + settings.max_backoff_s if deadline is None else deadline
        after_s = max(backoff_s(settings, len(results), draw), retry_after_s or 0.0)
        if now + after_s > latest:
            return NoRetry.DEADLINE
        return Retry(after_s) if budget.try_spend(now) else NoRetry.BUDGET


def backoff_s(settings: RetrySettings, attempts_made: int, draw: Callable[[], float]) -> float:
    """Return an exponential backoff with full jitter: from 0 up to a bound that doubles with each attempt."""
    doublings = min(attempts_made - 1, _MAX_DOUBLINGS)
    return draw() * min(settings.backoff_s * 2.0**doublings, settings.max_backoff_s)


def parse_retry_after(value: bytes, unix_now: float) -> float | None:
    """Return the seconds of a Retry-After field (RFC 9110 section 10.2.3); None if it is unreadable."""
    text = value.strip().decode("latin-1")
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 16 else inf
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # OverflowError: a year of twenty digits
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - unix_now)
