# Compiled with mypyc: see docs/hot-path.md.
"""The length of a message's body (RFC 9112 section 6.3), decided once from the head. Ambiguous framing is refused."""

from enum import Enum, auto
from typing import NamedTuple

from strangler.core.http import problem
from strangler.core.http.problem import Problem


class Kind(Enum):
    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()  # responses only: the body ends with the connection


class Framing(NamedTuple):
    kind: Kind
    length: int = 0


NO_BODY = Framing(Kind.NONE)
CHUNKED = Framing(Kind.CHUNKED)
UNTIL_CLOSE = Framing(Kind.CLOSE)

_MAX_LENGTH = 2**63 - 1


def request_framing(fields: dict[bytes, bytes], *, is_http10: bool) -> Framing | Problem:
    """Return the framing of a request. `fields` maps lower-case names to values, repeated ones joined by a comma."""
    coding = fields.get(b"transfer-encoding")
    length = fields.get(b"content-length")
    if coding is not None:
        if length is not None or is_http10:  # RFC 9112 section 6.1: both are signs of smuggling
            return problem.BAD_FRAMING
        return CHUNKED if coding.lower() == b"chunked" else _refuse_coding(coding)
    if length is None:
        return NO_BODY
    size = _parse_length(length)
    return problem.BAD_FRAMING if size is None else Framing(Kind.LENGTH, size)


def response_framing(
    status: int, fields: dict[bytes, bytes], *, is_http10: bool, is_head_response: bool
) -> Framing | None:
    """Return the framing of a response; None if its length is ambiguous and it must not be passed on."""
    coding = fields.get(b"transfer-encoding")
    length = fields.get(b"content-length")
    if coding is not None and (length is not None or is_http10 or coding.lower() != b"chunked"):
        return None
    size = None if length is None else _parse_length(length)
    if length is not None and size is None:
        return None
    if is_head_response or status in (204, 304) or status < 200:
        return NO_BODY
    if coding is not None:
        return CHUNKED
    return UNTIL_CLOSE if size is None else Framing(Kind.LENGTH, size)


def _parse_length(value: bytes) -> int | None:
    if not value.isdigit() or len(value) > 19:
        return None
    size = int(value)
    return size if size <= _MAX_LENGTH else None


def _refuse_coding(value: bytes) -> Problem:
    """Return 400 for a list that looks like an attack (chunked not only at the end, empty members), else 501."""
    codings = [coding.strip() for coding in value.lower().split(b",")]
    misplaced = b"chunked" in codings[:-1]
    lookalike = any(b"chunked" in coding and coding != b"chunked" for coding in codings)
    return problem.BAD_FRAMING if misplaced or lookalike or b"" in codings else problem.UNKNOWN_CODING
