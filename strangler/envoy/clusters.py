"""All clusters of a configuration that follow from the settings."""

from strangler.core.settings import Settings
from strangler.envoy.arm_clusters import composites
from strangler.envoy.gate_parts import cluster_of_gate
from strangler.envoy.gates import all_gates
from strangler.envoy.mirrors import shadow_cluster
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.resources import Resource
from strangler.envoy.upstream_clusters import cluster_of


def cluster_list(settings: Settings, place: EnvoyPlace) -> list[Resource]:
    """Return all clusters: upstreams, gates, composites, and the receiver if anything is mirrored."""
    gates = all_gates(settings)
    gated = {gate.upstream for gate in gates}
    clusters = [cluster_of(settings, each, place, is_gated=each.name in gated) for each in settings.upstreams.values()]
    clusters += [cluster_of_gate(settings, gate) for gate in gates]
    clusters += [composite.cluster() for composite in composites(settings)]
    shadow = shadow_cluster(settings, place)
    return clusters if shadow is None else [*clusters, shadow]
