"""TLS towards an upstream."""

from typing import Final

from strangler.core.http.addresses import parse_address
from strangler.core.settings import TlsSettings, UpstreamSettings, Url
from strangler.envoy.extensions import extension
from strangler.envoy.key_files import authorities, certificate
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.resources import Resource

SERVER_NAME: Final = "server_name"
"""The key in the metadata of an endpoint that chooses its TLS."""


def is_tls(upstream: UpstreamSettings) -> bool:
    """Return whether the upstream is reached by TLS."""
    return any(url.scheme == "https" for url in upstream.urls)


def transport_sockets(upstream: UpstreamSettings, place: EnvoyPlace) -> Resource:
    """Return the fields of a cluster for the TLS of its connections: one context for each name in a handshake, which is
    `tls.server_name`, else that of the endpoint's URL."""
    names = server_names(upstream)
    if len(names) == 1:
        return {"transport_socket": _socket(upstream, place, names[0])}
    matches = [
        {"name": name, "match": {SERVER_NAME: name}, "transport_socket": _socket(upstream, place, name)}
        for name in names
    ]
    return {"transport_socket_matches": matches}


def server_names(upstream: UpstreamSettings) -> list[str]:
    """Return the names that an upstream's handshakes ask for, each once."""
    if upstream.tls.server_name is not None:
        return [upstream.tls.server_name]
    return sorted({url.server_name for url in upstream.urls})


def socket_match(upstream: UpstreamSettings, url: Url) -> Resource:
    """Return the metadata of an endpoint that choose its TLS; none if there is one for all."""
    if not is_tls(upstream) or len(server_names(upstream)) == 1:
        return {}
    return {"envoy.transport_socket_match": {SERVER_NAME: url.server_name}}


def _socket(upstream: UpstreamSettings, place: EnvoyPlace, name: str) -> Resource:
    tls = upstream.tls
    common: Resource = {"alpn_protocols": ["h2"] if upstream.http2 else ["http/1.1"]}
    if tls.cert is not None:
        common["tls_certificate_sds_secret_configs"] = [certificate(place, tls.cert, tls.key or tls.cert)]
    if tls.verify:
        common["combined_validation_context"] = _validation(place, tls, name)
    context: Resource = {"common_tls_context": common}
    if not _is_address(name):
        context["sni"] = name
    return extension("envoy.transport_sockets.tls", "transport_sockets.tls.v3.UpstreamTlsContext", **context)


def _validation(place: EnvoyPlace, tls: TlsSettings, name: str) -> Resource:
    kind = "IP_ADDRESS" if _is_address(name) else "DNS"
    return {
        "default_validation_context": {
            "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": name}}]
        },
        "validation_context_sds_secret_config": authorities(place, tls.ca or place.system_ca),
    }


def _is_address(name: str) -> bool:
    return parse_address(name) is not None
