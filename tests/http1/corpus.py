"""Raw requests from the literature on request smuggling and from the corners of RFC 9110 and 9112.

Each is what a client sends on a connection of its own. `@@` stands for the mark by which the upstream knows the case;
it is of a fixed length, so that lengths in a case stay true. A case need not be wrong: what is fine belongs here as
well, since a proxy may not take away what all others pass.
"""

from dataclasses import dataclass

MARK_LENGTH = 8


def mark(number: int) -> bytes:
    return b"zz%04dzz" % number


@dataclass(frozen=True, slots=True)
class Bytes:
    """`id` is what docs/security.md calls it."""

    id: str
    sent: bytes

    def marked(self, number: int) -> bytes:
        return self.sent.replace(b"@@", mark(number))


def _request(*fields: bytes, line: bytes = b"POST /@@ HTTP/1.1", body: bytes = b"", host: bytes = b"Host: a") -> bytes:
    lines = [line, *([host] if host else []), *fields]
    if b"@@" not in line + body:
        lines.append(b"X-Case: @@")
    return b"".join(each_line + b"\r\n" for each_line in lines) + b"\r\n" + body


def _get(*fields: bytes, line: bytes = b"GET /@@ HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    return _request(*fields, line=line, host=host)


_SECOND = b"GET /smuggled/@@ HTTP/1.1\r\nHost: a\r\n\r\n"
_CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
_CL, _TE = b"Content-Length: 5", b"Transfer-Encoding: chunked"


def _printable(value: bytes) -> str:
    """For an id: one line of ASCII that can stand in a table's cell."""
    long = f"... ({len(value)} bytes)" if len(value) > 60 else ""
    return repr(value[: 28 if long else 60])[2:-1].replace("|", "\\x7c").replace("`", "\\x60") + long


_LENGTHS = [
    Bytes(f"Content-Length: {_printable(value)}", _request(b"Content-Length:" + value, body=b"hello"))
    for value in (
        b" 5", b"5", b"\t5", b" 5 ", b" 05", b" 0000000005", b" +5", b" -5", b" 5.0", b" 5e0", b" 0x5", b" 5,5",
        b" 5, 5",
        b" 5;q=1", b" 5 5", b"", b" ", b" five", b" \x0b5", b" \x0c5", b" 5\x00", b" \xd9\xa5", b' "5"', b" 5_0",
        b" 18446744073709551621", b" 9223372036854775808", b" 99999999999999999999", b" 5\r ", b"\r\n 5",
    )
]  # fmt: skip

_CODINGS = [
    Bytes(f"Transfer-Encoding: {_printable(value)}", _request(b"Transfer-Encoding:" + value, body=_CHUNKS))
    for value in (
        b" chunked", b"chunked", b" Chunked", b" CHUNKED", b"\tchunked", b" chunked ", b" chunked\t", b" \x0bchunked",
        b" \x0cchunked", b" chunked\x00", b" xchunked", b" chunkedx", b' "chunked"', b" 'chunked'", b" chunked;q=1",
        b" chunked, chunked", b" chunked,", b" ,chunked", b" identity", b" identity, chunked", b" chunked, identity",
        b" gzip, chunked", b" gzip", b" deflate;chunked", b"\r\n chunked", b" chun\r\n ked", b" \xffchunked", b"",
        b" chunked\r", b" x\nchunked", b" chunked\x0b", b" chunked\xa0", b" trailers", b" cow", b" cow, chunked",
    )
]  # fmt: skip

_NAMES = [
    Bytes(f"field line {_printable(line)}", _request(line, body=body))
    for line, body in (
        (b"Transfer-Encoding : chunked", _CHUNKS),
        (b"Transfer-Encoding\t: chunked", _CHUNKS),
        (b" Transfer-Encoding: chunked", _CHUNKS),
        (b"Transfer_Encoding: chunked", b""),
        (b"Transfer-Encoding\x00: chunked", _CHUNKS),
        (b"Transfer-\x00Encoding: chunked", _CHUNKS),
        (b"Transfer-Encoding\x0b: chunked", _CHUNKS),
        (b"\x00Transfer-Encoding: chunked", _CHUNKS),
        (b"\xffTransfer-Encoding: chunked", _CHUNKS),
        (b"Content-Length : 5", b"hello"),
        (b"Content_Length: 5", b""),
        (b"X-A: b\nTransfer-Encoding: chunked", _CHUNKS),
        (b"X-A: b\rTransfer-Encoding: chunked", _CHUNKS),
        (b"X-A: b\r\n Transfer-Encoding: chunked", b""),
        (b"X-A: b\r\n\tcontinued", b""),
        (b"X-A: b\x00c", b""),
        (b"X-A: b\x01c", b""),
        (b"X-A: b\x7fc", b""),
        (b"X-A: b\x1bc", b""),
        (b"X-A: caf\xc3\xa9", b""),
        (b"X-A: \x80\xff", b""),
        (b"X-A:", b""),
        (b": no name", b""),
        (b"no colon", b""),
        (b"X A: b", b""),
        (b"X(A): b", b""),
        (b"X\xe9: b", b""),
        (b"X-A: b\r", b""),
        (b"!#$%&'*+-.^_`|~: b", b""),
        (b"\r\n", b""),
    )
]

_BOTH = [
    Bytes("CL then TE", _request(_CL, _TE, body=_CHUNKS)),
    Bytes("TE then CL", _request(_TE, _CL, body=_CHUNKS)),
    Bytes("CL.TE with a hidden request", _request(b"Content-Length: 52", _TE, body=b"0\r\n\r\n" + _SECOND)),
    Bytes(
        "TE.CL with a hidden request", _request(_TE, b"Content-Length: 4", body=b"29\r\n" + _SECOND + b"\r\n0\r\n\r\n")
    ),
    Bytes("CL 0 and TE", _request(b"Content-Length: 0", _TE, body=_CHUNKS)),
    Bytes("two equal CL", _request(_CL, _CL, body=b"hello")),
    Bytes("two CL", _request(_CL, b"Content-Length: 6", body=b"hello!")),
    Bytes("CL 0 and CL 5", _request(b"Content-Length: 0", _CL, body=b"hello")),
    Bytes("two TE chunked", _request(_TE, _TE, body=_CHUNKS)),
    Bytes("TE chunked and identity", _request(_TE, b"Transfer-Encoding: identity", body=_CHUNKS)),
    Bytes("TE identity and chunked", _request(b"Transfer-Encoding: identity", _TE, body=_CHUNKS)),
    Bytes("CL, and TE misspelt", _request(_CL, b"Transfer-Encodin: chunked", body=b"hello")),
    Bytes("TE on HTTP/1.0", _request(_TE, line=b"POST /@@ HTTP/1.0", body=_CHUNKS)),
    Bytes("TE and CL on HTTP/1.0", _request(_CL, _TE, line=b"POST /@@ HTTP/1.0", body=_CHUNKS)),
    Bytes("CL on HTTP/1.0", _request(_CL, line=b"POST /@@ HTTP/1.0", body=b"hello")),
    Bytes("GET with CL", _request(_CL, line=b"GET /@@ HTTP/1.1", body=b"hello")),
    Bytes("GET with TE", _request(_TE, line=b"GET /@@ HTTP/1.1", body=_CHUNKS)),
    Bytes("HEAD with CL", _request(_CL, line=b"HEAD /@@ HTTP/1.1", body=b"hello")),
    Bytes("DELETE with CL", _request(_CL, line=b"DELETE /@@ HTTP/1.1", body=b"hello")),
    Bytes("OPTIONS with TE", _request(_TE, line=b"OPTIONS /@@ HTTP/1.1", body=_CHUNKS)),
    Bytes("POST without a length", _request()),
    Bytes("CL 0 before another request", _request(b"Content-Length: 0", body=_SECOND)),
    Bytes("CL shorter than the body", _request(b"Content-Length: 3", body=b"hello")),
]

_BODIES = [
    Bytes(f"chunks {_printable(body)}", _request(_TE, body=body))
    for body in (
        b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"05\r\nhello\r\n0\r\n\r\n",
        b"000000000000005\r\nhello\r\n0\r\n\r\n",
        b"0000000000000000000005\r\nhello\r\n0\r\n\r\n", b"5;a=b\r\nhello\r\n0\r\n\r\n",
        b"5;a\r\nhello\r\n0;b\r\n\r\n",
        b'5;a="b;c"\r\nhello\r\n0\r\n\r\n', b"5 ;a\r\nhello\r\n0\r\n\r\n", b"5; a = b\r\nhello\r\n0\r\n\r\n",
        b"5;\r\nhello\r\n0\r\n\r\n", b"5;;\r\nhello\r\n0\r\n\r\n", b"5;a\nhello\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5;a\x00\r\nhello\r\n0\r\n\r\n", b"5;" + b"a" * 900 + b"\r\nhello\r\n0\r\n\r\n",
        b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n",
        b"5\t\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"5_\r\nhello\r\n0\r\n\r\n", b"\r\n5\r\nhello\r\n0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n",
        b"5\rhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n", b"5\r\nhello\r\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\n\n", b"5\r\nhello\r\n0\r\n\n", b"5\r\nhello\r\n0\r\rX", b"5\r\nhello\r\n00\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", b"5\r\nhello\r\n0\r\nX y\r\n\r\n", b"5\r\nhello\r\n0\r\n: y\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX : y\r\n\r\n", b"5\r\nhello\r\n0\r\nX: y\r\n folded\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX: y\nZ: w\r\n\r\n", b"5\r\nhello\r\n0\r\nX: y\x00\r\n\r\n",
        b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n", b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"5\r\nhello\r\n0\r\nHost: b\r\n\r\n", b"5\r\nhello\r\n0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
        b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n", b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        b"100000005\r\nhello\r\n0\r\n\r\n", b"g\r\nhello\r\n0\r\n\r\n", b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n",
        b"5\x00\r\nhello\r\n0\r\n\r\n", b"5\x0b\r\nhello\r\n0\r\n\r\n", b"A\r\nhellohello\r\n0\r\n\r\n",
        b"a\r\nhellohello\r\n0\r\n\r\n", b"5\r\nhello\r\n", b"5\r\nhel", b"0\r\n\r\n" + _SECOND,
        b"0\r\n" + _SECOND,
    )
]  # fmt: skip

_LINES = [
    Bytes(f"request line {_printable(line)}", _get(line=line))
    for line in (
        b"GET  /@@ HTTP/1.1", b"GET /@@  HTTP/1.1", b" GET /@@ HTTP/1.1", b"GET /@@ HTTP/1.1 ", b"GET\t/@@\tHTTP/1.1",
        b"GET /@@\tHTTP/1.1", b"GET /@@ a HTTP/1.1", b"GET /@@", b"GET /@@ ", b"/@@ HTTP/1.1", b"GET",
        b"GET /@@ HTTP/1.1\r",
        b"GET /@@\x00 HTTP/1.1", b"GET /@@\x0b HTTP/1.1", b"GET /@@\x7f HTTP/1.1", b"GET /@@\r HTTP/1.1",
        b"GET\x00 /@@ HTTP/1.1",
        b"GET /@@ HTTP/1.2", b"GET /@@ HTTP/1.9", b"GET /@@ HTTP/0.9", b"GET /@@ HTTP/1", b"GET /@@ HTTP/1.",
        b"GET /@@ HTTP/1.10",
        b"GET /@@ HTTP/01.1", b"GET /@@ HTTP/2.0", b"GET /@@ HTTP/3.0", b"GET /@@ http/1.1", b"GET /@@ HTTP /1.1",
        b"GET /@@ HTTP/1,1",
        b"GET /@@ HTTP/+1.1", b"GET /@@ HTTP/1.1x", b"GET /@@ ICY/1.1", b"GET /@@ HTTP/\xb1.1", b"GET /@@ HTTP/1.0",
        b"get /@@ HTTP/1.1", b"Get /@@ HTTP/1.1", b"G\xc9T /@@ HTTP/1.1", b"GET: /@@ HTTP/1.1", b"(GET) /@@ HTTP/1.1",
        b"BREW /@@ HTTP/1.1", b"PRI /@@ HTTP/1.1", b"PRI * HTTP/2.0", b"TRACE /@@ HTTP/1.1", b"TRACK /@@ HTTP/1.1",
        b"DEBUG /@@ HTTP/1.1",
        b"CONNECT a:80 HTTP/1.1", b"CONNECT /@@ HTTP/1.1", b"PROPFIND /@@ HTTP/1.1", b"QUERY /@@ HTTP/1.1",
        b"PURGE /@@ HTTP/1.1",
        b"SOURCE /@@ HTTP/1.1", b"MKACTIVITY /@@ HTTP/1.1",
        b"GET @@ HTTP/1.1", b"GET *@@ HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET * HTTP/1.1", b"GET ?@@ HTTP/1.1",
        b"GET /@@#f HTTP/1.1", b"GET /@@?a#f HTTP/1.1", b"GET /@@%00 HTTP/1.1", b"GET /@@%0d%0aX:%20y HTTP/1.1",
        b"GET /@@%zz HTTP/1.1", b"GET /@@/%2e%2e/a HTTP/1.1", b"GET /@@/../../../a HTTP/1.1", b"GET /../@@ HTTP/1.1",
        b"GET //@@ HTTP/1.1", b"GET /@@\\a HTTP/1.1", b'GET /@@"a HTTP/1.1', b"GET /@@<a> HTTP/1.1",
        b"GET /@@{a}|^`[ HTTP/1.1",
        b"GET /@@\xc3\xa9 HTTP/1.1", b"GET /@@\xff HTTP/1.1", b"GET /@@;a=b HTTP/1.1", b"GET /@@%u002e HTTP/1.1",
        b"GET /@@?a=\x1b[31m HTTP/1.1", b"GET \\@@ HTTP/1.1",
        b"GET /@@/" + b"a" * 7000 + b" HTTP/1.1", b"GET /@@/" + b"a" * 40000 + b" HTTP/1.1",
    )
]  # fmt: skip

_ABSOLUTE = [
    Bytes(f"absolute target {_printable(target)}", _get(line=b"GET " + target + b" HTTP/1.1"))
    for target in (
        b"http://a/@@", b"http://b/@@", b"HTTP://a/@@", b"https://a/@@", b"http://a:80/@@", b"http://a:0/@@",
        b"http://a:99999/@@",
        b"http://a:/@@", b"http://u@a/@@", b"http://u:p@a/@@", b"http://a@b/@@", b"http:///@@", b"http:/a/@@",
        b"http:a/@@",
        b"http://a?@@", b"http://a#@@", b"http://a\\b/@@", b"http://a/@@#f", b"http://[::1]/@@", b"http://[::1/@@",
        b"http://a b/@@",
        b"http://a%00b/@@", b"http://169.254.169.254/@@", b"http://a,b/@@", b"ftp://a/@@", b"file:///@@",
        b"javascript:@@",
        b"ws://a/@@", b"a:80/@@", b"//a/@@", b"http://a/http://b/@@", b"http://", b"http://\xc3\xa9/@@",
    )
]  # fmt: skip

_HOSTS = [
    Bytes(f"host {_printable(lines)}", _get(host=lines))
    for lines in (
        b"", b"Host:", b"Host: a\r\nHost: a", b"Host: a\r\nHost: b", b"Host: a\r\nhost: b", b"Host : a",
        b"Host: a b", b"Host: a,b",
        b"Host: a/b", b"Host: a?b", b"Host: a#b", b"Host: a@b", b"Host: u:p@b", b"Host: a:80", b"Host: a:",
        b"Host: a:b", b"Host: a:80:80",
        b"Host: a:99999", b"Host: a:999999", b"Host: [::1]", b"Host: [::1]:80", b"Host: [::1", b"Host: [a]",
        b"Host: a\x00b",
        b"Host: a\tb", b"Host: a\\b", b"Host: \xc3\xa9", b"Host: a%00", b"Host: a%2fb", b"Host: ..",
        b"Host: a\r\n b", b"Host: a_b",
        b"Host: http://a", b"Host: 'a'", b'Host: "a"', b"Host: <a>", b"Host: a;b", b"Host: *", b"Host: " + b"a" * 300,
    )
]  # fmt: skip

_WEBSOCKET = (
    b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
)  # fmt: skip

_HOP = [
    Bytes(f"hop {_printable(b', '.join(lines))}", _get(*lines))
    for lines in (
        (b"Connection: X-A", b"X-A: b"), (b"Connection: Host",), (b"Connection: Content-Length",),
        (b"Connection: X-Forwarded-For",),
        (b"Connection: Authorization", b"Authorization: b"), (b"Connection: close, X-A", b"X-A: b"),
        (b"Connection: \x00",),
        (b"Connection: a b",), (b"Connection: ,,,",), (b"Connection: close", b"Connection: keep-alive"),
        (b"Proxy-Connection: close",),
        (b"Keep-Alive: timeout=1",), (b"TE: trailers",), (b"Connection: TE", b"TE: trailers"), (b"TE: gzip",),
        (b"Upgrade: websocket", b"Connection: Upgrade"), _WEBSOCKET, (*_WEBSOCKET, b"Sec-WebSocket-Version: 0"),
        (b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
        (b"Upgrade: h2c",), (b"Upgrade: TLS/1.0", b"Connection: Upgrade"),
        (b"Upgrade: websocket, h2c", b"Connection: Upgrade"),
        (b"Upgrade: \x00", b"Connection: Upgrade"), (b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",),
        (b"Expect: 100-continue",), (b"Expect: 100-Continue",), (b"Expect: 200-ok",),
        (b"Expect: 100-continue, 100-continue",),
        (b"Expect: ",), (b"Expect: 100-continue\x00",), (b"Via: 1.1 a", b"Via: 1.1 b"), (b"Max-Forwards: 0",),
        (b"Trailer: X",),
        (b"X-Forwarded-For: 1.2.3.4, \x80",), (b"Forwarded: for=1.2.3.4",), (b"Content-Encoding: gzip",),
        (b"Range: bytes=0-", b"Range: bytes=1-"),
        (b"Cookie: a=b", b"Cookie: c=d"), (b"Authorization: a", b"Authorization: b"),
        (b"X-HTTP-Method-Override: DELETE",),
        (b"X-Original-URL: /admin",), (b"Proxy: http://b",),
    )
]  # fmt: skip

_EXPECTING = [
    Bytes("Expect with a body", _request(b"Expect: 100-continue", _CL, body=b"hello")),
    Bytes("Expect on HTTP/1.0", _request(b"Expect: 100-continue", _CL, line=b"POST /@@ HTTP/1.0", body=b"hello")),
    Bytes(
        "Upgrade h2c with a body",
        _request(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 45", body=_SECOND + b"12"),
    ),
    Bytes(
        "Upgrade websocket with a body",
        _request(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 5", body=b"hello"),
    ),
    Bytes("Upgrade websocket, chunked", _request(b"Connection: Upgrade", b"Upgrade: websocket", _TE, body=_CHUNKS)),
]

_STREAMS = [
    Bytes("two requests", _get() + _get()),
    Bytes("a request, then garbage", _get() + b"\x00\x01\x02\r\n\r\n"),
    Bytes("a request, then a bad framing", _get() + _request(_CL, _TE, body=_CHUNKS)),
    Bytes("a body, then a request", _request(_CL, body=b"hello") + _get()),
    Bytes("chunks, then a request", _request(_TE, body=_CHUNKS) + _get()),
    Bytes("close, then a request", _get(b"Connection: close") + _get()),
    Bytes("HTTP/1.0, then a request", _get(line=b"GET /@@ HTTP/1.0") + _get()),
    Bytes("an empty line before", b"\r\n" + _get()),
    Bytes("three empty lines before", b"\r\n\r\n\r\n" + _get()),
    Bytes("LF before", b"\n" + _get()),
    Bytes("a space before", b" \r\n" + _get()),
    Bytes("an empty line between", _get() + b"\r\n" + _get()),
    Bytes("bare LF everywhere", _get().replace(b"\r\n", b"\n")),
    Bytes("bare LF ends the head", b"GET /@@ HTTP/1.1\r\nHost: a\r\n\n"),
    Bytes("bare LF ends one line", b"GET /@@ HTTP/1.1\nHost: a\r\n\r\n"),
    Bytes("bare CR everywhere", _get().replace(b"\r\n", b"\r")),
    Bytes("CR CR LF", b"GET /@@ HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    Bytes("a fold before the first field", b"GET /@@ HTTP/1.1\r\n Host: a\r\n\r\n"),
    Bytes("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03@@\r\n\r\n"),
    Bytes("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00@@"),
    Bytes("PROXY protocol", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + _get()),
    Bytes("an answer", b"HTTP/1.1 200 OK\r\nX: @@\r\n\r\n"),
    Bytes("a head cut short", b"GET /@@ HTTP/1.1\r\nHost: a\r\n"),
    Bytes("150 fields", _get(*(b"X-%d: y" % i for i in range(150)))),
    Bytes("2000 fields", _get(*(b"X-%d: y" % i for i in range(2000)))),
    Bytes("a field of 10 KB", _get(b"X-A: " + b"b" * 10_000)),
    Bytes("a field of 90 KB", _get(b"X-A: " + b"b" * 90_000)),
    Bytes("a name of 9 KB", _get(b"X" * 9000 + b": b")),
    Bytes("a NUL in a body", _request(b"Content-Length: 2", body=b"\x00\x00")),
]

CORPUS = [
    *_LENGTHS, *_CODINGS, *_NAMES, *_BOTH, *_BODIES, *_LINES, *_ABSOLUTE, *_HOSTS, *_HOP, *_EXPECTING, *_STREAMS,
]  # fmt: skip
