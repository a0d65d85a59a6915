"""The raw cases that Envoy treats otherwise, with its defaults (HTTP/1.0 allowed), and what it does instead.

Beside `Case.differs`, which has what nginx and HAProxy do. A test plays every other case at Envoy.
"""

from tests.http1 import test_raw_framing, test_raw_requests, test_raw_responses
from tests.http1.raw import Case

_REFUSED = "refuses it: 400"
_PASSED = "passes it on"
_ORIGIN_FORM = "passes it on in origin form"
_RESPONSES_EXPECT = "answers Expect itself and does not pass it on"
_NO_1XX = "drops 1xx"
_NO_TRAILERS = "drops trailers"
_NO_CR = "takes the CR away and passes it on"
_UNFOLDED = "unfolds the line and passes it on"
_LINE_END = "takes LF for a line end"
_TRUSTS = "trusts its upstreams"

REQUESTS = {
    "method M-SEARCH": _REFUSED,
    "method QUERY": _REFUSED,
    "QUERY with a body": _REFUSED,
    "TRACE": _PASSED,
    **dict.fromkeys(
        (
            r"high bytes in target b'/caf\xc3\xa9'",
            r"high bytes in target b'/caf\xe9'",
            r"high bytes in target b'/\xff\xfe'",
            r"high bytes in target b'/?q=\xc3\xa9'",
        ),
        _REFUSED,
    ),
    "OPTIONS *": "finds no route for it: 404",
    **dict.fromkeys(
        (
            "absolute-form http://b.example/x?y=z",
            "absolute-form http://b.example:8080/x",
            "absolute-form HTTP://B.example/%2F;",
            "absolute-form http://b.example",
            "absolute-form http://[::1]:81/x",
            "absolute-form with userinfo",
        ),
        _ORIGIN_FORM,
    ),
    "absolute-form http://b.example?q": "finds no route for it: 404",
    "target with %00": _PASSED,
    "X-Forwarded-For by name: ours is set after": _REFUSED,
    "Host cannot be stripped": _REFUSED,
    "TE": "passes `TE: trailers` on",
    "forged Forwarded": "passes Forwarded on",
    **dict.fromkeys(
        (
            "100 comes from the upstream",
            "a client that does not wait",
            "an upstream that sends no 100",
            "chunked and in other letters",
            "a final answer instead of 100",
        ),
        _RESPONSES_EXPECT,
    ),
    "an unknown expectation": _PASSED,
    "trailers": _NO_TRAILERS,
}

RESPONSES = {
    **dict.fromkeys(
        (
            "an interim response with bare LF",
            "103, then the answer",
            "several 1xx",
            "103 before a chunked answer to HEAD",
        ),
        _NO_1XX,
    ),
    "fields named in Connection": "passes fields named in Connection",
    "trailers": _NO_TRAILERS,
    "body ended by RST": "ends cleanly",
    "unasked 101": "passes 101 on",
    "101 after 103": "passes 101 on",
    **dict.fromkeys(
        (
            "status b'99 Low'",
            "status b'099 Low'",
            "status b'600 High'",
            "status b'999 High'",
            "status b'1000 High'",
            "status b'20 OK'",
            "status b' 200 OK'",
            "HTTP/2.0",
            "chunked on HTTP/1.0",
        ),
        _TRUSTS,
    ),
    "chunk longer than its size": "leaves the rest out",
    "bare CR in a value": _NO_CR,
    "bare LF ends a line": _LINE_END,
    "obsolete folding": _UNFOLDED,
}

FRAMING = {
    "chunked on HTTP/1.0": _PASSED,
    "Transfer-Encoding folded": _UNFOLDED,
    "Transfer-Encoding hidden by a fold": _UNFOLDED,
    "Content-Length hidden by a bare CR": _NO_CR,
    "Transfer-Encoding behind a bare LF": _LINE_END,
    "chunk size b'5 5'": "reads 5",
    "chunk size b'8000000000000000'": "reads it, and waits for so many bytes",
    r"chunk size b'5;a=b\x00c'": "leaves the extension out",
    "chunk size b'5;aaaaaaaaaaaaaaaaaaaaaa'": "leaves the extension out",
    "chunk longer than its size": "leaves the rest out",
    "chunk ended by LF": _LINE_END,
    "trailers ended by LF": _LINE_END,
    "trailer folded": "leaves the trailers out",
    "obsolete folding": _UNFOLDED,
    "folding by a tab": _UNFOLDED,
    "folding onto an empty line": _UNFOLDED,
    "bare CR in a value": _NO_CR,
    "CR CR LF": _NO_CR,
    **dict.fromkeys(("bare LF ends a line", "all lines ended by LF", "head ended by LF"), _LINE_END),
    **dict.fromkeys(
        (
            "request line b'GET  / HTTP/1.1'",
            "request line b'GET /  HTTP/1.1'",
            "request line b'GET / HTTP/1.1 '",
            r"request line b'GET\t/ HTTP/1.1'",
            r"request line b'GET /\tHTTP/1.1'",
        ),
        "reads it as `GET / HTTP/1.1`",
    ),
    **dict.fromkeys(
        (
            "request line b'GET /'",
            "request line b'GET / '",
            "request line b'GET / HTTP/2.0'",
            "request line b'GET / HTTP/0.9'",
            "request line b'GET / HTTP/3.1'",
            "HTTP/0.9",
        ),
        "passes it on, and answers in HTTP/1.0",
    ),
    **dict.fromkeys(("two Hosts", "two equal Hosts", "two Hosts on HTTP/1.0"), "joins the two with a comma"),
    **dict.fromkeys(("Host b''", "Host b'u@ECHO'", "Host b'ECHO:x'", "Host b'ECHO:80:81'", "Host b'[::1'"), _PASSED),
}

TABLES: tuple[tuple[list[Case], dict[str, str]], ...] = (
    (test_raw_requests.CASES, REQUESTS),
    (test_raw_responses.CASES, RESPONSES),
    (test_raw_framing.CASES, FRAMING),
)
"""Each table of cases with the names of those that Envoy treats otherwise."""
