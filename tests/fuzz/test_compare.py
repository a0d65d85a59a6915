"""Whatever the two arms answer, comparing ends, soon, in a comparison."""

import gzip
import time
import zlib
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.compare import CompareRules, Outcome, Response, conditions_of
from strangler.core.compare.accept_rules.compile import compile_rules
from strangler.core.compare.engine import compare
from tests.core.compare.responses import settings as rules_of
from tests.fuzz.effort import examples

_TODAY = date(2026, 11, 23)
_LONGEST_S = 5.0
_SCRAPS = [
    b"{", b"}", b"[", b"]", b":", b",", b'"', b'"a"', b"\\u", b"\\ud800", b"\\", b"1", b"-", b"1e", b"1e99999",
    b"0.1", b"00", b"NaN", b"Infinity",
    b"true", b"null", b"\xff", b"\x00", b"\xef\xbb\xbf", b"<p>", b"</p>", b"<!--", b"]]>", b"<![CDATA[", b"&a;",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"=", b"&", b"%zz", b"\n", b" ",
    b"--b\r\n", b"--b--", b"--b", b"\r\n", b"\r\n\r\n", b"Content-Disposition: form-data; name=a\r\n",
    b"Content-Type: application/json\r\n", b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Range: x\r\n",
    b"Content-Transfer-Encoding: base64\r\n", b"Content-Disposition: form-data; name*=\xff; name=\"",
]  # fmt: skip
_MEDIA = ["application/json", "application/x-ndjson", "text/html", "application/xml", "text/plain; charset=utf-7", "",
          "application/x-www-form-urlencoded", "text/plain; charset=\x00", "image/png",
          "multipart/form-data", "multipart/form-data; boundary=b", "multipart/mixed; boundary=\"b\"",
          "multipart/byteranges; boundary=b; boundary=c", "application/problem+json; charset=utf-16"]  # fmt: skip
_BODY = st.lists(st.sampled_from(_SCRAPS), max_size=30).map(b"".join) | st.binary(max_size=60)
_CODINGS = [
    "",
    "gzip",
    "br",
    "deflate",
    "zstd",
    "gzip, gzip",
    "x",
    "gzip,",
    "identity",
    "utf-8",
    "none",
    "rot13",
    "\xff",
    "a/b",
]


@st.composite
def _responses(draw: st.DrawFn) -> Response:
    body = draw(_BODY)
    coding = draw(st.sampled_from(_CODINGS))
    if coding == "gzip" and draw(st.booleans()):
        body = gzip.compress(body)
    fields = [
        (b"Content-Type", draw(st.sampled_from(_MEDIA)).encode()),
        (b"Content-Encoding", coding.encode()),
        (b"Set-Cookie", draw(_BODY)),
        (b"Location", draw(_BODY)),
        (b"ETag", draw(_VALUE)),
        (b"Last-Modified", draw(_VALUE)),
        (b"Content-Range", draw(_VALUE)),
    ]
    return Response(draw(st.sampled_from([200, 204, 206, 302, 304, 404, 412, 416, 500])), fields, body)


_VALUE = st.lists(
    st.sampled_from(
        [
            b'"',
            b"W/",
            b'"a"',
            b",",
            b" ",
            b"*",
            b"Sun, 06 Nov 1994 08:49:37 GMT",
            b"99",
            b"-",
            b"/",
            b"Sun Nov 99 99:99:99 9999",
            b"bytes ",
            b"=",
            b";",
            b"\xff",
            b"\x00",
            b"Monday, 31-Feb-00 00:00:60 GMT",
        ]
    ),
    max_size=6,
).map(b"".join) | st.binary(max_size=20)
_CONDITIONS = st.lists(
    st.tuples(
        st.sampled_from(
            [b"If-None-Match", b"if-modified-since", b"If-Match", b"If-Unmodified-Since", b"If-Range", b"Range", b""]
        ),
        _VALUE,
    ),
    max_size=4,
)
_RULES = [
    compile_rules(replace(rules_of(headers=("content-type", "set-cookie", "location", *more)), numbers=numbers))
    for more in ((), ("content-range", "etag"))
    for numbers in ("decimal", "typed")
]


@examples(300)
@given(_responses(), _responses(), _CONDITIONS, st.sampled_from(_RULES))
def test_comparing_never_raises(
    legacy: Response, candidate: Response, lines: list[tuple[bytes, bytes]], rules: CompareRules
) -> None:
    request = conditions_of(lines)
    comparison = compare(legacy, candidate, rules, _TODAY, request=request)
    assert comparison.outcome in Outcome
    if candidate.status >= 500 and legacy.status < 500:
        assert [(d.in_, d.kind) for d in comparison.differences] == [("status", "value")]
    if legacy.status < 500:
        assert compare(legacy, legacy, rules, _TODAY, request=request).outcome is not Outcome.MISMATCH


def _json(body: bytes, coding: bytes = b"") -> Response:
    return Response(200, [(b"Content-Type", b"application/json"), (b"Content-Encoding", coding)], body)


_DEEP = 200_000


@pytest.mark.parametrize(
    ("legacy", "candidate"),
    [
        pytest.param(b"[" * _DEEP + b"]" * _DEEP, b"[" * _DEEP + b"1" + b"]" * _DEEP, id="nesting"),
        pytest.param(b'{"a":' * 900 + b"1" + b"}" * 900, b'{"a":' * 900 + b"2" + b"}" * 900, id="objects in objects"),
        pytest.param(b"1" * 250_000, b"2" * 250_000, id="a long number"),
        pytest.param(b"1e999999999", b"1e-999999999", id="a great exponent"),
        pytest.param(
            b"[%b]" % b",".join(b"%d" % i for i in range(20_000)),
            b"[%b]" % b",".join(b"%d" % (i * 7 % 20_011) for i in range(20_000)),
            id="an array in another order",
        ),
        pytest.param(
            b"[%b]" % b",".join(b'{"id":%d,"a":"b"}' % i for i in range(5000)),
            b"[%b]" % b",".join(b'{"id":%d,"a":"c"}' % (5000 - i) for i in range(5000)),
            id="rows in another order, all changed",
        ),
        pytest.param(
            b"{%b}" % b",".join(b'"a%d":1' % i for i in range(20_000)),
            b"{%b}" % b",".join(b'"b%d":1' % i for i in range(20_000)),
            id="all fields renamed",
        ),
    ],
)
def test_costly_bodies_are_compared_in_seconds(legacy: bytes, candidate: bytes) -> None:
    start = time.process_time()
    compare(_json(legacy), _json(candidate), _RULES[0], _TODAY)
    assert time.process_time() - start < _LONGEST_S


def test_a_decompression_bomb_is_not_comparable() -> None:
    bomb = _json(zlib.compress(b"0" * 50_000_000, 9), b"deflate")
    start = time.process_time()
    assert compare(bomb, bomb, _RULES[0], _TODAY).outcome is Outcome.NOT_COMPARABLE
    assert time.process_time() - start < _LONGEST_S
