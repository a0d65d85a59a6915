# Compiled with mypyc: see docs/hot-path.md.
"""The listeners of a worker: what their connections need to know, and how an accepted connection begins."""

import asyncio
import functools
import socket
from typing import cast

import structlog

from strangler.clock import now
from strangler.core.http.addresses import peer_address
from strangler.core.http.trust import TrustedProxies
from strangler.core.listener_settings import ListenerSettings
from strangler.core.settings import Settings
from strangler.http1.client_connection import ClientConnection
from strangler.http1.listener_state import ListenerState
from strangler.http1.proxy_header_reader import ProxyHeaderReader
from strangler.http1.server_state import ServerState, first_deadline
from strangler.http1.tls_handshake import TlsHandshake
from strangler.sockets.accept import Accepted, Acceptor, Beginning, ConnectionCounts
from strangler.tls.server_context import ServerContexts
from strangler.worker.context import WorkerContext
from strangler.worker.in_clear import refuse_in_clear
from strangler.worker.redirect import serve_redirects

_WARNING_S = 60.0
"""The least time between two warnings of handshakes that failed: scanners cause many."""


class Listeners:
    """The state of each listener by its address, and the acceptor of their connections."""

    def __init__(self, server: ServerState, context: WorkerContext, index: int, counts: ConnectionCounts) -> None:
        self._server = server
        self._context = context
        self._states: dict[str, ListenerState] = {}
        self._with_tls: frozenset[str] = frozenset()
        self._in_clear = ListenerState(lambda client: refuse_in_clear(client, context))
        self._log = structlog.get_logger()
        self._failures = 0
        self._may_warn_at = 0.0
        self.contexts = ServerContexts()
        self.acceptor = Acceptor(server.loop, index, counts, lambda: len(server.connections), self.connect)

    def adopt(self, settings: Settings, contexts: ServerContexts) -> None:
        """Take over what the settings say of listeners. One that only a restart removes stays as it was."""
        self.contexts = contexts
        self._states |= {str(listener.address): self._state(listener) for listener in settings.listeners}
        self._with_tls = frozenset(address for address, state in self._states.items() if state.scheme == b"https")
        for address, reason in contexts.failed.items():
            self._log.error("listener.tls_failed", listen=address, reason=reason)

    def connect(self, accepted: Accepted, address: str) -> Beginning | None:
        """Give a connection its protocol; first read who the client is, where a load balancer says so."""
        listener = self._state_at(address)
        if listener.balancers is not None:
            begin = functools.partial(self._begin, address)
            ProxyHeaderReader(self._server, listener, accepted.whole(), begin).start()
            return None
        if address in self._with_tls:
            self._begin(address, accepted.whole(), "", first_deadline(self._server))
            return None
        return self._beginning(listener, accepted.bare(), peer_address(accepted.peer))

    def _begin(self, address: str, accepted: socket.socket, client: str, deadline: float) -> None:
        if address not in self._with_tls:
            self._begin_plain(self._state_at(address), accepted, client)
            return
        TlsHandshake(
            self._server,
            functools.partial(self._state_at, address),
            accepted,
            client,
            deadline,
            functools.partial(self._begin_plain, self._in_clear),
            self._handshake_failed,
        ).start()

    def _begin_plain(self, listener: ListenerState, accepted: socket.socket, client: str) -> None:
        self.acceptor.begin(self._beginning(listener, accepted, client))

    def _beginning(self, listener: ListenerState, accepted: socket.socket, client: str) -> Beginning:
        protocol = cast(asyncio.Protocol, ClientConnection(self._server, listener, client))
        return cast(Beginning, self._server.loop.connect_accepted_socket(lambda: protocol, accepted))

    def _state_at(self, address: str) -> ListenerState:
        return self._states.get(address, self._server.plain)

    def _state(self, listener: ListenerSettings) -> ListenerState:
        protocol, context, port = listener.proxy_protocol, self._context, listener.redirect_port
        return ListenerState(
            self._server.plain.serve if port is None else lambda client: serve_redirects(client, context, port),
            b"http" if listener.tls is None else b"https",
            balancers=None if protocol is None else TrustedProxies(protocol.networks),
            is_header_required=protocol is not None and protocol.is_required,
            tls=self.contexts.by_address.get(str(listener.address)),
        )

    def _handshake_failed(self, client: str, reason: str) -> None:
        """Count a handshake that failed, and warn of it at most once a minute."""
        self._server.on_limit("tls_handshake")
        self._failures += 1
        if now() < self._may_warn_at:
            return
        self._log.warning("client.tls_failed", client=client, reason=reason, failures=self._failures)
        self._may_warn_at, self._failures = now() + _WARNING_S, 0
