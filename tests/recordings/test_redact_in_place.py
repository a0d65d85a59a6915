"""Secrets are hidden where they stand, and nothing else changes."""

import base64
import gzip
import json
import re
from collections.abc import Callable
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.compare import Redactor, Response
from strangler.core.compare.model.media import parse_media_type
from strangler.core.compare.sample import redact_body
from strangler.recordings.recorded import RecordedBody, RecordedPair, raw_bytes, raw_headers, raw_text
from strangler.recordings.redact_in_place import RecordingRedactor
from tests.recordings.made import pair

REDACTOR = Redactor.of(b"key", ["$..email", "header:X-Tenant"])
IN_PLACE = RecordingRedactor(REDACTOR)
JSON, FORM, HTML, XML, TEXT = (
    b"application/json",
    b"application/x-www-form-urlencoded",
    b"text/html",
    b"application/xml",
    b"text/plain",
)


def mark(secret: str) -> str:
    return REDACTOR.mark(secret)


def body(data: bytes, kind: bytes) -> bytes | None:
    return IN_PLACE.body(data, parse_media_type(kind))


def header(name: str, value: bytes) -> bytes:
    return raw_bytes(IN_PLACE.header(name, raw_text(value)))


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (JSON, '{ "password" : "h\\u00e4" , "n": 1.50}', '{{ "password" : "{}" , "n": 1.50}}|hä'),
        (JSON, '{"token":"a","token":"a"}', '{{"token":"{0}","token":"{0}"}}|a'),
        (JSON, '{"card": 4111111111111111}', '{{"card": "{}"}}|4111111111111111'),
        (JSON, '{"a": "x\\n ana@b.de \\u00fc"}', '{{"a": "x\\n {} \\u00fc"}}|ana@b.de'),
        (JSON, '{"email": "me", "secret": null}', '{{"email": "{}", "secret": null}}|me'),
        (JSON, '{"name": "password", "value": "v"}', '{{"name": "password", "value": "{}"}}|v'),
        (JSON, '{"u": "/a?token=t&x=%41+b"}', '{{"u": "/a?token={}&x=%41+b"}}|t'),
        (JSON, '{"in": "{\\"token\\": \\"t\\" , \\"n\\":1}"}', '{{"in": "{{\\"token\\": \\"{}\\" , \\"n\\":1}}"}}|t'),
        (FORM, "user=a+b&password=x%20y&n=%c3%a4", "user=a+b&password={}&n=%c3%a4|x y"),
        (
            HTML,
            '<P ><input NAME=password value="x y"><br/>&nbsp;',
            '<P ><input NAME=password value="{}"><br/>&nbsp;|x y',
        ),
        (HTML, "<p title='ana@b.de'>A &amp; B</p>", "<p title='{}'>A &amp; B</p>|ana@b.de"),
        (HTML, "<script>var token = 'abc', n = 1 < 2;</script>", "<script>var token = '{}', n = 1 < 2;</script>|abc"),
        (XML, "<a  b='1'><token>x &lt;</token ><c/></a>", "<a  b='1'><token>{}</token ><c/></a>|x <"),
        (TEXT, "hello\r\ntoken=abc \r\n\r\n", "hello\r\ntoken={} \r\n\r\n|abc"),
        (TEXT, "Authorization: Bearer abcdef12\nx", "Authorization: {}\nx|Bearer abcdef12"),
    ],
)
def test_a_secret_is_hidden_in_its_place(kind: bytes, data: str, expected: str) -> None:
    text, _, secret = expected.partition("|")
    result = body(data.encode(), kind)
    assert result is not None
    assert result.decode() == text.format(mark(secret))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Authorization", "Bearer  abc.def", "Bearer  {}|abc.def"),
        ("authorization", "Basic YTpi", "Basic {}|YTpi"),
        ("Authorization", "my word", "{}|my word"),
        ("Proxy-Authorization", "Digest username=a, nonce=b", "Digest {}|username=a, nonce=b"),
        ("X-Api-Key", " k1 ", " {} |k1"),
        ("X-Tenant", "acme", "{}|acme"),
        ("X_Tenant", "acme", "{}|acme"),
        ("Cookie", "a=1;  theme", "a={};  {}|1|theme"),
        ("Set-Cookie", "sid=x y; Path=/; HttpOnly", "sid={}; Path=/; HttpOnly|x y"),
        ("Location", "/a?token=t&b=%41", "/a?token={}&b=%41|t"),
        ("X-Auth-Token", "t", "{}|t"),
        ("Accept", "text/html;q=0.9", "text/html;q=0.9"),
        ("X-Mail", "from ana@b.de to", "from {} to|ana@b.de"),
    ],
)
def test_a_header_keeps_all_but_its_secret(name: str, value: str, expected: str) -> None:
    text, *secrets = expected.split("|")
    assert header(name, value.encode()).decode() == text.format(*map(mark, secrets))


def test_bytes_that_are_no_utf8_stay() -> None:
    assert header("Cookie", b"a=\xe4; b\xff=2") == f"a={mark(chr(0xE4))}; b\xff={mark('2')}".encode("latin-1")
    assert header("X-Name", b"\xe4 \xff") == b"\xe4 \xff"
    assert body(b"a=\xff&password=x", FORM) == b"a=\xff&password=" + mark("x").encode()
    latin = b"text/html; charset=iso-8859-1"
    assert body("<p>ä ana@b.de</p>".encode("latin-1"), latin) == f"<p>ä {mark('ana@b.de')}</p>".encode("latin-1")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/a/b?token=x%20y&n=%41#f", "/a/b?token={}&n=%41#f|x y"),
        ("/token/abc/x", "/token/{}/x|abc"),
        ("/password/reset", "/password/reset"),
        ("/a;jsessionid=q/b", "/a;jsessionid={}/b|q"),
        ("http://ana:pw@shop/x", "http://{}@shop/x|ana:pw"),
        ("/u/ana%40b.de/%C3%A4", "/u/{}/%C3%A4|ana@b.de"),
        ("*", "*"),
    ],
)
def test_a_target_keeps_all_but_its_secret(target: str, expected: str) -> None:
    text, _, secret = expected.partition("|")
    assert IN_PLACE.target(target) == text.format(mark(secret))


def test_multipart_keeps_its_form() -> None:
    kind = b'multipart/form-data; boundary="b1"'
    part = "--b1\r\nContent-Disposition: form-data; name={}\r\n{}\r\n{}\r\n"
    data = part.format('"password"', "", "x y") + part.format("j", "Content-Type: application/json\r\n", '{ "token":1}')
    data += part.format("t", "", "plain ä")
    expected = data.replace("x y", mark("x y")).replace('"token":1', f'"token":"{mark("1")}"')
    assert body((data + "--b1--\r\n").encode(), kind) == (expected + "--b1--\r\n").encode()


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"image/png", b"\x89PNG"),
        (b"", b"\xff\xfe\xfd"),
        (JSON, b"{not json"),
        (b"multipart/form-data; boundary=b", b"--b\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--b--"),
        (b"multipart/form-data", b"x"),
    ],
)
def test_a_body_that_cannot_be_searched_is_not_kept(kind: bytes, data: bytes) -> None:
    assert body(data, kind) is None


def redacted(made: RecordedPair) -> RecordedPair:
    found = IN_PLACE.pair(made, hides_caller=True)
    assert found is not None
    return found


def test_a_coded_body_is_decoded_to_be_searched() -> None:
    fields = [(b"Content-Type", JSON), (b"Content-Encoding", b"gzip")]
    found = redacted(pair(headers=fields, body=gzip.compress(b'{"token": "t"}'))).request
    assert raw_headers(found.headers) == [(b"Content-Type", JSON)]
    assert found.body == RecordedBody(text=f'{{"token": "{mark("t")}"}}')


def test_a_body_of_an_unknown_coding_or_a_cut_one_is_not_kept() -> None:
    fields = [(b"Content-Type", JSON), (b"Content-Encoding", b"secret-coding")]
    assert redacted(pair(headers=fields, body=b"abc")).request.body == RecordedBody(omitted=3)


def test_a_caller_that_is_an_address_is_hidden() -> None:
    assert redacted(pair()).caller == mark("1")


SECRETS = [
    "ana@example.com",
    "4111 1111 1111 1111",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_1",
    "AKIAABCDEFGHIJKLMNOP",
    "DE89370400440532013000",
    "+49 30 901820",
    "token=abc~123",
    '{"password": "p w"}',
    "https://ana:geheim@shop.example/x?api_key=k1",
    "Authorization: Bearer abcdef123456",
    "<input name=cvv value=123>",
    "<token>abc</token>",
    "ü ana@example.com \\ \" '",
]
WRAPS: dict[str, Callable[[str], str]] = {
    "json": lambda text: json.dumps({"a": [text, {"b": text}], "n": 1}),
    "json with letters": lambda text: json.dumps({"a ä": text}, ensure_ascii=False, indent=1),
    "url": lambda text: f"/x/{quote(text, safe='')}?q={quote_plus(text)}&z=1",
    "form": lambda text: f"a=1&b={quote_plus(text)}",
    "html": lambda text: f"<div class='x' title=\"{escape(text)}\"><p>before {escape(text)} after</p></div>",
    "base64": lambda text: base64.b64encode(f"text {text} text".encode()).decode(),
    "script": lambda text: f"<script>var a = {json.dumps(text)};</script>".replace("</t", "<\\/t"),
    "words": lambda text: f"see {text} there",
    "lines": lambda text: f"one\ntwo {text}\nthree",
}
KINDS = [JSON, FORM, HTML, XML, TEXT, b"", b"application/x-ndjson"]


@st.composite
def documents(draw: st.DrawFn, without: str = "") -> tuple[bytes, str, str]:
    """A media type, a document of it, and the secret in it."""
    wraps = sorted(WRAPS.keys() - {without})
    secret = draw(st.sampled_from(SECRETS))
    text = secret
    for name in draw(st.lists(st.sampled_from(wraps), min_size=1, max_size=4)):
        text = WRAPS[name](text)
    kind = draw(st.sampled_from(KINDS))
    if kind == JSON:
        text = json.dumps({"x": text, "y": 1.0})
    elif kind == FORM:
        text = f"y=%41&x={quote_plus(text)}"
    elif kind == HTML:
        text = f"<!doctype html><p CLASS=y>{escape(text)}</p>"
    elif kind == XML:
        text = f"<a  y='1'>{escape(text)}</a>"
    return kind, text, secret


def is_clean(data: bytes, kind: bytes) -> bool:
    """Return True if the redactor of samples gives the same with another key: it hides nothing any more."""
    response = Response(200, [(b"Content-Type", kind)] if kind else [], data)
    return redact_body(response, REDACTOR) == redact_body(response, Redactor.of(b"another", ["$..email"]))


@given(documents())
def test_nothing_is_left_that_samples_hide(document: tuple[bytes, str, str]) -> None:
    """The redactor of samples finds no secret any more, and so gives the same with any key."""
    kind, text, secret = document
    result = body(text.encode(), kind)
    if result is not None:
        assert is_clean(result, kind)
        assert secret.encode() not in result


@given(documents("base64"))
def test_all_around_the_marks_stays(document: tuple[bytes, str, str]) -> None:
    """Without its marks, the result stands in the document in the same order; Base64 is encoded anew."""
    kind, text, _ = document
    result = body(text.encode(), kind)
    at = 0
    for piece in [] if result is None else re.split(r"redacted:[0-9a-f]{8}", result.decode()):
        at = text.index(piece, at) + len(piece)


@given(documents())
def test_what_is_hidden_stays_hidden(document: tuple[bytes, str, str]) -> None:
    kind, text, _ = document
    result = body(text.encode(), kind)
    if result is not None:
        assert body(result, kind) == result
