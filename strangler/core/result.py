"""What one attempt at an upstream came to."""

from typing import NamedTuple

from strangler.core.fault import Fault


class Result(NamedTuple):
    """One attempt's end. A named tuple because one is made per attempt: 0.3 µs, all in C.

    Both `fault` and `status` are set where the answer broke after its head; the fault is then what counts.
    """

    fault: Fault | None
    status: int | None
    duration_s: float
    """From the start of the attempt to the response head, or the fault: a long download is no slow call."""

    @property
    def cause(self) -> Fault | int | None:
        """What `when` and `counts` lists are asked about: the fault, else the status."""
        return self.status if self.fault is None else self.fault

    @property
    def is_unsent(self) -> bool:
        """True if the request provably never reached the upstream."""
        return self.fault is not None and self.fault.is_unsent
