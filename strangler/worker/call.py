# Compiled with mypyc: see docs/hot-path.md.
"""One request while it is served: all that logs, metrics, spans and captures need of it afterwards."""

from strangler.core.fault import Fault
from strangler.core.resilience.fallback import NoFallback
from strangler.core.resilience.retry import NoRetry
from strangler.core.result import Result
from strangler.core.routing.plan import Plan
from strangler.core.routing.snapshot import Snapshot
from strangler.http1.client_connection import ClientConnection
from strangler.http1.downstream import Downstream
from strangler.http1.request import Request
from strangler.worker.capture import NO_CAPTURE, Capture
from strangler.worker.trace import Trace

_SHADOW = b"x-strangler-shadow"


class Call(Request):
    """A request with its progress. Only the code that serves it writes to it; telemetry reads it at the end."""

    __slots__ = (
        "arm",
        "attempts",
        "capture",
        "client",
        "downstream",
        "end",
        "failed_parts",
        "is_counted",
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
    downstream: Downstream
    """The party that its attempts are made for: the client, or one part of an aggregate."""
    snapshot: Snapshot
    """The snapshot that the request began with; a reload does not change it."""
    started: float  # monotonic seconds
    trace: Trace
    plan: Plan
    arm: str
    """The arm that responded in the end: after a fallback, legacy. Empty until the request is planned."""
    upstream: str
    attempts: int
    """The number of attempts at all upstreams."""
    results: list[Result]
    """The results of the attempts at the upstream that is being tried."""
    is_fallback: bool
    is_counted: bool
    """True if ledger and rollout have counted it before its end, which may be days away."""
    no_fallback: NoFallback | None
    no_retry: NoRetry | None
    """Why the last failure that `retry.when` lists was not tried again."""
    status: int
    end: Fault | str | None
    """The fault that it ended with, as the access log has it."""
    failed_parts: str | None
    """The failed parts of an aggregate: optional ones that are null, or the required one, each with its reason."""
    sent_bytes: int
    capture: Capture
    """The copy for a shadow, if the request gets one; else `NO_CAPTURE`."""

    def begin(self, client: ClientConnection, snapshot: Snapshot, plan: Plan, started: float) -> None:
        """Begin to serve the request."""
        self.client = self.downstream = client
        self.snapshot = snapshot
        self.plan = plan
        self.started = started
        self.trace = Trace(self.request_headers, snapshot.sampled_below)
        self.arm = self.upstream = ""
        self.attempts = self.status = self.sent_bytes = 0
        self.results = []
        self.is_fallback = self.is_counted = False
        self.no_fallback = self.no_retry = self.end = self.failed_parts = None
        self.capture = NO_CAPTURE

    @property
    def is_shadow(self) -> bool:
        """True if it is a shadow that another proxy has sent, one that is trusted: no client waits for its response."""
        return _SHADOW in self.fields and self.client.forwarded.is_trusted

    @property
    def is_resendable(self) -> bool:
        """True if all of the request that has come could be sent again."""
        return self.body is None or self.body.is_resendable

    def try_rewind(self) -> bool:
        """Make the body ready to be sent again from its first byte; False if not all of it was kept."""
        return self.body is None or self.body.rewind()

    def try_start_over(self) -> bool:
        """Make the request ready for another attempt; False if not all of its body was kept."""
        self.exchange = None
        return self.try_rewind()
