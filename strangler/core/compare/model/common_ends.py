"""The common start and the common end of two sequences."""

from collections.abc import Sequence

_BLOCK = 4096


def common_length(left: Sequence[object], right: Sequence[object]) -> int:
    """Return how many elements, or characters, the two have in common at the start."""
    at, limit = 0, min(len(left), len(right))
    while at < limit and left[at : at + _BLOCK] == right[at : at + _BLOCK]:
        at += _BLOCK
    for a, b in zip(left[at : at + _BLOCK], right[at : at + _BLOCK], strict=False):
        if a != b:
            break
        at += 1
    return min(at, limit)


def common_ends(left: Sequence[object], right: Sequence[object]) -> tuple[int, int]:
    """Return how many elements are equal at the start, and how many of the others at the end."""
    start = common_length(left, right)
    if start in (len(left), len(right)):
        return start, 0
    return start, common_length(left[start:][::-1], right[start:][::-1])
