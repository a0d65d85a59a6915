"""Heads of responses: what they mean, and what of them passes."""

import math
from typing import Any

import pytest

from strangler.core.http.framing import Framing, Kind
from strangler.http1.response import parse_response
from tests.http1.test_parse import OK, crlf, forget

RESPONSES: list[tuple[str, bytes, bool, Any]] = [
    ("a length", crlf(OK, b"Content-Length: 5"), False, (200, Framing(Kind.LENGTH, 5), True)),
    ("chunked", crlf(OK, b"Transfer-Encoding: chunked"), False, (200, Framing(Kind.CHUNKED), True)),
    ("until close", crlf(OK), False, (200, Framing(Kind.CLOSE), True)),
    ("to HEAD", crlf(OK, b"Content-Length: 5"), True, (200, Framing(Kind.NONE), True)),
    ("204", crlf(b"HTTP/1.1 204 No Content"), False, (204, Framing(Kind.NONE), True)),
    ("304", crlf(b"HTTP/1.1 304 Not Modified", b"Content-Length: 5"), False, (304, Framing(Kind.NONE), True)),
    ("103", crlf(b"HTTP/1.1 103 Early Hints"), False, (103, Framing(Kind.NONE), True)),
    ("close", crlf(OK, b"Content-Length: 0", b"Connection: close"), False, (200, Framing(Kind.LENGTH, 0), False)),
    ("HTTP/1.0", crlf(b"HTTP/1.0 200 OK", b"Content-Length: 0"), False, (200, Framing(Kind.LENGTH, 0), False)),
    ("no reason", crlf(b"HTTP/1.1 200", b"Content-Length: 0"), False, (200, Framing(Kind.LENGTH, 0), True)),
    ("599", crlf(b"HTTP/1.1 599 Odd", b"Content-Length: 0"), False, (599, Framing(Kind.LENGTH, 0), True)),
    ("two lengths", crlf(OK, b"Content-Length: 5", b"Content-Length: 5"), False, None),
    ("length and coding", crlf(OK, b"Content-Length: 5", b"Transfer-Encoding: chunked"), False, None),
    ("two codings", crlf(OK, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), False, None),
    ("gzip", crlf(OK, b"Transfer-Encoding: gzip, chunked"), False, None),
    ("coding in HTTP/1.0", crlf(b"HTTP/1.0 200 OK", b"Transfer-Encoding: chunked"), False, None),
    ("a length with a sign", crlf(OK, b"Content-Length: +5"), False, None),
    ("a length over two lines", crlf(OK, b"Content-Length:", b" 5"), False, None),
    ("an empty length", crlf(OK, b"Content-Length:"), False, None),
    ("space before a colon", crlf(OK, b"Content-Length : 5"), False, None),
    ("LF alone hides a field", b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 5\r\n\r\n", False, None),
    ("LF alone behind the status line", b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n", False, None),
    ("CR alone in a value", b"HTTP/1.1 200 OK\r\nA: b\rContent-Length: 5\r\n\r\n", False, None),
    ("NUL", crlf(OK, b"A: \0"), False, None),
    ("status 099", crlf(b"HTTP/1.1 099 X"), False, None),
    ("status 600", crlf(b"HTTP/1.1 600 X"), False, None),
    ("status of two digits", crlf(b"HTTP/1.1 20 OK"), False, None),
    ("status of four digits", crlf(b"HTTP/1.1 2000 OK"), False, None),
    ("HTTP/2", crlf(b"HTTP/2 200 OK"), False, None),
    ("another protocol", crlf(b"ICY 200 OK"), False, None),
    ("no status line", crlf(b"Content-Length: 5"), False, None),
]


@pytest.mark.parametrize(("raw", "is_head", "expected"), [pytest.param(*case[1:], id=case[0]) for case in RESPONSES])
def test_what_an_answer_means(raw: bytes, is_head: bool, expected: Any) -> None:
    forget()
    for found in (parse_response(raw, is_head_response=is_head), parse_response(raw, is_head_response=is_head)):
        if expected is None:
            assert found is None
        else:
            assert found is not None
            assert (found.status, found.framing, found.keep_alive) == expected


def test_an_answer_to_head_is_not_taken_for_one_with_a_body() -> None:
    raw = crlf(OK, b"Content-Length: 5")
    for is_head in (False, True, False, True):
        found = parse_response(raw, is_head_response=is_head)
        assert found is not None
        assert found.framing.kind is (Kind.NONE if is_head else Kind.LENGTH)


def test_fields_of_one_hop_and_those_named_by_connection_do_not_pass() -> None:
    raw = crlf(
        OK, b"connection: x-own, close", b"X-Own: 1", b"KEEP-ALIVE: timeout=5", b"X-Strangler-Arm: forged", b"A: b"
    )
    found = parse_response(raw, is_head_response=False)
    assert found is not None
    assert found.head(b"\r\n") == crlf(OK, b"A: b")


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (b"", math.inf),
        (b"Keep-Alive: timeout=5\r\n", 4.0),
        (b"Keep-Alive: max=100, timeout=15\r\n", 14.0),
        (b'keep-alive: Timeout = "5"; max=1\r\n', 4.0),
        (b"Keep-Alive: timeout=1\r\n", 0.5),
        (b"Keep-Alive: timeout=0\r\n", 0.0),
        (b"Keep-Alive: xtimeout=5\r\n", math.inf),
        (b"Keep-Alive: timeout=soon\r\n", math.inf),
        (b"Keep-Alive: 300\r\n", math.inf),
    ],
)
def test_how_long_an_upstream_keeps_a_connection(field: bytes, seconds: float) -> None:
    response = parse_response(b"HTTP/1.1 204 No Content\r\n%b\r\n" % field, is_head_response=False)
    assert response is not None
    assert response.keep_s == seconds
