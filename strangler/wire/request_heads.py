"""Heads that are not complete: what can no longer become one is refused at once, not when its time is over."""

import re

from strangler.core import problem
from strangler.core.problem import Problem

_HEAD_START = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]")
_BROKEN_LINES = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def refusal_of_partial(ahead: bytearray, limit: int) -> Problem | None:
    """Why these first bytes of a head, of at most `limit` bytes in all, are refused; None: the rest may come."""
    if len(ahead) > limit:
        return refusal_of_size(bytes(ahead), limit)
    if _HEAD_START.match(ahead) is None and ahead != b"\r":
        return problem.BAD_REQUEST_LINE
    if _BROKEN_LINES.search(ahead):
        is_first = b"\n" not in ahead[:-1]
        return problem.BAD_REQUEST_LINE if is_first else problem.BAD_HEADER
    return None


def refusal_of_size(data: bytes, limit: int) -> Problem:
    """What is too long of a head beyond `limit` bytes: its request line, or its fields."""
    line_end = data.find(b"\r\n")
    is_line = line_end < 0 or line_end > max(limit - 1024, limit // 2)
    return problem.TARGET_TOO_LONG if is_line else problem.HEADER_TOO_LARGE
