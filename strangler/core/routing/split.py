# Compiled with mypyc: see docs/hot-path.md.
"""The split of callers: a share of them goes to the candidate, the same ones each time.

A caller's bucket is a hash of the sticky key, in an order of the split's group, and the candidate takes the buckets
below the percent. So a rising percent only adds callers, every replica decides alike, and the routes of one group move
a caller together. Hash, order and keys are those that Envoy can have too, so that both send a caller to the same arm.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from xxhash import xxh64_intdigest

from strangler.core.http.addresses import caller_of
from strangler.core.http.head import RequestHead
from strangler.core.routing.arm import BUCKETS
from strangler.core.settings import SplitSettings, StickySource

_BLOCKS: Final = 100
_BLOCK_BUCKETS: Final = 100
_BETWEEN_VALUES: Final = b"\0"
"""No field's value has this byte (RFC 9110 section 5.5), so a key of several values has no other meaning."""

_JOINED: Final = frozenset(
    b"accept accept-encoding access-control-request-headers access-control-request-method authorization cache-control"
    b" content-encoding content-type if-match if-modified-since if-none-match if-range if-unmodified-since origin"
    b" pragma referer user-agent via x-forwarded-for x-forwarded-host x-forwarded-port x-request-id".split()
)
"""Fields whose values are one value, with commas between them, when they are repeated: Envoy joins them so before it
hashes them, and no others that a caller could be known by."""

_Reader = Callable[[RequestHead], bytes | None]


def hundredths(percent: float) -> int:
    """Return a percent of two decimals as a number of buckets: 0.01 is 1, 100 is 10,000."""
    return round(percent * 100)


def block_order(group: str | bytes) -> list[int]:
    """Return the numbers 0 to 99 of the blocks of 100 hash values, in the order in which a group's percent takes them.

    They stand by XXH64 of the group's name, a zero byte and the number in decimal digits.
    """
    name = group.encode() if isinstance(group, str) else group
    return sorted(range(_BLOCKS), key=lambda block: (xxh64_intdigest(b"%b\0%d" % (name, block)), block))


def bucket(group: str | bytes, sticky_key: bytes) -> int:
    """Return the caller's bucket, 0 to 9999: XXH64 (seed 0) of the sticky key modulo 10,000, its block in the group's
    order. A key of several values is hashed value by value, each with the hash of those before it as its seed."""
    return Bucketer(group)(sticky_key)


class Bucketer:
    """`bucket` for one group, whose order is computed once."""

    __slots__ = ("_starts",)

    _starts: list[int]
    """The first bucket of each block, less the first hash value of it."""

    def __init__(self, group: str | bytes) -> None:
        starts = [0] * _BLOCKS
        for position, block in enumerate(block_order(group)):
            starts[block] = (position - block) * _BLOCK_BUCKETS
        self._starts = starts

    def __call__(self, sticky_key: bytes) -> int:
        if sticky_key.find(_BETWEEN_VALUES) >= 0:  # `in` would try a number first: 0.2 µs
            value = _chained(sticky_key) % BUCKETS
        else:
            value = xxh64_intdigest(sticky_key) % BUCKETS
        return self._starts[value // _BLOCK_BUCKETS] + value


def _chained(sticky_key: bytes) -> int:
    chained = 0
    for value in sticky_key.split(_BETWEEN_VALUES):
        chained = xxh64_intdigest(value, chained)
    return chained


class Split:
    """One route's split, compiled."""

    __slots__ = ("_readers", "bucket", "hundredths", "sources")

    def __init__(self, settings: SplitSettings) -> None:
        self.hundredths = hundredths(settings.percent)
        self.bucket = Bucketer(settings.group)
        self.sources = settings.sticky
        self._readers = tuple(map(_reader, settings.sticky))

    def sticky_key(self, head: RequestHead) -> bytes | None:
        """Return the value of the first sticky source that the request has, or None.

        A header that is there and empty counts, an empty cookie does not. The values of a repeated header are sorted,
        with a zero byte between them, so that `bucket` can take them apart again.
        """
        for read in self._readers:
            key = read(head)
            if key is not None:
                return key
        return None

    def sticky_key_after(self, head: RequestHead, cookies: Mapping[bytes, bytes | None]) -> bytes | None:
        """Return the sticky key of the caller's next request, with these cookies (None: the cookie was removed)."""
        for source, read in zip(self.sources, self._readers, strict=True):
            name = source.name.encode()
            is_changed = source.kind == "cookie" and name in cookies
            key = _cookie_key(cookies[name]) if is_changed else read(head)
            if key is not None:
                return key
        return None

    def source_of(self, head: RequestHead) -> StickySource:
        """Return the source of `sticky_key`. Raises `StopIteration` if there is none."""
        pairs = zip(self.sources, self._readers, strict=True)
        return next(source for source, read in pairs if read(head) is not None)


def _reader(source: StickySource) -> _Reader:
    """Return a function that reads the source's key from a request: None if it is absent."""
    if source.kind == "client_ip":
        return _client_ip
    if source.kind == "header":
        return _header(source.name.lower().encode())
    return _cookie(source.name.encode())


def _client_ip(head: RequestHead) -> bytes:
    """Return the client's address; an IPv6 address counts as its /64, since a device changes the rest by itself."""
    address = head.client_ip
    return caller_of(address) if b":" in address else address


def _header(name: bytes) -> _Reader:
    """Return a function that reads a header, which may be empty; several of this name make one key."""
    is_joined = name in _JOINED

    def read(head: RequestHead) -> bytes | None:
        if head.repeated:
            values = head.repeated.get(name)
            if values is not None:
                return b",".join(filter(None, values)) if is_joined else _BETWEEN_VALUES.join(sorted(values))
        return head.fields.get(name)

    return read


def _cookie(name: bytes) -> _Reader:
    """Return a function that reads the first cookie of this name.

    RFC 6265 section 5.4: a browser sends `name=value` pairs joined by `; `, those of the longest path first. Names
    are case-sensitive. As in Envoy, only spaces may stand before a name, and those around a value are part of it.
    """
    search = re.compile(rb"(?:^|;) *" + re.escape(name) + rb"=([^;]*)").search

    def read(head: RequestHead) -> bytes | None:
        cookies = head.fields.get(b"cookie")
        found = search(cookies) if cookies else None
        return _cookie_key(found[1]) if found else None

    return read


def _cookie_key(value: bytes | None) -> bytes | None:
    """Return a cookie's value without the pair of quotes around it (RFC 6265 section 4.1.1); None if it is empty."""
    if value and len(value) > 1 and value[:1] == value[-1:] == b'"':
        value = value[1:-1]
    return value or None
