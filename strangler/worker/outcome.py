# Compiled with mypyc: see docs/hot-path.md.
"""The outcomes of trying an arm, other than an `Attempt` whose response head has come."""

from strangler.core.fault import Fault
from strangler.core.http.problem import Problem, problem_of
from strangler.core.result import Result
from strangler.core.routing.aggregate import Joined, PartFailure


class JoinedResponse:
    """The whole response of an aggregate."""

    __slots__ = ("joined", "result")

    def __init__(self, joined: Joined, duration_s: float) -> None:
        self.joined = joined
        self.result = Result(None, 200, duration_s)

    def settle(self) -> None:
        """Do nothing: it holds nothing to give back."""


class Failed:
    """The lack of a response that the client could get."""

    __slots__ = ("fault", "problem", "result", "retry_after_s")

    fault: Fault | None
    """The upstream's fault, or the client's. None for parts that responded, but with nothing that can be joined."""
    problem: Problem | None
    """The response that the client gets instead; None if it has left."""

    def __init__(
        self, result: Result, fault: Fault | None, retry_after_s: float | None, problem: Problem | None
    ) -> None:
        self.result = result
        self.fault = fault
        self.retry_after_s = retry_after_s
        self.problem = problem

    @property
    def is_framing_sound(self) -> bool:
        """True if it is certain where the client's request ends."""
        return self.fault is None or self.fault.is_upstream or self.fault.is_unsent

    def settle(self) -> None:
        """Do nothing: it holds nothing to give back."""


def failed_by(fault: Fault, result: Result, retry_after_s: float | None = None) -> Failed:
    """Return the outcome of attempts that ended in `fault`."""
    problem = None if fault is Fault.CLIENT_GONE else problem_of(fault, retry_after_s)
    return Failed(result, fault, retry_after_s, problem)


def failed_part(failure: PartFailure) -> Failed:
    """Return the outcome of an aggregate whose required part has failed."""
    return Failed(failure.result, failure.result.fault, failure.retry_after_s, failure.problem)
