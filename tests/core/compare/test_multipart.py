"""Multipart bodies are compared part by part."""

import base64
from dataclasses import replace

import pytest

from strangler.core.compare import Outcome, Response
from strangler.core.compare.model.media import parse_media_type
from strangler.core.compare.multipart import MAX_PARTS, split_parts
from tests.core.compare.multiparts import field, multipart, part
from tests.core.compare.responses import Found, accept, body, compared, found, response, settings

FORM = (field("name", "Ana"), field("order", '{"id": 7, "at": 1}', "application/json"))
FILE = field("file", b"\x89PNG", "image/png", "a.png")


def mixed(*parts: bytes, boundary: str = "b") -> Response:
    return multipart(*parts, boundary=boundary, subtype="mixed")


def span(text: str, data: str = "abc") -> bytes:
    return part(data, content_type="text/plain", content_range=text)


FORMS: dict[str, tuple[Response, Response, Found]] = {
    "another boundary": (multipart(*FORM), multipart(*FORM, boundary="----x-9"), set()),
    "order of fields": (multipart(*FORM), multipart(*FORM[::-1], boundary="c"), set()),
    "a text": (
        multipart(*FORM),
        multipart(field("name", "Eva"), FORM[1], boundary="c"),
        {body("$.name", "value", "value")},
    ),
    "JSON in a part": (
        multipart(*FORM),
        multipart(FORM[0], field("order", '{"at":2,"id":7.0}', "application/json"), boundary="c"),
        {body("$.order.at", "value", "value")},
    ),
    "JSON in a part that does not say so": (
        multipart(field("order", '{"a": [1]}')),
        multipart(field("order", '{"a": [1, 2]}')),
        {body("$.order.a", "length", "risky")},
    ),
    "JSON that no longer parses": (
        multipart(FORM[1]),
        multipart(field("order", "{", "application/json")),
        {body("$.order", "type", "breaking")},
    ),
    "a field is missing": (multipart(*FORM), multipart(FORM[1], boundary="c"), {body("$.name", "missing", "breaking")}),
    "a field more": (multipart(FORM[0]), multipart(*FORM, boundary="c"), {body("$.order", "extra", "additive")}),
    "a file": (
        multipart(FILE),
        multipart(field("file", b"\x89PNG2", "image/png", "a.png")),
        {body("$.file", "value", "value")},
    ),
    "a file's name": (
        multipart(FILE),
        multipart(field("file", b"\x89PNG", "image/png", "b.png")),
        {body("$.file['header:content-disposition']", "value", "value")},
    ),
    "a file's type": (
        multipart(FILE),
        multipart(field("file", b"\x89PNG", "image/gif", "a.png")),
        {body("$.file['header:content-type']", "value", "value")},
    ),
    "text is the default": (multipart(field("a", "x")), multipart(field("a", "x", "text/plain")), set()),
    "a charset of JSON": (
        multipart(field("a", "[1]", "application/json")),
        multipart(field("a", "[1]", "application/json; charset=utf-8")),
        set(),
    ),
    "line ends of a text": (multipart(field("a", "x\r\ny")), multipart(field("a", "x\ny")), set()),
    "a field given twice, turned": (
        multipart(field("a", "1"), field("a", "2")),
        multipart(field("a", "2"), field("a", "1")),
        {body("$.a", "order", "risky")},
    ),
    "a field given once more": (
        multipart(field("a", "1"), field("a", "2")),
        multipart(field("a", "1"), field("a", "2"), field("a", "3")),
        {body("$.a", "length", "risky")},
    ),
    "a name that is no ASCII": (
        multipart(field("größe", "1")),
        multipart(field("größe", "2")),
        {body("$.größe", "value", "value")},
    ),
    "headers that do not count": (
        multipart(part("x", content_disposition='form-data; name="a"', x_trace="1")),
        multipart(part("x", content_disposition='Form-Data;name="a"', x_trace="2")),
        set(),
    ),
}


@pytest.mark.parametrize(("legacy", "candidate", "expected"), FORMS.values(), ids=FORMS)
def test_form_data_is_compared_by_name(legacy: Response, candidate: Response, expected: Found) -> None:
    assert found(compared(legacy, candidate)) == expected


HELLO, WORLD = part("hello", content_type="text/plain"), part('{"w": 1}', content_type="application/json")
POSITIONS: dict[str, tuple[Response, Response, Found]] = {
    "another boundary": (mixed(HELLO, WORLD), mixed(HELLO, WORLD, boundary="x.y+z"), set()),
    "a value": (
        mixed(HELLO, WORLD),
        mixed(HELLO, part('{"w":2}', content_type="application/json")),
        {body("$[*].w", "value", "value")},
    ),
    "turned": (mixed(HELLO, WORLD), mixed(WORLD, HELLO), {body("$", "order", "risky")}),
    "one in front": (mixed(WORLD), mixed(HELLO, WORLD), {body("$", "length", "risky")}),
    "one gone": (mixed(HELLO, WORLD), mixed(HELLO), {body("$", "length", "risky")}),
    "emptied": (mixed(HELLO), mixed(part()), {body("$[*]", "value", "value")}),
    "a content id": (
        mixed(part("x", content_id="<1>")),
        mixed(part("x", content_id="<2>")),
        {body("$[*]['header:content-id']", "value", "value")},
    ),
    "a content id lost": (
        mixed(part("x", content_id="<1>")),
        mixed(part("x")),
        {body("$[*]['header:content-id']", "missing", "breaking")},
    ),
    "ranges": (
        multipart(span("bytes 0-2/9"), span("bytes 4-6/9"), subtype="byteranges", status=206),
        multipart(span("Bytes 0-2/9"), span("bytes 4 - 6/9"), subtype="byteranges", status=206, boundary="c"),
        set(),
    ),
    "ranges of another total": (
        multipart(span("bytes 0-2/9"), span("bytes 4-6/9"), subtype="byteranges", status=206),
        multipart(span("bytes 0-2/10"), span("bytes 4-6/10"), subtype="byteranges", status=206, boundary="c"),
        {body("$[*]['header:content-range']", "value", "value")},
    ),
    "one range and several": (
        multipart(span("bytes 0-2/9"), span("bytes 4-6/9"), subtype="byteranges", status=206),
        response(b"abcdefg", "text/plain", 206, content_range="bytes 0-6/9"),
        {("header", "content-range", "extra", "additive"), body("$", "type", "breaking")},
    ),
    "base64": (
        mixed(part(base64.encodebytes(b"hello" * 30), content_transfer_encoding="base64")),
        mixed(part(b"hello" * 30, content_transfer_encoding="8bit")),
        set(),
    ),
    "quoted-printable": (
        mixed(part("caf=C3=A9", content_transfer_encoding="Quoted-Printable")),
        mixed(part("café")),
        set(),
    ),
    "base64 that is none": (
        mixed(part("%%", content_transfer_encoding="base64")),
        mixed(part("%!", content_transfer_encoding="base64")),
        {body("$[*]", "value", "value")},
    ),
    "nested": (
        mixed(part(multipart(field("a", "1"), boundary="in").body, content_type="multipart/form-data; boundary=in")),
        mixed(part(multipart(field("a", "2"), boundary="i2").body, content_type="multipart/form-data; boundary=i2")),
        {body("$[*].a", "value", "value")},
    ),
    "form data and mixed, by position": (
        multipart(field("a", "1")),
        mixed(field("a", "2")),
        {body("$[*]", "value", "value")},
    ),
}


@pytest.mark.parametrize(("legacy", "candidate", "expected"), POSITIONS.values(), ids=POSITIONS)
def test_other_parts_are_compared_by_position(legacy: Response, candidate: Response, expected: Found) -> None:
    assert found(compared(legacy, candidate)) == expected


PAGE, FEED = "text/html", "application/xml"
MARKUP: dict[str, tuple[str, str, str, Found]] = {
    "a page, spelt otherwise": (PAGE, "<p class=a>one</p>", "<P CLASS='a'>one</p>\n", set()),
    "a page": (PAGE, "<p>one</p>", "<p>two</p>", {body("$[*]", "value", "value")}),
    "a feed, spelt otherwise": (FEED, "<a><b/></a>", "<a>\n<b></b></a>", set()),
    "a feed": (FEED, "<a>1</a>", "<a>2</a>", {body("$[*]", "value", "value")}),
}


@pytest.mark.parametrize(("media", "legacy", "candidate", "expected"), MARKUP.values(), ids=MARKUP)
def test_markup_in_a_part_is_compared_as_markup(media: str, legacy: str, candidate: str, expected: Found) -> None:
    pair = mixed(part(legacy, content_type=media)), mixed(part(candidate, content_type=media), boundary="c")
    assert found(compared(*pair)) == expected


TYPE = "multipart/mixed; boundary=b"
WHOLE = b"--b\r\nA: 1\r\n\r\nx\r\n--b--"
BROKEN: dict[str, tuple[bytes, str]] = {
    "cut short": (b"--b\r\nA: 1\r\n\r\nx\r\n--b\r\n", TYPE),
    "no delimiter": (b"hello", TYPE),
    "another boundary": (b"--c\r\n\r\nx\r\n--c--", TYPE),
    "no boundary in its type": (WHOLE, "multipart/mixed"),
    "no header section": (b"--b\r\nhello world\r\n\r\nx\r\n--b--", TYPE),
    "nothing": (b"", TYPE),
    "text": (b"hello", "text/plain"),
}


@pytest.mark.parametrize(("data", "media"), BROKEN.values(), ids=BROKEN)
def test_what_parses_on_one_side_only_is_another_type(data: bytes, media: str) -> None:
    for pair in (
        (response(WHOLE, TYPE), response(data + b" ", media)),
        (response(data + b" ", media), response(WHOLE, TYPE)),
    ):
        assert found(compared(*pair)) == {body("$", "type", "breaking")}


@pytest.mark.parametrize(("data", "media"), BROKEN.values(), ids=BROKEN)
def test_what_parses_on_neither_side_is_bytes(data: bytes, media: str) -> None:
    assert compared(response(data, media), response(data, media)).outcome is Outcome.MATCH
    comparison = compared(response(b"?", TYPE), response(data + b" ", media))
    expected = "value" if split_parts(data + b" ", parse_media_type(media.encode())) is None else "type"
    assert found(comparison) == {body("$", expected, "breaking" if expected == "type" else "value")}


LENIENT: dict[str, bytes] = {
    "preamble and epilogue": b"This is multipart.\r\n" + WHOLE + b"\r\nThe end.",
    "bare line feeds": WHOLE.replace(b"\r\n", b"\n"),
    "blanks behind the boundary": WHOLE.replace(b"--b\r\n", b"--b \t\r\n"),
    "a folded header": WHOLE.replace(b"A: 1", b"A:\r\n 1"),
}


@pytest.mark.parametrize("data", LENIENT.values(), ids=LENIENT)
def test_what_does_not_count_between_parts(data: bytes) -> None:
    assert compared(response(WHOLE, TYPE), response(data, TYPE)).outcome is Outcome.MATCH


def test_a_boundary_that_is_longer_does_not_end_a_part() -> None:
    parts = split_parts(b"--b\r\n\r\n--bc\r\nx--b\r\n--b--", parse_media_type(TYPE.encode()))
    assert parts is not None
    assert [each_part.data for each_part in parts] == [b"--bc\r\nx--b"]


def test_numbers_in_parts_may_be_typed() -> None:
    typed = replace(settings(), numbers="typed")
    pair = multipart(field("a", "[5]", "application/json")), multipart(field("a", "[5.0]", "application/json"))
    assert compared(*pair).outcome is Outcome.MATCH
    assert found(compared(*pair, typed)) == {body("$.a[*]", "type", "breaking")}


def test_json_in_parts_that_do_not_say_so_is_aligned_by_its_value() -> None:
    legacy, candidate = mixed(part('{"a": 1}'), part('{"b": 2}')), mixed(part('{"b":2}'), part('{"a":1}'))
    assert found(compared(legacy, candidate)) == {body("$", "order", "risky")}


def test_parts_with_what_is_no_number_and_with_its_name_differ() -> None:
    pair = (
        mixed(part("[NaN]", content_type="application/json")),
        mixed(part('["NaN"]', content_type="application/json")),
    )
    assert found(compared(*pair)) == {body("$[*][*]", "type", "breaking")}


def test_a_rule_reaches_into_parts() -> None:
    rules = settings(accept("$.order.at"), accept("$.name['header:content-type']"))
    legacy = multipart(field("name", "x"), FORM[1])
    candidate = multipart(
        field("name", "x", "text/html"), field("order", '{"at":2,"id":7}', "application/json"), boundary="c"
    )
    comparison = compared(legacy, candidate, rules)
    assert comparison.outcome is Outcome.ACCEPTED
    assert comparison.rules_used == {0, 1}


def test_the_boundary_is_no_difference_of_the_header() -> None:
    rules = settings(headers=("content-type",))
    assert compared(multipart(*FORM), multipart(*FORM, boundary="c"), rules).outcome is Outcome.MATCH


def test_more_parts_than_are_looked_at_are_bytes() -> None:
    response_head, other = mixed(*[HELLO] * (MAX_PARTS + 1)), mixed(*[HELLO] * (MAX_PARTS + 1), boundary="c")
    assert found(compared(response_head, other)) == {body("$", "value", "value")}
    assert compared(mixed(*[HELLO] * MAX_PARTS), mixed(*[HELLO] * MAX_PARTS, boundary="c")).outcome is Outcome.MATCH


def test_multipart_within_multipart_ends_somewhere() -> None:
    inner, other = part("x"), part("y")
    for depth in range(50):
        name = f"multipart/mixed; boundary=b{depth}"
        inner, other = (part(multipart(each, boundary=f"b{depth}").body, content_type=name) for each in (inner, other))
    assert compared(mixed(inner), mixed(other)).outcome is Outcome.MISMATCH


def test_a_stream_of_pictures_stays_a_stream() -> None:
    stream = response(WHOLE, "multipart/x-mixed-replace; boundary=b")
    assert compared(stream, stream).reason == "streaming"
