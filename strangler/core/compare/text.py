"""Texts and bytes: equal or not, and where they start to differ."""

from strangler.core.compare.values import Excerpt

_BLOCK = 4096


def normal_lines(text: str) -> str:
    """CRLF is LF."""
    return text.replace("\r\n", "\n")


def compare_text(legacy: str, candidate: str) -> tuple[Excerpt, Excerpt] | None:
    """None if equal, else both texts with the first place at which they differ."""
    legacy, candidate = normal_lines(legacy), normal_lines(candidate)
    if legacy == candidate:
        return None
    position = first_change(legacy, candidate)
    return Excerpt(legacy, position), Excerpt(candidate, position)


def first_change(left: str, right: str) -> int:
    """Number of characters that the two have in common at the start."""
    at = 0
    while at < len(left) and left[at : at + _BLOCK] == right[at : at + _BLOCK]:
        at += _BLOCK
    for a, b in zip(left[at : at + _BLOCK], right[at : at + _BLOCK], strict=False):
        if a != b:
            break
        at += 1
    return min(at, len(left), len(right))
