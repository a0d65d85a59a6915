"""The properties of methods (RFC 9110 section 9.2). Names are case-sensitive; an unknown method promises nothing."""

SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})
"""Section 9.2.1: the request changes nothing. TRACE is safe too, but never passes the proxy."""

IDEMPOTENT = SAFE | {b"PUT", b"DELETE"}
"""Section 9.2.2: sending the request twice has the effect of sending it once."""
