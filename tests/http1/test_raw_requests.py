"""Requests reach the upstream as they were sent: method, target, fields, body, connection."""

import pytest

from tests.http1.proxies import Proxy
from tests.http1.raw import OK, Case, Delivery, crlf, deliveries, get, passed, refused, respond, rest, run, until
from tests.http1.scripted import ScriptedUpstream, in_turn, pause, read_head, read_request, read_until, send

pytestmark = pytest.mark.asyncio(loop_scope="session")

_METHODS = (
    b"GET DELETE OPTIONS PATCH POST PUT ACL BIND CHECKOUT COPY LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL"
    b" MOVE NOTIFY PROPFIND PROPPATCH PURGE QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND UNLINK UNLOCK"
    b" UNSUBSCRIBE"
).split()

_ANY_TOKEN = {"haproxy": "passes any token"}
_ANY_METHOD = {"nginx": "passes any upper-case word", **_ANY_TOKEN}

METHODS = [
    *(passed(f"method {m.decode()}", "9110 9.1", get(method=m)) for m in _METHODS),
    passed(
        "method HEAD",
        "9110 9.3.2",
        get(method=b"HEAD"),
        upstream=(respond(crlf(b"HTTP/1.1 200 OK", b"Content-Length: 2")),),
        responses=(crlf(b"HTTP/1.1 200 OK", b"Content-Length: 2"),),
    ),
    *(
        refused(
            f"unknown method {m.decode()}",
            "9110 15.6.2",
            get(method=m),
            501,
            differs,
        )
        for m, differs in (
            (b"ECHOBREW", _ANY_METHOD),
            (b"GETT", _ANY_METHOD),
            (b"GE", _ANY_METHOD),
            (b"get", _ANY_TOKEN),
            (b"Get", _ANY_TOKEN),
            (b"X!#$%&'*+-.^_`|~1", _ANY_TOKEN),
        )
    ),
    refused("CONNECT", "9110 9.3.6", crlf(b"CONNECT a:80 HTTP/1.1", b"Host: a:80"), 405, {"haproxy": "tunnels"}),
    refused("TRACE", "9110 9.3.8", get(method=b"TRACE"), 405, {"haproxy": "passes TRACE"}),
    refused("method with a bracket", "9110 5.6.2", get(method=b"GE(T"), 400),
    refused("method with a high byte", "9110 5.6.2", get(method=b"G\xc9T"), 400),
]

_TARGETS = [
    b"/a/b/c",
    b"/a%2Fb",
    b"/a%2fb",
    b"/a%20b",
    b"/a+b",
    b"/a;x=1;y/b;z",
    b"/~user",
    b"/a:b@c",
    b"/a,b!$&'()*=",
    b"/a//b",
    b"//a",
    b"/a/",
    b"/a/./b",
    b"/a/../b",
    b"/a/%2e%2e/b",
    b"/..;/a",
    b"/a%5Cb",
    b"/%252e",
    b"/%41",
    b"/a%C3%A9",
    b"/a%E9",
    b"/-._~",
    b"/?",
    b"/a?",
    b"/a?b",
    b"/a?b=c&b=d&b",
    b"/a?b=c?d",
    b"/a?b=/../c",
    b"/a?b=%20+%2B",
    b"/a?q=%zz",
    b"/a?b=http://c/d",
    b"/a?&&==",
    b"/a?b[]=1&c{}=|",
    b"/" + b"a" * 3000,
    b"/?" + b"b=1&" * 700,
]
_HIGH_TARGETS = [b"/caf\xc3\xa9", b"/caf\xe9", b"/\xff\xfe", b"/?q=\xc3\xa9"]
_ODD_TARGETS = [
    b'/a"b',
    b"/a<b>",
    b"/a{b}",
    b"/a|b",
    b"/a\\b",
    b"/a^b",
    b"/a`b",
    b"/a[b]",
]
_HAPROXY_STRICT = {"haproxy": "refuses bytes over 0x7f in a target"}

TARGETS = [
    *(passed(f"target {t[:24].decode()}", "9112 3.2.1", get(t)) for t in _TARGETS),
    *(passed(f"odd target {t!r}", "9112 3.2.1", get(t)) for t in _ODD_TARGETS),
    *(passed(f"high bytes in target {t!r}", "9112 3.2.1", get(t), _HAPROXY_STRICT) for t in _HIGH_TARGETS),
    passed("target with a bad percent", "3986 2.1", get(b"/%zz/%"), {"nginx": "refuses a path it cannot decode"}),
    passed("dots above the root", "3986 5.2.4", get(b"/../../etc/passwd"), {"nginx": "refuses"}),
    passed("OPTIONS *", "9112 3.2.4", get(b"*", method=b"OPTIONS"), {"nginx": "refuses *"}),
    *(
        passed(
            f"absolute-form {target.decode()}",
            "9112 3.2.2: its authority replaces Host",
            crlf(method + b" " + target + b" HTTP/1.1", b"Host: ignored", b"X: 1"),
            {"nginx": "configured to pass Host as received", "haproxy": "refuses a Host that differs"},
            reaches=(crlf(method + b" " + target + b" HTTP/1.1", b"Host: " + host, b"X: 1"),),
        )
        for method, target, host in (
            (b"GET", b"http://b.example/x?y=z", b"b.example"),
            (b"GET", b"http://b.example:8080/x", b"b.example:8080"),
            (b"GET", b"HTTP://B.example/%2F;", b"B.example"),
            (b"GET", b"http://b.example", b"b.example"),
            (b"GET", b"http://b.example?q", b"b.example"),
            (b"GET", b"http://[::1]:81/x", b"[::1]:81"),
            (b"OPTIONS", b"http://b.example", b"b.example"),
        )
    ),
    refused("target with a fragment", "9112 3.2", get(b"/a#ECHO"), 400, {"nginx": "drops the fragment"}),
    refused("target with %00", "3986 7.3", get(b"/ECHO%00b"), 400, {"haproxy": "passes it"}),
    refused("target without a slash", "9112 3.2", get(b"ECHO"), 400),
    refused("GET *", "9112 3.2.4", get(b"*"), 400, {"haproxy": "passes it"}),
    refused("absolute-form with userinfo", "9110 4.2.4", get(b"http://u:ECHO@b/x"), 400),
    refused("absolute-form, other scheme", "9112 3.2.2", get(b"ftp://b/ECHO"), 400, {"nginx": "passes it"}),
    refused("absolute-form, no authority", "9110 4.2.1", get(b"http:///ECHO"), 400, {"haproxy": "passes it"}),
]

FIELDS = [
    passed(
        "order and case",
        "9110 5.3",
        get(b"/", b"zEbra: 1", b"Accept: */*", b"ALPHA: 2", b"accept-language: de", b"User-Agent: x"),
    ),
    passed("duplicates", "9110 5.3", get(b"/", b"X-A: 1", b"X-B: 2", b"X-A: 3", b"x-a: 4", b"X-A: 1")),
    passed("several Cookie fields", "6265 5.4", get(b"/", b"Cookie: a=1", b"Cookie: b=2; c=3")),
    passed("empty values", "9110 5.5", get(b"/", b"X-A:", b"X-B: ", b"X-C:\t", b"X-D: 1")),
    passed("obs-text", "9110 5.5", get(b"/", b"X-Latin: caf\xe9", b"X-Utf8: caf\xc3\xa9", b"X-High: \x80\xff")),
    passed("inner whitespace", "9110 5.5", get(b"/", b"X-A: a  b\tc", b"X-B:no space", b"X-C: \t padded \t ")),
    passed("every token character in a name", "9110 5.6.2", get(b"/", b"!#$%&'*+-.^_`|~09azAZ: 1")),
    passed("quotes, commas, backslashes", "9110 5.6.4", get(b"/", b'X-A: "a\\"b", c,, d;e="f,g"', b"X-B: <>@()[]{}?=")),
    passed("underscores", "9110 5.1", get(b"/", b"X_A: 1", b"Content_Length: 5", b"Transfer_Encoding: chunked")),
    passed("long value", "9110 5.4", get(b"/", b"X-Long: " + b"v" * 6000)),
    passed("many fields", "9110 5.4", get(b"/", *(b"X-%d: %d" % (i, i) for i in range(90)))),
    passed(
        "authorization and cookies", "9110 11.6.2", get(b"/", b"Authorization: Basic dTpw", b'Cookie: sid=1; b="q"')
    ),
    passed(
        "conditional and range",
        "9110 13.1",
        get(b"/", b'If-None-Match: W/"x", "y"', b"Range: bytes=0-9,-1", b'If-Range: "y"'),
    ),
    passed("accept-encoding", "9110 12.5.3", get(b"/", b"Accept-Encoding: gzip;q=1.0, br, *;q=0")),
    passed("host with port", "9110 7.2", crlf(b"GET / HTTP/1.1", b"X-First: 1", b"hOST: A.Example:8080", b"X: 2")),
    passed("host of an IPv6 literal", "9110 7.2", crlf(b"GET / HTTP/1.1", b"Host: [::1]:8080")),
    passed("empty line before the request", "9112 2.2", b"\r\n" + get(), reaches=(get(),)),
    passed(
        "early data and other unknown fields",
        "9110 5.1",
        get(b"/", b"Early-Data: 1", b"DNT: 1", b"Upgrade-Insecure-Requests: 1"),
    ),
]


def _stripped(id: str, fields: list[bytes], left: list[bytes], **changes: object) -> Case:
    values: dict[str, object] = {
        "differs": {"nginx": "passes fields named in Connection", "haproxy": "passes fields named in Connection"}
    }
    return passed(id, "9110 7.6.1", get(b"/", *fields), reaches=(get(b"/", *left),), **(values | changes))  # type: ignore[arg-type]


_HAPROXY_PASSES = {"haproxy": "passes it"}
HOP_BY_HOP = [
    _stripped("a field named in Connection", [b"X-A: 1", b"Connection: x-a", b"X-B: 2"], [b"X-B: 2"]),
    _stripped(
        "several, in lists with empty members",
        [b"Connection: ,X-A,, x-b ,", b"X-A: 1", b"X-B: 2", b"X-C: 3"],
        [b"X-C: 3"],
    ),
    _stripped("two Connection fields", [b"Connection: X-A", b"X-A: 1", b"X-B: 2", b"connection: x-b"], []),
    _stripped("every occurrence of it", [b"Connection: x-a", b"X-A: 1", b"x-A: 2"], []),
    _stripped("a named field that is not there", [b"Connection: X-A", b"X-B: 2"], [b"X-B: 2"], differs={}),
    _stripped("Cookie by name", [b"Connection: Cookie", b"Cookie: a=1"], []),
    _stripped(
        "X-Forwarded-For by name: ours is set after",
        [b"Connection: X-Forwarded-For", b"X-Forwarded-For: 6.6.6.6"],
        [],
        differs={},
    ),
    _stripped(
        "X-Request-Id by name",
        [b"Connection: X-Request-Id", b"X-Request-Id: abc"],
        [],
        differs={},
    ),
    _stripped(
        "Keep-Alive and Proxy-Connection",
        [b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"X: 1"],
        [b"X: 1"],
        differs={},
    ),
    _stripped("TE", [b"TE: trailers, deflate;q=0.5", b"Connection: TE", b"X: 1"], [b"X: 1"], differs=_HAPROXY_PASSES),
    _stripped("Upgrade that nobody may act on", [b"Upgrade: websocket", b"X: 1"], [b"X: 1"], differs=_HAPROXY_PASSES),
    passed(
        "Via cannot be stripped",
        "9110 7.6.3",
        get(b"/", b"Connection: Via", b"Via: 1.1 x"),
        reaches=(get(b"/", b"Via: 1.1 x, 1.1 strangler"),),
    ),
    passed(
        "Host cannot be stripped",
        "9110 7.6.1: not for fields meant for all recipients",
        get(b"/", b"Connection: Host"),
        reaches=(get(),),
    ),
    passed(
        "Content-Length cannot be stripped",
        "9112 6.3",
        crlf(b"POST / HTTP/1.1", b"Host: a", b"Connection: Content-Length", b"Content-Length: 3", body=b"abc"),
        reaches=(crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 3", body=b"abc"),),
    ),
    passed(
        "Connection: close ends the client's connection",
        "9112 9.6",
        get(b"/", b"Connection: close"),
        end="closed",
        reaches=(get(),),
    ),
    passed("close among others", "9112 9.6", get(b"/", b"Connection: foo, CLOSE"), end="closed", reaches=(get(),)),
]

FORWARDED = [
    passed(
        "forged X-Forwarded-*",
        "7239 8.1",
        get(b"/", b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: evil", b"X: 1"),
        reaches=(get(b"/", b"X: 1"),),
        added={b"x-forwarded-host": b"a"},
    ),
    passed(
        "forged X-Forwarded-For twice",
        "7239 8.1",
        get(b"/", b"x-forwarded-for: 6.6.6.6", b"X-Forwarded-For: 7.7.7.7"),
        reaches=(get(),),
    ),
    passed(
        "forged Forwarded",
        "7239 8.1",
        get(b"/", b"Forwarded: for=6.6.6.6;host=evil", b"X: 1"),
        {"nginx": "passes Forwarded", "haproxy": "passes Forwarded"},
        reaches=(get(b"/", b"X: 1"),),
    ),
    passed(
        "X-Forwarded-Host is the Host received",
        "7239 5.3",
        crlf(b"GET / HTTP/1.1", b"Host: Shop.example:81"),
        added={b"x-forwarded-host": rb"Shop\.example:81"},
    ),
    passed(
        "Via extended",
        "9110 7.6.3",
        get(b"/", b"Via: 1.0 fred, 1.1 p.example"),
        reaches=(get(b"/", b"Via: 1.0 fred, 1.1 p.example, 1.1 strangler"),),
    ),
    passed("X-Request-Id kept", "DESIGN 6", get(b"/", b"X-Request-ID: my-own-id-1")),
    passed(
        "traceparent kept",
        "trace-context 3.2",
        get(b"/", b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"tracestate: a=1"),
    ),
    passed(
        "X-Real-IP and X-Forwarded-Port are no business of ours",
        "DESIGN 6",
        get(b"/", b"X-Real-IP: 6.6.6.6", b"X-Forwarded-Port: 9"),
    ),
]

TRUSTED = [
    passed(
        "X-Forwarded-For extended",
        "7239 5.2",
        get(b"/", b"X-Forwarded-For: 192.0.2.1, 10.0.0.1"),
        reaches=(get(b"/", b"X-Forwarded-For: 192.0.2.1, 10.0.0.1, 127.0.0.1"),),
    ),
    passed(
        "X-Forwarded-Proto and -Host kept",
        "7239 5.4",
        get(b"/", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: shop.example"),
    ),
    passed(
        "Forwarded extended",
        "7239 4",
        get(b"/", b"Forwarded: for=192.0.2.1;proto=https", b"X: 1"),
        reaches=(get(b"/", b"X: 1"),),
        added={b"forwarded": rb"for=192\.0\.2\.1;proto=https, ?for=\"?127\.0\.0\.1.*"},
    ),
]

_ANY_BYTE = bytes(range(256))


def _post(*fields: bytes, body: bytes, method: bytes = b"POST", version: bytes = b"HTTP/1.1") -> bytes:
    return crlf(method + b" /p " + version, b"Host: a", *fields, body=body)


BODIES = [
    passed("Content-Length", "9112 6.2", _post(b"Content-Length: 11", body=b"hello world")),
    passed(
        "every byte value",
        "9112 6.2",
        _post(b"Content-Type: application/octet-stream", b"Content-Length: 256", body=_ANY_BYTE),
    ),
    passed("Content-Length: 0", "9112 6.2", _post(b"Content-Length: 0", body=b"")),
    passed(
        "Content-Length with spaces around",
        "9110 5.5",
        _post(b"Content-Length: \t3 ", body=b"abc"),
        {"nginx": "refuses the tab"},
    ),
    passed("POST without a length", "9112 6.3", _post(body=b"")),
    passed("GET with a body", "9110 9.3.1", _post(b"Content-Length: 3", body=b"abc", method=b"GET")),
    passed("DELETE with a body", "9110 9.3.5", _post(b"Content-Length: 3", body=b"abc", method=b"DELETE")),
    passed("QUERY with a body", "9110 9.1", _post(b"Content-Length: 3", body=b"abc", method=b"QUERY")),
    passed(
        "Content-Encoding untouched",
        "9110 8.4",
        _post(b"Content-Encoding: gzip", b"Content-Length: 4", body=b"\x1f\x8b\x08\x00"),
    ),
    passed(
        "chunked",
        "9112 7.1",
        _post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n"),
    ),
    passed("chunked, empty", "9112 7.1", _post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
    passed(
        "chunked, hex in both cases, leading zeros",
        "9112 7.1",
        _post(b"Transfer-Encoding: Chunked", body=b"00a\r\n0123456789\r\nB\r\n0123456789a\r\n000\r\n\r\n"),
        reaches=(_post(b"Transfer-Encoding: chunked", body=b"15\r\n01234567890123456789a\r\n0\r\n\r\n"),),
    ),
    passed(
        "chunk extensions",
        "9112 7.1.1",
        _post(b"Transfer-Encoding: chunked", body=b'3;a=b;c="d e"\r\nabc\r\n0;x\r\n\r\n'),
    ),
    passed(
        "chunked GET", "9112 6.1", _post(b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n", method=b"GET")
    ),
    passed(
        "chunks that look like requests",
        "9112 7.1",
        _post(b"Transfer-Encoding: chunked", body=b"1c\r\nGET /x HTTP/1.1\r\nHost: b\r\n\r\n\r\n0\r\n\r\n"),
    ),
    passed(
        "body that looks like a request",
        "9112 6.3",
        _post(b"Content-Length: 28", body=b"GET /x HTTP/1.1\r\nHost: b\r\n\r\n"),
    ),
    passed(
        "trailers",
        "9110 6.5.1: may be dropped",
        _post(b"Trailer: X-Sum", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n"),
        {"nginx": "drops trailers", "haproxy": "writes their names in lower case"},
    ),
]

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_EXPECTING = crlf(b"PUT /up HTTP/1.1", b"Host: a", b"Expect: 100-continue", b"Content-Length: 4")
_FORBIDDEN = crlf(b"HTTP/1.1 403 Forbidden", b"Content-Length: 2", body=b"no")
_NGINX_EXPECT = {"nginx": "answers Expect itself and does not pass it on"}

EXPECT = [
    passed(
        "100 comes from the upstream",
        "9110 10.1.1",
        b"",
        _NGINX_EXPECT,
        client=(_EXPECTING, until(b"100 Continue"), b"body"),
        upstream=(in_turn(read_head(), send(_CONTINUE), read_request(), send(OK)),),
        reaches=(_EXPECTING + b"body",),
        responses=(_CONTINUE, OK),
    ),
    passed(
        "a client that does not wait",
        "9110 10.1.1",
        b"",
        _NGINX_EXPECT,
        client=_EXPECTING + b"body",
        upstream=(in_turn(read_head(), send(_CONTINUE), read_request(), send(OK)),),
        reaches=(_EXPECTING + b"body",),
        responses=(_CONTINUE, OK),
    ),
    passed(
        "an upstream that sends no 100",
        "9110 10.1.1",
        b"",
        _NGINX_EXPECT,
        client=(_EXPECTING, rest(0.05), b"body"),
        reaches=(_EXPECTING + b"body",),
    ),
    passed(
        "chunked and in other letters",
        "9110 10.1.1",
        b"",
        _NGINX_EXPECT,
        client=(
            crlf(b"PUT / HTTP/1.1", b"Host: a", b"eXpect: 100-Continue", b"Transfer-Encoding: chunked"),
            until(b"100 Continue"),
            b"1\r\nx\r\n0\r\n\r\n",
        ),
        upstream=(in_turn(read_head(), send(_CONTINUE), read_request(), send(OK)),),
        reaches=(
            crlf(
                b"PUT / HTTP/1.1",
                b"Host: a",
                b"eXpect: 100-Continue",
                b"Transfer-Encoding: chunked",
                body=b"1\r\nx\r\n0\r\n\r\n",
            ),
        ),
        responses=(_CONTINUE, OK),
    ),
    passed(
        "a final answer instead of 100",
        "9110 10.1.1",
        b"",
        {**_NGINX_EXPECT, "haproxy": "keeps the connection and waits for the body"},
        client=_EXPECTING,
        upstream=(in_turn(read_head(), send(_FORBIDDEN)),),
        reaches=(_EXPECTING,),
        responses=(_FORBIDDEN,),
        end="closed",
        upstream_ends=True,
    ),
    refused(
        "an unknown expectation",
        "9110 10.1.1",
        get(b"/", b"Expect: ECHO-miracles"),
        417,
        {"nginx": "ignores it", "haproxy": "passes it"},
    ),
]

_OLD = b"HTTP/1.0"
_OLD_DIFFERS = {"haproxy": "passes 1.0 on as 1.0"}
_RESPONSE_BY_LENGTH = crlf(b"HTTP/1.1 200 OK", b"Content-Length: 2", body=b"ok")

OLD_CLIENTS = [
    passed(
        "HTTP/1.0 ends after one answer",
        "9112 9.3",
        get(version=_OLD),
        _OLD_DIFFERS,
        reaches=(get(),),
        end="closed",
        added={b"via": rb"1\.[01] strangler"},
    ),
    passed(
        "HTTP/1.0 keep-alive",
        "9112 9.3",
        get(b"/", b"Connection: keep-alive", version=_OLD),
        _OLD_DIFFERS,
        reaches=(get(),),
        added={b"via": rb"1\.[01] strangler"},
    ),
    passed(
        "HTTP/1.0 with a body",
        "9112 6.3",
        _post(b"Content-Length: 3", body=b"abc", version=_OLD),
        _OLD_DIFFERS,
        reaches=(_post(b"Content-Length: 3", body=b"abc"),),
        end="closed",
        added={b"via": rb"1\.[01] strangler"},
    ),
    passed(
        "HTTP/1.0 gets no chunks",
        "9112 6.1",
        get(version=_OLD),
        _OLD_DIFFERS,
        reaches=(get(),),
        added={b"via": rb"1\.[01] strangler"},
        end="closed",
        upstream=(
            respond(crlf(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")),
        ),
        responses=(crlf(b"HTTP/1.1 200 OK", body=b"abcde"),),
    ),
    passed(
        "HTTP/1.0 keep-alive cannot be kept for a body without a length",
        "9112 6.1",
        get(b"/", b"Connection: keep-alive", version=_OLD),
        _OLD_DIFFERS,
        reaches=(get(),),
        added={b"via": rb"1\.[01] strangler"},
        end="closed",
        upstream=(respond(crlf(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n")),),
        responses=(crlf(b"HTTP/1.1 200 OK", body=b"abc"),),
    ),
    passed(
        "HTTP/1.0 gets no 1xx",
        "9110 15.2",
        get(version=_OLD),
        {**_OLD_DIFFERS, "nginx": "does not know 103"},
        reaches=(get(),),
        added={b"via": rb"1\.[01] strangler"},
        end="closed",
        upstream=(respond(crlf(b"HTTP/1.1 103 Early Hints", b"Link: </a>") + OK),),
    ),
]


def _numbered(number: int, method: bytes = b"GET") -> tuple[bytes, bytes]:
    body = b"answer %d" % number
    return get(b"/%d" % number, method=method), crlf(b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), body=body)


_PAIRS = [_numbered(i) for i in range(5)]
_POSTED = _post(b"Content-Length: 5", body=b"first")
_CHUNKED = _post(b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n")
_HEAD_RESPONSE = crlf(b"HTTP/1.1 200 OK", b"Content-Length: 99")

PIPELINING = [
    Case(
        "five requests at once",
        "9112 9.3.2",
        b"".join(q for q, _ in _PAIRS),
        tuple(respond(a) for _, a in _PAIRS),
        tuple(q for q, _ in _PAIRS),
        tuple(a for _, a in _PAIRS),
    ),
    Case(
        "answers keep their order",
        "9112 9.3.2",
        b"".join(q for q, _ in _PAIRS[:2]),
        (in_turn(read_request(), pause(0.05), send(_PAIRS[0][1])), respond(_PAIRS[1][1])),
        tuple(q for q, _ in _PAIRS[:2]),
        tuple(a for _, a in _PAIRS[:2]),
    ),
    Case(
        "bodies between them",
        "9112 9.3.2",
        _POSTED + _CHUNKED + get(),
        (respond(OK),),
        (_POSTED, _CHUNKED, get()),
        (OK, OK, OK),
    ),
    Case(
        "HEAD between them",
        "9112 9.3.2",
        get(b"/1", method=b"HEAD") + get(b"/2"),
        (respond(_HEAD_RESPONSE), respond(OK)),
        (get(b"/1", method=b"HEAD"), get(b"/2")),
        (_HEAD_RESPONSE, OK),
    ),
    Case(
        "nothing is read behind close",
        "9112 9.6",
        get(b"/1", b"Connection: close") + get(b"/2"),
        (respond(OK),),
        (get(b"/1"),),
        (OK,),
        end="closed",
    ),
    Case("empty lines between them", "9112 2.2", _POSTED + b"\r\n" + get(), (respond(OK),), (_POSTED, get()), (OK, OK)),
]

EARLY = [
    Case(
        "an answer before the upload is read",
        "9112 9.3",
        crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 100000", body=b"x" * 10),
        (
            in_turn(
                read_head(), send(crlf(b"HTTP/1.1 413 Too Big", b"Content-Length: 2", b"Connection: close", body=b"no"))
            ),
        ),
        (crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 100000", body=b"x" * 10),),
        (crlf(b"HTTP/1.1 413 Too Big", b"Content-Length: 2", body=b"no"),),
        end="closed",
        upstream_ends=True,
        differs={"haproxy": "keeps the connection and waits for the rest of the body"},
    ),
    Case(
        "an answer while the upload runs, which then goes on",
        "9112 9.3",
        (crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 4", body=b"ab"), until(b"early"), b"cd"),
        (
            in_turn(
                read_until(b"ab"),
                send(crlf(b"HTTP/1.1 200 OK", b"Content-Length: 9", body=b"early")),
                read_request(),
                send(b"late"),
            ),
        ),
        (crlf(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 4", body=b"abcd"),),
        (crlf(b"HTTP/1.1 200 OK", b"Content-Length: 9", body=b"earlylate"),),
        end="closed",  # it was said in the head, when nobody knew yet whether the upload would end
        differs={"nginx": "keeps the connection, lawfully", "haproxy": "keeps the connection, lawfully"},
    ),
]

CASES = [*METHODS, *TARGETS, *FIELDS, *HOP_BY_HOP, *FORWARDED, *BODIES, *EXPECT, *OLD_CLIENTS, *PIPELINING, *EARLY]


@pytest.mark.parametrize(("case", "delivery"), deliveries(CASES))
async def test_requests_arrive_as_they_were_sent(
    case: Case, delivery: Delivery, ours: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    await run(case, ours, raw_upstream, delivery)


@pytest.mark.parametrize("case", TRUSTED, ids=lambda case: case.id)
async def test_forwarded_fields_of_a_trusted_proxy_are_extended(
    case: Case, ours_trusting: Proxy, raw_upstream: ScriptedUpstream
) -> None:
    await run(case, ours_trusting, raw_upstream)
