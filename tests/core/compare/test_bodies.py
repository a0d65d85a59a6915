"""Bodies that are not JSON: forms, text, HTML, XML, bytes."""

import pytest

from strangler.core.compare import Outcome, Reason
from strangler.core.compare.model.values import Excerpt, Opaque
from tests.core.compare.responses import Found, body, compared, found, response

FORM = "application/x-www-form-urlencoded"
FORMS: dict[str, tuple[bytes, bytes, Found]] = {
    "order between fields": (b"a=1&b=2", b"b=2&a=1", set()),
    "spelling": (b"a=x+y&b=%C3%A9", b"a=x%20y&b=\xc3\xa9", set()),
    "value": (b"a=1&b=2", b"a=1&b=3", {body("$.b", "value", "value")}),
    "missing": (b"a=1&b=2", b"a=1", {body("$.b", "missing", "breaking")}),
    "extra": (b"a=1", b"a=1&b=", {body("$.b", "extra", "additive")}),
    "order within a field": (b"a=1&a=2", b"a=2&a=1", {body("$.a", "order", "risky")}),
    "given once more": (b"a=1", b"a=1&a=2", {body("$.a", "length", "risky")}),
    "odd field": (b"a%5B%5D=1", b"a%5B%5D=2", {body("$['a[]']", "value", "value")}),
    "bytes that are no UTF-8": (b"a=%FF", b"a=%FE", {body("$.a", "value", "value")}),
}


@pytest.mark.parametrize(("legacy", "candidate", "expected"), FORMS.values(), ids=FORMS)
def test_forms_are_objects_of_lists(legacy: bytes, candidate: bytes, expected: Found) -> None:
    assert found(compared(response(legacy, FORM), response(candidate, FORM))) == expected


SAME: dict[str, tuple[str, bytes, str, bytes]] = {
    "CRLF = LF": ("text/plain", b"a\r\nb\r\n", "text/plain", b"a\nb\n"),
    "charsets": ("text/plain; charset=iso-8859-1", b"caf\xe9", "text/plain; charset=UTF-8", b"caf\xc3\xa9"),
    "quoted charset": ('text/csv; charset="windows-1252"', b"\x80", "text/csv", "€".encode()),
    "byte order mark": ("text/plain", b"\xef\xbb\xbfx", "text/plain", b"x"),
    "UTF-16 by its mark": ("text/plain", b"\xff\xfex\0", "text/plain", b"x"),
    "unknown charset, same bytes": ("text/plain; charset=x-odd", b"\xe9", "text/plain; charset=x-odd", b"\xe9"),
    "text under two names": ("text/plain", b"x", "application/javascript", b"x"),
    "binary under two names": ("image/png", b"\x89PNG", "application/octet-stream", b"\x89PNG"),
    "html: whitespace between blocks": (
        "text/html",
        b"<ul>\n  <li>one</li>\n  <li>two  words</li>\n</ul>\n",
        "text/html",
        b"<ul><li>one</li><li> two words </li></ul>",
    ),
    "html: order and quoting of attributes": (
        "text/html",
        b"<a href='/x' class=b>t</a>",
        "text/html",
        b'<A CLASS="b" HREF="/x">t</A >',
    ),
    "html: character references": (
        "text/html",
        b"<p title='a&quot;b'>&eacute;&#233;</p>",
        "text/html",
        "<p title='a\"b'>éé</p>".encode(),
    ),
    "html: boolean attribute and slash": (
        "text/html",
        b"<input disabled /><br>",
        "text/html",
        b"<input disabled=''><br/>",
    ),
    "html: doctype": ("text/html", b"<!DOCTYPE html>\n<p>x", "text/html", b"<!doctype  HTML><p>x"),
    "html: declared charset": (
        "text/html",
        b"<meta charset=latin-1><p>\xe9</p>",
        "text/html; charset=utf-8",
        b"<meta charset=latin-1><p>\xc3\xa9</p>",
    ),
    "html: space before or behind an inline tag": (
        "text/html",
        b"<p>a <b>x</b></p>",
        "text/html",
        b"<p>a<b> x</b></p>",
    ),
    "html: style": ("text/html", b"<style>a {b: c}\n</style>", "text/html", b"<style> a {b: c}</style>"),
    "xml: whitespace between tags": ("text/xml", b"<a>\n <b>x</b>\n</a>", "application/xml", b"<a><b>x</b></a>"),
    "xml: empty element": ("text/xml", b"<a><b/></a>", "text/xml", b"<a><b></b></a>"),
    "xml: attributes": ("text/xml", b"<a x='1' y='2'/>", "text/xml", b'<a y="2" x="1" />'),
    "xml: CDATA and references": ("text/xml", b"<a><![CDATA[x<y]]></a>", "text/xml", b"<a>x&lt;y</a>"),
    "xml: declaration and charset": (
        "text/xml",
        b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>',
        "application/atom+xml",
        b'<?xml version="1.0" encoding="UTF-8"?>\n<a>\xc3\xa9</a>',
    ),
}


@pytest.mark.parametrize(("media", "legacy", "other_media", "candidate"), SAME.values(), ids=SAME)
def test_bodies_that_say_the_same_match(media: str, legacy: bytes, other_media: str, candidate: bytes) -> None:
    comparison = compared(response(legacy, media), response(candidate, other_media))
    assert comparison.outcome is Outcome.MATCH


OTHER: dict[str, tuple[str, bytes, str, bytes]] = {
    "text": ("text/plain", b"one\ntwo\n", "text/plain", b"one\n2\n"),
    "text: whitespace": ("text/plain", b"a  b", "text/plain", b"a b"),
    "text: last line": ("text/csv", b"a\nb", "text/csv", b"a\nb\nc"),
    "charset that is not the bytes'": ("text/plain", b"caf\xe9", "text/plain", "café".encode()),
    "binary": ("image/png", b"\x89PNG1", "image/png", b"\x89PNG2"),
    "binary against text": ("image/png", b"\x89PNG", "text/plain", b"PNG"),
}


@pytest.mark.parametrize(("media", "legacy", "other_media", "candidate"), OTHER.values(), ids=OTHER)
def test_bodies_that_differ_have_one_difference(media: str, legacy: bytes, other_media: str, candidate: bytes) -> None:
    comparison = compared(response(legacy, media), response(candidate, other_media))
    assert found(comparison) == {body("$", "value", "value")}


def test_text_is_shown_around_its_first_change() -> None:
    legacy, candidate = "x" * 500 + "\r\nold line\r\n", "x" * 500 + "\nnew line\n"
    (difference,) = compared(
        response(legacy.encode(), "text/plain"), response(candidate.encode(), "text/plain")
    ).differences
    assert isinstance(difference.legacy, Excerpt)
    assert difference.legacy.text[difference.legacy.position :] == "old line\n"


def test_binary_is_shown_as_bytes_only() -> None:
    (difference,) = compared(response(b"\0\1", "image/png"), response(b"\0\2", "image/png")).differences
    assert (difference.legacy, difference.candidate) == (Opaque(b"\0\1"), Opaque(b"\0\2"))


HOSTILE = {
    "open comments": b"<!--" * 20_000,
    "open tags": b"<a " * 20_000,
    "open attributes": b"<a b='" + b"c=' " * 20_000,
    "open sections": b"<![CDATA[" * 10_000,
    "open scripts": b"<script>" * 10_000,
    "equals signs": b"<a " + b"=" * 60_000,
    "blanks": b"<a" + b" " * 60_000 + b"b" + b" " * 60_000,
    "angle brackets": b"<" * 60_000,
    "end tags": b"</" * 60_000,
}


@pytest.mark.parametrize("markup", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("media", ["text/html", "text/xml"])
def test_hostile_markup_is_read_to_its_end(markup: bytes, media: str) -> None:
    comparison = compared(response(b"<q>" + markup, media), response(b"<q> " + markup + b"<p>", media))
    if comparison.outcome is Outcome.NOT_COMPARABLE:  # too many attributes, or too deep
        assert (comparison.reason, media) == (Reason.DECODE, "text/html")
        assert markup.startswith(b"<a ")
    else:
        assert comparison.outcome in (Outcome.MATCH, Outcome.MISMATCH)
