"""Bodies that are not JSON."""

import gzip

import brotli
from backports import zstd

from strangler.core.compare import Response
from tests.core.compare.labelled import Label, Pair, body_label
from tests.core.compare.responses import response

WHOLE: set[Label] = {("body", "$", "value")}
PAGE = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8"><title>Order 10432</title>
    <link rel="stylesheet" href="/static/app.css">
    <script>window.order = {id: 10432};</script>
  </head>
  <body class="shop wide">
    <h1>Order&nbsp;10432</h1>
    <p>Dear <b>Ana</b>, <i>thank you</i> for your order.</p>
    <table>
      <tr><th>Item</th><th>Price</th></tr>
      <tr><td>T-shirt</td><td>19.90</td></tr>
    </table>
    <pre>
  code   kept
</pre>
    <form action="/pay" method="post"><input type="hidden" name="order" value="10432"><button>Pay</button></form>
  </body>
</html>
"""


def page(name: str, *changes: tuple[str, str], found: str = "") -> Pair:
    """`found`: `value main > .price`, several of them parted by `|`; empty: the two say the same."""
    text = PAGE
    for old, new in changes:
        assert old in text, name
        text = text.replace(old, new)
    labels = {body_label(label.strip()) for label in found.split("|") if label}
    return Pair(
        f"page: {name}",
        response(PAGE.encode(), "text/html"),
        response(text.encode(), "text/html; charset=utf-8"),
        labels,
    )


PAGES = [
    page("indentation", ("\n    ", "\n\t")),
    page("one line per tag", ("</th><th>", "</th>\n<th>")),
    page("quotes", ('"/static/app.css"', "'/static/app.css'")),
    page("order of attributes", ('action="/pay" method="post"', 'method="post" action="/pay"')),
    page("upper-case tags", ("<h1>", "<H1>"), ("</h1>", "</H1>")),
    page("reference spelt out", ("&nbsp;", "\u00a0")),
    page("CRLF", ("\n", "\r\n")),
    page("self-closing", ('href="/static/app.css">', 'href="/static/app.css" />')),
    page("text", ("thank you", "thanks"), found="value p > i"),
    page("price", ("19.90", "19.9"), found="value table > tbody > tr > td:nth-child(2)"),
    page("class", ("shop wide", "shop"), found="value body::attr(class)"),
    page("link", ("app.css", "app.4f3a.css"), found='value head > link[rel="stylesheet"]::attr(href)'),
    page("space between words is gone", ("</b>, <i>", "</b>,<i>"), found="value p"),
    page("script", ("{id: 10432}", "{id:10432}"), found="value head > script"),
    page("pre", ("code   kept", "code kept"), found="value pre"),
    page("hidden field", ('value="10432"', 'value="10433"'), found='value form > input[name="order"]::attr(value)'),
    page("row lost", ("<tr><td>T-shirt</td><td>19.90</td></tr>", ""), found="missing table > tbody > tr"),
    page("language", ('lang="en"', 'lang="pt"'), found="value html::attr(lang)"),
    page("tag", ("<b>Ana</b>", "<strong>Ana</strong>"), found="missing p > b | extra p > strong"),
]

FEED = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <title>News &amp; more</title>
  <entry id="1" lang="en"><title>One</title><link href="/1"/></entry>
  <entry id="2" lang="en"><title>Two</title><link href="/2"/></entry>
</feed>
"""


def feed(name: str, old: str, new: str, *, found: str = "") -> Pair:
    assert old in FEED, name
    labels = {body_label(label.strip()) for label in found.split("|") if label}
    media = "application/atom+xml"
    return Pair(
        f"feed: {name}", response(FEED.encode(), media), response(FEED.replace(old, new).encode(), media), labels
    )


FEEDS = [
    feed("indentation", "\n  ", ""),
    feed("attributes", 'id="1" lang="en"', "lang='en'  id='1'"),
    feed("empty element", '<link href="/1"/>', '<link href="/1"></link>'),
    feed("CDATA", "News &amp; more", "<![CDATA[News & more]]>"),
    feed("declaration", '<?xml version="1.0" encoding="UTF-8"?>\n', ""),
    feed("text", "One", "one", found="value /feed/entry/title"),
    feed("attribute", 'id="2"', 'id="3"', found="value /feed/entry/@id"),
    feed("element lost", '<link href="/2"/>', "", found="missing /feed/entry/link"),
    feed(
        "case of a name",
        "<title>Two</title>",
        "<Title>Two</Title>",
        found="missing /feed/entry/title | extra /feed/entry/Title",
    ),
    feed("namespace", "2005/Atom", "2005/atom", found="missing /feed | extra /feed"),
]

CSV = b"id;name\r\n1;Ana\r\n2;Jos\xc3\xa9\r\n"
FORM = "application/x-www-form-urlencoded"
TEXTS = [
    Pair("csv: line ends", response(CSV, "text/csv"), response(CSV.replace(b"\r", b""), "text/csv")),
    Pair(
        "csv: charset",
        response(CSV, "text/csv; charset=utf-8"),
        response(CSV.decode().encode("latin-1"), "text/csv; charset=latin-1"),
    ),
    Pair("csv: separator", response(CSV, "text/csv"), response(CSV.replace(b";", b","), "text/csv"), WHOLE),
    Pair("csv: row lost", response(CSV, "text/csv"), response(CSV[:16], "text/csv"), WHOLE),
    Pair("csv: wrong charset", response(CSV, "text/csv"), response(CSV.decode().encode("latin-1"), "text/csv"), WHOLE),
    Pair("text: same", response(b"OK\n", "text/plain"), response(b"OK\n", "text/plain; charset=us-ascii")),
    Pair("text: last line end", response(b"OK\n", "text/plain"), response(b"OK", "text/plain"), WHOLE),
    Pair("text: no media type", response(b"pong", None), response(b"pong", "text/plain")),
    Pair("text: is called JSON now", response(b"17", "text/plain"), response(b"17")),
    Pair("text: became JSON", response(b"seventeen", "text/plain"), response(b"17"), {("body", "$", "type")}),
    Pair("image: same", response(b"\x89PNG\r\n\x1a\n1", "image/png"), response(b"\x89PNG\r\n\x1a\n1", "image/png")),
    Pair(
        "image: other bytes",
        response(b"\x89PNG\r\n\x1a\n1", "image/png"),
        response(b"\x89PNG\r\n\x1a\n2", "image/png"),
        WHOLE,
    ),
    Pair("image: line ends count", response(b"\x89PNG\r\n", "image/png"), response(b"\x89PNG\n", "image/png"), WHOLE),
    Pair("form: order of fields", response(b"a=1&b=x+y", FORM), response(b"b=x%20y&a=1", FORM)),
    Pair(
        "form: value",
        response(b"state=ok&code=1", FORM),
        response(b"state=ok&code=2", FORM),
        {("body", "$.code", "value")},
    ),
    Pair(
        "form: field lost",
        response(b"state=ok&code=1", FORM),
        response(b"state=ok", FORM),
        {("body", "$.code", "missing")},
    ),
    Pair(
        "form: field new",
        response(b"state=ok", FORM),
        response(b"state=ok&scope=", FORM),
        {("body", "$.scope", "extra")},
    ),
    Pair(
        "form: order within a field", response(b"t=1&t=2", FORM), response(b"t=2&t=1", FORM), {("body", "$.t", "order")}
    ),
]

BODY = b'{"id": 7, "name": "Ana"}'
OTHER = b'{"id": 7, "name": "Bo"}'
NAME: set[Label] = {("body", "$.name", "value")}


def coded(body: bytes, coding: str) -> Response:
    encode = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstd.compress}[coding]
    return response(encode(body), content_encoding=coding)


CODED = [
    Pair("coded: gzip against none", coded(BODY, "gzip"), response(BODY)),
    Pair("coded: none against br", response(BODY), coded(BODY, "br")),
    Pair("coded: gzip against zstd", coded(BODY, "gzip"), coded(BODY, "zstd")),
    Pair("coded: another name", coded(BODY, "gzip"), coded(OTHER, "br"), NAME),
    Pair(
        "coded: broken",
        coded(BODY, "gzip"),
        response(b"x" + BODY, content_encoding="gzip"),
        outcome="not_comparable",
        reason="decode",
    ),
    Pair(
        "coded: no coding at all, but said so",
        response(BODY, content_encoding="br"),
        response(BODY),
        outcome="not_comparable",
        reason="decode",
    ),
    Pair(
        "coded: bomb", response(BODY), coded(b"0" * 2**24 + b"0", "zstd"), outcome="not_comparable", reason="too_large"
    ),
]

PAIRS = [*PAGES, *FEEDS, *TEXTS, *CODED]
