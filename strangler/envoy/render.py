"""Everything that Envoy is told, rendered from the settings."""

from strangler.core.settings import Settings
from strangler.envoy.bootstrap_file import bootstrap
from strangler.envoy.clusters import cluster_list
from strangler.envoy.key_files import secret_list
from strangler.envoy.listening import listener_list
from strangler.envoy.place import EnvoyPlace, Switches
from strangler.envoy.resources import EnvoyResources
from strangler.envoy.retiring import next_change
from strangler.envoy.route_configuration import route_configuration
from strangler.envoy.runtime import runtime_layer

__all__ = ["next_change", "render"]


def render(settings: Settings, place: EnvoyPlace, generation: int, switches: Switches, now: float) -> EnvoyResources:
    """Return the resources of one configuration. `now`: Unix time, for routes that end: see `next_change`."""
    return EnvoyResources(
        bootstrap=bootstrap(settings, place),
        listeners=tuple(listener_list(settings, place)),
        clusters=tuple(cluster_list(settings, place)),
        routes=route_configuration(settings, generation, now),
        runtime=runtime_layer(settings, switches),
        secrets=tuple(secret_list(settings, place)),
    )
