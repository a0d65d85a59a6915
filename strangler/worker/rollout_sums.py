# Compiled with mypyc: see docs/hot-path.md.
"""The requests of one route that has a rollout: which of them count, which of them failed, and their sums by arm."""

from bisect import bisect_left
from hashlib import blake2b
from typing import Final

from strangler.core.fault import Fault
from strangler.core.http.problem import problem_of
from strangler.core.rollout.caller_tally import CallerTally
from strangler.core.routing.arm import LEGACY_ARM, Reason
from strangler.core.routing.plan import Plan
from strangler.core.routing.route import Route
from strangler.ipc.messages import RolloutArm, RolloutCaller, RolloutCounts
from strangler.ipc.metrics import BOUNDS_S
from strangler.worker.call import Call

_CLIENT_GONE: Final = Fault.CLIENT_GONE
_UPSTREAM: Final = frozenset(fault for fault in Fault if fault.is_upstream or fault.is_unsent)
_REFUSED: Final = {
    problem.fault: problem.status
    for problem in map(problem_of, (Fault.CLIENT_TIMEOUT, Fault.CLIENT_PROTOCOL, Fault.TOO_LARGE))
}
"""The proxy's own responses to uploads that go wrong: the status of each, by the end of the request."""
_PERCENT: Final = Reason.PERCENT
_CHANCE: Final = Reason.CHANCE
_LEGACY: Final = LEGACY_ARM
_BOUNDS_S: Final = BOUNDS_S
_HASHES: Final = blake2b(digest_size=8, person=b"rollout callers")
"""Not the hash that buckets are made of: the callers below a percent would be no sample of its values."""


def caller_hash(sticky_key: bytes) -> int:
    """Return the hash of a caller, of 64 bits: the same in each worker."""
    state = _HASHES.copy()
    state.update(sticky_key)
    return int.from_bytes(state.digest(), "big")


def is_drawn(plan: Plan) -> bool:
    """Return True if the split decided on the arm. Callers who chose it, and those of a kill switch, are no sample."""
    reason = plan.reason
    return reason is _PERCENT or reason is _CHANCE


def has_outcome(call: Call) -> bool:
    """Return True if it is known whether the planned arm failed: neither if the client left before the response's head,
    nor if its upload went wrong before then. After a fallback the candidate has failed, whatever the client did then.
    """
    end = call.end
    if call.is_fallback:
        return True
    if end is None:
        return call.status != 0  # a request that crashed has none
    if end is _CLIENT_GONE:
        return call.has_response
    return _REFUSED.get(end) != call.status


def has_failed(call: Call) -> bool:
    """Return True if the planned arm failed: it gave a 5xx, no response or only a part of one, or legacy stood in."""
    if call.is_fallback or call.status >= 500:
        return True
    return call.end is not None and call.end in _UPSTREAM


class _ArmSums:
    """The requests of one arm."""

    __slots__ = ("buckets", "failed", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.failed = 0
        self.buckets = [0] * (len(BOUNDS_S) + 1)

    def add(self, bucket: int, failed: int) -> None:
        self.requests += 1
        self.failed += failed
        self.buckets[bucket] += 1

    def message(self) -> RolloutArm:
        return RolloutArm(self.requests, self.failed, self.buckets)


class RolloutSums:
    """The requests of one route that began under the settings of one generation."""

    __slots__ = ("_callers", "_candidate", "_legacy", "_route", "generation")

    def __init__(self, route: str, generation: int) -> None:
        self._route = route
        self.generation = generation
        self._legacy = _ArmSums()
        self._candidate = _ArmSums()
        self._callers = CallerTally()

    def add(self, call: Call, route: Route, duration_s: float) -> None:
        """Count a request by its planned arm; at the candidate also by its caller, if it has a sticky key."""
        plan = call.plan
        bucket = bisect_left(_BOUNDS_S, duration_s)
        failed = 1 if has_failed(call) else 0
        if plan.arm is _LEGACY:
            self._legacy.add(bucket, failed)
            return
        self._candidate.add(bucket, failed)
        key = plan.sticky_key
        if key is None and plan.reason is _PERCENT:  # at 100 % the plan needed none
            key = route.split.sticky_key(call)
        if key is not None:
            self._callers.add(caller_hash(key), bucket, failed)

    def counts(self) -> RolloutCounts:
        """Return the message with all that was counted."""
        callers = self._callers
        busiest = [
            RolloutCaller(caller, each.requests, each.failed, each.buckets, each.counter)
            for caller, each in callers.busiest.items()
        ]
        registers = bytes(callers.registers)
        legacy, candidate = self._legacy.message(), self._candidate.message()
        return RolloutCounts(self._route, self.generation, legacy, candidate, registers, busiest)
