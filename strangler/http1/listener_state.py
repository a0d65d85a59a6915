# Compiled with mypyc: see docs/hot-path.md.
"""The facts about one listener that its connections need: its scheme, what serves them, and who names the client."""

import ssl
from collections.abc import Callable, Coroutine

from strangler.core.http.trust import TrustedProxies


class ListenerState:
    """The state of one listener at a worker. A reload gives it other facts; connections that stand keep theirs."""

    __slots__ = ("balancers", "is_header_required", "scheme", "serve", "tls")

    def __init__(
        self,
        serve: Callable[..., Coroutine[None, None, None]],
        scheme: bytes = b"http",
        balancers: TrustedProxies | None = None,
        *,
        is_header_required: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.serve = serve
        self.scheme = scheme
        self.balancers = balancers
        """The peers whose header of the PROXY protocol is read; None: no connection has one."""
        self.is_header_required = is_header_required
        self.tls = tls
        """The certificates for a handshake that begins now; None: it is plain HTTP, or has none that can be used."""
