"""The Services that upstreams stand for: Gateway API leads to a Service and not to a URL."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from strangler.core.routing.arm import LEGACY
from strangler.core.settings import Settings, UpstreamSettings, Url

_LABEL: Final = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"({_LABEL})(?:\.({_LABEL})\.svc(?:\.[-a-z0-9.]+)?)?")
_WRITTEN: Final = re.compile(rf"({_LABEL})(?:\.({_LABEL}))?:([0-9]{{1,5}})")
_MAX_PORT: Final = 65_535


class ServiceError(Exception):
    """No Service is known for an upstream; the message says which and how to name it."""


@dataclass(frozen=True, slots=True)
class Service:
    """A Service, its port, and its namespace; None: that of the HTTPRoutes."""

    name: str
    port: int
    namespace: str | None = None

    def reference(self) -> dict[str, Any]:
        """Return the fields of a reference to it."""
        place = {} if self.namespace is None else {"namespace": self.namespace}
        return {"name": self.name, **place, "port": self.port}


def parse_service(text: str) -> Service:
    """Return the Service that `NAME:PORT` or `NAME.NAMESPACE:PORT` names. Raises ServiceError."""
    found = _WRITTEN.fullmatch(text)
    if found is None or not 0 < int(found[3]) <= _MAX_PORT:
        raise ServiceError(f"{text!r} is no Service; write NAME:PORT or NAME.NAMESPACE:PORT")
    return Service(found[1], int(found[3]), found[2])


def services_of(settings: Settings, named: Mapping[str, Service]) -> dict[str, Service]:
    """Return the Services of all upstreams that routes lead to. `named`: those that are written for upstreams.
    Raises ServiceError with a line for each upstream that has none."""
    unknown = sorted(named.keys() - settings.upstreams.keys())
    lines = [f"there is no upstream '{name}'" for name in unknown]
    found: dict[str, Service] = {}
    for name in _used(settings):
        service = named.get(name) or _derived(settings.upstreams[name])
        if service is None:
            urls = ", ".join(str(url) for url in settings.upstreams[name].urls)
            lines.append(
                f"upstream '{name}': {urls} names no one Service of Kubernetes; name it with --service {name}=NAME:PORT"
            )
        else:
            found[name] = service
    if lines:
        raise ServiceError("\n".join(lines))
    return found


def _used(settings: Settings) -> Iterable[str]:
    candidates = {route.candidate for route in settings.routes if route.candidate is not None}
    return [LEGACY, *sorted(candidates - {LEGACY})]


def _derived(upstream: UpstreamSettings) -> Service | None:
    """Return the Service that the URLs of an upstream name: `http://orders.shop.svc:8080`, or `http://orders:8080`."""
    services = {_of_url(url) for url in upstream.urls}
    return services.pop() if len(services) == 1 else None


def _of_url(url: Url) -> Service | None:
    found = None if url.unix_path is not None else _HOST.fullmatch(url.host)
    if found is None or found[1].isdecimal() or found[1] == "localhost":
        return None
    return Service(found[1], url.port, found[2])
