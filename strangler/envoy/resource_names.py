"""The names of clusters, listeners and runtime keys: each is made in one place, whoever refers to it."""

from typing import Final

SHADOW_CLUSTER: Final = "shadow"
"""The receiver that mirrored requests go to."""

TELEMETRY_CLUSTER: Final = "telemetry"
"""The socket that access records go to."""

METADATA: Final = "strangler"
"""The namespace of our metadata on routes and endpoints."""

KILL_SWITCH_KEY: Final = "strangler.kill_switch"
"""For people who look into the runtime: no entry reads it."""

LEGACY_READS: Final = "up/legacy:reads"
"""Legacy for GET, HEAD and OPTIONS, which may be sent again. No upstream has a colon in its name."""


UPSTREAMS: Final = "up/"
"""The beginning of the names of clusters that are upstreams themselves."""


def upstream_cluster(upstream: str) -> str:
    """Return the cluster of an upstream itself."""
    return f"{UPSTREAMS}{upstream}"


def gate_cluster(gate: str) -> str:
    """Return the cluster that leads through a gate."""
    return f"gate/{gate}"


def gate_listener(gate: str) -> str:
    """Return the internal listener of a gate."""
    return f"gate-{gate}"


def off_key(route: str) -> str:
    """Return the runtime key that takes a route off its candidate: 100 is off."""
    return f"strangler.off.{route}"


def shadow_key(route: str) -> str:
    """Return the runtime key of the share of a route's requests that is mirrored, in ten thousandths."""
    return f"strangler.shadow.{route}"


def composite_cluster(candidate: str, digest: str) -> str:
    """Return the cluster that tries a candidate and then legacy."""
    return f"arms/{candidate}/{digest}"
