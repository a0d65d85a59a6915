"""The senders of mirrored requests: what they add to a request, and how the route is found."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from strangler.control.receiver.mirrored import captured, restore_host
from strangler.control.receiver.receiving import Receiving
from strangler.control.receiver.sampled import arm_of, captured_by_envoy, route_name
from strangler.core.routing.received import Uncompared
from strangler.core.routing.route import Route
from strangler.http1.client_connection import ClientConnection
from strangler.http1.request import Request
from strangler.ipc.messages import Captured


class Found(NamedTuple):
    """A request to compare. `capture` returns it, with its body, as comparisons use it."""

    route: Route
    capture: Callable[[bytes], Captured]


class Sender(Protocol):
    """The sender of mirrored requests at one socket."""

    ends_upgrades: bool
    """Whether a connection ends with a request for an upgrade: what follows it would be no HTTP."""

    def find(self, client: ClientConnection, request: Request, at: float) -> Found | Uncompared: ...


class OtherProxies:
    """Any proxies that mirror: the route is looked up, and `shadow.percent` is applied."""

    ends_upgrades = False

    def __init__(self, receiving: Receiving) -> None:
        self._receiving = receiving

    def find(self, client: ClientConnection, request: Request, at: float) -> Found | Uncompared:
        """Return a request as it is compared, or why it is not."""
        has_other_host = restore_host(request)
        if request.request_headers.has_upgrade:
            return Uncompared.UNSAFE
        route = self._receiving.route_of(request)
        if isinstance(route, Uncompared):
            return route
        name = route.name
        return Found(
            route, lambda body: captured(request, client.forwarded, name, at, body, has_other_host=has_other_host)
        )


class OwnEnvoy:
    """The Envoy that serves in place of workers: it names the route and the arm, and has sampled what it sends."""

    ends_upgrades = True

    def __init__(self, receiving: Receiving) -> None:
        self._receiving = receiving

    def find(self, client: ClientConnection, request: Request, at: float) -> Found | Uncompared:
        """Return a request as it is compared, or why it is not."""
        if request.request_headers.has_upgrade:
            return Uncompared.UNSAFE
        if b"expect" in request.fields:  # its body comes only on request
            return Uncompared.DROPPED
        route, arm = self._receiving.route_named(request, route_name(request)), arm_of(request)
        if isinstance(route, Uncompared):
            return route
        if arm is None:
            return Uncompared.UNMATCHED
        name, trusted = route.name, client.server.trusted
        return Found(route, lambda body: captured_by_envoy(request, name, arm, at, body, trusted))
