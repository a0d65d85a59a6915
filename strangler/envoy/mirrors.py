"""Mirrors: copies of requests to the receiver, which asks both arms itself and compares what they respond."""

from strangler.core.routing.arm import Arm
from strangler.core.routing.received import ARM_FIELD, ROUTE_FIELD
from strangler.core.settings import RouteSettings, Settings, ShadowSettings
from strangler.envoy.extensions import CLUSTER, protocol_options
from strangler.envoy.header_values import header_value
from strangler.envoy.matching import READS
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.protection import thresholds
from strangler.envoy.resource_names import METADATA, SHADOW_CLUSTER, shadow_key
from strangler.envoy.resources import Resource
from strangler.envoy.units import duration
from strangler.envoy.upstream_clusters import http_protocol


def route_mirrors(settings: Settings, route: RouteSettings) -> list[Resource]:
    """Return the mirror policies of a route's entries for reads. They are in force where legacy was chosen: a
    candidate's cluster has its own."""
    shadow = _shadow(route)
    if shadow is None or shadow.of == "candidate":
        return []
    return [_policy(Arm.LEGACY, _share(shadow), shadow_key(route.name))]


def arm_share(route: RouteSettings) -> int | None:
    """Return the share of the requests of a route's candidate arm that is mirrored, in ten thousandths; None if nothing
    of the route is."""
    shadow = _shadow(route)
    if shadow is None:
        return None
    return 0 if shadow.of == "legacy" else _share(shadow)


def arm_mirrors(share: int) -> list[Resource]:
    """Return the mirror policies of a candidate arm, which take the place of the entry's: a share of 0 is what keeps
    the entry's away. They have no runtime key, so that routes with the same share have the same cluster."""
    return [_policy(Arm.CANDIDATE, share, None)]


def shadow_cluster(settings: Settings, place: EnvoyPlace) -> Resource | None:
    """Return the cluster of the receiver; None if nothing is mirrored. What does not respond in time is given up, and
    what is too much is dropped: a mirror never holds a request up."""
    shadows = [shadow for route in settings.routes if (shadow := _shadow(route)) is not None]
    if not shadows:
        return None
    in_flight = max(shadow.in_flight for shadow in shadows)
    longest_s = max(shadow.timeout_s for shadow in shadows)
    breakers = thresholds(in_flight, in_flight, in_flight)
    for each in breakers["thresholds"]:
        each["max_pending_requests"] = in_flight
    return {
        "@type": CLUSTER,
        "name": SHADOW_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": SHADOW_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": place.receiver_socket}}}}]}],
        },
        "circuit_breakers": breakers,
        "typed_extension_protocol_options": protocol_options(
            common_http_protocol_options={"max_stream_duration": duration(longest_s), "idle_timeout": "60s"},
            **http_protocol(is_http2=False),
        ),
    }


def _shadow(route: RouteSettings) -> ShadowSettings | None:
    shadow = route.shadow
    if shadow is None or shadow.is_only_received or not shadow.percent or set(shadow.methods).isdisjoint(READS):
        return None
    return shadow


def _share(shadow: ShadowSettings) -> int:
    return round(shadow.percent * 100)


def _policy(arm: Arm, share: int, runtime_key: str | None) -> Resource:
    fraction: Resource = {"default_value": {"numerator": share, "denominator": "TEN_THOUSAND"}}
    if runtime_key is not None:
        fraction["runtime_key"] = runtime_key
    return {
        "cluster": SHADOW_CLUSTER,
        "disable_shadow_host_suffix_append": True,
        "runtime_fraction": fraction,
        "request_headers_mutations": [
            {"append": header_value(ROUTE_FIELD, f"%METADATA(ROUTE:{METADATA}:route)%")},
            {"append": header_value(ARM_FIELD, arm.value)},
        ],
    }
