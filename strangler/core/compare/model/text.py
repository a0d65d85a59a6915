"""Texts and bytes: equal or not, and where they start to differ."""

from strangler.core.compare.model.common_ends import common_length
from strangler.core.compare.model.values import Excerpt


def normal_lines(text: str) -> str:
    """CRLF is LF."""
    return text.replace("\r\n", "\n")


def compare_text(legacy: str, candidate: str) -> tuple[Excerpt, Excerpt] | None:
    """None if equal, else both texts with the first place at which they differ."""
    legacy, candidate = normal_lines(legacy), normal_lines(candidate)
    if legacy == candidate:
        return None
    position = common_length(legacy, candidate)
    return Excerpt(legacy, position), Excerpt(candidate, position)
