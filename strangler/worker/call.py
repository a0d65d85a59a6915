"""What is known of one request while it is served, and what is told of it afterwards."""

from strangler.core.fallback import NoFallback
from strangler.core.fault import Fault
from strangler.core.plan import Plan
from strangler.core.problem import Problem
from strangler.core.result import Result
from strangler.core.snapshot import Snapshot
from strangler.wire.client import ClientConnection
from strangler.wire.request import Request
from strangler.worker.heads import Trace


class Call:
    """One request's story, as far as it got. Written by `handler.py` only; read by the record at the end."""

    __slots__ = (
        "arm",
        "attempts",
        "client",
        "fault",
        "is_fallback",
        "no_fallback",
        "plan",
        "request",
        "results",
        "sent_bytes",
        "snapshot",
        "started",
        "status",
        "trace",
        "upstream",
    )

    def __init__(self, client: ClientConnection, request: Request, snapshot: Snapshot, started: float) -> None:
        self.client = client
        self.request = request
        self.snapshot = snapshot
        """The one that the request began with; a reload does not change it."""
        self.started = started  # monotonic seconds
        self.trace = Trace(request.section)
        self.plan: Plan | None = None
        self.arm: str = ""
        """Who answered in the end: after a fallback, legacy."""
        self.upstream = ""
        self.attempts = 0
        self.results: list[Result] = []
        """Of all attempts at the upstream that is being tried."""
        self.is_fallback = False
        self.no_fallback: NoFallback | None = None
        self.status = 0
        self.fault: Fault | str | None = None
        self.sent_bytes = 0

    def refused(self, problem: Problem) -> None:
        self.status = problem.status
        self.fault = problem.fault
