"""XXH64 a second time, in plain Python, from its specification (doc/xxhash_spec.md of the reference implementation).

The bucket of a caller must be the same in every program that computes it, so tests compare two implementations.
"""

_MASK = (1 << 64) - 1
_PRIME_1 = 0x9E3779B185EBCA87
_PRIME_2 = 0xC2B2AE3D27D4EB4F
_PRIME_3 = 0x165667B19E3779F9
_PRIME_4 = 0x85EBCA77C2B2AE63
_PRIME_5 = 0x27D4EB2F165667C5


def xxh64(data: bytes, seed: int = 0) -> int:
    """Return the hash, an integer of 64 bits."""
    stripes = len(data) // 32 * 32
    total = (_converged(data[:stripes], seed) if stripes else seed + _PRIME_5) + len(data)
    return _avalanche(_consume_rest(total & _MASK, data[stripes:]))


def _converged(stripes: bytes, seed: int) -> int:
    """Return the four lanes of 64 bits, which take turns in each stripe of 32 bytes, made into one number."""
    lanes = [seed + _PRIME_1 + _PRIME_2, seed + _PRIME_2, seed, seed - _PRIME_1]
    for start in range(0, len(stripes), 8):
        lane = start // 8 % 4
        lanes[lane] = _round(lanes[lane], int.from_bytes(stripes[start : start + 8], "little"))
    total = sum(_rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True))
    for lane in lanes:
        total = (total ^ _round(0, lane)) * _PRIME_1 + _PRIME_4
    return total


def _consume_rest(total: int, rest: bytes) -> int:
    """Return the number with the last 31 bytes at most in it: by eight, then by four, then one by one."""
    while len(rest) >= 8:
        total ^= _round(0, int.from_bytes(rest[:8], "little"))
        total = _rotate(total, 27) * _PRIME_1 + _PRIME_4 & _MASK
        rest = rest[8:]
    if len(rest) >= 4:
        total ^= int.from_bytes(rest[:4], "little") * _PRIME_1 & _MASK
        total = _rotate(total, 23) * _PRIME_2 + _PRIME_3 & _MASK
        rest = rest[4:]
    for byte in rest:
        total ^= byte * _PRIME_5 & _MASK
        total = _rotate(total, 11) * _PRIME_1 & _MASK
    return total


def _round(lane: int, word: int) -> int:
    return _rotate(lane + word * _PRIME_2, 31) * _PRIME_1 & _MASK


def _avalanche(total: int) -> int:
    total = (total ^ total >> 33) * _PRIME_2 & _MASK
    total = (total ^ total >> 29) * _PRIME_3 & _MASK
    return total ^ total >> 32


def _rotate(number: int, bits: int) -> int:
    number &= _MASK
    return (number << bits | number >> 64 - bits) & _MASK
