"""The PROXY protocol, versions 1 and 2: what a TCP load balancer says of the client before the client's first byte.

Source: "The PROXY protocol, versions 1 & 2", https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt, sections 2.1
and 2.2. Nothing here waits or reads: bytes come in, and what they say goes out.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from strangler.core.http.addresses import canonical

SIGNATURE_V2: Final = b"\r\n\r\n\0\r\nQUIT\n"
MAX_V1_BYTES: Final = 107
"""The longest first version, its CRLF included (section 2.1)."""
MAX_V2_BYTES: Final = 4096
"""The longest second version that is taken, its 16 fixed bytes included."""

_V1: Final = b"PROXY "
_V1_LINE: Final = re.compile(rb"PROXY (TCP[46]) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})")
_HEAD_BYTES: Final = 16
_LOCAL, _PROXY = 0, 1
_UNSPEC, _INET, _INET6, _UNIX = 0, 1, 2, 3
_ADDRESS_BYTES: Final = {_UNSPEC: 0, _INET: 12, _INET6: 36, _UNIX: 216}
_TRANSPORTS: Final = frozenset({0, 1, 2})  # unspecified, stream, datagram
_STREAM: Final = 1
_TLV_HEAD_BYTES: Final = 3
_TLV_CRC32C: Final = 0x03


class ProxyProtocolError(ValueError):
    """The bytes are no PROXY header, or a broken one. The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """`length`: bytes that the header takes. `source`: the client's address and port, an IPv4 address that was mapped
    into IPv6 as IPv4; None where the peer of the connection is the client (UNKNOWN, LOCAL, UNSPEC, unix)."""

    length: int
    source: tuple[str, int] | None


def is_beginning(data: bytes) -> bool:
    """Tell whether bytes are, or may become, a PROXY header. No request of HTTP and no TLS handshake begins so, but for
    a single `P` or empty lines, of which there may be more to come."""
    return _begins(data, _V1) or _begins(data, SIGNATURE_V2)


def read_header(data: bytes) -> ProxyHeader | None:
    """Return the header at the start of the bytes; None if it is not complete yet. Raises ProxyProtocolError."""
    if _begins(data, SIGNATURE_V2):
        return _read_v2(data) if len(data) >= _HEAD_BYTES else None
    if _begins(data, _V1):
        return _read_v1(data)
    raise ProxyProtocolError("no PROXY header")


def _begins(data: bytes, with_: bytes) -> bool:
    length = min(len(data), len(with_))
    return data[:length] == with_[:length]


def _read_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, MAX_V1_BYTES)
    if end < 0:
        if len(data) >= MAX_V1_BYTES:
            raise ProxyProtocolError(f"version 1 does not end within {MAX_V1_BYTES} bytes")
        return None
    line = data[:end]
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader(end + 2, None)
    found = _V1_LINE.fullmatch(line)
    if found is None:
        raise ProxyProtocolError("version 1 is not PROXY, TCP4 or TCP6, two addresses and two ports")
    kind, source, destination, source_port, destination_port = found.groups()
    _ip_of_text(kind, destination)
    if int(destination_port) > 0xFFFF or int(source_port) > 0xFFFF:
        raise ProxyProtocolError("version 1 has a port beyond 65535")
    return ProxyHeader(end + 2, (_ip_of_text(kind, source), int(source_port)))


def _ip_of_text(kind: bytes, text: bytes) -> str:
    try:
        if kind == b"TCP4":
            return str(IPv4Address(text.decode("ascii")))
        address = IPv6Address(text.decode("ascii"))
    except ValueError:
        raise ProxyProtocolError("version 1 has an address that is none") from None
    if address.scope_id is not None:
        raise ProxyProtocolError("version 1 has an address with a scope")
    return canonical(str(address))


def _read_v2(data: bytes) -> ProxyHeader | None:
    version_command, family_transport = data[12], data[13]
    length = _HEAD_BYTES + int.from_bytes(data[14:16], "big")
    version, command = version_command >> 4, version_command & 0xF
    family, transport = family_transport >> 4, family_transport & 0xF
    if version != 2 or command not in (_LOCAL, _PROXY):
        raise ProxyProtocolError("version 2 has an unknown version or command")
    if length > MAX_V2_BYTES:
        raise ProxyProtocolError(f"version 2 is longer than {MAX_V2_BYTES} bytes")
    is_local = command == _LOCAL
    if not is_local:
        if family not in _ADDRESS_BYTES or transport not in _TRANSPORTS:
            raise ProxyProtocolError("version 2 has an unknown address family or transport")
        if length < _HEAD_BYTES + _ADDRESS_BYTES[family]:
            raise ProxyProtocolError("version 2 is shorter than its addresses")
    if len(data) < length:
        return None
    if is_local:  # a health check of the load balancer: what follows is ignored (section 2.2)
        return ProxyHeader(length, None)
    _check_tlvs(data[:length], _HEAD_BYTES + _ADDRESS_BYTES[family])
    return ProxyHeader(length, _source(data, family) if transport == _STREAM else None)


def _source(data: bytes, family: int) -> tuple[str, int] | None:
    if family == _INET:
        return str(IPv4Address(data[16:20])), int.from_bytes(data[24:26], "big")
    if family == _INET6:
        return canonical(str(IPv6Address(data[16:32]))), int.from_bytes(data[48:50], "big")
    return None


def _check_tlvs(header: bytes, start: int) -> None:
    """Walk the type-length-value triples to the end, and verify the checksum if there is one (section 2.2.3)."""
    at = start
    while at < len(header):
        if at + _TLV_HEAD_BYTES > len(header):
            raise ProxyProtocolError("version 2 ends within a TLV")
        end = at + _TLV_HEAD_BYTES + int.from_bytes(header[at + 1 : at + 3], "big")
        if end > len(header):
            raise ProxyProtocolError("version 2 has a TLV that is longer than the rest")
        if header[at] == _TLV_CRC32C:
            _check_crc(header, at + _TLV_HEAD_BYTES, end)
        at = end


def _check_crc(header: bytes, start: int, end: int) -> None:
    if end - start != 4:
        raise ProxyProtocolError("version 2 has a checksum that is not four bytes")
    zeroed = header[:start] + b"\0\0\0\0" + header[end:]
    if crc32c(zeroed) != int.from_bytes(header[start:end], "big"):
        raise ProxyProtocolError("version 2 has a wrong checksum")


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of RFC 4960, appendix B."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _crc_row(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_CRC_TABLE: Final = tuple(map(_crc_row, range(256)))
