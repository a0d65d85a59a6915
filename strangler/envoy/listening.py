"""The listeners: where clients connect, and the gates behind them."""

from typing import Final

from strangler.core.http.trust import TrustedProxies
from strangler.core.listener_settings import Address, ListenerSettings
from strangler.core.settings import Settings
from strangler.envoy.connection_manager import (
    DIRECT_PEER,
    LOCAL_PEER,
    REMOTE_PEER,
    Clients,
    connection_manager,
    prefix_range,
)
from strangler.envoy.extensions import LISTENER, extension
from strangler.envoy.gate_parts import listener_of_gate
from strangler.envoy.gates import all_gates
from strangler.envoy.listener_tls import quic_socket, tls_socket
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.resource_names import METADATA
from strangler.envoy.resources import Resource
from strangler.envoy.units import duration

_HTTPS_PORT: Final = 443
_ANY_V6: Final = "::"
_ALTERNATIVE_AGE_S: Final = 86_400
_NO_TIMEOUT: Final = "0s"


def listener_list(settings: Settings, place: EnvoyPlace) -> list[Resource]:
    """Return all listeners: those of `listen`, those for HTTP/3 beside them, and the internal ones of gates."""
    listeners: list[Resource] = []
    for listener in settings.listeners:
        listeners.append(_over_tcp(settings, place, listener))
        if listener.http3 and listener.tls is not None:
            listeners.append(_over_udp(settings, place, listener))
    return listeners + [listener_of_gate(settings, gate) for gate in all_gates(settings)]


def _over_tcp(settings: Settings, place: EnvoyPlace, listener: ListenerSettings) -> Resource:
    filters = []
    if listener.proxy_protocol is not None:
        filters.append(
            extension(
                "envoy.filters.listener.proxy_protocol",
                "filters.listener.proxy_protocol.v3.ProxyProtocol",
                allow_requests_without_proxy_protocol=not listener.proxy_protocol.is_required,
            )
        )
    header_s = settings.limits.header_timeout_s
    return {
        "@type": LISTENER,
        "name": str(listener.address),
        **_addresses(listener.address, listener.mode, "TCP"),
        "listener_filters": filters,
        "listener_filters_timeout": _NO_TIMEOUT if header_s is None else duration(header_s),
        **_chains(settings, place, listener),
    }


def _over_udp(settings: Settings, place: EnvoyPlace, listener: ListenerSettings) -> Resource:
    assert listener.tls is not None
    clients = Clients(REMOTE_PEER, "https", "HTTP3", is_trusted=False)
    chain = {
        "filters": [connection_manager(settings, place, clients)],
        "transport_socket": quic_socket(listener.tls, place),
    }
    return {
        "@type": LISTENER,
        "name": f"{listener.address}/udp",
        **_addresses(listener.address, None, "UDP"),
        "udp_listener_config": {"quic_options": {}, "downstream_socket_config": {"prefer_gro": True}},
        "filter_chains": [chain],
    }


def _addresses(address: Address, mode: int | None, protocol: str) -> Resource:
    """Return where a listener binds. The name `localhost` stands for both loopback addresses."""
    if address.unix_path is not None:
        pipe: Resource = {"path": address.unix_path}
        if mode is not None:
            pipe["mode"] = mode
        return {"address": {"pipe": pipe}}
    host = "127.0.0.1" if address.host == "localhost" else address.host
    socket: Resource = {"address": host, "port_value": address.port, "protocol": protocol}
    if host == _ANY_V6:
        socket["ipv4_compat"] = True
    return {"address": {"socket_address": socket}}


def _chains(settings: Settings, place: EnvoyPlace, listener: ListenerSettings) -> Resource:
    """Return the filter chains, by who connects. A peer that may speak for clients is trusted by the address that the
    PROXY protocol names, if it may name any; whoever else sends a header has it read, and not believed."""
    if listener.address.unix_path is not None:
        is_trusted = TrustedProxies(settings.trusted_proxies).includes(LOCAL_PEER)
        return {"filter_chains": [_chain(settings, place, listener, LOCAL_PEER, is_trusted=is_trusted)]}
    trusted = [prefix_range(network) for network in settings.trusted_proxies]
    proxy = listener.proxy_protocol
    if proxy is None:
        chains = (
            []
            if not trusted
            else [_matched(settings, place, listener, REMOTE_PEER, True, source_prefix_ranges=trusted)]
        )
        return {"filter_chains": chains, "default_filter_chain": _chain(settings, place, listener, REMOTE_PEER)}
    balancers = [prefix_range(network) for network in proxy.networks]
    chains = [_matched(settings, place, listener, REMOTE_PEER, False, direct_source_prefix_ranges=balancers)]
    if trusted:
        both = {"direct_source_prefix_ranges": balancers, "source_prefix_ranges": trusted}
        chains.append(_matched(settings, place, listener, REMOTE_PEER, True, **both))
    if proxy.is_required:
        return {"filter_chains": chains}
    rest = [each for each in trusted if each not in balancers]
    if rest:
        chains.append(_matched(settings, place, listener, DIRECT_PEER, True, direct_source_prefix_ranges=rest))
    return {"filter_chains": chains, "default_filter_chain": _chain(settings, place, listener, DIRECT_PEER)}


def _matched(
    settings: Settings, place: EnvoyPlace, listener: ListenerSettings, peer: str, is_trusted: bool, **match: object
) -> Resource:
    return {"filter_chain_match": match, **_chain(settings, place, listener, peer, is_trusted=is_trusted)}


def _chain(
    settings: Settings, place: EnvoyPlace, listener: ListenerSettings, peer: str, *, is_trusted: bool = False
) -> Resource:
    tls = listener.tls
    clients = Clients(
        peer,
        "http" if tls is None else "https",
        "AUTO" if listener.http2 else "HTTP1",
        is_trusted=is_trusted,
        has_certificates=tls is not None and tls.client_ca is not None,
        alternative=_alternative(listener),
    )
    routes = None if listener.redirect_port is None else _redirect(listener.redirect_port)
    chain: Resource = {"filters": [connection_manager(settings, place, clients, routes)]}
    if tls is None:
        return chain
    chain["transport_socket"] = tls_socket(tls, place, ("h2", "http/1.1") if listener.http2 else ("http/1.1",))
    if settings.limits.header_timeout_s is not None:
        chain["transport_socket_connect_timeout"] = duration(settings.limits.header_timeout_s)
    return chain


def _alternative(listener: ListenerSettings) -> str | None:
    if not listener.http3 or listener.tls is None:
        return None
    return f'h3=":{listener.address.port}"; ma={_ALTERNATIVE_AGE_S}'


def _redirect(port: int) -> Resource:
    """Return the routes of a listener that redirects: to the same host, path and query at https://."""
    redirect: Resource = {"https_redirect": True, "response_code": "PERMANENT_REDIRECT"}
    if port != _HTTPS_PORT:
        redirect["port_redirect"] = port
    entry = {
        "match": {"prefix": ""},
        "redirect": redirect,
        "metadata": {"filter_metadata": {METADATA: {"reason": "unplanned"}}},
    }
    return {"name": "redirect", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [entry]}]}
