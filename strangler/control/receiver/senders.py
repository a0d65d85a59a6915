"""Those that mirror requests to us: proxies of others, which know nothing of routes, and the Envoy of this node."""

from collections.abc import Callable
from random import random
from typing import Protocol

from strangler.clock import unix_now
from strangler.control.receiver.mirrored import captured, captured_by_envoy, restore_host
from strangler.core.http.headers import ForwardedFields
from strangler.core.routing.received import Uncompared, mirrored_route, received_route
from strangler.core.routing.route import Route
from strangler.core.routing.snapshot import Snapshot
from strangler.http1.request import Request
from strangler.ipc.messages import Captured
from strangler.state.kill_switch import KillSwitchState

CountResult = Callable[[str], object]
"""Counts what became of a request."""


class Sender(Protocol):
    """How the requests of one kind of sender are read."""

    def restore(self, request: Request) -> bool:
        """Undo what the sender has done to Host. Return whether it did something."""

    def route_of(self, snapshot: Snapshot, request: Request, switch: KillSwitchState) -> Route | Uncompared:
        """Return the route by which a request is compared, or why it is not."""

    def captured(
        self, request: Request, forwarded: ForwardedFields, route: str, at: float, body: bytes, *, has_other_host: bool
    ) -> Captured:
        """Return the request as a worker would forward it."""

    def count(self, result: str) -> None:
        """Count what became of a request."""


class OtherProxies:
    """Proxies that mirror to `receiver.listen`. Their requests are planned here, and sampled by `shadow.percent`."""

    def __init__(self, count: CountResult) -> None:
        self._count = count

    def restore(self, request: Request) -> bool:
        return restore_host(request)

    def route_of(self, snapshot: Snapshot, request: Request, switch: KillSwitchState) -> Route | Uncompared:
        return received_route(snapshot, request, random, switch.on, unix_now, frozenset(switch.routes))

    def captured(
        self, request: Request, forwarded: ForwardedFields, route: str, at: float, body: bytes, *, has_other_host: bool
    ) -> Captured:
        return captured(request, forwarded, route, at, body, has_other_host=has_other_host)

    def count(self, result: str) -> None:
        self._count(result)


class OwnEnvoy:
    """The Envoy of this node, which has planned and sampled its requests, and names the route and the arm of each. They
    count as shadows alone: `strangler_received_total` is of what others send."""

    def restore(self, request: Request) -> bool:
        return False

    def route_of(self, snapshot: Snapshot, request: Request, switch: KillSwitchState) -> Route | Uncompared:
        return mirrored_route(snapshot, request, switch.on, frozenset(switch.routes))

    def captured(
        self, request: Request, forwarded: ForwardedFields, route: str, at: float, body: bytes, *, has_other_host: bool
    ) -> Captured:
        return captured_by_envoy(request, route, at, body)

    def count(self, result: str) -> None:
        pass
