"""The properties of methods by RFC 9110 section 9.2. Names are case-sensitive; an unknown one promises nothing."""

SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})
"""Section 9.2.1: asking changes nothing. TRACE is safe too, but never passes the proxy."""

IDEMPOTENT = SAFE | {b"PUT", b"DELETE"}
"""Section 9.2.2: asking twice has the effect of asking once."""
