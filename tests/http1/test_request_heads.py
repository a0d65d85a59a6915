"""Heads are found however they arrive; what can no longer become one is refused before its end has come."""

import pytest

from strangler.core.http import problem
from strangler.core.http.problem import Problem
from strangler.http1.request_heads import read_head, refusal_of_partial, refusal_of_size

_LIMIT = 8192
_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("empty_lines", [b"", b"\r\n", b"\r\n\r\n"], ids=["", "an empty line", "empty lines"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_head_is_found_in_pieces_of_any_size(size: int, empty_lines: bytes) -> None:
    ahead = bytearray()
    sent = empty_lines + _HEAD
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    assert [read_head(ahead, piece, _LIMIT) for piece in pieces] == [*[None] * (len(pieces) - 1), (_HEAD, b"")]
    assert ahead == b""


def test_what_is_behind_a_head_is_handed_back() -> None:
    ahead = bytearray()
    assert read_head(ahead, _HEAD + b"body", _LIMIT) == (_HEAD, b"body")
    assert read_head(ahead, _HEAD[:5], _LIMIT) is None
    assert read_head(ahead, _HEAD[5:] + _HEAD, _LIMIT) == (_HEAD, _HEAD)


@pytest.mark.parametrize("come_before", [0, 5])
def test_a_head_of_exactly_the_limit_is_whole_and_one_byte_more_is_too_long(come_before: int) -> None:
    head = _HEAD[:-2] + b"X: " + b"x" * 100 + b"\r\n\r\n"
    for limit, expected in ((len(head), (head, b"")), (len(head) - 1, problem.HEADER_TOO_LARGE)):
        ahead = bytearray(head[:come_before])
        assert read_head(ahead, head[come_before:], limit) == expected


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        pytest.param(b"G", None, id="the first byte"),
        pytest.param(b"\r", None, id="half of an empty line before the request"),
        pytest.param(b"GET / HTTP/1.1\r", None, id="half of a line's end"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n", None, id="all but the empty line"),
        pytest.param(b"\x16\x03\x01\x02", problem.BAD_REQUEST_LINE, id="TLS"),
        pytest.param(b"GET / HTTP/1.1\n", problem.BAD_REQUEST_LINE, id="a bare line feed ends the request line"),
        pytest.param(b"GET /\x00", problem.BAD_REQUEST_LINE, id="NUL in the request line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\nB", problem.BAD_HEADER, id="a bare line feed ends a field"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\rB", problem.BAD_HEADER, id="a bare carriage return"),
        pytest.param(b"GET /" + b"a" * _LIMIT, problem.TARGET_TOO_LONG, id="a line without end"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"a" * _LIMIT, problem.HEADER_TOO_LARGE, id="a field without end"),
    ],
)
def test_what_has_come_may_go_on_or_is_refused(ahead: bytes, expected: Problem | None) -> None:
    assert refusal_of_partial(bytearray(ahead), _LIMIT) == expected


def test_a_request_line_that_takes_nearly_all_of_the_limit_is_what_is_too_long() -> None:
    line = b"GET /" + b"a" * (_LIMIT - 100) + b" HTTP/1.1\r\n"
    assert refusal_of_size(line + b"Host: a\r\n\r\n", _LIMIT) == problem.TARGET_TOO_LONG
