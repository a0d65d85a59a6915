"""The bootstrap: what an Envoy needs to begin with, and to find all else in files."""

from typing import Final

from strangler.core.settings import Settings
from strangler.envoy.access_records import telemetry_cluster
from strangler.envoy.extensions import extension
from strangler.envoy.followed_files import config_source
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.resources import CLUSTERS, LISTENERS, RUNTIME, RUNTIME_NAME, Resource

_OWNER_ONLY: Final = 0o600
_STATIC_LAYER: Final = {
    "re2": {"max_program_size": {"error_level": 10_000_000, "warn_level": 10_000_000}},
    "envoy": {"reloadable_features": {"match_headers_individually": False}},
}


def bootstrap(settings: Settings, place: EnvoyPlace) -> Resource:
    """Return the bootstrap. A change of it needs a restart of Envoy, so little depends on the settings."""
    layers = [
        {"name": "static", "static_layer": _STATIC_LAYER},
        {"name": RUNTIME_NAME, "rtds_layer": {"name": RUNTIME_NAME, "rtds_config": config_source(place, RUNTIME)}},
        {"name": "admin", "admin_layer": {}},
    ]
    return {
        "node": {"id": settings.node or "strangler", "cluster": "strangler"},
        "admin": {"address": {"pipe": {"path": place.admin_socket, "mode": _OWNER_ONLY}}},
        "dynamic_resources": {
            "cds_config": config_source(place, CLUSTERS),
            "lds_config": config_source(place, LISTENERS),
        },
        "static_resources": {
            "clusters": [{key: value for key, value in telemetry_cluster(place).items() if key != "@type"}]
        },
        "layered_runtime": {"layers": layers},
        "bootstrap_extensions": [
            extension("envoy.bootstrap.internal_listener", "bootstrap.internal_listener.v3.InternalListener")
        ],
        "overload_manager": {"resource_monitors": [_connections(settings)]},
    }


def _connections(settings: Settings) -> Resource:
    """Return the limit of client connections, which is one for all workers together."""
    return extension(
        "envoy.resource_monitors.global_downstream_max_connections",
        "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=settings.limits.connections * max(1, settings.workers),
    )
