"""Whether an upstream is legacy under another name: its URLs are compared by what they reach, not by their spelling."""

import ipaddress
import os
import socket

from strangler.core.settings import UpstreamSettings, Url

Place = tuple[str, int]
"""An address and a port; for a unix socket its real path and 0."""

REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a listener on all addresses of this machine is reached from it."""


def is_same_server(upstream: UpstreamSettings, other: UpstreamSettings) -> bool:
    """Return whether a request to an upstream may arrive where requests to the other do. Names are looked up."""
    theirs = [(url, places(url)) for url in other.urls]
    return any(
        _overlap(url.path, their.path) and places(url) & where for url in upstream.urls for their, where in theirs
    )


def places(url: Url) -> frozenset[Place]:
    """Return where a URL connects to. A name that nothing is known of is its own place, without its final dot."""
    if url.unix_path is not None:
        return frozenset({(os.path.realpath(url.unix_path), 0)})
    hosts = {url.server_name.lower()}.union(*map(_addresses, {url.host, url.server_name}))
    return frozenset((REACHED_AT.get(host, host), url.port) for host in hosts)


def _addresses(host: str) -> set[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {_address(str(sockaddr[0])) for *_, sockaddr in found}


def _address(text: str) -> str:
    """Return an address in its one spelling; of an IPv4 address within IPv6 that of IPv4."""
    found = ipaddress.ip_address(text.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def _overlap(path: str, other: str) -> bool:
    """Return whether one base path is within the other: `/shop` and `/shop-sandbox` are apart."""
    return f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")
