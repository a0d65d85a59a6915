"""Whose X-Forwarded-* is believed, and who the client therefore is."""

from collections.abc import Iterable

from strangler.core.addresses import canonical, parse_address, parse_network


class TrustedProxies:
    """Addresses and networks, as `trusted_proxies` lists them."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(map(parse_network, networks))

    def includes(self, address: str) -> bool:
        """False for what is no address at all (`unknown`, `_hidden`; RFC 7239 section 6)."""
        if not self._networks:
            return False
        parsed = parse_address(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def client_of(self, peer: str, forwarded_for: bytes | None) -> bytes:
        """The last address of the chain that is not a trusted proxy's; the first one if all are.

        `forwarded_for` is X-Forwarded-For as received. What is no address ends the search: who wrote it is not known.
        An IPv4 address that is mapped into IPv6 is that IPv4 address.
        """
        client = peer
        if forwarded_for is None or not self.includes(peer):
            return client.encode()
        for hop in reversed(forwarded_for.decode("latin-1").split(",")):
            address = _without_port(hop.strip())
            if parse_address(address) is None:
                break
            client = canonical(address)
            if not self.includes(client):
                break
        return client.encode()


def _without_port(node: str) -> str:
    """`192.0.2.1:443` and `[2001:db8::1]:443` without brackets and port."""
    if node.startswith("["):
        return node[1:].partition("]")[0]
    return node.partition(":")[0] if node.count(":") == 1 else node
