# Compiled with mypyc: see docs/hot-path.md.
"""The result of one attempt at an upstream."""

from strangler.core.fault import Fault


class Result:
    """The end of one attempt, never changed once it is made.

    Both `fault` and `status` are set if the response broke off after its head; the fault is then what counts.
    """

    __slots__ = ("cause", "duration_s", "fault", "status")

    duration_s: float
    """From the start of the attempt to the response head, or to the fault: a long download is no slow call."""
    cause: Fault | int | None
    """The key that is looked up in `when` and `counts`: the fault, else the status."""

    def __init__(self, fault: Fault | None, status: int | None, duration_s: float) -> None:
        self.fault = fault
        self.status = status
        self.duration_s = duration_s
        self.cause = status if fault is None else fault

    def __repr__(self) -> str:
        return f"Result({self.fault!r}, {self.status}, {self.duration_s:g})"

    def with_fault(self, fault: Fault | None) -> "Result":
        """Return the same attempt with the fault that ended it after its head."""
        return Result(fault, self.status, self.duration_s)

    @property
    def is_unsent(self) -> bool:
        """Return True if the request provably never reached the upstream."""
        return self.fault is not None and self.fault.is_unsent
