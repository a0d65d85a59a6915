"""Responses reach the client as they were sent; what an upstream may not send becomes 502, and is never joined
to another client's answer."""

import pytest

from tests.http1.proxies import Proxy
from tests.http1.raw import OK, Case, Delivery, Refusal, crlf, deliveries, distrusted, get, respond, returned, run
from tests.http1.scripted import ScriptedUpstream, close, drip, half_close, in_turn, pause, read_request, reset

pytestmark = pytest.mark.asyncio(loop_scope="session")

_HEAD = get(method=b"HEAD")


def _status(line: bytes, *fields: bytes, body: bytes = b"ok") -> bytes:
    return crlf(b"HTTP/1.1 " + line, *fields, b"Content-Length: %d" % len(body), body=body)


_STATUSES = (
    """
200 OK|201 Created|202 Accepted|203 Non-Authoritative Information|206 Partial Content|207 Multi-Status|299 Odd
300 Multiple Choices|301 Moved Permanently|302 Found|303 See Other|305 Use Proxy|307 Temporary Redirect
308 Permanent Redirect|399 Odd|400 Bad Request|401 Unauthorized|402 Payment Required|403 Forbidden|404 Not Found
405 Method Not Allowed|406 Not Acceptable|407 Proxy Authentication Required|408 Request Timeout|409 Conflict|410 Gone
411 Length Required|412 Precondition Failed|413 Content Too Large|414 URI Too Long|415 Unsupported Media Type
416 Range Not Satisfiable|417 Expectation Failed|418 I'm a teapot|421 Misdirected Request|422 Unprocessable Content
425 Too Early|428 Precondition Required|429 Too Many Requests|431 Request Header Fields Too Large
451 Unavailable For Legal Reasons|499 Odd|500 Internal Server Error|501 Not Implemented|502 Bad Gateway
503 Service Unavailable|504 Gateway Timeout|505 HTTP Version Not Supported|511 Network Authentication Required|599 Odd
""".strip()
    .replace("\n", "|")
    .encode()
    .split(b"|")
)

STATUSES = [
    *(returned(f"status {s.decode()}", "9110 15", _status(s)) for s in _STATUSES),
    returned("205 with its empty body", "9110 15.3.6", _status(b"205 Reset Content", body=b"")),
    returned("204 has no body and no length", "9110 15.3.5", crlf(b"HTTP/1.1 204 No Content", b"X: 1")),
    returned(
        "304 with the length of what was not sent",
        "9110 15.4.5",
        crlf(b"HTTP/1.1 304 Not Modified", b'ETag: "x"', b"Content-Length: 999"),
    ),
    returned("304 without a length", "9110 15.4.5", crlf(b"HTTP/1.1 304 Not Modified", b'ETag: "x"')),
    returned("HEAD with a length", "9110 9.3.2", crlf(b"HTTP/1.1 200 OK", b"Content-Length: 999"), client=_HEAD),
    returned("HEAD without a length", "9110 9.3.2", crlf(b"HTTP/1.1 200 OK", b"X: 1"), client=_HEAD),
    returned(
        "HEAD that would be chunked",
        "9110 9.3.2",
        crlf(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked"),
        client=_HEAD,
    ),
    returned("own reason phrase", "9112 4", _status(b"200 Everything is  fine, (really)!")),
    returned("empty reason phrase", "9112 4", _status(b"200 ")),
    returned("no space behind the status", "9112 4", _status(b"200"), responses=(_status(b"200 "),)),
    returned("reason phrase with obs-text", "9112 4", _status(b"200 tr\xe8s bien \xc3\xa9")),
]

_BARE = b"HTTP/1.1 200 OK\nX: a\nContent-Length: 9\n\n"

LINE_ENDS = [
    returned(
        "bare LF ends every line",
        "9112 2.2",
        _BARE + b"\r\n\r\nhello",
        responses=(_BARE.replace(b"\n", b"\r\n") + b"\r\n\r\nhello",),
    ),
    returned(
        "bare LF behind a status line that ends in CRLF",
        "9112 2.2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\n\nhello",
        responses=(crlf(b"HTTP/1.1 200 OK", b"Content-Length: 5", body=b"hello"),),
    ),
    returned(
        "an empty line that ends in CRLF behind bare LF",
        "9112 2.2",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\r\nhello",
        responses=(crlf(b"HTTP/1.1 200 OK", b"Content-Length: 5", body=b"hello"),),
    ),
    returned(
        "bare LF, until the connection closes",
        "9112 2.2",
        b"HTTP/1.0 200 OK\nContent-Type: text/plain\n\nfrom a CGI\r\n\r\nprogram",
        upstream=(respond(b"HTTP/1.0 200 OK\nContent-Type: text/plain\n\nfrom a CGI\r\n\r\nprogram", close()),),
        responses=(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nfrom a CGI\r\n\r\nprogram",),
        differs={"haproxy": "answers in HTTP/1.0 and closes"},
    ),
    returned(
        "an interim response with bare LF",
        "9112 2.2",
        b"HTTP/1.1 103 Early Hints\nLink: </a>\n\n" + crlf(b"HTTP/1.1 200 OK", b"Content-Length: 2", body=b"ok"),
        responses=(
            crlf(b"HTTP/1.1 103 Early Hints", b"Link: </a>"),
            crlf(b"HTTP/1.1 200 OK", b"Content-Length: 2", body=b"ok"),
        ),
        differs={"nginx": "drops 1xx"},
    ),
]

FIELDS = [
    returned(
        "order and case",
        "9110 5.3",
        _status(
            b"200 OK",
            b"zEbra: 1",
            b"Content-Type: text/x",
            b"ALPHA: 2",
            b"server: s/1",
            b"Date: Mon, 01 Jan 2024 00:00:00 GMT",
        ),
    ),
    returned(
        "many Set-Cookie",
        "6265 3",
        _status(
            b"200 OK",
            b"Set-Cookie: a=1; Path=/",
            b"set-cookie: b=2, c",
            b"X: 1",
            b"Set-Cookie: a=1; Path=/",
            b"Set-Cookie: d=",
        ),
    ),
    returned(
        "empty values and obs-text", "9110 5.5", _status(b"200 OK", b"X-A:", b"X-B: ", b"X-C: caf\xe9 \xc3\xa9 \xff")
    ),
    returned("no invented Date, Server or Content-Type", "9110 6.6.1", _status(b"200 OK")),
    returned(
        "several challenges",
        "9110 11.6.1",
        _status(b"401 Unauthorized", b'WWW-Authenticate: Basic realm="a, b"', b"WWW-Authenticate: Bearer"),
    ),
    returned(
        "Content-Encoding untouched",
        "9110 8.4",
        _status(b"200 OK", b"Content-Encoding: gzip", b"Vary: Accept-Encoding", body=b"\x1f\x8b\x08\0not really"),
    ),
    returned("every byte value in a body", "9112 6", _status(b"200 OK", body=bytes(range(256)) * 3)),
    returned("many fields", "9110 5.4", _status(b"200 OK", *(b"X-%d: %d" % (i, i) for i in range(90)))),
    returned("long value", "9110 5.4", _status(b"200 OK", b"X: " + b"v" * 3000)),
    returned(
        "ranges", "9110 14.4", _status(b"206 Partial Content", b"Content-Range: bytes 0-1/9", b"Accept-Ranges: bytes")
    ),
    returned(
        "Location untouched without a rewrite",
        "9110 10.2.2",
        _status(b"302 Found", b"Location: http://127.0.0.1:1/x?y", b"Content-Location: /x"),
    ),
    returned(
        "Alt-Svc, HSTS and others",
        "9110 5.1",
        _status(b"200 OK", b'Alt-Svc: h2=":443"', b"Strict-Transport-Security: max-age=1", b"Via: 1.1 inner"),
    ),
    returned(
        "fields named in Connection",
        "9110 7.6.1",
        _status(b"200 OK", b"X-A: 1", b"Connection: x-a, keep-alive", b"Keep-Alive: timeout=5", b"X-B: 2"),
        {"nginx": "passes fields named in Connection", "haproxy": "passes fields named in Connection"},
        responses=(_status(b"200 OK", b"X-B: 2"),),
    ),
    returned(
        "Connection: close ends only the upstream's connection",
        "9112 9.6",
        _status(b"200 OK", b"Connection: close"),
        responses=(_status(b"200 OK"),),
        upstream_ends=True,
    ),
    returned(
        "an X-Strangler-Arm of the upstream's is replaced",
        "DESIGN 6",
        _status(b"200 OK", b"X-Strangler-Arm: forged"),
        responses=(_status(b"200 OK"),),
    ),
]


def _chunked(body: bytes, *fields: bytes) -> bytes:
    return crlf(b"HTTP/1.1 200 OK", *fields, b"Transfer-Encoding: chunked", body=body)


_UNTIL_CLOSE = crlf(b"HTTP/1.1 200 OK", b"X: 1", body=b"until the end")
_RECHUNKED = _chunked(b"d\r\nuntil the end\r\n0\r\n\r\n", b"X: 1")
_OLD_RESPONSE = crlf(b"HTTP/1.0 200 OK", b"X: 1", body=b"until the end")
_HINTS = crlf(b"HTTP/1.1 103 Early Hints", b"Link: </a.css>; rel=preload", b"Link: </b.js>")
_ENDS_TOO = {"haproxy": "ends the client's connection as well, lawfully"}
_NGINX_1XX = {"nginx": "drops 1xx"}
_CHUNKED_TRAILERS = _chunked(b"3\r\nabc\r\n0\r\nX-Sum: 9\r\nX-Time: 1\r\n\r\n", b"Trailer: X-Sum")

BODIES = [
    returned("Content-Length: 0", "9112 6.2", _status(b"200 OK", body=b"")),
    returned("chunked", "9112 7.1", _chunked(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")),
    returned("chunked, empty", "9112 7.1", _chunked(b"0\r\n\r\n")),
    returned("chunk extensions", "9112 7.1.1", _chunked(b"3;a=b\r\nabc\r\n0\r\n\r\n")),
    returned(
        "chunked in other letters",
        "9112 7",
        crlf(b"HTTP/1.1 200 OK", b"transfer-encoding: CHUNKED", body=b"3\r\nabc\r\n0\r\n\r\n"),
        responses=(_chunked(b"3\r\nabc\r\n0\r\n\r\n"),),
    ),
    returned(
        "trailers",
        "9110 6.5",
        _CHUNKED_TRAILERS,
        {"nginx": "drops trailers", "haproxy": "writes their names in lower case"},
    ),
    returned(
        "body ended by close",
        "9112 6.3, 8",
        _UNTIL_CLOSE,
        upstream=(respond(_UNTIL_CLOSE, half_close()),),
        responses=(_RECHUNKED,),
        upstream_ends=True,
        differs=_ENDS_TOO,
    ),
    returned(
        "body ended by close, Connection: close said",
        "9112 6.3, 8",
        _UNTIL_CLOSE,
        upstream=(respond(_UNTIL_CLOSE.replace(b"X: 1", b"X: 1\r\nConnection: close"), close()),),
        responses=(_RECHUNKED,),
        differs=_ENDS_TOO,
    ),
    returned(
        "HTTP/1.0 upstream, body ended by close",
        "9112 6.3, 8",
        _OLD_RESPONSE,
        upstream=(respond(_OLD_RESPONSE, close()),),
        responses=(_RECHUNKED,),
        differs={"haproxy": "passes the version on"},
    ),
    returned(
        "HTTP/1.0 upstream with a length",
        "9112 9.3",
        _OLD_RESPONSE,
        upstream=(respond(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", close()),),
        responses=(OK,),
    ),
    returned("103, then the answer", "9110 15.2", _HINTS + OK, _NGINX_1XX, responses=(_HINTS, OK)),
    returned(
        "several 1xx",
        "9110 15.2",
        b"",
        _NGINX_1XX,
        upstream=(respond(crlf(b"HTTP/1.1 102 Processing") + _HINTS + _HINTS + OK),),
        responses=(crlf(b"HTTP/1.1 102 Processing"), _HINTS, _HINTS, OK),
    ),
    returned(
        "103 before a chunked answer to HEAD",
        "9110 15.2",
        b"",
        _NGINX_1XX,
        client=_HEAD,
        upstream=(respond(_HINTS + crlf(b"HTTP/1.1 200 OK", b"Content-Length: 9")),),
        responses=(_HINTS, crlf(b"HTTP/1.1 200 OK", b"Content-Length: 9")),
    ),
    returned("dripping", "9112 2.2", OK, upstream=(in_turn(read_request(), drip(_HINTS[:0] + OK)),)),
]


def _cut(
    id: str, response: bytes, *then: object, differs: dict[str, str] | None = None, whole: bytes | None = None
) -> Case:
    return returned(
        id,
        "9112 8",
        response,
        differs,
        upstream=(respond(response, *then),),  # type: ignore[arg-type]
        responses=(whole or response,),
        end="cut",
    )


_LONG = crlf(b"HTTP/1.1 200 OK", b"Content-Length: 10", body=b"12345")
_SEES_IT_FIRST = {
    "nginx": "ends cleanly",
    "haproxy": "answers 502 if it sees the fault before it has passed the head on",
}
CUT_SHORT = [
    _cut("Content-Length, FIN too early", _LONG, half_close()),
    _cut("Content-Length, RST", _LONG, pause(0.02), reset()),
    _cut("chunked, FIN without the last chunk", _chunked(b"3\r\nabc\r\n"), half_close()),
    _cut("chunked, FIN in a chunk", _chunked(b"9\r\nabc"), close()),
    _cut("chunked, FIN before the empty line of the trailers", _chunked(b"3\r\nabc\r\n0\r\n"), close()),
    _cut("chunked, RST", _chunked(b"3\r\nabc\r\n"), pause(0.02), reset()),
    _cut("broken chunk size", _chunked(b"3\r\nabc\r\nzz\r\n"), whole=_chunked(b"3\r\nabc\r\n"), differs=_SEES_IT_FIRST),
    _cut(
        "chunk longer than its size",
        _chunked(b"3\r\nabcd\r\n0\r\n\r\n"),
        whole=_chunked(b"3\r\nabc\r\n"),
        differs=_SEES_IT_FIRST,
    ),
    _cut(
        "body ended by RST", _UNTIL_CLOSE, pause(0.02), reset(), whole=_RECHUNKED, differs={"haproxy": "ends cleanly"}
    ),
]

_R = b"HTTP/1.1 200 OK"


def _framed(*fields: bytes, body: bytes = b"5\r\nhello\r\n0\r\n\r\n", line: bytes = _R) -> bytes:
    return crlf(line, *fields, body=body)


_N, _H = "nginx", "haproxy"
_BOTH = {_N: "trusts its upstreams", _H: "trusts its upstreams"}
_NL, _HL = {_N: "trusts its upstreams"}, {_H: "trusts its upstreams"}
_TE, _CL = b"Transfer-Encoding: chunked", b"Content-Length: 5"

UNTRUSTED = [
    distrusted("Content-Length and chunked", "9112 6.3", _framed(_CL, _TE), _BOTH),
    distrusted("chunked and Content-Length", "9112 6.3", _framed(_TE, _CL), _BOTH),
    distrusted("two different Content-Length", "9112 6.3", _framed(_CL, b"Content-Length: 6", body=b"hello!"), _NL),
    distrusted("a list of different Content-Length", "9112 6.3", _framed(b"Content-Length: 5, 6", body=b"hello!"), _NL),
    distrusted("Content-Length: -5", "9110 8.6", _framed(b"Content-Length: -5"), _NL),
    distrusted("Content-Length: +5", "9110 8.6", _framed(b"Content-Length: +5", body=b"hello"), _NL),
    distrusted("Content-Length: 0x5", "9110 8.6", _framed(b"Content-Length: 0x5", body=b"hello"), _NL),
    distrusted("Content-Length empty", "9110 8.6", _framed(b"Content-Length:", body=b""), _NL),
    distrusted(
        "Content-Length beyond 64 bits", "9110 8.6", _framed(b"Content-Length: 99999999999999999999", body=b""), _NL
    ),
    distrusted("gzip, chunked", "9112 6.1", _framed(b"Transfer-Encoding: gzip, chunked"), _NL),
    distrusted("chunked twice", "9112 6.1", _framed(b"Transfer-Encoding: chunked, chunked"), _NL),
    distrusted("chunked in two fields", "9112 6.1", _framed(_TE, _TE), _NL),
    distrusted("identity", "9112 7", _framed(b"Transfer-Encoding: identity", body=b""), _NL),
    distrusted("xchunked", "9112 7", _framed(b"Transfer-Encoding: xchunked"), _NL),
    distrusted("chunked with a vertical tab", "9112 7", _framed(b"Transfer-Encoding: \x0bchunked"), _NL),
    distrusted("chunked on HTTP/1.0", "9112 6.1", _framed(_TE, line=b"HTTP/1.0 200 OK"), _BOTH),
    distrusted(
        "unasked 101",
        "9110 15.2.2",
        crlf(b"HTTP/1.1 101 Switching Protocols", b"Upgrade: x", b"Connection: Upgrade"),
        _NL,
    ),
    *(
        distrusted(f"status {s!r}", "9110 15", crlf(b"HTTP/1.1 " + s, b"Content-Length: 0"), d)
        for s, d in (
            (b"99 Low", _BOTH),
            (b"099 Low", _BOTH),
            (b"600 High", _BOTH),
            (b"999 High", _BOTH),
            (b"1000 High", _BOTH),
            (b"2xx OK", _NL),
            (b"20 OK", _BOTH),
            (b"-20 OK", _NL),
            (b" 200 OK", _BOTH),
            (b"", _NL),
        )
    ),
    distrusted("HTTP/2.0", "9112 2.3", crlf(b"HTTP/2.0 200 OK", b"Content-Length: 0"), _BOTH),
    distrusted("no version", "9112 4", crlf(b"200 OK", b"Content-Length: 0"), _NL),
    distrusted("another protocol", "9112 4", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", _NL),
    distrusted("field without a colon", "9112 5", _framed(b"Foo bar", _CL, body=b"hello")),
    distrusted("space before the colon", "9112 5.1", _framed(b"Foo : bar", _CL, body=b"hello")),
    distrusted("empty field name", "9112 5", _framed(b": bar", _CL, body=b"hello")),
    distrusted("NUL in a value", "9110 5.5", _framed(b"X: a\0b", _CL, body=b"hello"), _HL),
    distrusted("control byte in a value", "9110 5.5", _framed(b"X: a\x01b", _CL, body=b"hello"), _BOTH),
    distrusted("bare CR in a value", "9112 2.2", _framed(b"X: a\rSet-Cookie: b", _CL, body=b"hello")),
    distrusted(
        "bare LF, and two framings",
        "9112 6.3",
        b"HTTP/1.1 200 OK\nContent-Length: 5\nTransfer-Encoding: chunked\n\nhello",
        _BOTH,
    ),
    distrusted("bare LF and no HTTP", "9112 4", b"220 mail ready\n\n", _BOTH),
    distrusted("bare LF ends a line", "9112 2.2", _framed(b"X: a\nY: b", _CL, body=b"hello"), _BOTH),
    distrusted("control byte in the reason", "9112 4", crlf(b"HTTP/1.1 200 O\x01K", _CL, body=b"hello"), _BOTH),
    distrusted("obsolete folding", "9112 5.2", _framed(b"X: a", b" folded", _CL, body=b"hello"), _HL),
    distrusted("high byte in a name", "9110 5.1", _framed(b"X\xe9: a", _CL, body=b"hello"), _NL),
    distrusted(
        "head over 256 KiB",
        "DESIGN 8",
        _framed(*(b"X-%d: %s" % (i, b"v" * 1000) for i in range(270)), _CL, body=b"hello"),
        is_any_split=False,
    ),
    distrusted(
        "101 after 103",
        "9110 15.2.2",
        _HINTS + crlf(b"HTTP/1.1 101 Switching Protocols", b"Upgrade: x", b"Connection: Upgrade"),
        _NL,
        responses=(_HINTS, Refusal(502, "bad_response")),
    ),
]

CASES = [*STATUSES, *LINE_ENDS, *FIELDS, *BODIES, *CUT_SHORT, *UNTRUSTED]


@pytest.mark.parametrize(("case", "delivery"), deliveries(CASES))
async def test_answers_arrive_as_they_were_sent(
    case: Case, delivery: Delivery, ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    await run(case, ours, raw_upstream, delivery)
