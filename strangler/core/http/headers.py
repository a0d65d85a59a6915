# Compiled with mypyc: see docs/hot-path.md.
"""Header sections on their way through the proxy (RFC 9110 section 7.6): what is dropped and what is added."""

import re
from base64 import b64encode
from itertools import product

from strangler.core.http.head import RawHeaders
from strangler.core.http.trust import TrustedProxies

STREAM_TYPES = ("text/event-stream", "multipart/x-mixed-replace")
"""Media types of bodies that have no end of their own."""

HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"})
"""Fields that concern this connection only. Proxy-Authenticate and Trailer are for the other end, and pass."""

CLIENT_CERTIFICATE = frozenset(
    b"client" + first + b"cert" + rest for first, rest in product((b"-", b"_"), (b"", b"-chain", b"_chain"))
)
"""Fields that name the certificate of a client (RFC 9440), also as servers read them that take `_` for `-`."""

_NEVER_NAMED = CLIENT_CERTIFICATE | {b"host", b"content-length", b"content-type", b"date", b"expect", b"via"}
"""Naming one of these in Connection does not remove it: the message would change its meaning or its length."""

_COMMON_CONNECTION = frozenset({b"keep-alive", b"close", b"Keep-Alive", b"Close", b"Upgrade", b"upgrade"})

_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"})

CLIENT_ADDRESS = frozenset({"x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip"})
"""Fields with the address of a client."""

_FORBIDDEN_TRAILERS = (
    HOP_BY_HOP
    | _FORWARDED
    | CLIENT_CERTIFICATE
    | frozenset(
        {
            b"content-length",
            b"host",
            b"trailer",
            b"content-encoding",
            b"content-type",
            b"content-range",
            b"authorization",
            b"cookie",
            b"set-cookie",
            b"expect",
            b"location",
            b"x-request-id",
        }
    )
)
"""Fields that frame, route or authenticate have no effect in a trailer section (RFC 9110 section 6.5.1)."""

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


def named_by_connection(fields: dict[bytes, bytes]) -> frozenset[bytes]:
    """Return the fields that Connection names (RFC 9110 section 7.6.1) and that may be removed."""
    connection = fields.get(b"connection")
    if connection is None or connection in _COMMON_CONNECTION:
        return frozenset()
    named = {name.strip().lower() for name in connection.split(b",")}
    return frozenset(named - _NEVER_NAMED - HOP_BY_HOP - {b"close", b""})


def names_token(value: bytes | None, token: bytes) -> bool:
    """Return True if the comma-separated list `value` has `token`, in any case."""
    return value is not None and token in {part.strip() for part in value.lower().split(b",")}


def is_valid_traceparent(value: bytes) -> bool:
    """Return whether a traceparent is valid: version 00 has four fields, later ones may have more (W3C section 3.2)."""
    return _TRACEPARENT.fullmatch(value) is not None and (len(value) == 55 or value[:2] != b"00")


def header_lines(headers: RawHeaders, dropped: frozenset[bytes]) -> list[bytes]:
    """Return the fields that pass, as lines, in the order and case received."""
    return [name + b": " + value + b"\r\n" for name, value in headers if name.lower() not in dropped]


def passing_trailers(trailers: RawHeaders) -> RawHeaders:
    """Return the trailer fields that may be passed on."""
    return [field for field in trailers if field[0].lower() not in _FORBIDDEN_TRAILERS]


class ForwardedFields:
    """X-Forwarded-For, -Proto, -Host, Forwarded and Client-Cert, for one client connection.

    From a peer that is not trusted all of them are dropped, and the first three are set; from a trusted one they are
    extended (DESIGN section 8, RFC 7239), and Client-Cert passes. The connection's own certificate replaces any other.
    Made once per connection, and again when `trusted_proxies` changes; `lines` costs one concatenation per request.
    """

    __slots__ = (
        "_address",
        "_first",
        "_peer",
        "_proto",
        "_start",
        "dropped",
        "has_certificate",
        "is_trusted",
        "trusted",
    )

    def __init__(self, address: str, scheme: bytes, trusted: TrustedProxies, certificate: bytes = b"") -> None:
        """`certificate`: that of the client, verified by this connection's handshake, as DER; empty: there is none."""
        self._address = address
        self._peer = address.encode()
        self._proto = scheme
        self.trusted = trusted
        self.is_trusted = trusted.includes(address)
        self.has_certificate = bool(certificate)
        self._first = (client_certificate(certificate) if certificate else b"") + b"X-Forwarded-For: "
        self._start = b"%b%b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: " % (self._first, self._peer, scheme)
        self.dropped = DROPPED
        if self.is_trusted:
            self.dropped = DROPPED_WITH_CERTIFICATE if certificate else DROPPED_TRUSTED

    def client_ip(self, fields: dict[bytes, bytes]) -> bytes:
        """Return the client's address, as far as trusted proxies report it."""
        if not self.is_trusted:
            if b"x-forwarded-proto" in fields or b"x-forwarded-for" in fields:
                self.trusted.ignored.look(self._address, fields)
            return self._peer
        return self.trusted.client_of(self._address, fields.get(b"x-forwarded-for"))

    def lines(self, fields: dict[bytes, bytes], host: bytes) -> bytes:
        """Return the fields as lines; `host` is the Host that the client requested."""
        if not self.is_trusted:
            return self._start + host + b"\r\n"
        before = fields.get(b"x-forwarded-for")
        lines = [
            self._first + (before + b", " if before else b"") + self._peer,
            b"X-Forwarded-Proto: " + fields.get(b"x-forwarded-proto", self._proto),
            b"X-Forwarded-Host: " + fields.get(b"x-forwarded-host", host),
        ]
        forwarded = fields.get(b"forwarded")
        if forwarded is not None:
            node = b'"[%b]"' % self._peer if b":" in self._peer else self._peer
            lines.append(b'Forwarded: %b, for=%b;proto=%b;host="%b"' % (forwarded, node, self._proto, host))
        return b"\r\n".join(lines) + b"\r\n"


def client_certificate(der: bytes) -> bytes:
    """Return the line that names a client's certificate (RFC 9440 section 2.2)."""
    return b"Client-Cert: :%b:\r\n" % b64encode(der)


DROPPED_TRUSTED = HOP_BY_HOP | _FORWARDED
"""The fields of a trusted peer's request that are not passed on: hop-by-hop fields, and those that are extended."""

DROPPED_WITH_CERTIFICATE = DROPPED_TRUSTED | CLIENT_CERTIFICATE
"""The same for a trusted peer that has shown a certificate of its own, which takes the place of those fields."""

DROPPED = DROPPED_WITH_CERTIFICATE | {b"x-strangler-shadow"}
"""The same for any other peer, which must not send shadows, nor say whose certificate it has seen."""
