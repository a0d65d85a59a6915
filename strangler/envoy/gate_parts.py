"""The cluster and the internal listener of a gate."""

from typing import Final

from strangler.core.settings import Settings, UpstreamSettings
from strangler.envoy.arm_clusters import stream_idle_s
from strangler.envoy.as_received import LARGEST_HEAD_KIB, as_received, http1_options
from strangler.envoy.extensions import CLUSTER, LISTENER, extension, protocol_options
from strangler.envoy.gates import Gate
from strangler.envoy.header_values import header_value, literal
from strangler.envoy.matching import IDEMPOTENT
from strangler.envoy.own_responses import local_replies
from strangler.envoy.protection import MANY, thresholds
from strangler.envoy.public_paths import public_path_filter
from strangler.envoy.resource_names import gate_cluster, gate_listener, upstream_cluster
from strangler.envoy.resources import Resource
from strangler.envoy.retrying import RESULT_HEADER, has_retries, same_upstream
from strangler.envoy.rewriting import path_rewrite
from strangler.envoy.units import kib, limit
from strangler.envoy.upstream_clusters import MAX_FIELDS, endpoint_metadata, http_protocol


def cluster_of_gate(settings: Settings, gate: Gate) -> Resource:
    """Return the cluster that leads into a gate. What limits the upstream stands behind it."""
    name = gate_cluster(gate.name)
    address = {"envoy_internal_address": {"server_listener_name": gate_listener(gate.name)}}
    endpoint = {"endpoint": {"address": address}, "metadata": endpoint_metadata(gate.upstream)}
    limits = settings.limits
    return {
        "@type": CLUSTER,
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "circuit_breakers": thresholds(MANY, MANY),
        "typed_extension_protocol_options": protocol_options(
            common_http_protocol_options={
                "idle_timeout": "60s",
                "max_headers_count": MAX_FIELDS,
                "max_response_headers_kb": min(LARGEST_HEAD_KIB, kib(limits.response_header_bytes) + 1),
            },
            **http_protocol(is_http2=settings.upstreams[gate.upstream].http2),
        ),
    }


def listener_of_gate(settings: Settings, gate: Gate) -> Resource:
    """Return the internal listener of a gate."""
    upstream = settings.upstreams[gate.upstream]
    return {
        "@type": LISTENER,
        "name": gate_listener(gate.name),
        "internal_listener": {},
        "ignore_global_conn_limit": True,
        "filter_chains": [{"filters": [_connections(settings, gate, upstream)]}],
    }


def _connections(settings: Settings, gate: Gate, upstream: UpstreamSettings) -> Resource:
    """Return the HTTP of a gate: the requests are sound by now, and pass as they are."""
    paths = public_path_filter(gate.rewrite, upstream.urls)
    router = extension("envoy.filters.http.router", "filters.http.router.v3.Router", suppress_envoy_headers=True)
    return extension(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="gate",
        codec_type="HTTP2" if upstream.http2 else "HTTP1",
        http_protocol_options=http1_options(),
        common_http_protocol_options={"idle_timeout": "0s", "max_headers_count": MAX_FIELDS},
        max_request_headers_kb=min(LARGEST_HEAD_KIB, kib(settings.limits.header_bytes) + 16),
        stream_idle_timeout="0s",
        **as_received(),
        local_reply_config=local_replies(settings, is_gate=True),
        http_filters=[router] if paths is None else [paths, router],
        route_config=_routes(gate, upstream),
    )


def _routes(gate: Gate, upstream: UpstreamSettings) -> Resource:
    """Return the routes of a gate. Clusters come later than listeners may, so they are not looked up."""
    entries = [
        _entry(gate, upstream, [_has("upgrade")], is_endless=True),
        _entry(gate, upstream, [_is("accept", ".*text/event-stream.*")], is_endless=True),
    ]
    if has_retries(upstream.retry):
        entries.append(_entry(gate, upstream, [_is(":method", "|".join(IDEMPOTENT))], may_repeat=True))
    entries.append(_entry(gate, upstream, []))
    host = {"name": "all", "domains": ["*"], "routes": entries, **_edits(upstream)}
    return {"name": "gate", "virtual_hosts": [host], "validate_clusters": False}


def _entry(
    gate: Gate,
    upstream: UpstreamSettings,
    headers: list[Resource],
    *,
    is_endless: bool = False,
    may_repeat: bool = False,
) -> Resource:
    action: Resource = {
        "cluster": upstream_cluster(gate.upstream),
        "timeout": "0s",
        "idle_timeout": "0s" if is_endless else limit(stream_idle_s(gate.response_s, gate.idle_s)),
        "priority": "HIGH" if is_endless else "DEFAULT",
        "retry_policy": _tries(gate, upstream, may_repeat=may_repeat),
        **path_rewrite(gate.rewrite, upstream.urls[0].path),
    }
    if upstream.host == "upstream":
        action |= _own_host(upstream)
    return {"match": {"prefix": "", "headers": headers}, "route": action}


def _own_host(upstream: UpstreamSettings) -> Resource:
    """Return how the Host of an upstream's URL is sent: of several, that of the endpoint which is chosen."""
    hosts = {url.authority for url in upstream.urls}
    return {"host_rewrite_literal": hosts.pop()} if len(hosts) == 1 else {"auto_host_rewrite": True}


def _tries(gate: Gate, upstream: UpstreamSettings, *, may_repeat: bool) -> Resource:
    policy: Resource = {"num_retries": 0}
    if has_retries(upstream.retry):
        policy = same_upstream(upstream.retry, may_repeat=may_repeat)
    if len(upstream.urls) > 1:
        policy["retry_host_predicate"] = [_PREVIOUS_HOSTS]
        policy["host_selection_retry_max_attempts"] = 3
    return {**policy, "per_try_timeout": limit(gate.response_s)}


_PREVIOUS_HOSTS: Final = extension(
    "envoy.retry_host_predicates.previous_hosts", "retry.host.previous_hosts.v3.PreviousHostsPredicate"
)


def _edits(upstream: UpstreamSettings) -> Resource:
    """Return the changes of header sections: those of the upstream, and the result for the composite before."""
    edits = upstream.headers
    added = [header_value(name, literal(value)) for name, value in edits.set]
    fields: Resource = {"response_headers_to_add": [header_value(RESULT_HEADER, "%RESPONSE_CODE%")]}
    if added:
        fields["request_headers_to_add"] = added
    if edits.remove:
        fields["request_headers_to_remove"] = list(edits.remove)
    return fields


def _has(name: str) -> Resource:
    return {"name": name, "present_match": True}


def _is(name: str, pattern: str) -> Resource:
    return {"name": name, "string_match": {"safe_regex": {"regex": pattern}}}
