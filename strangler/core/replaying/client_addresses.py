"""Addresses of clients that a recording has as marks: each becomes an address that nobody has.

It is of 198.18.0.0/15, which is reserved for benchmarks (RFC 2544): the same for the same mark, so that an upstream
still tells clients apart, and none that it trusts as its own machine.
"""

import re
from ipaddress import IPv4Address

from strangler.core.privacy.secrets import MARK

_FIRST = int(IPv4Address("198.18.0.0"))
_COUNT = 2**17


def with_addresses(name: str, value: str) -> str:
    """Return a field of `CLIENT_ADDRESS` with addresses in the place of marks. `name`: in lower case."""
    text = MARK.sub(_address, value)
    return f"for={text}" if name == "forwarded" and "=" not in text else text


def _address(mark: re.Match[str]) -> str:
    number = int(mark[0].rpartition(":")[2], 16)
    return str(IPv4Address(_FIRST + number % _COUNT))
