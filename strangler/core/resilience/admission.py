# Compiled with mypyc: see docs/hot-path.md.
"""Admission to one upstream: its breaker, bulkhead and retry budget behind one call.

    outcome = admission.admit(now)          # Permit, Ticket or Refusal
    with permit:                            # the slot is given back on every way out
        ...
        change = permit.report(result, now, draw)

A `Ticket` means: wait for at most `admission.wait_s`. Set `ticket.on_turn`, then `resume` once it was called,
or `give_up` when the time is over or the request is cancelled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from strangler.core.fault import Fault
from strangler.core.resilience.breaker import Breaker, BreakerChanged, BreakerPermit
from strangler.core.resilience.bulkhead import ENTERED, Bulkhead, Ticket
from strangler.core.resilience.retry import RetryBudget, RetryRules
from strangler.core.result import Result
from strangler.core.settings import UpstreamSettings


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refusal to send anything: `Fault.OPEN` or `Fault.FULL`."""

    fault: Fault
    retry_after_s: float


LONG_S = 10.0
"""A response that takes longer than this does not count as in flight: it is a slow reader, a download or a stream."""


class Permit:
    """The permission for one attempt, with its slot in the bulkhead. Leaving `with`, or `release`, gives it back."""

    __slots__ = ("_admission", "_breaker_permit", "_is_released", "_is_reported", "_is_stream")

    def __init__(self, admission: "Admission", breaker_permit: BreakerPermit) -> None:
        self._admission = admission
        self._breaker_permit = breaker_permit
        self._is_stream = False
        self._is_reported = False
        self._is_released = False

    @property
    def change(self) -> BreakerChanged | None:
        """Return the change of the breaker that admission caused: open to half_open."""
        return self._breaker_permit.change

    def report(self, result: Result, now: float, draw: Callable[[], float]) -> BreakerChanged | None:
        """Report the attempt's result to the breaker; only the first report counts. The slot stays taken.

        So a tunnel or an endless stream is reported at its head, and released at its end: see `become_stream`.
        """
        if self._is_reported:
            return None
        self._is_reported = True
        return self._admission.breaker.report(self._breaker_permit, result, now, draw)

    def begin_body(self, now: float) -> None:
        """Note that the response's head has arrived and its body is still coming."""
        self._admission.bodies[self] = now

    def become_stream(self) -> bool:
        """Give the slot back and go on as a stream; return False, and change nothing, if there are too many streams."""
        if self._is_stream or self._is_released:
            return True
        admission = self._admission
        if not admission.bulkhead.try_enter_stream():
            return False
        self._is_stream = True
        admission.bodies.pop(self, None)
        admission.leave()
        return True

    def release(self) -> None:
        """Give the slot back and wake the next ticket. Without a report the breaker learns nothing."""
        if self._is_released:
            return
        self._is_released = True
        admission = self._admission
        if not self._is_reported:
            admission.breaker.give_back(self._breaker_permit)
        if self._is_stream:
            admission.bulkhead.leave_stream()
            return
        if admission.bodies:
            admission.bodies.pop(self, None)
        admission.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Admission:
    """The state of one upstream that survives a reload: breaker, bulkhead, retry budget.

    `settings` are those of this worker (`core.resilience.worker_share`); the retry budget's floor is divided here.
    """

    __slots__ = ("_settings", "_workers", "bodies", "breaker", "budget", "bulkhead", "retry")

    def __init__(self, settings: UpstreamSettings, workers: int = 1) -> None:
        self._settings = settings
        self._workers = workers
        self.breaker = Breaker(settings.name, settings.breaker)
        self.bulkhead = Bulkhead(settings.bulkhead)
        self.retry = RetryRules(settings.retry)
        self.budget = _budget(settings, workers)
        self.bodies: dict[Permit, float] = {}
        """The responses whose body is still coming, oldest first, with the time of their head."""

    @property
    def wait_s(self) -> float:
        return self.bulkhead.wait_s

    def admit(self, now: float) -> Permit | Ticket | Refusal:
        """Request one attempt. An open breaker refuses before anything waits."""
        if self.bodies and self.bulkhead.is_full:
            self._find_streams(now)
        entry = self.bulkhead.try_enter()
        if entry is ENTERED:
            return self._ask_breaker(now)
        refusal = self._refusal(now)
        if isinstance(entry, Ticket):
            if refusal is None:
                return entry
            self.give_up(entry)
        return refusal or Refusal(Fault.FULL, max(1.0, self.wait_s))

    def leave(self) -> None:
        """Give a slot back; the first ticket in the queue gets it."""
        ticket = self.bulkhead.leave()
        if ticket is not None:
            _wake(ticket)

    def _find_streams(self, now: float) -> None:
        """Let long-running responses go on as streams, whatever their head. Called only when no slot is free."""
        while self.bodies:
            permit, since = next(iter(self.bodies.items()))
            if now - since < LONG_S or not permit.become_stream():
                return
            self.bodies.pop(permit, None)

    def resume(self, ticket: Ticket, now: float) -> Permit | Refusal:
        """Go on once the ticket's turn has come."""
        self.bulkhead.claim(ticket)
        return self._ask_breaker(now)

    def give_up(self, ticket: Ticket) -> None:
        """Stop waiting; a slot granted in the meantime goes to the next ticket."""
        following = self.bulkhead.give_up(ticket)
        if following is not None:
            _wake(following)

    def adopt(self, settings: UpstreamSettings, now: float, workers: int = 1) -> BreakerChanged | None:
        """Take over new settings. An unchanged part keeps its state; new URLs also start the breaker over."""
        old, self._settings = self._settings, settings
        before, self._workers = self._workers, workers
        change = None
        if (old.breaker, old.urls, old.tls) != (settings.breaker, settings.urls, settings.tls):
            change = self.breaker.adopt(settings.breaker, now)
        if (old.retry, before) != (settings.retry, workers):
            self.retry = RetryRules(settings.retry)
            self.budget = _budget(settings, workers)
        if old.bulkhead != settings.bulkhead:
            for ticket in self.bulkhead.adopt(settings.bulkhead):
                _wake(ticket)
        return change

    def _ask_breaker(self, now: float) -> Permit | Refusal:
        breaker_permit = self.breaker.try_acquire(now)
        if breaker_permit is not None:
            self.budget.add_attempt(now)
            return Permit(self, breaker_permit)
        self.leave()
        return Refusal(Fault.OPEN, self.breaker.retry_after_s(now))

    def _refusal(self, now: float) -> Refusal | None:
        if not self.breaker.refuses(now):
            return None
        return Refusal(Fault.OPEN, self.breaker.retry_after_s(now))


def _budget(settings: UpstreamSettings, workers: int) -> RetryBudget:
    return RetryBudget(settings.retry.budget if settings.retry is not None else 0.0, workers)


def _wake(ticket: Ticket) -> None:
    if ticket.on_turn is not None:
        ticket.on_turn()
