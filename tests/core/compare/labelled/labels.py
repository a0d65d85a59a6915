"""Bodies that are not what they are called, or not called anything: JSON under other names, numbers, codings, parts."""

import gzip
from dataclasses import replace
from typing import Any

from strangler.core.compare import Response
from strangler.core.settings import CompareSettings
from tests.core.compare.labelled import Label, Pair, body_label
from tests.core.compare.multiparts import field, multipart, part
from tests.core.compare.responses import accept, response, settings

LISTED = settings(headers=("content-type",))
TYPED = replace(settings(), numbers="typed")
NAME: set[Label] = {("header", "content-type", "value")}
ORDER = b'{"id": 7, "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]}'
OTHER = b'{"id":7,"lines":[{"sku":"a","n":1},{"sku":"b","n":3}]}'
HTML, TEXT, JSON = "text/html; charset=utf-8", "text/plain", "application/json"


def named(
    name: str,
    legacy: tuple[bytes, str | None],
    candidate: tuple[bytes, str | None],
    labels: set[Label] | None = None,
    rules: CompareSettings = LISTED,
) -> Pair:
    return Pair(f"named: {name}", response(*legacy), response(*candidate), labels or set(), rules=rules)


N: set[Label] = {body_label("value $.lines[*].n")}
NAMES = [
    named("JSON called HTML by legacy", (ORDER, HTML), (ORDER, JSON), NAME),
    named("JSON called HTML by legacy, spelt otherwise", (ORDER, HTML), (ORDER.replace(b" ", b""), JSON), NAME),
    named("JSON called HTML by legacy, changed", (ORDER, HTML), (OTHER, JSON), NAME | N),
    named("JSON called HTML by both", (ORDER, HTML), (OTHER, HTML), N),
    named("JSON called nothing", (ORDER, None), (OTHER, None), N),
    named("JSON called bytes", (ORDER, "application/octet-stream"), (OTHER, "application/octet-stream"), N),
    named("JSON that lost its name", (ORDER, JSON), (ORDER, None), {("header", "content-type", "missing")}),
    named("an error page instead", (ORDER, JSON), (b"<h1>Sorry</h1>", HTML), NAME | {body_label("type $")}),
    named("an error page, called JSON", (ORDER, JSON), (b"<h1>Sorry</h1>", JSON), {body_label("type $")}),
    named("JSON instead of a page", (b"<p>7</p>", HTML), (ORDER, HTML), {body_label("type $")}),
    named("a charset more", (ORDER, JSON), (ORDER, "application/json; charset=utf-8"), NAME),
    named("a charset less", (ORDER, "application/json;charset=utf-8"), (ORDER, JSON), NAME),
    named("a charset of text", (b"a", TEXT), (b"a", "text/plain; charset=utf-8"), NAME),
    named("a text that begins with a bracket", (b"[1/2] done", TEXT), (b"[2/2] done", TEXT), {body_label("value $")}),
]


def numbers(name: str, legacy: bytes, candidate: bytes, *labels: str, rules: CompareSettings | None = None) -> Pair:
    return Pair(
        f"numbers: {name}",
        response(legacy),
        response(candidate),
        set(map(body_label, labels)),
        rules=rules or settings(),
    )


NUMBERS = [
    numbers("NaN on both", b'{"mean": NaN, "n": 0}', b'{"n":0,"mean":NaN}'),
    numbers("Infinity on both", b'{"max": Infinity, "min": -Infinity}', b'{"max":Infinity,"min":-Infinity}'),
    numbers("NaN becomes null", b'{"mean": NaN}', b'{"mean": null}', "type $.mean"),
    numbers("NaN becomes a text", b'{"mean": NaN}', b'{"mean": "NaN"}', "type $.mean"),
    numbers("a mean becomes NaN", b'{"mean": 1.5}', b'{"mean": NaN}', "type $.mean"),
    numbers("NaN beside a change", b'{"mean": NaN, "n": 0}', b'{"mean": NaN, "n": 1}', "value $.n"),
    numbers("5 and 5.0", b'{"n": 5}', b'{"n": 5.0}'),
    numbers("5 and 5.0, typed", b'{"n": 5}', b'{"n": 5.0}', "type $.n", rules=TYPED),
    numbers("5.0 and 5e0, typed", b'{"n": 5.0}', b'{"n": 5e0}', rules=TYPED),
    numbers("prices that became whole, typed", b'{"p": [1.5, 2.0]}', b'{"p": [1.5, 2]}', "type $.p[*]", rules=TYPED),
    numbers("another value, typed", b'{"n": 5.0}', b'{"n": 5.5}', "value $.n", rules=TYPED),
    Pair(
        "numbers: a pair of values that is agreed",
        response({"c": "EUR", "n": 1}),
        response({"c": "eur", "n": 1}),
        outcome="accepted",
        rules=settings(accept("$.c", from_="EUR", to="eur")),
    ),
    Pair(
        "numbers: another pair than the agreed one",
        response({"c": "EUR", "n": 1}),
        response({"c": "usd", "n": 1}),
        {body_label("value $.c")},
        rules=settings(accept("$.c", from_="EUR", to="eur")),
    ),
]


def coded(name: str, coding: str, body: bytes = ORDER, *labels: str, candidate: Response | None = None) -> Pair:
    other = candidate or response(ORDER)
    return Pair(f"coding: {name}", response(body, content_encoding=coding), other, set(map(body_label, labels)))


CODINGS = [
    coded("a charset", "utf-8"),
    coded("none", "none"),
    coded("binary", "binary"),
    coded("8bit", "8bit"),
    coded("nothing", ""),
    coded("a charset and another body", "UTF-8", OTHER, "value $.lines[*].n"),
    coded("a charset and gzip", "utf-8, gzip", gzip.compress(ORDER)),
    Pair(
        "coding: one that is not known",
        response(ORDER, content_encoding="compress"),
        response(ORDER),
        outcome="not_comparable",
        reason="decode",
    ),
]

FORM = (field("user", "ana"), field("meta", '{"v": 1, "tags": ["a"]}', "application/json"))
FILE = field("file", b"%PDF-1.7", "application/pdf", "bill.pdf")


def parts(name: str, legacy: Response, candidate: Response, *labels: str) -> Pair:
    return Pair(f"parts: {name}", legacy, candidate, set(map(body_label, labels)), rules=LISTED)


def batch(*each: str, boundary: str = "batch_1") -> Response:
    made = [part(body, content_type="application/json", content_id=f"<{n}>") for n, body in enumerate(each)]
    return multipart(*made, boundary=boundary, subtype="mixed")


def pieces(*spans: str, boundary: str = "3d6b6a41") -> Response:
    made = [part(f"<{n}>", content_type="application/pdf", content_range=span) for n, span in enumerate(spans)]
    return multipart(*made, boundary=boundary, subtype="byteranges", status=206)


PARTS = [
    parts("another boundary", multipart(*FORM, FILE), multipart(*FORM, FILE, boundary="----formdata-9")),
    parts("order of fields", multipart(*FORM, FILE), multipart(FILE, *FORM[::-1], boundary="c")),
    parts("a field changed", multipart(*FORM), multipart(field("user", "eva"), FORM[1]), "value $.user"),
    parts(
        "JSON within changed",
        multipart(*FORM),
        multipart(FORM[0], field("meta", '{"tags":["a","b"],"v":1}', "application/json"), boundary="c"),
        "length $.meta.tags",
    ),
    parts(
        "a type within changed",
        multipart(*FORM),
        multipart(FORM[0], field("meta", '{"tags":["a"],"v":"1"}', "application/json"), boundary="c"),
        "type $.meta.v",
    ),
    parts("a field lost", multipart(*FORM, FILE), multipart(*FORM, boundary="c"), "missing $.file"),
    parts("a field new", multipart(*FORM), multipart(*FORM, FILE, boundary="c"), "extra $.file"),
    parts(
        "a file renamed",
        multipart(FILE),
        multipart(field("file", b"%PDF-1.7", "application/pdf", "Bill.pdf")),
        "value $.file['header:content-disposition']",
    ),
    parts(
        "a file of another type",
        multipart(FILE),
        multipart(field("file", b"%PDF-1.7", "application/octet-stream", "bill.pdf")),
        "value $.file['header:content-type']",
    ),
    parts("other bytes of a file", multipart(FILE), multipart(FILE.replace(b"1.7", b"1.4")), "value $.file"),
    parts("a batch", batch('{"id": 1}', '{"id": 2}'), batch('{"id":1}', '{"id":2.0}', boundary="batch_9")),
    parts("a batch, changed", batch('{"id": 1}', '{"id": 2}'), batch('{"id":1}', '{"id":3}'), "value $[*].id"),
    parts("a batch, shorter", batch('{"id": 1}', '{"id": 2}'), batch('{"id":1}'), "length $"),
    parts("a batch, cut short", batch("{}", "[]"), replace(batch("{}", "[]"), body=b"--batch_1\r\n\r\n{}"), "type $"),
    parts(
        "a batch and a document",
        batch("{}", "[]"),
        response(b"--", 'multipart/mixed; boundary="x"'),
        "type $",
    ),
    parts("pieces", pieces("bytes 0-2/9", "bytes 5-7/9"), pieces("bytes 0-2/9", "bytes 5-7/9", boundary="x")),
    parts(
        "pieces of another whole",
        pieces("bytes 0-2/9", "bytes 5-7/9"),
        pieces("bytes 0-2/8", "bytes 5-7/8", boundary="x"),
        "value $[*]['header:content-range']",
    ),
]


def listed(name: str, legacy: object, candidate: object, *labels: str) -> Pair:
    return Pair(f"sorted: {name}", response(legacy), response(candidate), set(map(body_label, labels)))


BY_PRICE: list[dict[str, Any]] = [
    {"label": label, "price": price} for label, price in (("Kiwi", 1), ("Fig", 2), ("Plum", 4), ("Date", 7))
]
BY_NAME: list[dict[str, Any]] = [
    {"label": label, "price": price} for label, price in (("Ale", 30), ("Bun", 20), ("Cake", 45), ("Date", 7))
]
WITH_ID = [{"id": n, **row} for n, row in enumerate(BY_PRICE)]
SORTED = [
    listed("by another field", {"hits": BY_PRICE}, {"hits": BY_NAME}, "order $.hits"),
    listed("the other way round", {"hits": BY_PRICE}, {"hits": BY_PRICE[::-1]}, "order $.hits"),
    listed(
        "by another field, with ids",
        {"hits": WITH_ID},
        {"hits": [{"id": 90 + row["price"], **row} for row in BY_NAME]},
        "order $.hits",
        "length $.hits",
    ),
    listed(
        "by another field, one of which is gone",
        {"hits": [{**row, "unit": "kg"} for row in BY_PRICE]},
        {"hits": BY_NAME},
        "order $.hits",
        "missing $.hits[*].unit",
    ),
    listed("words", ["ant", "bee", "cow"], ["yak", "wolf", "toad"], "order $"),
    listed("words in the same order", ["ant", "bee", "cow"], ["bat", "cat", "dog"], "value $[*]"),
]

PAIRS = [*NAMES, *NUMBERS, *CODINGS, *PARTS, *SORTED]
