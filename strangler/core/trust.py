"""Whose X-Forwarded-* is believed, and who the client therefore is."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network


class TrustedProxies:
    """Addresses and networks, as `trusted_proxies` lists them."""

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(ip_network(network, strict=False) for network in networks)

    def includes(self, address: str) -> bool:
        """False for what is no address at all (`unknown`, `_hidden`; RFC 7239 section 6)."""
        if not self._networks:
            return False
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def client_of(self, peer: str, forwarded_for: bytes | None) -> bytes:
        """The last address of the chain that is not a trusted proxy's; the first one if all are.

        `forwarded_for` is X-Forwarded-For as received. What is no address ends the search: who wrote it is not known.
        """
        client = peer
        if forwarded_for is None or not self.includes(peer):
            return client.encode()
        for hop in reversed(forwarded_for.decode("latin-1").split(",")):
            address = _without_port(hop.strip())
            if not _is_address(address):
                break
            client = address
            if not self.includes(client):
                break
        return client.encode()


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text  # a zone (RFC 4007) means nothing here, and ip_address takes any text for one


def _without_port(node: str) -> str:
    """`192.0.2.1:443` and `[2001:db8::1]:443` without brackets and port."""
    if node.startswith("["):
        return node[1:].partition("]")[0]
    return node.partition(":")[0] if node.count(":") == 1 else node
