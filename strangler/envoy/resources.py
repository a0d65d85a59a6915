"""The resources of one configuration: what Envoy follows in files, and the same in one file to be validated."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

Resource = dict[str, Any]
"""A message of Envoy's API, as JSON has it. Parts that come in thousands are encoded already (`msgspec.Raw`)."""

BOOTSTRAP: Final = "bootstrap.json"
LISTENERS: Final = "lds.json"
CLUSTERS: Final = "cds.json"
ROUTES: Final = "rds.json"
RUNTIME: Final = "rtds.json"

ROUTES_NAME: Final = "routes"
"""The name of the route configuration, which listeners refer to."""

RUNTIME_NAME: Final = "strangler"
"""The name of the runtime layer."""


@dataclass(frozen=True, slots=True)
class EnvoyResources:
    """All that one Envoy is told. `listeners`, `clusters`: by what they are, with their `@type`; `runtime`: the keys of
    the layer and their values."""

    bootstrap: Resource
    listeners: tuple[Resource, ...]
    clusters: tuple[Resource, ...]
    routes: Resource
    runtime: Mapping[str, Any]
    secrets: tuple[Resource, ...] = ()
    """The certificates and keys that clusters and listeners refer to: each has a file of its own, which never changes,
    and which must be there before the clusters are."""

    def files(self, version: str) -> dict[str, bytes]:
        """Return the content of each file by its name. `version` is what Envoy confirms."""
        return {
            BOOTSTRAP: self.bootstrap_file(),
            **{name: self.discovery_file(name, version) for name in (LISTENERS, CLUSTERS, ROUTES)},
            RUNTIME: runtime_file(self.runtime, version),
            **self.secret_files(),
        }

    def bootstrap_file(self) -> bytes:
        """Return the content of the file that Envoy is started with."""
        return _encoded(self.bootstrap)

    def discovery_file(self, name: str, version: str) -> bytes:
        """Return the content of the file of listeners, clusters or routes; those of 10,000 routes are 60 MB."""
        found = {LISTENERS: self.listeners, CLUSTERS: self.clusters, ROUTES: (self.routes,)}
        return _encoded(_discovery(version, found[name]))

    def secret_files(self) -> dict[str, bytes]:
        """Return the content of each file with a secret by its name. It has the paths of key files, and no key."""
        return {secret_file(secret): _encoded(_discovery("1", (secret,))) for secret in self.secrets}

    def static_twin(self) -> bytes:
        """Return one file with the same resources as static ones: `envoy --mode validate` looks into no other file."""
        twin = copy.deepcopy(self.bootstrap)
        twin.pop("dynamic_resources", None)
        layers = twin.get("layered_runtime", {}).get("layers", [])
        for layer in layers:
            if layer.pop("rtds_layer", None) is not None:
                layer["static_layer"] = dict(self.runtime)
        static = twin.setdefault("static_resources", {})
        static["listeners"] = [*static.get("listeners", []), *map(self._with_routes, self.listeners)]
        static["secrets"] = [_untyped(secret) for secret in self.secrets]
        static["clusters"] = [*static.get("clusters", []), *map(_copied, self.clusters)]
        _refer_within(static)
        return _encoded(twin)

    def _with_routes(self, listener: Resource) -> Resource:
        """Return a listener whose filters have the routes themselves in place of the name of a file."""
        copied = _copied(listener)
        for chain in (*copied.get("filter_chains", []), *filter(None, [copied.get("default_filter_chain")])):
            for each in chain.get("filters", []):
                config = each.get("typed_config", {})
                if config.pop("rds", None) is not None:
                    config["route_config"] = _untyped(self.routes)
        return copied


def runtime_file(runtime: Mapping[str, Any], version: str) -> bytes:
    """Return the content of the file with the runtime's keys."""
    kind = "type.googleapis.com/envoy.service.runtime.v3.Runtime"
    layer = {"@type": kind, "name": RUNTIME_NAME, "layer": dict(runtime)}
    return _encoded(_discovery(version, (layer,)))


def secret_file(secret: Resource) -> str:
    """Return the name of the file of a secret."""
    return f"{secret['name']}.json"


def _refer_within(part: Any) -> None:
    """Make references to secrets, which name files, refer to the same document."""
    if isinstance(part, list):
        for each in part:
            _refer_within(each)
    elif isinstance(part, dict):
        part.pop("sds_config", None)
        for value in part.values():
            _refer_within(value)


def _discovery(version: str, resources: tuple[Resource, ...]) -> Resource:
    return {"version_info": version, "resources": list(resources)}


def _copied(resource: Resource) -> Resource:
    return _untyped(copy.deepcopy(resource))


def _untyped(resource: Resource) -> Resource:
    """Return a resource as it stands in a bootstrap, where its type is known."""
    return {key: value for key, value in resource.items() if key != "@type"}


def _encoded(document: Resource) -> bytes:
    return msgspec.json.encode(document)
