"""The states of upstreams as Envoy has them, read from its admin listener: what is in flight, and what it put aside."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import msgspec

from strangler.core.routing.arm import LEGACY
from strangler.core.settings import Settings
from strangler.envoy.resource_names import UPSTREAMS

_CLUSTER: Final = f"cluster.{UPSTREAMS}"
_FIGURES: Final = {
    ".upstream_rq_active": "in_flight",
    ".upstream_rq_pending_active": "waiting",
    ".outlier_detection.ejections_active": "ejected",
    ".membership_total": "members",
    ".membership_healthy": "healthy",
}
_CONNECTIONS: Final = "http.clients.downstream_cx_active"
_LOST: Final = {
    "access_logs.fluentd.request.entries_lost": "request",
    "access_logs.fluentd.attempt.entries_lost": "attempt",
}

STATS_TARGET: Final = "/stats?format=json&filter=" + quote(
    rf"^(cluster\.{UPSTREAMS}[^.:]+\.(upstream_rq_active|upstream_rq_pending_active|outlier_detection\.ejections_active"
    r"|membership_total|membership_healthy)"
    r"|http\.clients\.downstream_cx_active|access_logs\.fluentd\.(request|attempt)\.entries_lost)$",
    safe="",
)
"""The figures that are read each second: five for each upstream, whatever the number of routes."""

CLUSTERS_TARGET: Final = "/clusters?format=json"
"""The endpoints with their health: read only while one of them is not in use."""


@dataclass(slots=True)
class UpstreamFigures:
    """The figures of one upstream."""

    in_flight: int = 0
    waiting: int = 0
    ejected: int = 0
    members: int = 0
    healthy: int = 0


@dataclass(slots=True)
class EnvoyFigures:
    """The figures of one Envoy: of each upstream, its client connections, and the records that it has dropped."""

    upstreams: dict[str, UpstreamFigures] = field(default_factory=dict)
    connections: int = 0
    lost: dict[str, int] = field(default_factory=dict)

    @property
    def has_bad_endpoints(self) -> bool:
        """True if some endpoint is not in use."""
        return any(each.ejected or each.healthy < each.members for each in self.upstreams.values())


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint that is not in use: as an upstream's URL names it, and whether its checks have failed."""

    upstream: str
    authority: str
    has_failed_checks: bool


def parse_stats(body: bytes) -> EnvoyFigures:
    """Return the figures of a response to `STATS_TARGET`. Raises msgspec.DecodeError, or KeyError or TypeError for
    a response of another form."""
    figures = EnvoyFigures()
    for stat in msgspec.json.decode(body)["stats"]:
        name, value = stat.get("name"), stat.get("value")
        if not isinstance(name, str) or not isinstance(value, int):
            continue
        if name == _CONNECTIONS:
            figures.connections = value
        elif name in _LOST:
            figures.lost[_LOST[name]] = value
        elif name.startswith(_CLUSTER):
            _add(figures.upstreams, name.removeprefix(_CLUSTER), value)
    return figures


def _add(upstreams: dict[str, UpstreamFigures], name: str, value: int) -> None:
    for ending, attribute in _FIGURES.items():
        if name.endswith(ending):
            setattr(upstreams.setdefault(name.removesuffix(ending), UpstreamFigures()), attribute, value)
            return


def parse_clusters(body: bytes) -> list[Endpoint]:
    """Return the endpoints of upstreams that are not in use. Raises as `parse_stats`."""
    found = []
    for cluster in msgspec.json.decode(body).get("cluster_statuses", []):
        name = cluster["name"]
        if not name.startswith(UPSTREAMS) or ":" in name:
            continue
        for host in cluster.get("host_statuses", []):
            health = host.get("health_status", {})
            has_failed = bool(health.get("failed_active_health_check"))
            if has_failed or health.get("failed_outlier_check"):
                found.append(Endpoint(name.removeprefix(UPSTREAMS), _authority(host), has_failed))
    return found


def _authority(host: Mapping[str, Any]) -> str:
    """Return what names an endpoint: the authority of its URL, else its address."""
    hostname = host.get("hostname")
    if isinstance(hostname, str) and hostname:
        return hostname
    address = host.get("address", {})
    if "pipe" in address:
        return str(address["pipe"].get("path", ""))
    where = address.get("socket_address", {})
    return f"{where.get('address', '')}:{where.get('port_value', '')}"


def breaker_states(figures: EnvoyFigures) -> dict[str, bool]:
    """Return whether the breaker of each upstream is open: all its endpoints are put aside after failures. Legacy's
    is never open, since its endpoints are used all the same when none is left."""
    return {
        name: name != LEGACY and each.members > 0 and each.ejected >= each.members
        for name, each in figures.upstreams.items()
    }


def endpoint_labels(settings: Settings, endpoints: Iterable[Endpoint]) -> dict[tuple[str, str], int]:
    """Return the figure of each endpoint that is not in use, by its upstream and its URL as routes.yaml has it."""
    found: dict[tuple[str, str], int] = {}
    for endpoint in endpoints:
        upstream = settings.upstreams.get(endpoint.upstream)
        if upstream is None:
            continue
        urls = [str(url) for url in upstream.urls if endpoint.authority in (url.authority, url.unix_path)]
        key = (endpoint.upstream, urls[0] if urls else endpoint.authority)
        found[key] = max(found.get(key, 0), 2 if endpoint.has_failed_checks else 1)
    return found
