# Compiled with mypyc: see docs/hot-path.md.
"""One request and its response at one upstream: what the two connections know of each other while it lasts."""

import math

from strangler.core.fault import Fault
from strangler.core.settings import TimeoutSettings
from strangler.http1.body import Body
from strangler.http1.downstream import Downstream
from strangler.http1.response import ResponseHead
from strangler.http1.tunnel import UpstreamSide


class Clocks:
    """The timeouts of an attempt. A limit that is off is infinite, so that no caller has to check for None."""

    __slots__ = ("connect_s", "idle_s", "response_s")

    def __init__(self, timeouts: TimeoutSettings) -> None:
        self.connect_s = timeouts.connect_s
        self.response_s = math.inf if timeouts.response_s is None else timeouts.response_s
        self.idle_s = math.inf if timeouts.idle_s is None else timeouts.idle_s

    def within(self, seconds: float) -> "Clocks":
        """Return the same, with at most `seconds` for the connection, and for the response's head."""
        left_s = max(0.0, seconds)
        connect_s = left_s if self.connect_s is None else min(self.connect_s, left_s)
        return Clocks(TimeoutSettings(connect_s, min(self.response_s, left_s), self.idle_s))


class Exchange:
    """Filled in by the upstream connection, which wakes the client's task to look at `response`, `fault`, `is_done`."""

    __slots__ = (
        "body",
        "client",
        "clocks",
        "connection",
        "fault",
        "has_bytes",
        "is_done",
        "is_head",
        "may_upgrade",
        "payload",
        "response",
    )

    def begin(self, client: Downstream, *, is_head: bool, may_upgrade: bool) -> None:
        """Take the place of `__init__`, so that a subclass need not go through `super`: 0.2 µs."""
        self.client = client
        self.is_head = is_head
        self.may_upgrade = may_upgrade
        self.connection: UpstreamSide | None = None
        self.has_bytes = False
        """True once any byte came back."""
        self.response: ResponseHead | None = None
        self.body: Body | None = None
        """The response's body, unless it came whole with the head."""
        self.payload = b""
        """The response's body, if it came whole with the head: saves 2 µs for small responses."""
        self.fault: Fault | None = None
        self.is_done = False
        """True once the response is complete."""

    clocks: Clocks
    """Set before it is sent."""

    def drop(self) -> None:
        """Give the exchange up: whatever the upstream still sends is lost."""
        if self.connection is not None:
            self.connection.drop()

    def settle(self) -> None:
        """Give back all that the exchange holds."""
        self.drop()
