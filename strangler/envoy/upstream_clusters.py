"""The cluster of an upstream itself: its endpoints, how they are reached, and what protects them."""

from typing import Final

from strangler.core.http.addresses import parse_address
from strangler.core.routing.arm import LEGACY
from strangler.core.settings import Settings, UpstreamSettings, Url
from strangler.envoy.extensions import CLUSTER, extension, preserve_case, protocol_options
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.protection import (
    circuit_breakers,
    error_matcher,
    health_check,
    outlier_detection,
    panic_threshold,
)
from strangler.envoy.resource_names import METADATA, upstream_cluster
from strangler.envoy.resources import Resource
from strangler.envoy.retrying import has_retries, same_upstream
from strangler.envoy.units import duration, kib
from strangler.envoy.upstream_tls import is_tls, socket_match, transport_sockets

_LONGEST_CONNECT_S: Final = 3600.0
_LOOKUP_INTERVAL: Final = "30s"
MAX_FIELDS: Final = 10_000
"""The most fields of a head; its size is what limits them."""


def cluster_of(settings: Settings, upstream: UpstreamSettings, place: EnvoyPlace, *, is_gated: bool) -> Resource:
    """Return the cluster of an upstream. `is_gated`: a gate leads here, whose retries this cluster's would replace."""
    name = upstream_cluster(upstream.name)
    connect_s = upstream.timeouts.connect_s
    cluster: Resource = {
        "@type": CLUSTER,
        "name": name,
        "connect_timeout": duration(_LONGEST_CONNECT_S if connect_s is None else connect_s),
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": _endpoints(upstream)}]},
        "common_lb_config": panic_threshold(upstream.name),
        "circuit_breakers": circuit_breakers(upstream.bulkhead, upstream.retry),
        "outlier_detection": outlier_detection(upstream.breaker),
        "typed_extension_protocol_options": _http(settings, upstream, is_gated=is_gated),
        **_discovery(upstream),
    }
    if upstream.health is not None:
        cluster["health_checks"] = [health_check(upstream, upstream.health)]
    if is_tls(upstream):
        cluster |= transport_sockets(upstream, place)
    return cluster


def endpoint_metadata(upstream: str) -> Resource:
    """Return what an endpoint says of itself: the arm that it serves, and its upstream."""
    arm = LEGACY if upstream == LEGACY else "candidate"
    return {"filter_metadata": {METADATA: {"arm": arm, "upstream": upstream}}}


def http_protocol(*, is_http2: bool) -> Resource:
    """Return the protocol that is spoken to an upstream. HTTP/1.1 keeps the case of field names, and trailers."""
    if is_http2:
        return {"explicit_http_config": {"http2_protocol_options": {}}}
    options = {"header_key_format": preserve_case(), "enable_trailers": True}
    return {"explicit_http_config": {"http_protocol_options": options}}


def _discovery(upstream: UpstreamSettings) -> Resource:
    """Return how endpoints are found: names are looked up by the system's own resolver, as our engine does it."""
    if all(_is_literal(url) for url in upstream.urls):
        return {"type": "STATIC"}
    resolver = "network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig"
    return {
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "dns_refresh_rate": _LOOKUP_INTERVAL,
        "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": _LOOKUP_INTERVAL},
        "typed_dns_resolver_config": extension("envoy.network.dns_resolver.getaddrinfo", resolver),
    }


def _is_literal(url: Url) -> bool:
    return url.unix_path is not None or parse_address(url.host) is not None


def _endpoints(upstream: UpstreamSettings) -> list[Resource]:
    return [_endpoint(upstream, url) for url in upstream.urls]


def _endpoint(upstream: UpstreamSettings, url: Url) -> Resource:
    """Return an endpoint. Its host name is what `host: upstream` sends; the name in TLS is that without the port."""
    address: Resource = {"socket_address": {"address": url.host, "port_value": url.port}}
    if url.unix_path is not None:
        address = {"pipe": {"path": url.unix_path}}
    endpoint: Resource = {"address": address, "hostname": url.authority}
    if upstream.health is not None:
        endpoint["health_check_config"] = {"hostname": upstream.health.host or url.authority}
    metadata = endpoint_metadata(upstream.name)
    metadata["filter_metadata"] |= socket_match(upstream, url)
    return {"endpoint": endpoint, "metadata": metadata}


def _http(settings: Settings, upstream: UpstreamSettings, *, is_gated: bool) -> Resource:
    common: Resource = {
        "idle_timeout": duration(upstream.keepalive_s),
        "max_headers_count": MAX_FIELDS,
        "max_response_headers_kb": kib(settings.limits.response_header_bytes),
    }
    if not upstream.keepalive_s:
        common["max_requests_per_connection"] = 1
    options: Resource = {"common_http_protocol_options": common, **http_protocol(is_http2=upstream.http2)}
    matcher = error_matcher(upstream.breaker)
    if matcher is not None:
        options["outlier_detection"] = matcher
    if has_retries(upstream.retry) and not is_gated:
        options["retry_policy"] = same_upstream(upstream.retry, may_repeat=False)
    return protocol_options(**options)
