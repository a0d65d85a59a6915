"""Smuggling and malformed input: refused, the connection ended, and nothing of it reaches the upstream."""

import pytest

from tests.http1.proxies import Proxy
from tests.http1.raw import OK, Case, Delivery, Refusal, crlf, deliveries, get, passed, refused, respond, run
from tests.http1.scripted import ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="session")

_N, _H = "nginx", "haproxy"
_NGINX = {_N: "reads it leniently"}
_HAPROXY = {_H: "reads it leniently"}
_BOTH = _NGINX | _HAPROXY
_TE, _CL = b"Transfer-Encoding: chunked", b"Content-Length: 5"
_CHUNKS = b"5\r\nECHOx\r\n0\r\n\r\n"


def _post(*fields: bytes, body: bytes = _CHUNKS, line: bytes = b"POST /p HTTP/1.1") -> bytes:
    return crlf(line, b"Host: a", *fields, body=body)


_RFC = "9112 6.3"
FRAMING = [
    refused("Content-Length and chunked", _RFC, _post(_CL, _TE), differs=_HAPROXY),
    refused("chunked and Content-Length", _RFC, _post(_TE, _CL), differs=_HAPROXY),
    refused("chunked and Content-Length: 0", _RFC, _post(_TE, b"Content-Length: 0"), differs=_HAPROXY),
    refused("two different Content-Length", _RFC, _post(_CL, b"Content-Length: 6", body=b"ECHOxx")),
    refused("two equal Content-Length", _RFC, _post(_CL, _CL, body=b"ECHOx"), differs=_HAPROXY),
    refused("a list of equal Content-Length", _RFC, _post(b"Content-Length: 5, 5", body=b"ECHOx"), differs=_HAPROXY),
    refused("a list of different Content-Length", _RFC, _post(b"Content-Length: 5, 6", body=b"ECHOxx")),
    *(
        refused(f"Content-Length {value[:24]!r}", "9110 8.6", _post(b"Content-Length: " + value, body=b"ECHOx"))
        for value in (
            b"",
            b"-5",
            b"+5",
            b"-0",
            b"0x5",
            b"5x",
            b"5 5",
            b"5,",
            b"5.0",
            b"1e1",
            b"\x0b5",
            b"'5'",
            b"9" * 20,
            b"18446744073709551621",
            b"1" * 400,
        )
    ),
    *(
        refused(f"Transfer-Encoding {value!r}", "9112 6.1", _post(b"Transfer-Encoding: " + value), status, differs)
        for value, status, differs in (
            (b"chunked, chunked", 400, {}),
            (b"chunked, gzip", 400, {}),
            (b"chunked, identity", 400, {}),
            (b"gzip, chunked", 501, {}),
            (b"gzip", 400, {}),
            (b"identity", 400, {}),
            (b"identity, chunked", 501, {}),
            (b"xchunked", 400, {}),
            (b"chunkedx", 400, {}),
            (b"chunked;q=1", 400, {}),
            (b"\x0bchunked", 400, {}),
            (b"chunked\x0b", 400, {}),
            (b"chunked\x00", 400, {}),
            (b'"chunked"', 400, {}),
            (b",chunked", 400, {}),
            (b"chunked,", 400, _HAPROXY),
            (b"", 400, {}),
            (b"chunk\xe9d", 400, {}),
        )
    ),
    refused("chunked in two fields", "9112 6.1", _post(_TE, _TE)),
    refused("chunked, then another coding in a second field", "9112 6.1", _post(_TE, b"Transfer-Encoding: identity")),
    refused("chunked on HTTP/1.0", "9112 6.1", _post(_TE, line=b"POST /p HTTP/1.0"), differs=_HAPROXY),
    refused("space before the colon of Transfer-Encoding", "9112 5.1", _post(b"Transfer-Encoding : chunked")),
    refused("tab before the colon of Content-Length", "9112 5.1", _post(b"Content-Length\t: 5", body=b"ECHOx")),
    refused("Transfer-Encoding folded", "9112 5.2", _post(b"Transfer-Encoding:", b" chunked"), differs=_HAPROXY),
    refused(
        "Transfer-Encoding hidden by a fold",
        "9112 5.2",
        _post(b"X: y", b" Transfer-Encoding: chunked"),
        differs=_HAPROXY,
    ),
    refused("Content-Length hidden by a bare CR", "9112 2.2", _post(b"X: y\rContent-Length: 5", body=b"ECHOx")),
    refused(
        "Transfer-Encoding behind a bare LF",
        "9112 2.2",
        crlf(b"POST / HTTP/1.1", b"Host: a", b"X: y\nTransfer-Encoding: chunked", body=_CHUNKS),
        differs=_BOTH,
    ),
    refused("Transfer-Encoding with a NUL in its name", "9110 5.1", _post(b"Transfer-\x00Encoding: chunked")),
]


def _bad_chunks(id: str, body: bytes, differs: dict[str, str] | None = None) -> Case:
    return refused(id, "9112 7.1", _post(_TE, body=body), differs=differs, may_start=True)


CHUNKS = [
    *(
        _bad_chunks(f"chunk size {size[:24]!r}", size + b"\r\nECHOx\r\n0\r\n\r\n", differs)
        for size, differs in (
            (b"", {}),
            (b"g", {}),
            (b"0x5", {}),
            (b"+5", {}),
            (b"-5", {}),
            (b" 5", {}),
            (b"5 5", _NGINX),
            (b"5x", {}),
            (b"5,", {}),
            (b"\t5", {}),
            (b"5\x00", {}),
            (b"5\r", {}),
            (b"5\x0b", {}),
            (b"f" * 17, {}),
            (b"8000000000000000", {}),
            (b"5;a=b\x00c", _BOTH),
            (b"5;a=b\rc", {}),
            (b"5;" + b"a" * 40000, _NGINX),
        )
    ),
    _bad_chunks("chunk size ended by LF", b"5\nECHOx\r\n0\r\n\r\n", _BOTH),
    _bad_chunks("chunk extension with LF", b"5;a\nb\r\nECHOx\r\n0\r\n\r\n"),
    _bad_chunks("chunk longer than its size", b"5\r\nECHOxx\r\n0\r\n\r\n"),
    _bad_chunks("chunk ended by LF", b"5\r\nECHOx\n0\r\n\r\n", _BOTH),
    _bad_chunks("chunk without its CRLF", b"5\r\nECHOx0\r\n\r\n"),
    _bad_chunks("chunk ended by CR and another byte", b"5\r\nECHOx\rX0\r\n\r\n"),
    _bad_chunks("trailer without a colon", b"5\r\nECHOx\r\n0\r\nfoo\r\n\r\n", _NGINX),
    _bad_chunks("trailer with a space in its name", b"5\r\nECHOx\r\n0\r\nX Y: 1\r\n\r\n", _BOTH),
    _bad_chunks("trailer with a NUL", b"5\r\nECHOx\r\n0\r\nX: a\0b\r\n\r\n", _BOTH),
    _bad_chunks("trailers ended by LF", b"5\r\nECHOx\r\n0\r\nX: 1\n\n", _BOTH),
    _bad_chunks("trailer folded", b"5\r\nECHOx\r\n0\r\nX: 1\r\n y\r\n\r\n", _BOTH),
]


def _line(line: bytes) -> bytes:
    return crlf(line, b"Host: a", b"X: ECHO")


_BAD_FIELDS: tuple[tuple[str, bytes, dict[str, str]], ...] = (
    ("field without a colon", b"ECHO", _NGINX),
    ("empty field name", b": ECHO", {}),
    ("space in a name", b"X Y: ECHO", {}),
    ("space before the colon", b"X : ECHO", {}),
    ("space before the name", b" X: ECHO", _HAPROXY),
    ("obsolete folding", b"X: a\r\n ECHO", _HAPROXY),
    ("folding by a tab", b"X: a\r\n\tECHO", _HAPROXY),
    ("folding onto an empty line", b"X: a\r\n \r\nY: ECHO", _HAPROXY),
    ("NUL in a value", b"X: a\0ECHO", _HAPROXY),
    ("NUL in a name", b"X\0: ECHO", {}),
    ("control byte in a value", b"X: a\x01ECHO", _BOTH),
    ("backspace in a value", b"X: a\x08ECHO", _BOTH),
    ("escape in a value", b"X: a\x1b[31mECHO", _BOTH),
    ("DEL in a value", b"X: a\x7fECHO", _BOTH),
    ("vertical tab in a value", b"X: a\x0bECHO", _BOTH),
    ("control byte in a name", b"X\x01: ECHO", {}),
    ("high byte in a name", b"X\xe9: ECHO", _NGINX),
    ("bracket in a name", b"X(Y): ECHO", _NGINX),
    ("quote in a name", b'"X": ECHO', _NGINX),
    ("bare CR in a value", b"X: a\rECHO", {}),
    ("bare CR in a name", b"X\r: ECHO", {}),
    ("CR CR LF", b"X: ECHO\r", _NGINX),
    ("bare LF ends a line", b"X: a\nY: ECHO", _BOTH),
)
HEADS = [
    *(
        refused(id_, "9112 5", crlf(b"GET / HTTP/1.1", b"Host: a", field, b"Z: 1"), differs=differs)
        for id_, field, differs in _BAD_FIELDS
    ),
    refused("first line begins with a space", "9112 2.2", crlf(b"GET / HTTP/1.1", b" Host: a", b"X: ECHO")),
    refused("all lines ended by LF", "9112 2.2", b"GET / HTTP/1.1\nHost: a\nX: ECHO\n\n", differs=_BOTH),
    refused("head ended by LF", "9112 2.2", b"GET / HTTP/1.1\r\nHost: a\r\nX: ECHO\r\n\n", differs=_BOTH),
    *(
        refused(f"request line {line!r}", "9112 3", _line(line), status, differs)
        for line, status, differs in (
            (b"GET  / HTTP/1.1", 400, _BOTH),
            (b"GET /  HTTP/1.1", 400, _BOTH),
            (b"GET /ECHO b HTTP/1.1", 400, {}),
            (b"GET / HTTP/1.1 ", 400, _NGINX),
            (b"GET\t/ HTTP/1.1", 400, _HAPROXY),
            (b"GET /\tHTTP/1.1", 400, _HAPROXY),
            (b" GET / HTTP/1.1", 400, {}),
            (b"GET /", 400, _NGINX),
            (b"GET / ", 400, _NGINX),
            (b"GET", 400, {}),
            (b"/ HTTP/1.1", 400, {}),
            (b"GET HTTP/1.1", 400, {}),
            (b"GET /\x00ECHO HTTP/1.1", 400, {}),
            (b"GET /\x01ECHO HTTP/1.1", 400, {}),
            (b"GET /\x7fECHO HTTP/1.1", 400, _HAPROXY),
            (b"GET /\x0bECHO HTTP/1.1", 400, {}),
            (b"GET /\rECHO HTTP/1.1", 400, {}),
            (b"GET / http/1.1", 400, {}),
            (b"GET / HTTP/1", 505, {}),
            (b"GET / HTTP/1.", 505, {}),
            (b"GET / HTTP/.1", 400, {}),
            (b"GET / HTTP/11", 505, {}),
            (b"GET / HTTP/1.1.1", 505, {}),
            (b"GET / HTPP/1.1", 400, {}),
            (b"GET / HTTP/1,1", 505, {}),
            (b"GET / ICY/1.1", 400, {}),
            (b"GET / HTTP/2.0", 505, _HAPROXY),
            (b"GET / HTTP/0.9", 505, _HAPROXY),
            (b"GET / HTTP/3.1", 505, _HAPROXY),
        )
    ),
    refused("a TLS hello", "9112 3", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03ECHO\r\n\r\n"),
    refused("HTTP/2 preface", "9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, _HAPROXY),
    refused("HTTP/0.9", "9112 2.3", b"GET /ECHO\r\n\r\n", differs=_NGINX),
]

HOSTS = [
    refused("Host missing", "9112 3.2", crlf(b"GET / HTTP/1.1", b"X: ECHO"), differs=_HAPROXY),
    refused("two Hosts", "9112 3.2", crlf(b"GET / HTTP/1.1", b"Host: a", b"Host: ECHO")),
    refused("two equal Hosts", "9112 3.2", crlf(b"GET / HTTP/1.1", b"Host: a", b"Host: a"), differs=_HAPROXY),
    refused("two Hosts on HTTP/1.0", "9112 3.2", crlf(b"GET / HTTP/1.0", b"Host: a", b"Host: ECHO")),
    *(
        refused(f"Host {value!r}", "9110 7.2", crlf(b"GET / HTTP/1.1", b"Host: " + value), differs=differs)
        for value, differs in (
            (b"", _HAPROXY),
            (b"ECHO b", _HAPROXY),
            (b"ECHO, b", _HAPROXY),
            (b"ECHO/b", _HAPROXY),
            (b"u@ECHO", _BOTH),
            (b"ECHO:x", _BOTH),
            (b"ECHO:80:81", _BOTH),
            (b"[::1", _BOTH),
            (b"ECHO?b", _BOTH),
            (b"ECHO#b", _BOTH),
            (b"ECHO\\b", _BOTH),
            (b'"ECHO"', _BOTH),
            (b"ECHO\xe9", _BOTH),
            (b"http://ECHO", _HAPROXY),
            (b"<script>", _BOTH),
        )
    ),
    passed("Host with an underscore and a trailing dot", "9110 7.2", crlf(b"GET / HTTP/1.1", b"Host: a_b.example.")),
]

_BEFORE = get(b"/before")
_SMUGGLED = b"GET /ECHO-smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
BEHIND = [
    Case(
        "a malformed request behind a good one",
        "9112 9.3.2",
        _BEFORE + b"GET /ECHO b HTTP/1.1\r\nHost: a\r\n\r\n" + _SMUGGLED,
        (respond(OK),),
        (_BEFORE,),
        (OK, Refusal(400)),
        end="closed",
    ),
    Case(
        "a request behind one with doubtful framing",
        "9112 9.3.2",
        _BEFORE + _post(_CL, _TE, body=b"0\r\n\r\n") + _SMUGGLED,
        (respond(OK),),
        (_BEFORE,),
        (OK, Refusal(400)),
        end="closed",
        differs=_HAPROXY,
    ),
    Case(
        "a request behind bad chunks",
        "9112 9.3.2",
        _BEFORE + _post(_TE, body=b"zz\r\n") + _SMUGGLED,
        (respond(OK),),
        (_BEFORE,),
        (OK, Refusal(400)),
        end="closed",
        may_start=True,
    ),
]

CASES = [*FRAMING, *CHUNKS, *HEADS, *HOSTS, *BEHIND]


@pytest.mark.parametrize(("case", "delivery"), deliveries(CASES))
async def test_doubtful_requests_reach_no_upstream(
    case: Case, delivery: Delivery, ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    await run(case, ours, raw_upstream, delivery)
