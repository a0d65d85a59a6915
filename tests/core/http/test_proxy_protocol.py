"""The PROXY protocol, versions 1 and 2, cut anywhere and broken in every way."""

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.http.proxy_protocol import (
    MAX_V1_BYTES,
    MAX_V2_BYTES,
    SIGNATURE_V2,
    ProxyHeader,
    ProxyProtocolError,
    crc32c,
    is_beginning,
    read_header,
)

_PORTS = struct.pack("!HH", 51000, 443)
_V4 = ip_address("203.0.113.7").packed + ip_address("192.0.2.1").packed + _PORTS
_V6 = ip_address("2001:db8::7").packed + ip_address("2001:db8::1").packed + _PORTS
_MAPPED = ip_address("::ffff:203.0.113.7").packed + ip_address("::ffff:192.0.2.1").packed + _PORTS


def v2(body: bytes = _V4, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE_V2 + bytes((command, family)) + struct.pack("!H", len(body)) + body


def tlv(kind: int, value: bytes) -> bytes:
    return bytes((kind,)) + struct.pack("!H", len(value)) + value


def with_checksum(body: bytes) -> bytes:
    whole = v2(body + tlv(3, b"\0\0\0\0"))
    return whole[:-4] + struct.pack("!I", crc32c(whole))


_GOOD: list[tuple[str, bytes, tuple[str, int] | None]] = [
    ("version 1 over IPv4", b"PROXY TCP4 203.0.113.7 192.0.2.1 51000 443\r\n", ("203.0.113.7", 51000)),
    ("version 1 over IPv6", b"PROXY TCP6 2001:db8::7 2001:db8::1 51000 443\r\n", ("2001:db8::7", 51000)),
    (
        "version 1, IPv6 written at length",
        b"PROXY TCP6 2001:0DB8:0:0:0:0:0:7 ::1 1 2\r\n",
        ("2001:db8::7", 1),
    ),
    ("version 1, a mapped address", b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.1 1 2\r\n", ("203.0.113.7", 1)),
    ("version 1, port 0", b"PROXY TCP4 203.0.113.7 192.0.2.1 0 0\r\n", ("203.0.113.7", 0)),
    ("version 1, unknown", b"PROXY UNKNOWN\r\n", None),
    ("version 1, unknown with addresses", b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
    ("version 2 over IPv4", v2(), ("203.0.113.7", 51000)),
    ("version 2 over IPv6", v2(_V6, family=0x21), ("2001:db8::7", 51000)),
    ("version 2, a mapped address", v2(_MAPPED, family=0x21), ("203.0.113.7", 51000)),
    ("version 2, local", v2(b"", 0x20, 0x00), None),
    ("version 2, local with addresses", v2(_V4, 0x20), None),
    ("version 2, local with what is no TLV", v2(b"\1\xff", 0x20), None),
    ("version 2, local of an unknown family", v2(b"", 0x20, 0x77), None),
    ("version 2, unspecified", v2(b"", 0x21, 0x00), None),
    ("version 2, a datagram", v2(_V4, family=0x12), None),
    ("version 2, a unix socket", v2(bytes(216), family=0x31), None),
    ("version 2 with TLVs", v2(_V4 + tlv(1, b"http/1.1") + tlv(4, b"")), ("203.0.113.7", 51000)),
    ("version 2 with a checksum", with_checksum(_V4 + tlv(5, b"unique")), ("203.0.113.7", 51000)),
    ("the longest version 2", v2(_V4 + tlv(4, bytes(MAX_V2_BYTES - 16 - 12 - 3))), ("203.0.113.7", 51000)),
]
_BAD: list[tuple[str, bytes, str]] = [
    ("no header at all", b"GET / HTTP/1.1\r\n", "no PROXY header"),
    ("a TLS handshake", b"\x16\x03\x01\x02\x00", "no PROXY header"),
    ("small letters", b"proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "no PROXY header"),
    ("another kind", b"PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n", "is not PROXY"),
    ("two spaces", b"PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n", "is not PROXY"),
    ("a port too few", b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", "is not PROXY"),
    ("a word too many", b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n", "is not PROXY"),
    ("a space at the end", b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n", "is not PROXY"),
    ("a port with a zero before", b"PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n", "is not PROXY"),
    ("a port with a sign", b"PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n", "is not PROXY"),
    ("a port too high", b"PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n", "port beyond 65535"),
    ("a destination's port too high", b"PROXY TCP4 1.1.1.1 1.1.1.1 1 99999\r\n", "port beyond 65535"),
    ("a name for an address", b"PROXY TCP4 localhost 1.1.1.1 1 1\r\n", "address that is none"),
    ("a zero before in an address", b"PROXY TCP4 010.1.1.1 1.1.1.1 1 1\r\n", "address that is none"),
    ("an address of the other family", b"PROXY TCP4 ::1 ::1 1 1\r\n", "address that is none"),
    ("a destination that is none", b"PROXY TCP6 ::1 1.1.1.1 1 1\r\n", "address that is none"),
    ("an address with a scope", b"PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n", "scope"),
    ("bytes beyond ASCII", b"PROXY TCP4 1.1.1.\xb9 1.1.1.1 1 1\r\n", "address that is none"),
    ("a bare line feed", b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n" + bytes(MAX_V1_BYTES), "does not end within 107"),
    ("version 1 without an end", b"PROXY UNKNOWN " + b"x" * MAX_V1_BYTES, "does not end within 107"),
    ("version 1 of a later version", v2(command=0x11), "unknown version or command"),
    ("version 3", v2(command=0x31), "unknown version or command"),
    ("another command", v2(command=0x22), "unknown version or command"),
    ("another family", v2(family=0x41), "unknown address family"),
    ("another transport", v2(family=0x13), "unknown address family"),
    ("shorter than IPv4 addresses", v2(_V4[:-1]), "shorter than its addresses"),
    ("shorter than IPv6 addresses", v2(_V4, family=0x21), "shorter than its addresses"),
    ("shorter than a path", v2(bytes(215), family=0x31), "shorter than its addresses"),
    ("too long", v2(_V4 + tlv(4, bytes(MAX_V2_BYTES - 16 - 12 - 2))), "longer than 4096"),
    ("too long, told before it has come", v2(b"")[:14] + b"\xff\xff", "longer than 4096"),
    ("a TLV that is longer than the rest", v2(_V4 + b"\x04\x00\x09abc"), "longer than the rest"),
    ("half of a TLV", v2(_V4 + b"\x04\x00"), "ends within a TLV"),
    ("a wrong checksum", v2(_V4 + tlv(3, b"\0\0\0\1")), "wrong checksum"),
    ("a short checksum", v2(_V4 + tlv(3, b"\0")), "not four bytes"),
]


@pytest.mark.parametrize(("data", "source"), [case[1:] for case in _GOOD], ids=[case[0] for case in _GOOD])
class TestGood:
    def test_the_header_says_who_the_client_is(self, data: bytes, source: tuple[str, int] | None) -> None:
        assert read_header(data) == ProxyHeader(len(data), source)

    def test_what_follows_is_not_part_of_it(self, data: bytes, source: tuple[str, int] | None) -> None:
        assert read_header(data + b"GET / HTTP/1.1\r\n\r\n") == ProxyHeader(len(data), source)

    def test_cut_anywhere_it_is_waited_for(self, data: bytes, source: tuple[str, int] | None) -> None:
        for length in range(len(data)):
            assert is_beginning(data[:length])
            assert read_header(data[:length]) is None


@pytest.mark.parametrize(("data", "message"), [case[1:] for case in _BAD], ids=[case[0] for case in _BAD])
def test_a_broken_header_is_reported(data: bytes, message: str) -> None:
    with pytest.raises(ProxyProtocolError, match=message):
        read_header(data)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1", b"PUT /", b"PRI * HTTP/2.0", b"PROPFIND /", b"\x16\x03\x01", b"\r\nGET"]
)
def test_what_a_client_sends_is_no_beginning_of_a_header(data: bytes) -> None:
    assert not is_beginning(data)


@given(st.binary(max_size=64))
def test_whatever_comes_is_a_header_or_waited_for_or_an_error(data: bytes) -> None:
    for start in (b"", b"PROXY ", SIGNATURE_V2):
        try:
            found = read_header(start + data)
        except ProxyProtocolError:
            continue
        assert found is None or found.length <= len(start + data)


def test_the_checksum_is_that_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
