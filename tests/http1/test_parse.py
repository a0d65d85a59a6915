"""Heads: what identical bytes mean is remembered, and never given for other bytes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.http import problem
from strangler.core.http.framing import Framing, Kind
from strangler.core.http.head import NOT_REPEATED
from strangler.core.http.headers import ForwardedFields
from strangler.core.http.problem import Problem
from strangler.core.http.trust import TrustedProxies
from strangler.http1 import parse, response
from strangler.http1.request import Request, parse_request
from strangler.http1.response import ResponseHead, parse_response

FORWARDED = ForwardedFields("192.0.2.1", b"http", TrustedProxies(()))


def crlf(*lines: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def forget() -> None:
    parse._sections._known.clear()
    response._responses._known.clear()


def request(raw: bytes) -> Request | Problem:
    return parse_request(raw, FORWARDED, Request)


def meaning(found: Request | Problem | ResponseHead | None) -> Any:
    """All that a head was found to mean, as something that can be compared."""
    if isinstance(found, ResponseHead):
        reported = ("raw", "status", "status_line", "fields", "framing", "keep_alive")
        return [getattr(found, name) for name in reported], found.head(b"X: y\r\n\r\n"), found.headers()
    if found is None or isinstance(found, Problem):
        return found
    headers = found.request_headers
    own = ("method", "target", "path", "query", "host", "fields", "repeated", "host_value", "is_absolute", "client_ip")
    names = ("headers", "framing", "is_chunked", "is_http10", "keep_alive", "has_upgrade", "named")
    lines = headers.lines(frozenset({b"connection", b"accept"}))
    return [getattr(found, name) for name in own], [getattr(headers, name) for name in names], lines


HOST = b"Host: a"
OK = b"HTTP/1.1 200 OK"

REQUESTS: list[tuple[str, bytes, Any]] = [
    ("plain", crlf(b"GET /x?y HTTP/1.1", HOST), (b"/x", b"y", b"a", Framing(Kind.NONE), True)),
    ("an empty query", crlf(b"GET /x? HTTP/1.1", HOST), (b"/x", b"", b"a", Framing(Kind.NONE), True)),
    ("close", crlf(b"GET / HTTP/1.1", HOST, b"Connection: close"), (b"/", None, b"a", Framing(Kind.NONE), False)),
    ("HTTP/1.0", crlf(b"GET / HTTP/1.0"), (b"/", None, b"", Framing(Kind.NONE), False)),
    ("HTTP/1.0 kept", crlf(b"GET / HTTP/1.0", b"Connection: Keep-Alive"), (b"/", None, b"", Framing(Kind.NONE), True)),
    (
        "a length",
        crlf(b"PUT / HTTP/1.1", HOST, b"Content-Length: 5"),
        (b"/", None, b"a", Framing(Kind.LENGTH, 5), True),
    ),
    (
        "chunked",
        crlf(b"PUT / HTTP/1.1", HOST, b"Transfer-Encoding: Chunked"),
        (b"/", None, b"a", Framing(Kind.CHUNKED), True),
    ),
    ("absolute", crlf(b"GET http://B:81/p HTTP/1.1", HOST), (b"/p", None, b"b", Framing(Kind.NONE), True)),
    ("absolute without a path", crlf(b"GET http://b?q HTTP/1.1", HOST), (b"/", b"q", b"b", Framing(Kind.NONE), True)),
    ("asterisk", crlf(b"OPTIONS * HTTP/1.1", HOST), (b"*", None, b"a", Framing(Kind.NONE), True)),
    ("host with a port", crlf(b"GET / HTTP/1.1", b"Host: A.b:80"), (b"/", None, b"a.b", Framing(Kind.NONE), True)),
    ("an IPv6 host", crlf(b"GET / HTTP/1.1", b"Host: [::1]:80"), (b"/", None, b"[::1]", Framing(Kind.NONE), True)),
    ("two words", crlf(b"GET /", HOST), problem.BAD_REQUEST_LINE),
    ("four words", crlf(b"GET / / HTTP/1.1", HOST), problem.BAD_REQUEST_LINE),
    ("a fragment", crlf(b"GET /#x HTTP/1.1", HOST), problem.BAD_TARGET),
    ("an asterisk for GET", crlf(b"GET * HTTP/1.1", HOST), problem.BAD_TARGET),
    ("a control character", crlf(b"GET /\x01 HTTP/1.1", HOST), problem.BAD_TARGET),
    ("CONNECT", crlf(b"CONNECT a:1 HTTP/1.1", HOST), problem.METHOD_NOT_ALLOWED),
    ("TRACE", crlf(b"TRACE / HTTP/1.1", HOST), problem.METHOD_NOT_ALLOWED),
    ("an unknown method", crlf(b"FROBNICATE / HTTP/1.1", HOST), problem.UNKNOWN_METHOD),
    ("a method in lower case", crlf(b"get / HTTP/1.1", HOST), problem.UNKNOWN_METHOD),
    ("HTTP/2.0", crlf(b"GET / HTTP/2.0", HOST), problem.UNKNOWN_VERSION),
    ("http/1.1", crlf(b"GET / http/1.1", HOST), problem.BAD_REQUEST_LINE),
    ("no Host", crlf(b"GET / HTTP/1.1"), problem.BAD_HOST),
    ("two Hosts", crlf(b"GET / HTTP/1.1", HOST, HOST), problem.BAD_HOST),
    ("an odd Host", crlf(b"GET / HTTP/1.1", b"Host: a b"), problem.BAD_HOST),
    ("two lengths", crlf(b"PUT / HTTP/1.1", HOST, b"Content-Length: 5", b"Content-Length: 6"), problem.BAD_FRAMING),
    (
        "length and coding",
        crlf(b"PUT / HTTP/1.1", HOST, b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        problem.BAD_FRAMING,
    ),
    ("a negative length", crlf(b"PUT / HTTP/1.1", HOST, b"Content-Length: -5"), problem.BAD_HEADER),
    ("gzip", crlf(b"PUT / HTTP/1.1", HOST, b"Transfer-Encoding: gzip, chunked"), problem.UNKNOWN_CODING),
    ("chunked is not last", crlf(b"PUT / HTTP/1.1", HOST, b"Transfer-Encoding: gzip"), problem.BAD_FRAMING),
    ("coding in HTTP/1.0", crlf(b"PUT / HTTP/1.0", HOST, b"Transfer-Encoding: chunked"), problem.BAD_FRAMING),
    ("an odd Expect", crlf(b"PUT / HTTP/1.1", HOST, b"Expect: tea"), problem.UNKNOWN_EXPECTATION),
    ("many fields", crlf(b"GET / HTTP/1.1", HOST, *[b"A: b"] * 256), problem.HEADER_TOO_LARGE),
    ("a folded field", crlf(b"GET / HTTP/1.1", HOST, b"A: b", b" c"), problem.BAD_HEADER),
    ("space before a colon", crlf(b"GET / HTTP/1.1", HOST, b"A : b"), problem.BAD_HEADER),
    ("LF alone", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", problem.BAD_HEADER),
]


def test_repeated_fields_are_kept_apart_too() -> None:
    lines = [b"X-A: 2", b"x-a: 1, 3", b"X-B: 1, 2", b"Cookie: a=1", b"Cookie: b=2", b"X-A:", b"X-C: 1 ", b"X-C: 1"]
    for _ in range(2):  # the second time it is remembered
        found = request(crlf(b"GET / HTTP/1.1", HOST, *lines))
        assert isinstance(found, Request)
        assert found.repeated == {b"x-a": (b"2", b"1, 3", b""), b"x-c": (b"1", b"1")}
        assert (found.fields[b"x-a"], found.fields[b"cookie"]) == (b"2, 1, 3, ", b"a=1; b=2")
    plain = request(crlf(b"GET / HTTP/1.1", HOST, b"X-A: 1, 2"))
    assert isinstance(plain, Request)
    assert plain.repeated is NOT_REPEATED


def test_a_handshake_is_not_remembered_for_its_key_is_new_each_time() -> None:
    forget()
    plain = crlf(b"GET / HTTP/1.1", HOST)
    handshake = crlf(b"GET / HTTP/1.1", HOST, b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x")
    for raw, is_remembered in ((plain, True), (handshake, False)):
        first, second = request(raw), request(raw)
        assert isinstance(first, Request)
        assert isinstance(second, Request)
        assert (first.request_headers is second.request_headers) is is_remembered


@pytest.mark.parametrize(("raw", "expected"), [pytest.param(*case[1:], id=case[0]) for case in REQUESTS])
def test_what_a_request_means(raw: bytes, expected: Any) -> None:
    forget()
    for found in (request(raw), request(raw)):  # the second one is remembered
        if isinstance(expected, Problem):
            assert found == expected
        else:
            assert isinstance(found, Request)
            assert (
                found.path,
                found.query,
                found.host,
                found.request_headers.framing,
                found.request_headers.keep_alive,
            ) == expected


@pytest.mark.parametrize(
    ("fields", "is_offered"),
    [
        pytest.param([b"Connection: Upgrade", b"Upgrade: websocket"], True, id="websocket"),
        pytest.param([b"Connection: keep-alive, Upgrade", b"Upgrade: x/1, y"], True, id="any other"),
        pytest.param([b"Upgrade: websocket"], False, id="not named in Connection"),
        pytest.param([b"Connection: Upgrade"], False, id="nothing to upgrade to"),
        pytest.param([b"Connection: Upgrade", b"Upgrade: h2c"], False, id="h2c carries other requests"),
        pytest.param([b"Connection: Upgrade", b"Upgrade: websocket, TLS/1.0"], False, id="TLS would too"),
        pytest.param([b"Connection: Upgrade", b"Upgrade: x", b"Content-Length: 3"], False, id="with a body"),
        pytest.param([b"Connection: Upgrade", b"Upgrade: x", b"Content-Length: 0"], True, id="with an empty body"),
    ],
)
def test_which_upgrades_are_offered_to_an_upstream(fields: list[bytes], is_offered: bool) -> None:
    found = request(crlf(b"GET / HTTP/1.1", HOST, *fields))
    assert isinstance(found, Request)
    assert found.request_headers.has_upgrade is is_offered


# Remembering

_name = st.sampled_from([b"Accept", b"accept", b"Cookie", b"X-A", b"Connection", b"Content-Length", b"Expect"])
_value = st.sampled_from([b"", b"a", b"b, c", b"close", b"keep-alive, x-a", b"0", b"17", b"100-continue", b"\xe9"])
_fields = st.lists(st.tuples(_name, _value).map(b": ".join), max_size=5)
_targets = st.sampled_from([b"/", b"/a?b", b"*", b"http://b/c", b"/\xff"])
_methods = st.sampled_from([b"GET", b"POST", b"OPTIONS", b"PURGE", b"BREW"])


@given(_methods, _targets, _fields)
def test_a_request_means_the_same_remembered_or_not(method: bytes, target: bytes, fields: list[bytes]) -> None:
    raw = crlf(method + b" " + target + b" HTTP/1.1", HOST, *fields)
    forget()
    fresh = meaning(request(raw))
    assert meaning(request(raw)) == fresh
    request(crlf(b"GET /other HTTP/1.1", HOST, *fields))  # the same section, from another request
    assert meaning(request(raw)) == fresh


@given(st.sampled_from([100, 101, 200, 204, 304, 404, 599]), _fields, st.booleans())
def test_an_answer_means_the_same_remembered_or_not(status: int, fields: list[bytes], is_head: bool) -> None:
    raw = crlf(b"HTTP/1.1 %d X" % status, *fields)
    forget()
    fresh = meaning(parse_response(raw, is_head_response=is_head))
    assert meaning(parse_response(raw, is_head_response=is_head)) == fresh
    parse_response(raw, is_head_response=not is_head)
    assert meaning(parse_response(raw, is_head_response=is_head)) == fresh


@settings(max_examples=300)
@given(_fields, st.integers(0, 10_000), st.integers(1, 255), st.booleans())
def test_a_head_with_one_byte_changed_is_never_taken_for_the_one_remembered(
    fields: list[bytes], place: int, change: int, is_response: bool
) -> None:
    raw = crlf(OK if is_response else b"GET /a HTTP/1.1", HOST, *fields)
    at = place % (len(raw) - 4)
    other = raw[:at] + bytes([raw[at] ^ change]) + raw[at + 1 :]
    if b"\r\n\r\n" in other[:-4] or not other.endswith(b"\r\n\r\n"):
        return  # the connection would cut it there

    def read(head: bytes) -> Any:
        return meaning(parse_response(head, is_head_response=False) if is_response else request(head))

    forget()
    fresh = read(other)
    forget()
    read(raw)
    assert read(other) == fresh
