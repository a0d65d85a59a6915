"""Comparing texts: whether they are equal, and where they start to differ."""

from strangler.core.compare.model.common_ends import common_length
from strangler.core.compare.model.values import Excerpt


def normal_lines(text: str) -> str:
    """Return a text with LF in place of CRLF."""
    return text.replace("\r\n", "\n")


def compare_text(legacy: str, candidate: str) -> tuple[Excerpt, Excerpt] | None:
    """Return None if the texts are equal, else both, with the first position at which they differ."""
    legacy, candidate = normal_lines(legacy), normal_lines(candidate)
    if legacy == candidate:
        return None
    position = common_length(legacy, candidate)
    return Excerpt(legacy, position), Excerpt(candidate, position)
