"""The properties of methods (RFC 9110 section 9.2). Names are case-sensitive; an unknown method promises nothing."""

from strangler.core.http.head import RequestHead

SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})
"""Section 9.2.1: the request changes nothing. TRACE is safe too, but never passes the proxy."""

IDEMPOTENT = SAFE | {b"PUT", b"DELETE"}
"""Section 9.2.2: sending the request twice has the effect of sending it once."""

OVERRIDES = frozenset({b"x-http-method", b"x-http-method-override", b"x-method-override"})
"""Fields by which a framework takes a request for one of another method."""


def is_safe(head: RequestHead) -> bool:
    """Return whether a request changes nothing, by its method and by the fields that override it."""
    return head.method in SAFE and all(head.fields.get(name, head.method).upper() in SAFE for name in OVERRIDES)
