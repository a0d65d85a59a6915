"""The settings of listeners: where they bind, how a connection begins, and what TLS needs."""

from dataclasses import dataclass
from typing import Literal

UNIX = "unix:"
"""The beginning of an address that is a unix socket."""

EXPIRES_SOON_S = 14 * 86_400.0
"""A certificate that expires within this time is worth a warning, and an event."""

MAX_UNIX_PATH_BYTES = 107
"""The longest path of a unix socket (unix(7)). libuv cuts a longer one, and connects to another socket."""


@dataclass(frozen=True, slots=True)
class Address:
    """The place where a listener binds: a host and a port, 0 for one that the system chooses; or a unix socket, whose
    host is `unix:` and its path, and whose port is 0."""

    host: str
    port: int

    @property
    def unix_path(self) -> str | None:
        """The path of a unix socket; None for a host and a port."""
        return self.host.removeprefix(UNIX) if self.host.startswith(UNIX) else None

    def __str__(self) -> str:
        if self.host.startswith(UNIX):
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """A certificate with its chain and key: the files, and what the certificate says. The files' content is in
    `Settings.files`, by these paths."""

    cert: str
    key: str  # may be `cert`
    names: tuple[str, ...]  # DNS names and addresses that it is for, in lower case: `shop.example`, `*.shop.example`
    kind: str  # of its key: `rsa`, `ecdsa`, `ed25519`
    not_after: float  # Unix time at which it expires


@dataclass(frozen=True, slots=True)
class ServerTlsSettings:
    """TLS at a listener. A client that names no known host gets the first certificate."""

    certificates: tuple[CertificateSettings, ...]  # one at least
    min_version: Literal["1.2", "1.3"] = "1.2"
    client_ca: str | None = None  # file of PEM certificates that verify clients; None: clients are not asked for one
    client_cert: Literal["optional", "required"] = "optional"  # no effect without `client_ca`


@dataclass(frozen=True, slots=True)
class ProxyProtocolSettings:
    """The peers of a listener that say who the client is, in a header of the PROXY protocol."""

    networks: tuple[str, ...]
    is_required: bool  # False: a connection of theirs may come without a header


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """One place where clients connect."""

    address: Address
    proxy_protocol: ProxyProtocolSettings | None = None
    redirect_port: int | None = None  # requests are redirected to https:// at this port; None: forwarded
    mode: int | None = None  # permissions of a unix socket
    group: str | None = None  # its group, a name or a number; None: that of the process
    tls: ServerTlsSettings | None = None  # None: plain HTTP
    http2: bool = False  # takes HTTP/2 as well, which the engine Envoy alone can
    http3: bool = False  # takes HTTP/3 as well, over UDP at the same port; the same holds
