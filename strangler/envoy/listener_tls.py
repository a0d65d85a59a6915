"""TLS at a listener."""

from typing import Final

from strangler.core.listener_settings import ServerTlsSettings
from strangler.envoy.extensions import extension
from strangler.envoy.resources import Resource
from strangler.envoy.upstream_tls import certificate, folder

_VERSIONS: Final = {"1.2": "TLSv1_2", "1.3": "TLSv1_3"}


def tls_socket(tls: ServerTlsSettings, protocols: tuple[str, ...]) -> Resource:
    """Return the TLS of connections over TCP, which offers `protocols` by ALPN."""
    context = _context(tls, protocols)
    return extension("envoy.transport_sockets.tls", "transport_sockets.tls.v3.DownstreamTlsContext", **context)


def quic_socket(tls: ServerTlsSettings) -> Resource:
    """Return the TLS of QUIC."""
    return extension(
        "envoy.transport_sockets.quic",
        "transport_sockets.quic.v3.QuicDownstreamTransport",
        downstream_tls_context=_context(tls, ("h3",)),
    )


def _context(tls: ServerTlsSettings, protocols: tuple[str, ...]) -> Resource:
    """Return what both have in common. The first certificate is for clients that name no known host."""
    common: Resource = {
        "tls_params": {
            "tls_minimum_protocol_version": _VERSIONS[tls.min_version],
            "tls_maximum_protocol_version": "TLSv1_3",
        },
        "alpn_protocols": list(protocols),
        "tls_certificates": [certificate(each.cert, each.key) for each in tls.certificates],
    }
    context: Resource = {"common_tls_context": common, "full_scan_certs_on_sni_mismatch": False}
    if tls.client_ca is not None:
        common["validation_context"] = {
            "trusted_ca": {"filename": tls.client_ca},
            "watched_directory": {"path": folder(tls.client_ca)},
        }
        context["require_client_certificate"] = tls.client_cert == "required"
    return context
