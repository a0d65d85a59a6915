"""Client addresses in canonical form, and the network that stands for one caller."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_CALLER_BITS = 64
"""A provider gives one customer a /64 of IPv6 addresses (RFC 6177), and a device changes its address in it daily."""


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address, as IPv4 if it is mapped into IPv6 (RFC 4291 section 2.5.5.2); None for any other text.

    A zone (RFC 4007) means nothing outside its own machine, so an address with a zone is refused.
    """
    if "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped if mapped is not None else address


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Return the network, as IPv4 if it is mapped into IPv6. Raises ValueError."""
    network = ip_network(text, strict=False)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < 96:
        return network
    return IPv4Network((mapped, network.prefixlen - 96))


def canonical(text: str) -> str:
    """Return the canonical text of an address; any other text unchanged."""
    if ":" not in text:
        return text  # dotted decimals have only one form that is accepted as an address
    address = parse_address(text)
    return text if address is None else str(address)


def peer_address(peername: object) -> str:
    """Return the address in a socket's peer name, without its zone; that of this machine for a unix socket's."""
    return canonical(str(peername[0]).partition("%")[0]) if isinstance(peername, tuple) else "127.0.0.1"


@lru_cache(4096)
def caller_of(address: bytes) -> bytes:
    """Return the address that stands for one caller: an IPv4 address, or the first of an IPv6 address's /64.

    `address` is in canonical form.
    """
    parsed = parse_address(address.decode("latin-1")) if b":" in address else None
    if not isinstance(parsed, IPv6Address):
        return address
    return str(IPv6Network((parsed, _CALLER_BITS), strict=False).network_address).encode()
