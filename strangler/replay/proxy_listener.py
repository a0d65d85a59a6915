"""The first listener of routes.yaml, as an upstream that a replay sends to."""

from typing import Final

from strangler.comparing.kept_upstream import KeptUpstream
from strangler.core.listener_settings import ListenerSettings
from strangler.core.settings import HeaderEdits, Settings, TimeoutSettings, TlsSettings, UpstreamSettings, Url
from strangler.replay.destination import ReplayError
from strangler.replay.replay_settings import PROXY
from strangler.replay.same_server import REACHED_AT
from strangler.tls.pinned_context import PinnedTlsState

_TIMEOUTS: Final = TimeoutSettings(connect_s=5.0, response_s=120.0, idle_s=120.0)
"""The limits of the proxy itself; its upstreams have theirs, which are reached first."""


def proxy_upstream(settings: Settings, max_idle: int) -> KeptUpstream:
    """Return the listener as an upstream, recognised by its very certificate. Raises ReplayError."""
    listener = settings.listeners[0]
    _check(listener)
    made = UpstreamSettings(
        name=PROXY,
        urls=(_url(listener),),
        tls=TlsSettings(ca=None, verify=True),
        host="preserve",
        timeouts=_TIMEOUTS,
        bulkhead=None,
        breaker=None,
        retry=None,
        health=None,
        headers=HeaderEdits(set=(), remove=()),
    )
    if listener.tls is None:
        return KeptUpstream(made, max_idle=max_idle)
    try:
        tls = PinnedTlsState((each.cert for each in listener.tls.certificates), settings.files)
    except OSError as error:
        raise ReplayError(f"--to proxy: the listener cannot be recognised: {error}") from error
    return KeptUpstream(made, tls=tls, max_idle=max_idle)


def _url(listener: ListenerSettings) -> Url:
    address = listener.address
    if address.unix_path is not None:
        return Url("http", "localhost", 80, "", address.unix_path)
    host = REACHED_AT.get(address.host, address.host)
    return Url("http" if listener.tls is None else "https", host, address.port, "")


def _check(listener: ListenerSettings) -> None:
    problem = None
    if listener.redirect_port is not None:
        problem = "redirects to https:// and forwards nothing"
    elif listener.proxy_protocol is not None and listener.proxy_protocol.is_required:
        problem = "requires the PROXY protocol"
    elif listener.tls is not None and listener.tls.client_ca is not None and listener.tls.client_cert == "required":
        problem = "requires certificates of clients"
    elif not listener.address.port and listener.address.unix_path is None:
        problem = "has a port that the system chooses"
    if problem is not None:
        raise ReplayError(
            f"--to proxy: the first listener of routes.yaml, {listener.address}, {problem}; put another one first"
        )
