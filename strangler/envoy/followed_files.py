"""The files that Envoy follows."""

from strangler.envoy.place import EnvoyPlace
from strangler.envoy.resources import Resource


def config_source(place: EnvoyPlace, file: str) -> Resource:
    """Return a file as a source of configuration. Whatever is moved in its folder makes Envoy read it again."""
    source = {"path": f"{place.folder}/{file}", "watched_directory": {"path": place.folder}}
    return {"resource_api_version": "V3", "path_config_source": source}
