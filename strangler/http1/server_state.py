# Compiled with mypyc: see docs/hot-path.md.
"""The state that all client connections of a worker share: limits, the set of open ones, one write batch."""

import asyncio
from collections.abc import Callable, Coroutine
from math import inf

from strangler.clock import now
from strangler.core.http import problem
from strangler.core.http.trust import TrustedProxies
from strangler.core.resilience.connection_limit import ConnectionLimit
from strangler.core.settings import LimitSettings
from strangler.http1.downstream import ClientSide, Downstream
from strangler.http1.listener_state import ListenerState
from strangler.http1.request import Request
from strangler.http1.write_batch import WriteBatch

_LOOKED_AT = 64
"""How many connections of an address are checked to find an idle one."""


class ServerState:
    """The state that all client connections of a worker share."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: LimitSettings,
        request_type: type[Request],
        serve: Callable[..., Coroutine[None, None, None]],
        trusted: TrustedProxies,
        on_crash: Callable[[Exception], None],
        on_limit: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.loop = loop
        self.limits = limits
        self.request_type = request_type
        """The class of requests: the handler adds what it knows to the same object, which saves one a request."""
        self.trusted = trusted
        self.on_crash = on_crash
        self.on_limit = on_limit
        """Called with the reason when a limit ends a connection that has no request under way."""
        self.connection_limit: ConnectionLimit[ClientSide] = ConnectionLimit()
        self.plain = ListenerState(serve)
        """The listener of connections that name none."""
        self.write_batch = WriteBatch(loop)
        self.is_draining = False
        self.connections: set[ClientSide] = set()
        self.active: set[Downstream] = set()
        """The connections with a request under way: `sweep_active` checks them many times a second."""

    def enter(self, connection: ClientSide, address: bytes, *, is_admitted: bool = False) -> bool:
        """Count a new connection from `address`. Return False if there are too many, and none could be closed.

        `is_admitted`: it takes the place of one that has just left.
        """
        self.connections.add(connection)
        has_room = is_admitted or self.connection_limit.total < self.limits.connections or self.make_room(address)
        self.connection_limit.enter(address, connection)
        return has_room

    def leave(self, connection: ClientSide, address: bytes) -> None:
        """Forget a connection that is closed."""
        self.connections.discard(connection)
        self.active.discard(connection)
        self.connection_limit.leave(address, connection)

    def turn_away(self, connection: ClientSide) -> None:
        """Refuse a connection beyond the limit; far beyond it, without a 503, which would need a place itself."""
        limit = self.limits.connections
        if self.connection_limit.total <= limit + max(64, limit // 8):
            connection.refuse(problem.TOO_MANY_CONNECTIONS)
        else:
            self.on_limit(problem.TOO_MANY_CONNECTIONS.fault)
            connection.abort()

    def sweep_active(self, now: float) -> None:
        for downstream in [a for a in self.active if a.deadline < now]:
            downstream.expire(now)

    def sweep_all(self, now: float) -> None:
        for connection in [c for c in self.connections if c.deadline < now]:
            connection.expire(now)

    def drain(self) -> None:
        """Close each connection after the response under way, or that to a request which comes within a second."""
        self.is_draining = True
        for connection in list(self.connections):
            connection.go_away()

    def make_room(self, address: bytes) -> bool:
        """Close an idle connection for a new one from `address`. Return False if the new one has to go."""
        crowded = self.connection_limit.address_to_yield(address)
        if crowded is None:
            return False
        for connection in self.connection_limit.some(crowded, _LOOKED_AT):
            if connection.is_idle:
                connection.give_way()
                self.on_limit("crowded_out")
                return True
        return False

    def abort(self) -> None:
        for connection in list(self.connections):
            connection.abort()


def first_deadline(server: ServerState) -> float:
    """Return when a connection that begins now must have said who it is: PROXY header and TLS handshake together."""
    limit_s = server.limits.header_timeout_s
    return inf if limit_s is None else now() + limit_s
