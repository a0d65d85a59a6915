"""What is known of one request while it is served, and what is told of it afterwards."""

from strangler.core.fallback import NoFallback
from strangler.core.fault import Fault
from strangler.core.plan import Plan
from strangler.core.problem import Problem
from strangler.core.result import Result
from strangler.core.retry import NoRetry
from strangler.core.snapshot import Snapshot
from strangler.wire.asker import Asker
from strangler.wire.client_connection import ClientConnection
from strangler.wire.request import Request
from strangler.worker.capture import Capture
from strangler.worker.heads import Trace


class Call(Request):
    """A request, and its story as far as it got. Written by the story only; read by the record at the end."""

    __slots__ = (
        "arm",
        "asker",
        "attempts",
        "capture",
        "client",
        "end",
        "failed_parts",
        "is_fallback",
        "no_fallback",
        "no_retry",
        "plan",
        "results",
        "sent_bytes",
        "snapshot",
        "started",
        "status",
        "trace",
        "upstream",
    )

    client: ClientConnection
    asker: Asker
    """Whom its attempts are for: the client, unless the call is one part of an aggregate."""
    snapshot: Snapshot
    """The one that the request began with; a reload does not change it."""
    started: float  # monotonic seconds
    trace: Trace
    plan: Plan
    arm: str
    """Who answered in the end: after a fallback, legacy. Empty until the request is planned."""
    upstream: str
    attempts: int
    results: list[Result]
    """Of all attempts at the upstream that is being tried."""
    is_fallback: bool
    no_fallback: NoFallback | None
    no_retry: NoRetry | None
    """Why the last failure that `retry.when` lists was not tried again."""
    status: int
    end: Fault | str | None
    """The fault that it ended with, as the log tells it."""
    failed_parts: str | None
    """Of an aggregate: the optional parts that are null, or the required one that failed, each with its reason."""
    sent_bytes: int
    capture: Capture | None
    """The copy for a shadow, if the request gets one."""

    def begin(self, client: ClientConnection, snapshot: Snapshot, plan: Plan, started: float) -> None:
        """The story of this request begins."""
        self.client = self.asker = client
        self.snapshot = snapshot
        self.plan = plan
        self.started = started
        self.trace = Trace(self.section, snapshot.sampled_below)
        self.arm = self.upstream = ""
        self.attempts = self.status = self.sent_bytes = 0
        self.results = []
        self.is_fallback = False
        self.no_fallback = self.no_retry = self.end = self.failed_parts = None
        self.capture = None

    def refused(self, problem: Problem) -> None:
        self.status = problem.status
        self.end = problem.fault

    @property
    def is_resendable(self) -> bool:
        """All of the request that has come could be sent again."""
        return self.body is None or self.body.is_resendable
