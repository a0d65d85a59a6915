"""The files that Envoy follows."""

from strangler.envoy.place import EnvoyPlace
from strangler.envoy.resources import Resource


def config_source(place: EnvoyPlace, file: str) -> Resource:
    """Return a file as a source of configuration. Envoy reads it again once another is moved to its place."""
    return {"resource_api_version": "V3", "path_config_source": {"path": f"{place.folder}/{file}"}}
