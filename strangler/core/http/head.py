# Compiled with mypyc: see docs/hot-path.md.
"""A request's head as a value. Everything that came from the wire stays bytes; nothing is decoded or normalised."""

from typing import Final

RawHeaders = list[tuple[bytes, bytes]]

Repeated = dict[bytes, tuple[bytes, ...]]
"""Lower-case name to the values of a field that came more than once, in the order received."""

NOT_REPEATED: Final[Repeated] = {}
"""For heads in which each name stands once: shared, and never changed."""


class RequestHead:
    """One request's head, as received.

    A plain slotted class and not a frozen dataclass: one is made for every request, and `object.__setattr__` nine times
    costs 1 µs. It is never changed once it is made.
    """

    __slots__ = ("client_ip", "fields", "host", "method", "path", "query", "repeated", "target")

    method: bytes
    """As received: `b"GET"`."""
    target: bytes
    """The request target as received: origin-form, absolute-form or `*` (RFC 9112 section 3.2)."""
    path: bytes
    """The raw path of the target, never decoded; `b"*"` for `OPTIONS *`."""
    query: bytes | None
    """The raw query without its `?`; None if there was no `?`."""
    host: bytes
    """Lower-case host without port: of an absolute-form target, else of the Host field."""
    fields: dict[bytes, bytes]
    """Lower-case name to value; values of repeated fields are joined by `, ` (Cookie: `; `)."""
    repeated: Repeated
    """The values of repeated fields one by one, Cookie left out: `, ` may also stand in a single value."""
    client_ip: bytes
    """The client's address, as far as trusted proxies report it."""

    def __init__(
        self,
        method: bytes,
        target: bytes,
        path: bytes,
        query: bytes | None,
        host: bytes,
        fields: dict[bytes, bytes],
        client_ip: bytes,
        repeated: Repeated = NOT_REPEATED,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.host = host
        self.fields = fields
        self.client_ip = client_ip
        self.repeated = repeated
