"""Foreign files of any bytes: read, or refused with a message; never anything else, and in linear time."""

import gzip
import io
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.imports.log_reading import CallsState, recognised
from strangler.imports.recognise import Listing, read
from strangler.imports.source_bytes import MAX_LINE_BYTES, SourceState
from strangler.imports.text_formats import TEXT_FORMATS
from strangler.imports.values import ImportOptions, ImportRefusedError, LoggedCall, Unread
from tests.fuzz.effort import examples

LOGS = [
    b'203.0.113.7 - - [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 5 "-" "curl/8"\n',
    b'shop.example:80 2001:db8::7 - Ana [10/Oct/2000:13:55:36 -0700] "GET http://x/a\\x22 HTTP/1.1" 200 5 "-" '
    b'"c" 1 "r" "u" 2ms\n',
    b"Oct 10 13:55:36 lb haproxy[7]: 203.0.113.7:4711 [10/Oct/2000:13:55:36.500] w a/b 0/0/1/7/9 200 5 - - ---- "
    b'9/9/1/1/0 0/0 {shop.example|curl/8} "GET /a#22 HTTP/1.1"\n',
    b"https 2000-10-10T20:55:36.250000Z app/shop/50dc 203.0.113.7:2817 - -1 0.1 0.1 200 - 34 366 "
    b'"GET https://x:443/a HTTP/1.1" "curl/8" - -\n',
    b'[2000-10-10T20:55:36.250Z] "GET /a HTTP/1.1" 200 - 0 135 14 9 "-" "curl/8" "3f8e" "shop.example" "10.0.0.1:80"\n',
    b"2026-11-23T08:00:00.123Z [info     ] request      method=GET path='/a=' route=None status=200 "
    b"duration_ms=1.5 pid=7\n",
    b'{"time":"2026-11-23T08:00:00.123Z","event":"request","method":"GET","path":"/x\\\\xff","status":200,'
    b'"duration_ms":1.5}\n',
    b'{"RequestMethod":"GET","RequestPath":"/a","StartUTC":"2024-12-29T11:42:47Z","DownstreamStatus":200,"Duration":5}\n',
    b'{"ts":971211336.5,"request":{"method":"GET","host":"x","uri":"/a","headers":{"User-Agent":["c"]}},"status":200}\n',
    b"#Fields: date time cs-method cs-uri-stem cs-uri-query sc-status cs(User-Agent) time-taken\n"
    b"2000-10-10 20:55:36 GET /a b=c 200 Mozilla/5.0+(X11) 46\n",
    b'{"msec":"971211336.5","request":"GET /a\\x22b HTTP/1.1","status":"200","request_time":"0.1","args":"b=c"}\n',
]
DOCUMENTS = [
    json.dumps(
        {
            "openapi": "3.1.0",
            "servers": [{"url": "https://x/{a}", "variables": {"a": {"enum": ["b", "c"], "default": "b"}}}],
            "paths": {"/a/{b}": {"get": {}, "post": {"servers": [{"url": "/x"}]}}, "/c": {"$ref": "#/paths/~1a~1{b}"}},
        }
    ).encode(),
    b"openapi: 3.0.0\nservers: [{url: /v1}]\npaths:\n  /a/{b}: &x\n    get: {}\n  /c: *x\n"
    b"  /d: {$ref: '#/paths/~1c'}\n",
    b'{"contexts":{"x":{"mappings":{"dispatcherServlets":{"d":[{"predicate":"{GET || PUT [/a/**]}","details":'
    b'{"requestMappingConditions":{"methods":["GET"],"patterns":["/a/{*b}"]}}}]}}}}}',
    b'[{"domain":null,"method":"GET|HEAD","uri":"a/{b?}","middleware":["x"]},{"method":"POST","uri":"/"}]',
    b"[ { path: '/a/:b', methods: [ 'GET', 'PUT' ], middlewares: [] } ]\n",
    b"   Prefix Verb URI Pattern Controller#Action\n a GET /a/:id(.:format) a#b\n b /b Blog::Engine\n\n"
    b"Routes for Blog::Engine:\n c PUT|PATCH (/:d)/c/*e f#g\n",
    b"--[ Route 1 ]---\nPrefix | a\nVerb | GET\nURI | /a(/:b(/:c))\n",
    b"Endpoint Methods Rule\n-------- ------- ----\na GET, POST /a/<path:b>\n",
    b"/a/<int:b>/\tc.d\te\n/f/(?P<g>[0-9]{4})/\\d+/$\th\n  GET|HEAD  i/{j} ..... k\nGET /l/{m:[a-z]{2}}/**\n",
    b'{"log":{"entries":[{"startedDateTime":"2024-01-01T00:00:00.000Z","time":1,"request":{"method":"GET",'
    b'"url":"https://x/a?b","headers":[{"name":"User-Agent","value":"c"}]},"response":{"status":200}}]}}',
]
SCRAPS = [
    b"", b"\n", b"\r\n", b" ", b'"', b"'", b"\\", b"\\x", b"\\x2", b"[", b"]", b"{", b"}", b"(", b")", b"<", b">", b"/",
    b"//", b"?", b"#", b"%", b":", b"*", b"|", b",", b"-", b".", b"0", b"9" * 30, b"1e999", b"null", b"[]", b"{}",
    b"true", b"-1", b"\xff", b"\xc3\xa9", b"\x00", b"\x1b[31m", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"https://",
    b"http://u:p@[::1]:80", b"CONNECT x:443", b"OPTIONS *", b"&a", b"*a", b"<<: *x",
    b"!!python/name:os.system", b"#/", b"..", b"{...}", b"\t",
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, whole: list[bytes]) -> bytes:
    """One to three of `whole`, one behind the other, with some damage."""
    data = b"".join(draw(st.lists(st.sampled_from(whole), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.sampled_from(SCRAPS)) + data[at + draw(st.sampled_from([0, 0, 1, 2, 10])) :]
    return data


FILES = damaged(LOGS) | damaged(DOCUMENTS) | st.binary(max_size=200) | st.lists(st.sampled_from(SCRAPS)).map(b"".join)
OPTIONS = st.sampled_from(
    [
        ImportOptions(),
        ImportOptions(),
        ImportOptions(host="x"),
        ImportOptions({"path": "request.uri", "time": "ts", "method": "request.method", "caller": "request.headers"}),
    ]
)


def check(data: bytes, options: ImportOptions) -> None:
    """Read all of a file; what comes out is of the kinds that are promised."""
    try:
        found = read(SourceState(io.BytesIO(data), "file"), options)
        if isinstance(found, CallsState):
            for call in found:
                assert type(call) is LoggedCall
                assert (call.path + call.query).isascii()
                assert call.path[:1] in (b"/", b"*")
                assert call.method.isascii()
                assert 0 < len(call.method) <= 32
                call.caller.encode()
                call.host.encode()
                assert call.at is None or 0 <= call.at < 1e12
                assert call.status is None or 0 < call.status < 1000
        else:
            assert isinstance(found, Listing)
            for endpoint in found.endpoints:
                assert endpoint.template.startswith("/")
                endpoint.template.encode()
        found.summary.sentences()
    except ImportRefusedError as error:
        message = str(error)
        message.encode()
        assert message.isprintable()


@given(FILES, OPTIONS)
@examples(1500)
def test_a_file_of_any_bytes_is_read_or_refused(data: bytes, options: ImportOptions) -> None:
    check(data, options)


@given(st.sampled_from([gzip.compress(log * 50) for log in LOGS]), st.data())
@examples(200)
def test_a_damaged_archive_is_read_or_refused(packed: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(packed)))
    check(
        packed[:at] + data.draw(st.binary(max_size=8)) + packed[at + data.draw(st.integers(0, 20)) :], ImportOptions()
    )


HOSTILE = {
    "blanks": b" ",
    "quotes": b'"',
    "escaped quotes": b'\\"',
    "backslashes": b"\\",
    "brackets": b"[",
    "braces": b"{",
    "slashes": b"/a",
    "dashes": b"- ",
    "requests": b'"GET / ',
    "stamps": b"[10/Oct/2000:13:55:36.500] ",
    "digits": b"1/",
    "words": b"GET ",
    "fields": b"status=200 ",
    "colours": b"\x1b[31m",
    "JSON strings": b'"a":',
    "escapes of nginx": b"\\x22",
}
_TAILS = [*LOGS, b"", b'203.0.113.7 - - [10/Oct/2000:13:55:36 -0700] "GET /', b'{"path":"/']


@pytest.mark.parametrize("scrap", HOSTILE.values(), ids=HOSTILE)
def test_the_time_for_a_line_is_linear(scrap: bytes) -> None:
    """The longest line that is looked at, 64 KiB of one thing, takes at most some ms in each format."""
    parsers = [make() for make in TEXT_FORMATS.values()]
    for before in _TAILS:
        line = before.rstrip(b"\n") + scrap * ((MAX_LINE_BYTES - len(before)) // len(scrap))
        start = time.process_time()
        for parse in parsers:
            assert isinstance(parse(line), Unread | LoggedCall)
        recognised([line], ImportOptions())
        assert time.process_time() - start < 2


@pytest.mark.parametrize("scrap", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("document", range(len(DOCUMENTS)))
def test_the_time_for_a_document_is_bounded(scrap: bytes, document: int) -> None:
    whole = DOCUMENTS[document]
    start = time.process_time()
    check(whole[: len(whole) // 2] + scrap * (200_000 // len(scrap)) + whole[len(whole) // 2 :], ImportOptions())
    assert time.process_time() - start < 10
