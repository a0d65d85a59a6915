"""Certificates and keys: Envoy reads the files that the settings name, and reads them again when they change.

It does so only for secrets that come from a file of their own, which names the files of a pair or of authorities.
"""

from collections.abc import Iterator
from typing import Final

from strangler.core.settings import Settings
from strangler.envoy.extensions import digest
from strangler.envoy.followed_files import config_source
from strangler.envoy.place import EnvoyPlace
from strangler.envoy.resources import Resource, secret_file

_KIND: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


def certificate(place: EnvoyPlace, cert: str, key: str) -> Resource:
    """Return the reference to a pair."""
    return _reference(place, _pair(cert, key))


def authorities(place: EnvoyPlace, path: str) -> Resource:
    """Return the reference to a file of authorities."""
    return _reference(place, _authorities(path))


def secret_list(settings: Settings, place: EnvoyPlace) -> list[Resource]:
    """Return all secrets that listeners and clusters refer to, each once, in the order of their names."""
    secrets = {secret["name"]: secret for secret in (*_of_listeners(settings), *_of_upstreams(settings, place))}
    return [secrets[name] for name in sorted(secrets)]


def _of_listeners(settings: Settings) -> Iterator[Resource]:
    for listener in settings.listeners:
        if listener.tls is None:
            continue
        for pair in listener.tls.certificates:
            yield _pair(pair.cert, pair.key)
        if listener.tls.client_ca is not None:
            yield _authorities(listener.tls.client_ca)


def _of_upstreams(settings: Settings, place: EnvoyPlace) -> Iterator[Resource]:
    for upstream in settings.upstreams.values():
        if all(url.scheme != "https" for url in upstream.urls):
            continue
        tls = upstream.tls
        if tls.cert is not None:
            yield _pair(tls.cert, tls.key or tls.cert)
        if tls.verify:
            yield _authorities(tls.ca or place.system_ca)


def _pair(cert: str, key: str) -> Resource:
    content = {
        "certificate_chain": {"filename": cert},
        "private_key": {"filename": key},
        "watched_directory": {"path": _folder(cert)},
    }
    return _secret("pair", "tls_certificate", content)


def _authorities(path: str) -> Resource:
    content = {"trusted_ca": {"filename": path}, "watched_directory": {"path": _folder(path)}}
    return _secret("authorities", "validation_context", content)


def _secret(kind: str, field: str, content: Resource) -> Resource:
    return {"@type": _KIND, "name": f"{kind}-{digest(content)}", field: content}


def _reference(place: EnvoyPlace, secret: Resource) -> Resource:
    return {"name": secret["name"], "sds_config": config_source(place, secret_file(secret))}


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "/"
