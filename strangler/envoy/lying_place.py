"""The place that a configuration of Envoy was made for, as its own files show it."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from strangler.envoy.place import EnvoyPlace
from strangler.envoy.resource_names import SHADOW_CLUSTER, TELEMETRY_CLUSTER
from strangler.envoy.resources import BOOTSTRAP, CLUSTERS, Resource


def place_of_files(files: Mapping[str, bytes], usual: EnvoyPlace, named: Collection[str]) -> EnvoyPlace:
    """Return the place of files that Envoy follows. `usual`: what holds for the paths that they do not show; `named`:
    the files that the settings name. Raises ValueError, KeyError or TypeError if they are no such files."""
    bootstrap = json.loads(files[BOOTSTRAP])
    source = bootstrap["dynamic_resources"]["cds_config"]["path_config_source"]["path"]
    followed = [each for name, content in files.items() if name != BOOTSTRAP for each in _resources(content)]
    place = _with_resources(bootstrap, [*bootstrap["static_resources"]["clusters"], *followed], usual, named)
    return replace(place, folder=source.removesuffix(f"/{CLUSTERS}"))


def place_of_static(content: bytes, usual: EnvoyPlace, named: Collection[str]) -> EnvoyPlace:
    """Return the place of a static configuration, as `place_of_files` does."""
    document = json.loads(content)
    static = document["static_resources"]
    return _with_resources(document, [*static["clusters"], *static.get("secrets", ())], usual, named)


def _resources(content: bytes) -> list[Resource]:
    """Return the resources of a file; none if it has others of Envoy's matters, such as its process."""
    found: list[Resource] = json.loads(content).get("resources", [])
    return found


def _with_resources(
    bootstrap: Resource, resources: list[Resource], usual: EnvoyPlace, named: Collection[str]
) -> EnvoyPlace:
    """Return the place that clusters and secrets show."""
    pipes = {each["name"]: path for each in resources for path in _values(each, "pipe", "path")}
    authorities = [path for path in _values(resources, "trusted_ca", "filename") if path not in named]
    return EnvoyPlace(
        usual.folder,
        bootstrap["admin"]["address"]["pipe"]["path"],
        pipes.get(TELEMETRY_CLUSTER, usual.telemetry_socket),
        pipes.get(SHADOW_CLUSTER, usual.receiver_socket),
        authorities[0] if authorities else usual.system_ca,
    )


def _values(value: Any, name: str, inner: str) -> Iterator[str]:
    """Yield `inner` of each mapping `name`, at any depth."""
    if isinstance(value, list):
        for each in value:
            yield from _values(each, name, inner)
    elif isinstance(value, dict):
        if isinstance(value.get(name), dict):
            yield value[name][inner]
        for each in value.values():
            yield from _values(each, name, inner)
