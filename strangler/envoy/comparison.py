"""The comparison of a configuration that lies somewhere with the one that the settings lead to.

What belongs to the running Envoy and not to routes.yaml is left out: versions, generations, the kill switch, and the
shares of routes whose percent a rollout moves.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from strangler.envoy.resource_names import METADATA
from strangler.envoy.resources import BOOTSTRAP, CLUSTERS, LISTENERS, ROUTES, Resource

_DERIVED: Final = ("arms/", "gate/", "gate-")
"""The beginnings of names that have a digest of their content: whoever names them differs as well."""

_CLUSTERS_HOST_END: Final = ".invalid"
_MANAGER: Final = "http_connection_manager"

_SPLIT: Final = "split"

_KEYS: Final[Mapping[str, str]] = {
    "weighted_clusters": _SPLIT,
    "hash_policy": "split.sticky",
    "cluster": "candidate, rewrite, timeouts or fallback",
    "per_try_timeout": "timeouts.response",
    "retry_policy": "timeouts.response",
    "idle_timeout": "timeouts.idle",
    "request_mirror_policies": "shadow",
    "direct_response": "retire",
    "response_headers_to_add": "retire or expose_arm",
    "match": "match",
    "connect_timeout": "timeouts.connect",
    "load_assignment": "url",
    "outlier_detection": "breaker",
    "circuit_breakers": "bulkhead",
    "health_checks": "health",
    "transport_socket": "tls",
    "transport_socket_matches": "tls",
    "typed_extension_protocol_options": "http2, keepalive or retry",
    "overload_manager": "limits.connections",
    "local_reply_config": "errors",
    "request_headers_timeout": "limits.header_timeout",
    "address": "address",
}
"""The key of routes.yaml that a field comes from."""


def differences(found: Mapping[str, bytes], wanted: Mapping[str, bytes], moving: Collection[str]) -> list[str]:
    """Return in how far the files of a folder differ, as lines; none if it is not at all. `moving`: the routes whose
    percent is no matter of the file. Raises ValueError if a file is no JSON."""
    return list(_all(_of_files(found, moving), _of_files(wanted, moving)))


def static_differences(found: bytes, wanted: bytes, moving: Collection[str]) -> list[str]:
    """Return the same for two static configurations."""
    return list(_all(_of_static(found, moving), _of_static(wanted, moving)))


def _of_files(files: Mapping[str, bytes], moving: Collection[str]) -> Resource:
    read = {name: json.loads(content) for name, content in files.items()}
    return _parts(
        read[BOOTSTRAP], read[LISTENERS]["resources"], read[CLUSTERS]["resources"], read[ROUTES]["resources"][0], moving
    )


def _of_static(content: bytes, moving: Collection[str]) -> Resource:
    document = json.loads(content)
    static = document.pop("static_resources", {})
    listeners, routes = static.get("listeners", []), Resource()
    for manager in _managers(listeners):
        config = manager.get("route_config", {})
        if config.get("virtual_hosts") and config.get("name") != "redirect":
            routes = manager.pop("route_config")
    return _parts(document, listeners, static.get("clusters", []), routes, moving)


def _managers(listeners: list[Resource]) -> Iterator[Resource]:
    for listener in listeners:
        chains = [*listener.get("filter_chains", ()), listener.get("default_filter_chain", {})]
        for chain in chains:
            for each in chain.get("filters", ()):
                if each["name"].endswith(_MANAGER) and not listener["name"].startswith(_DERIVED):
                    yield each["typed_config"]


def _parts(
    bootstrap: Resource, listeners: list[Resource], clusters: list[Resource], routes: Resource, moving: Collection[str]
) -> Resource:
    hosts = [host for host in routes.get("virtual_hosts", ()) if not host["name"].endswith(_CLUSTERS_HOST_END)]
    return {
        "Envoy": {key: value for key, value in bootstrap.items() if key != "layered_runtime"},
        "listen": _own(listeners),
        "upstreams": _own(clusters),
        "routes": _without_moving({**routes, "virtual_hosts": hosts}, moving),
    }


def _own(resources: list[Resource]) -> list[Resource]:
    return [each for each in resources if not each["name"].startswith(_DERIVED)]


def _without_moving(value: Any, moving: Collection[str]) -> Any:
    """Return a part of a configuration without generations and without the shares of routes that a rollout moves."""
    if isinstance(value, list):
        return [_without_moving(each, moving) for each in value if not _is_moving(each, moving)]
    if isinstance(value, dict):
        return {key: _without_moving(each, moving) for key, each in value.items() if key != "gen"}
    return value


def _is_moving(value: Any, moving: Collection[str]) -> bool:
    about = _about(value)
    return about.get("route") in moving and about.get("reason") == "percent"


def _about(value: Any) -> Resource:
    """Return our metadata of an entry; none if it is no entry."""
    metadata = value.get("metadata", {}) if isinstance(value, dict) else {}
    found: Resource = metadata.get("filter_metadata", {}).get(METADATA, {})
    return found


Difference = tuple[str, str, str]
"""A difference: what it belongs to, the key of routes.yaml, and how it lies."""

_MISSING: Final = "is missing there"
_FOREIGN: Final = "is there and not in routes.yaml"


def _all(found: Resource, wanted: Resource) -> Iterator[str]:
    """Yield the differences as lines, the first one of each key."""
    seen: set[tuple[str, str]] = set()
    for part in wanted:
        for subject, key, lies in _walk(found[part], wanted[part], part, ""):
            if (subject, key) not in seen:
                seen.add((subject, key))
                yield f"{subject}: {key} {lies}" if key else f"{subject}: {lies}"


def _walk(found: Any, wanted: Any, subject: str, key: str) -> Iterator[Difference]:
    """Yield the differences of a value. `key`: that of routes.yaml, once one is known."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in dict.fromkeys((*wanted, *found)):
            inner = _KEYS["cluster"] if (key, name) == (_SPLIT, "name") else key or _KEYS.get(name, "")
            if name in found and name in wanted:
                yield from _walk(found[name], wanted[name], subject, inner)
            else:
                yield subject, inner or name, _FOREIGN if name in found else _MISSING
    elif isinstance(found, list) and isinstance(wanted, list):
        yield from _walk_lists(found, wanted, subject, key)
    elif found != wanted:
        is_number_of_buckets = key == _SPLIT
        yield subject, key, "differs" if is_number_of_buckets else f"is {_text(found)} there, not {_text(wanted)}"


def _walk_lists(found: list[Any], wanted: list[Any], subject: str, key: str) -> Iterator[Difference]:
    """Yield the differences of two lists, whose items are paired by their names."""
    here, there = _labelled(wanted, key), _labelled(found, key)
    for label in dict.fromkeys((*here, *there)):
        inner = _subject(label, here.get(label, there.get(label)), subject)
        if label in here and label in there:
            yield from _walk(there[label], here[label], inner, key)
        elif key == _SPLIT:
            yield inner, key, "differs"
        else:
            yield inner, key, _MISSING if label in here else _FOREIGN
    shared = [label for label in here if label in there]
    if shared != [label for label in there if label in here]:
        yield subject, key, "stands there in another order"


def _labelled(items: list[Any], key: str) -> dict[tuple[str, int], Any]:
    """Return the items by their names: of resources their own, of entries their route's and reason. The clusters of a
    split go by their order."""
    seen: Counter[str] = Counter()
    labelled: dict[tuple[str, int], Any] = {}
    for item in items:
        about = _about(item)
        name = f"{about.get('route', '')}/{about.get('reason', '')}" if about else ""
        if not name and isinstance(item, dict) and key != _SPLIT:
            name = str(item.get("name", ""))
        labelled[name, seen[name]] = item
        seen[name] += 1
    return labelled


def _subject(label: tuple[str, int], item: Any, subject: str) -> str:
    """Return what an item is about: `route 'orders'`, `upstream 'orders'`, `listen 0.0.0.0:80`."""
    about = _about(item)
    if about:
        return f"route '{about['route']}'" if "route" in about else subject
    if subject == "upstreams" and label[0].startswith("up/"):
        return f"upstream '{label[0].removeprefix('up/')}'"
    return f"listen {label[0]}" if subject == "listen" and label[0] else subject


_LONGEST: Final = 60


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
