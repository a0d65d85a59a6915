"""Trusted proxies: the peers whose X-Forwarded-* is believed, and the client that follows from it."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from strangler.core.http.addresses import parse_address, parse_network


class IgnoredState:
    """The first untrusted peer that sent forwarding fields: it may be a load balancer.

    Any client can send such fields. X-Forwarded-For counts from private addresses only, where proxies are;
    `X-Forwarded-Proto: https` (TLS ended before the proxy) counts from any address.
    """

    __slots__ = ("_public", "field", "peer")

    def __init__(self) -> None:
        self.peer = ""
        """Its address; empty if there was none so far."""
        self.field = ""
        self._public = ""  # the last peer without a private address: finding that out takes 1 µs

    def look(self, peer: str, fields: dict[bytes, bytes]) -> None:
        """Keep the peer of a request that has forwarding fields, unless there was one."""
        if self.peer:
            return
        if fields.get(b"x-forwarded-proto", b"").strip().lower().startswith(b"https"):
            self.peer, self.field = peer, "X-Forwarded-Proto: https"
        elif b"x-forwarded-for" in fields and peer != self._public:
            if _is_private(peer):
                self.peer, self.field = peer, "X-Forwarded-For"
            else:
                self._public = peer


class TrustedProxies:
    """Addresses and networks, as `trusted_proxies` lists them."""

    __slots__ = ("_networks", "ignored")

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(map(parse_network, networks))
        self.ignored = IgnoredState()

    def with_peer(self, peer: str) -> str:
        """Return the line of routes.yaml that also trusts this peer."""
        return f"trusted_proxies: [{', '.join([*map(_as_written, self._networks), peer])}]"

    def includes(self, address: str) -> bool:
        """Return True if the address is trusted; what is none (`unknown`, `_hidden`; RFC 7239 section 6) is not."""
        if not self._networks:
            return False
        parsed = parse_address(address)
        return parsed is not None and self._holds(parsed)

    def _holds(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)

    def client_of(self, peer: str, forwarded_for: bytes | None) -> bytes:
        """Return the last address of the chain that is not a trusted proxy's; the first one if all are.

        `forwarded_for` is X-Forwarded-For as received. What is no address ends the search, since its author is unknown.
        An IPv4 address that is mapped into IPv6 counts as IPv4.
        """
        client = peer
        if forwarded_for is None or not self.includes(peer):
            return client.encode()
        for hop in reversed(forwarded_for.decode("latin-1").split(",")):
            address = parse_address(_without_port(hop.strip()))
            if address is None:
                break
            client = str(address)
            if not self._holds(address):
                break
        return client.encode()


def _as_written(network: IPv4Network | IPv6Network) -> str:
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _is_private(peer: str) -> bool:
    parsed = parse_address(peer)
    return parsed is not None and not parsed.is_global


def _without_port(node: str) -> str:
    """Return `192.0.2.1:443` or `[2001:db8::1]:443` without brackets and port."""
    if node.startswith("["):
        return node[1:].partition("]")[0]
    return node.partition(":")[0] if node.count(":") == 1 else node
