# Compiled with mypyc: see docs/hot-path.md.
"""Finds the heads of requests in a client's bytes. Bytes that can no longer become a head are refused at once."""

import re

from strangler.core.http import problem
from strangler.core.http.problem import Problem

_HEAD_START = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]")
_BROKEN_LINES = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def read_head(ahead: bytearray, data: bytes, limit: int) -> tuple[bytes, bytes] | Problem | None:
    """Return the next head, of at most `limit` bytes, and the bytes behind it; or the problem that these bytes have.

    `ahead` holds what came before `data`. While the head is incomplete, all of it is kept there and None is returned.
    """
    if ahead:
        return _read_rest(ahead, data, limit)
    while data[:2] == b"\r\n":  # RFC 9112 section 2.2: empty lines before a request are ignored
        data = data[2:]
    end = data.find(b"\r\n\r\n")
    if end >= 0:
        end += 4
        return (data[:end], data[end:]) if end <= limit else refusal_of_size(data, limit)
    if not data:
        return None
    ahead += data
    return refusal_of_partial(ahead, limit)


def _read_rest(ahead: bytearray, data: bytes, limit: int) -> tuple[bytes, bytes] | Problem | None:
    searched = max(0, len(ahead) - 3)
    ahead += data
    is_led_by_empty_line = ahead[:2] == b"\r\n"
    if not is_led_by_empty_line and ahead.find(b"\r\n\r\n", searched) < 0:
        return refusal_of_partial(ahead, limit)
    whole = bytes(ahead)
    ahead.clear()
    return read_head(ahead, whole, limit)


def refusal_of_partial(ahead: bytearray, limit: int) -> Problem | None:
    """Return the problem of an incomplete head, of at most `limit` bytes in all; None if the rest may come."""
    if len(ahead) > limit:
        return refusal_of_size(bytes(ahead), limit)
    if _HEAD_START.match(ahead) is None and ahead != b"\r":
        return problem.BAD_REQUEST_LINE
    if _BROKEN_LINES.search(ahead):
        is_first = b"\n" not in ahead[:-1]
        return problem.BAD_REQUEST_LINE if is_first else problem.BAD_HEADER
    return None


def refusal_of_size(data: bytes, limit: int) -> Problem:
    """Return the problem of a head beyond `limit` bytes: either its request line or its fields are too long."""
    line_end = data.find(b"\r\n")
    is_line = line_end < 0 or line_end > max(limit - 1024, limit // 2)
    return problem.TARGET_TOO_LONG if is_line else problem.HEADER_TOO_LARGE
