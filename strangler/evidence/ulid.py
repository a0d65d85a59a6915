"""Identifiers that sort by time: ULIDs, 48 bits of Unix milliseconds and 80 of chance, in Crockford's base 32."""

import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(at: float) -> str:
    """Return the 26 characters of a new ULID for a Unix time."""
    number = int(at * 1000) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
