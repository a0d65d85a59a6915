"""The machine's part of a configuration of Envoy: the paths that the settings do not have."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EnvoyPlace:
    """Where a running Envoy has its files and sockets, all paths absolute but for that of its admin listener."""

    folder: str
    """The folder with the files that Envoy follows: `lds.json`, `cds.json`, `rds.json`, `rtds.json`."""
    admin_socket: str
    """The unix socket of Envoy's admin listener, which may be relative to its working directory."""
    telemetry_socket: str
    """The unix socket that Envoy's access records go to."""
    receiver_socket: str
    """The unix socket of the receiver that mirrored requests go to."""
    system_ca: str = "/etc/ssl/certs/ca-certificates.crt"
    """The file of the authorities that the system trusts."""


@dataclass(frozen=True, slots=True)
class Switches:
    """The state of the kill switch: for all routes, and by the names of routes."""

    is_killed: bool = False
    killed_routes: frozenset[str] = frozenset()
