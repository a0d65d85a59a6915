"""The HTTP of client connections: what Envoy calls a connection manager."""

from dataclasses import dataclass
from typing import Final

from strangler.core.routing.arm import LEGACY
from strangler.core.settings import Settings
from strangler.envoy.access_records import attempt_log, request_log
from strangler.envoy.arm_clusters import route_timeouts
from strangler.envoy.as_received import LARGEST_HEAD_KIB, as_received, http1_options
from strangler.envoy.certificate_field import certificate_filter
from strangler.envoy.client_headers import early_mutations
from strangler.envoy.extensions import extension
from strangler.envoy.followed_files import config_source
from strangler.envoy.header_values import header_value
from strangler.envoy.own_responses import local_replies
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.resource_names import METADATA
from strangler.envoy.resources import ROUTES, ROUTES_NAME, Resource
from strangler.envoy.retrying import RESULT_HEADER
from strangler.envoy.units import kib, limit
from strangler.envoy.upstream_clusters import MAX_FIELDS

LOCAL_PEER: Final = "127.0.0.1"
"""The address that the peers of a unix socket count as."""

REMOTE_PEER: Final = "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
DIRECT_PEER: Final = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
"""The peer itself, whatever it says of another in the header of the PROXY protocol."""

_FLUSH_AFTER: Final = "1s"


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients of one filter chain: the format of their address, their scheme, what they may say, and what they
    speak (`HTTP1`, `AUTO`, `HTTP3`)."""

    peer: str
    scheme: str
    codec: str
    is_trusted: bool
    has_certificates: bool = False
    alternative: str | None = None
    """The value of Alt-Svc in responses; None: none."""


def connection_manager(
    settings: Settings, place: EnvoyPlace, clients: Clients, routes: Resource | None = None
) -> Resource:
    """Return the HTTP of these clients. `routes`: in place of those of the routing file."""
    limits = settings.limits
    config: Resource = {
        "stat_prefix": "clients",
        "codec_type": clients.codec,
        "http_protocol_options": {
            **http1_options(),
            "default_host_for_http_10": settings.upstreams[LEGACY].urls[0].authority,
        },
        "common_http_protocol_options": {
            "idle_timeout": limit(limits.idle_timeout_s),
            "max_headers_count": MAX_FIELDS,
        },
        "max_request_headers_kb": min(LARGEST_HEAD_KIB, kib(limits.header_bytes)),
        "request_headers_timeout": limit(limits.header_timeout_s),
        "stream_idle_timeout": limit(route_timeouts(settings, None)[1]),
        "drain_timeout": _FLUSH_AFTER,
        "use_remote_address": False,
        **as_received(),
        "early_header_mutation_extensions": early_mutations(
            clients.peer,
            clients.scheme,
            is_trusted=clients.is_trusted,
            has_certificates=clients.has_certificates,
        ),
        "local_reply_config": local_replies(settings, is_gate=False),
        "access_log": [request_log(settings)],
        "http_filters": _filters(settings, clients),
        **_clients_address(settings, clients),
        **_routing(place, routes),
    }
    if clients.codec == "HTTP3":
        config["http3_protocol_options"] = {}
    return extension(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        **config,
    )


def _routing(place: EnvoyPlace, routes: Resource | None) -> Resource:
    """Return where the routes come from. Those of its own redirect, to the host without its port."""
    if routes is not None:
        return {"route_config": routes, "strip_any_host_port": True}
    return {"rds": {"route_config_name": ROUTES_NAME, "config_source": config_source(place, ROUTES)}}


def _clients_address(settings: Settings, clients: Clients) -> Resource:
    """Return how the client's address is found in X-Forwarded-For, where its peer stands last by now."""
    if not clients.is_trusted:
        return {}
    if clients.peer == LOCAL_PEER:
        return {"xff_num_trusted_hops": 1}
    cidrs = [prefix_range(network) for network in settings.trusted_proxies]
    xff = extension(
        "envoy.http.original_ip_detection.xff",
        "http.original_ip_detection.xff.v3.XffConfig",
        xff_trusted_cidrs={"cidrs": cidrs},
        skip_xff_append=True,
    )
    return {"original_ip_detection_extensions": [xff]}


def prefix_range(network: str) -> Resource:
    """Return a network as Envoy has it."""
    address, _, bits = network.partition("/")
    return {"address_prefix": address, "prefix_len": int(bits) if bits else (128 if ":" in address else 32)}


def _filters(settings: Settings, clients: Clients) -> list[Resource]:
    filters = [_result_filter()]
    if clients.alternative is not None:
        filters.append(_alternative_filter(clients.alternative))
    if clients.has_certificates:
        filters.append(certificate_filter())
    if settings.limits.request_body_bytes is not None:
        filters.append(_body_limit(settings.limits.request_body_bytes))
    router = extension(
        "envoy.filters.http.router",
        "filters.http.router.v3.Router",
        suppress_envoy_headers=True,
        upstream_log=[attempt_log()],
    )
    return [*filters, router]


def _result_filter() -> Resource:
    """Return the filter that takes the field of gates off a response, and keeps its value for the access record."""
    rule = {
        "header": RESULT_HEADER,
        "on_header_present": {"metadata_namespace": METADATA, "key": "result", "type": "STRING"},
        "remove": True,
    }
    return extension(
        "envoy.filters.http.header_to_metadata",
        "filters.http.header_to_metadata.v3.Config",
        response_rules=[rule],
    )


def _alternative_filter(value: str) -> Resource:
    return extension(
        "envoy.filters.http.header_mutation",
        "filters.http.header_mutation.v3.HeaderMutation",
        mutations={"response_mutations": [{"append": header_value("alt-svc", value)}]},
    )


def _body_limit(size: int) -> Resource:
    return extension(
        "envoy.filters.http.body_size_limit", "filters.http.body_size_limit.v3.BodySizeLimit", max_request_bytes=size
    )
