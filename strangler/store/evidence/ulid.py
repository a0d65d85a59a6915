"""Identifiers that sort by time: ULIDs, 48 bits of Unix milliseconds and 80 of chance, in Crockford's base 32."""

import random

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)


def ulid(at: float) -> str:
    """Return the 26 characters of a new ULID for a Unix time."""
    chance = random.getrandbits(80)  # no secret; the system's own chance takes longer than a comparison
    number = int(at * 1000) << 80 | chance
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
