"""TLS at a listener."""

from typing import Final

from strangler.core.listener_settings import ServerTlsSettings
from strangler.envoy.extensions import extension
from strangler.envoy.key_files import authorities, certificate
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.resources import Resource

_VERSIONS: Final = {"1.2": "TLSv1_2", "1.3": "TLSv1_3"}


def tls_socket(tls: ServerTlsSettings, place: EnvoyPlace, protocols: tuple[str, ...]) -> Resource:
    """Return the TLS of connections over TCP, which offers `protocols` by ALPN."""
    context = _context(tls, place, protocols)
    return extension("envoy.transport_sockets.tls", "transport_sockets.tls.v3.DownstreamTlsContext", **context)


def quic_socket(tls: ServerTlsSettings, place: EnvoyPlace) -> Resource:
    """Return the TLS of QUIC."""
    return extension(
        "envoy.transport_sockets.quic",
        "transport_sockets.quic.v3.QuicDownstreamTransport",
        downstream_tls_context=_context(tls, place, ("h3",)),
    )


def _context(tls: ServerTlsSettings, place: EnvoyPlace, protocols: tuple[str, ...]) -> Resource:
    """Return what both have in common. The first certificate is for clients that name no known host."""
    common: Resource = {
        "tls_params": {
            "tls_minimum_protocol_version": _VERSIONS[tls.min_version],
            "tls_maximum_protocol_version": "TLSv1_3",
        },
        "alpn_protocols": list(protocols),
        "tls_certificate_sds_secret_configs": [certificate(place, each.cert, each.key) for each in tls.certificates],
    }
    context: Resource = {"common_tls_context": common, "full_scan_certs_on_sni_mismatch": False}
    if tls.client_ca is not None:
        common["validation_context_sds_secret_config"] = authorities(place, tls.client_ca)
        context["require_client_certificate"] = tls.client_cert == "required"
    return context
