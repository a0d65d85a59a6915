"""The decisions about mirrored requests, and their counts."""

from collections.abc import Callable
from typing import Protocol

from strangler.control.receiver.kept_body import BodyBudget
from strangler.control.receiver.senders import Sender
from strangler.core.http.headers import ForwardedFields
from strangler.core.routing.received import COMPARED, Uncompared
from strangler.core.routing.route import Route
from strangler.core.routing.snapshot import Snapshot
from strangler.http1.request import Request
from strangler.ipc.messages import Captured
from strangler.state.kill_switch import KillSwitchState

RECEIVED = "strangler_received_total"
RESULTS = (COMPARED, *Uncompared)


class Comparisons(Protocol):
    """The owner of the comparisons."""

    def take_received(self, captured: Captured) -> bool: ...
    def count_dropped(self, route: str, reason: str) -> None: ...


class Receiving:
    """Finds the route of a request, and hands it over to be compared. `kill_switch` returns its state."""

    def __init__(
        self,
        snapshot: Snapshot,
        comparisons: Comparisons,
        kill_switch: Callable[[], KillSwitchState],
        sender: Sender,
    ) -> None:
        self.snapshot = snapshot
        self.budget = BodyBudget()
        self._comparisons = comparisons
        self._kill_switch = kill_switch
        self._sender = sender

    def restore(self, request: Request) -> bool:
        """Undo what the sender has done to Host, before a route is looked up. Return whether it did something."""
        return self._sender.restore(request)

    def route_of(self, request: Request) -> Route | Uncompared:
        """Return the route by which the request is compared, or why it is not."""
        return self._sender.route_of(self.snapshot, request, self._kill_switch())

    def captured(
        self, request: Request, forwarded: ForwardedFields, route: str, at: float, body: bytes, *, has_other_host: bool
    ) -> Captured:
        """Return the request as a worker would forward it."""
        return self._sender.captured(request, forwarded, route, at, body, has_other_host=has_other_host)

    def take(self, captured: Captured) -> bool:
        """Have a request compared. Return False if it is dropped."""
        return self._comparisons.take_received(captured)

    def count(self, result: str) -> None:
        """Count what became of a request."""
        self._sender.count(result)

    def count_dropped(self, route: str, reason: str) -> None:
        """Count a request that is dropped for what it is."""
        self._comparisons.count_dropped(route, reason)
