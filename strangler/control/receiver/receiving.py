"""The decisions about mirrored requests, and their counts."""

from collections.abc import Callable
from random import random
from typing import Protocol

from strangler.clock import unix_now
from strangler.control.own_metrics import OwnMetrics
from strangler.control.receiver.kept_body import BodyBudget
from strangler.core.routing.received import COMPARED, Uncompared, received_route, sampled_route
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
        own: OwnMetrics,
    ) -> None:
        self.snapshot = snapshot
        self.budget = BodyBudget()
        self._comparisons = comparisons
        self._kill_switch = kill_switch
        self._own = own

    def route_of(self, request: Request) -> Route | Uncompared:
        """Return the route by which the request is compared, or why it is not."""
        switch = self._kill_switch()
        return received_route(self.snapshot, request, random, switch.on, unix_now, frozenset(switch.routes))

    def route_named(self, request: Request, name: str) -> Route | Uncompared:
        """Return the route of that name, for a request that our own Envoy has sampled; or why it is not compared."""
        switch = self._kill_switch()
        return sampled_route(self.snapshot, request, name, switch.on, unix_now, frozenset(switch.routes))

    def take(self, captured: Captured) -> bool:
        """Have a request compared. Return False if it is dropped."""
        return self._comparisons.take_received(captured)

    def count(self, result: str) -> None:
        """Count what became of a request."""
        self._own.counter(RECEIVED, result).inc()

    def count_dropped(self, route: str, reason: str) -> None:
        """Count a request that is dropped for what it is."""
        self._comparisons.count_dropped(route, reason)
