"""JSON bodies: what is equal, and which differences are found where."""

import json
from dataclasses import replace
from typing import Any

import pytest

from strangler.core.compare import Outcome, Reason
from strangler.core.compare.model.numbers import plain_value
from strangler.core.compare.model.tree import Json, parse_json, write_json
from strangler.core.compare.model.values import Excerpt
from tests.core.compare.responses import Found, accept, body, compared, found, response, settings, trees

EQUAL = {
    "key order and whitespace": (b'{"a": 1, "b": [1, 2]}', b'{"b":[1,2],\n"a":1}'),
    "1 = 1.0": (b"1", b"1.0"),
    "1 = 1e0": (b"1", b"1e0"),
    "100 = 1E+2": (b"100", b"1E+2"),
    "-0 = 0": (b"[-0, -0.0, -0e9]", b"[0, 0, 0]"),
    "0.10 = 0.1": (b"0.10", b"0.1"),
    "1e400 = 10e399": (b"1e400", b"10e399"),
    "a huge exponent equals itself": (b"1e999999999", b"0.1e1000000000"),
    "an absurd exponent equals itself": (b"1e" + b"9" * 9000, b"0.1e1" + b"0" * 9000),
    "a huge integer": (b"1" + b"0" * 5000, b"1e5000"),
    "the last duplicate key wins": (b'{"a":1,"a":2}', b'{"a":2}'),
    "escapes": (rb'"\u00e9\/\n"', '"é/\\n"'.encode()),
    "surrogate pair": (rb'"\ud83d\ude00"', '"😀"'.encode()),
    "lone surrogates": (rb'["\ud800"]', rb'["\uD800"]'),
    "byte order mark": (b"\xef\xbb\xbf[1]", b"[1]"),
    "UTF-16 and UTF-8": ('{"a":"é"}'.encode("utf-16-le"), '{"a":"é"}'.encode()),
    "UTF-32 and UTF-8": ('{"a":"é"}'.encode("utf-32-be"), '{"a":"é"}'.encode()),
    "empty key": (b'{"":1}', b'{"":1.0}'),
    "NaN and Infinity as Python writes them": (b"[NaN, Infinity, -Infinity]", b"[NaN,Infinity,-Infinity]"),
    "no body on either side": (b"", b""),
    "neither parses, same bytes": (b"{", b"{"),
}


@pytest.mark.parametrize(("legacy", "candidate"), EQUAL.values(), ids=EQUAL)
def test_equal_documents_match(legacy: bytes, candidate: bytes) -> None:
    assert compared(response(legacy), response(candidate)).outcome is Outcome.MATCH


ALL: dict[str, tuple[bytes, bytes, Found]] = {
    "2^53 + 1 is not 2^53": (b"9007199254740993", b"9007199254740992", {body("$", "value", "value")}),
    "the last digit of a long decimal": (
        b"[0.10000000000000000000000000000000001]",
        b"[0.1]",
        {body("$[*]", "value", "value")},
    ),
    "exponents differ": (b"1e999999999", b"1e999999998", {body("$", "value", "value")}),
    "number -> string": (b'{"a":1}', b'{"a":"1"}', {body("$.a", "type", "breaking")}),
    "number -> bool": (b'{"a":1}', b'{"a":true}', {body("$.a", "type", "breaking")}),
    "zero -> false": (b"[0]", b"[false]", {body("$[*]", "type", "breaking")}),
    "value -> null": (b'{"a":1}', b'{"a":null}', {body("$.a", "type", "breaking")}),
    "null -> value": (b'{"a":null}', b'{"a":1}', {body("$.a", "type", "risky")}),
    "null -> false": (b'{"a":null}', b'{"a":false}', {body("$.a", "type", "risky")}),
    "object -> array": (b'{"a":{}}', b'{"a":[]}', {body("$.a", "type", "breaking")}),
    "missing": (b'{"a":1,"b":null}', b'{"a":1}', {body("$.b", "missing", "breaking")}),
    "extra": (b'{"a":1}', b'{"a":1,"b":null}', {body("$.b", "extra", "additive")}),
    "a whole object missing is one difference": (
        b'{"a":{"b":{"c":1},"d":2}}',
        b"{}",
        {body("$.a", "missing", "breaking")},
    ),
    "nested value": (b'{"a":{"b":[{"c":1}]}}', b'{"a":{"b":[{"c":2}]}}', {body("$.a.b[*].c", "value", "value")}),
    "composed and decomposed letters differ": (
        '"é"'.encode(),
        '"e\u0301"'.encode(),
        {body("$", "value", "value")},
    ),
    "lone surrogates differ": (rb'["\ud800"]', rb'["\ud801"]', {body("$[*]", "value", "value")}),
    "odd key": (b'{"odd key":1}', b'{"odd key":2}', {body("$['odd key']", "value", "value")}),
    "key with quote and backslash": (
        json.dumps({"it's \\": 1}).encode(),
        json.dumps({"it's \\": 2}).encode(),
        {body(r"$['it\'s \\']", "value", "value")},
    ),
    "key that starts with a digit": (b'{"7":1}', b'{"7":2}', {body("$['7']", "value", "value")}),
    "key with a dash": (b'{"x-y":1}', b'{"x-y":2}', {body("$['x-y']", "value", "value")}),
    "key with a control character": (rb'{"a\n":1}', rb'{"a\n":2}', {body(r"$['a\u000a']", "value", "value")}),
    "key with a lone surrogate": (rb'{"\ud800":1}', rb'{"\ud800":2}', {body(r"$['\ud800']", "value", "value")}),
    "key that looks like a path": (b'{"a.b":{"c":1}}', b'{"a.b":{"c":2}}', {body("$['a.b'].c", "value", "value")}),
    "candidate no longer parses": (b'{"a":1}', b'{"a":1', {body("$", "type", "breaking")}),
    "NaN is no number": (b"[1]", b"[NaN]", {body("$[*]", "type", "breaking")}),
    "nor is -Infinity": (b'{"a":1}', b'{"a":-Infinity}', {body("$.a", "type", "breaking")}),
    "NaN becomes a number": (b"[NaN]", b"[1]", {body("$[*]", "type", "breaking")}),
    "NaN and Infinity": (b"[NaN]", b"[Infinity]", {body("$[*]", "value", "value")}),
    "Infinity and -Infinity": (b"Infinity", b"-Infinity", {body("$", "value", "value")}),
    "NaN and the text": (b"[NaN]", b'["NaN"]', {body("$[*]", "type", "breaking")}),
    "NaN becomes null": (b"[NaN]", b"[null]", {body("$[*]", "type", "breaking")}),
    "null becomes NaN": (b"[null]", b"[NaN]", {body("$[*]", "type", "risky")}),
    "one NaN among numbers": (
        b"[1,2,3]",
        b"[4,NaN,5]",
        {body("$[*]", "type", "breaking"), body("$[*]", "value", "value")},
    ),
    "-NaN is not JSON": (b"[1]", b"[-NaN]", {body("$", "type", "breaking")}),
    "raw control character is not JSON": (b'["a\\tb"]', b'["a\tb"]', {body("$", "type", "breaking")}),
    "bad UTF-8 is not JSON": (b'["a"]', b'["\xff"]', {body("$", "type", "breaking")}),
    "legacy did not parse": (b"{", b"{}", {body("$", "type", "breaking")}),
    "neither parses": (b"{", b"[", {body("$", "value", "value")}),
    "empty body is not JSON": (b"{}", b"", {body("$", "type", "breaking")}),
    "several kinds at once": (
        b'{"a":1,"b":"x","c":null,"d":[1],"e":1}',
        b'{"a":2,"b":3,"c":4,"d":[1,2],"f":1}',
        {
            body("$.a", "value", "value"),
            body("$.b", "type", "breaking"),
            body("$.c", "type", "risky"),
            body("$.d", "length", "risky"),
            body("$.e", "missing", "breaking"),
            body("$.f", "extra", "additive"),
        },
    ),
}


@pytest.mark.parametrize(("legacy", "candidate", "expected"), ALL.values(), ids=ALL)
def test_differences_of_documents(legacy: bytes, candidate: bytes, expected: Found) -> None:
    comparison = compared(response(legacy), response(candidate))
    assert found(comparison) == expected
    assert comparison.outcome is Outcome.MISMATCH


A, B, C, D = ({"id": n, "name": f"thing {n}", "at": 100 + n} for n in range(4))


def later(element: dict[str, Any]) -> dict[str, Any]:
    return {**element, "at": element["at"] + 1000}


ARRAYS: dict[str, tuple[Any, Any, Found]] = {
    "put in front": ([1, 2, 3], [9, 1, 2, 3], {body("$.items", "length", "risky")}),
    "put at the end": ([1, 2, 3], [1, 2, 3, 9], {body("$.items", "length", "risky")}),
    "put between": ([1, 2, 3], [1, 9, 2, 3], {body("$.items", "length", "risky")}),
    "taken out in two places": ([1, 2, 3, 4, 5], [1, 3, 5], {body("$.items", "length", "risky")}),
    "put in front of its equals": ([1, 2, 1], [2, 1, 2, 1], {body("$.items", "length", "risky")}),
    "emptied": ([1, 2], [], {body("$.items", "length", "risky")}),
    "window moved on": ([1, 2, 3], [2, 3, 4], {body("$.items", "length", "risky")}),
    "reversed": ([1, 2, 3], [3, 2, 1], {body("$.items", "order", "risky")}),
    "objects permuted": ([A, B, C], [C, A, B], {body("$.items", "order", "risky")}),
    "changed in place": ([1, 2, 3], [1, 9, 3], {body("$.items[*]", "value", "value")}),
    "changed in place among equals": ([3, 5, 5, 7], [3, 6, 5, 7], {body("$.items[*]", "value", "value")}),
    "every element changed in place": ([1, 2, 3], [4, 5, 6], {body("$.items[*]", "value", "value")}),
    "element of another type": ([1, 2], [1, "2"], {body("$.items[*]", "type", "breaking")}),
    "field changed in place": ([A, B], [A, later(B)], {body("$.items[*].at", "value", "value")}),
    "put in front while every element changed": (
        [A, B],
        [D, later(A), later(B)],
        {body("$.items", "length", "risky"), body("$.items[*].at", "value", "value")},
    ),
    "reordered while every element changed": (
        [A, B, C],
        [later(C), later(A), later(B)],
        {body("$.items", "order", "risky"), body("$.items[*].at", "value", "value")},
    ),
    "taken out while another lost a field": (
        [A, B, C],
        [A, {"id": 2, "name": "thing 2"}],
        {body("$.items", "length", "risky"), body("$.items[*].at", "missing", "breaking")},
    ),
    "field missing in every element": (
        [A, B],
        [{"id": 0, "at": 100}, {"id": 1, "at": 101}],
        {body("$.items[*].name", "missing", "breaking")},
    ),
    "moved and changed beside": (
        [1, 2, 3, 4, 5, 6],
        [2, 1, 3, 4, 5, 9],
        {body("$.items", "order", "risky"), body("$.items[*]", "value", "value")},
    ),
    "inner array changed": ([[1, 2], [3]], [[1, 2], [3, 4]], {body("$.items[*]", "length", "risky")}),
    "equal constants are no identity": (
        [{"c": "EUR", "v": 1}, {"c": "EUR", "v": 2}, {"c": "EUR", "v": 3}],
        [{"c": "EUR", "v": 2}, {"c": "EUR", "v": 3}, {"c": "EUR", "v": 4}],
        {body("$.items", "length", "risky")},
    ),
}


@pytest.mark.parametrize(("legacy", "candidate", "expected"), ARRAYS.values(), ids=ARRAYS)
def test_arrays_are_aligned_before_they_are_compared(legacy: Any, candidate: Any, expected: Found) -> None:
    assert found(trees({"items": legacy}, {"items": candidate})) == expected


def test_all_elements_of_an_array_fold_into_one_difference() -> None:
    comparison = trees([{"id": n, "v": 1} for n in range(50)], [{"id": n, "v": 2} for n in range(50)])
    assert [(d.path, d.count) for d in comparison.differences] == [("$[*].v", 50)]


def test_length_tells_both_lengths() -> None:
    (difference,) = trees([1, 2, 3], [1, 2, 3, 4, 5]).differences
    assert (difference.legacy, difference.candidate) == (3, 5)


UNORDERED: dict[str, tuple[str | None, Any, Any, Found]] = {
    "same elements": (None, [1, 2, 2], [2, 1, 2], set()),
    "counts of equal elements matter": (None, [1, 2, 2, 3], [1, 1, 2, 3], {body("$.items[*]", "value", "value")}),
    "one more": (None, [1, 2], [3, 2, 1], {body("$.items", "length", "risky")}),
    "one changed": (None, [1, 2, 3], [9, 3, 1], {body("$.items[*]", "value", "value")}),
    "one changed, with identity": (None, [A, B, C], [C, later(A), B], {body("$.items[*].at", "value", "value")}),
    "by key: another order": ("id", [A, B, C], [C, B, A], set()),
    "by key: partners are compared": ("id", [A, B], [later(B), A], {body("$.items[*].at", "value", "value")}),
    "by key: without partner in candidate": ("id", [A, B], [B], {body("$.items[*]", "missing", "breaking")}),
    "by key: without partner in legacy": ("id", [A], [B, A], {body("$.items[*]", "extra", "additive")}),
    "by key: the key changed": (
        "id",
        [A],
        [B],
        {body("$.items[*]", "missing", "breaking"), body("$.items[*]", "extra", "additive")},
    ),
    "by key: 1 and 1.0 are one key": ("id", [{"id": 1}, {"id": 2}], [{"id": 2.0}, {"id": 1.0}], set()),
    "by key: 1 and '1' are two": (
        "id",
        [{"id": 1}],
        [{"id": "1"}],
        {body("$.items[*]", "missing", "breaking"), body("$.items[*]", "extra", "additive")},
    ),
    "by key: equal elements without the key": ("id", [A, 7, {"x": 1}], [{"x": 1}, A, 7], set()),
    "by key: duplicates pair one by one": (
        "id",
        [{"id": 1}, {"id": 1}],
        [{"id": 1}],
        {body("$.items[*]", "missing", "breaking")},
    ),
}


@pytest.mark.parametrize(("key", "legacy", "candidate", "expected"), UNORDERED.values(), ids=UNORDERED)
def test_unordered_arrays(key: str | None, legacy: Any, candidate: Any, expected: Found) -> None:
    rules = settings(unordered={"$.items": key})
    assert found(trees({"items": legacy}, {"items": candidate}, rules)) == expected


def test_unordered_within_unordered_counts_elements_as_equal() -> None:
    rules = settings(unordered={"$.items": None, "$.items[*].tags": None})
    legacy = [{"tags": ["a", "b"]}, {"tags": ["c", "d"]}]
    candidate = [{"tags": ["d", "c"]}, {"tags": ["b", "a"]}]
    assert trees({"items": legacy}, {"items": candidate}, rules).outcome is Outcome.MATCH


NDJSON: dict[str, tuple[bytes, bytes, Found]] = {
    "same documents": (b'{"x":1}\n{"x":2}\n', b'{"x":1.0}\r\n\r\n{"x":2}', set()),
    "a field": (b'{"x":1}\n{"x":2}', b'{"x":1}\n{"x":3}', {body("$[*].x", "value", "value")}),
    "one document more": (b"1\n2", b"1\n2\n3", {body("$", "length", "risky")}),
    "a broken line": (b"1\n2", b"1\n2,", {body("$", "type", "breaking")}),
    "lines that only make JSON together": (b"[1]\n[2]", b"[1\n2]", {body("$", "type", "breaking")}),
}


@pytest.mark.parametrize(("legacy", "candidate", "expected"), NDJSON.values(), ids=NDJSON)
def test_ndjson_is_an_array_of_documents(legacy: bytes, candidate: bytes, expected: Found) -> None:
    media = "application/x-ndjson"
    assert found(compared(response(legacy, media), response(candidate, media))) == expected


MEDIA = ["application/problem+json", "application/vnd.shop.v2+json; charset=utf-8", "TEXT/JSON", "application/hal+json"]


@pytest.mark.parametrize("media", MEDIA)
def test_json_is_known_by_its_media_type(media: str) -> None:
    comparison = compared(response(b'{"a": 1.0}', media), response(b'{"a":1}'))
    assert comparison.outcome is Outcome.MATCH


OTHER_NAMES = ["text/plain", "text/html", "text/xml", "application/octet-stream", None]


@pytest.mark.parametrize("media", OTHER_NAMES)
def test_json_is_json_whatever_it_is_called(media: str | None) -> None:
    """On one side, or on both: the name is a difference of the header, if it is listed."""
    response_head, same, other = response(b'[{"a":1}]'), response(b'[{"a": 1.0}]', media), response(b'[{"a":2}]', media)
    named = response(b'[{"a":2}]')
    for legacy, candidate in ((response_head, same), (same, response_head), (other, named), (named, other)):
        assert compared(legacy, candidate).outcome is Outcome.MATCH
    for legacy, candidate in ((response_head, other), (other, response_head), (same, other), (other, same)):
        assert found(compared(legacy, candidate)) == {body("$[*].a", "value", "value")}


BY_MARK = ['{"a":1}'.encode(name) for name in ("utf-8-sig", "utf-16", "utf-32")]


@pytest.mark.parametrize("data", BY_MARK, ids=["UTF-8", "UTF-16", "UTF-32"])
def test_json_under_another_name_is_known_behind_a_byte_order_mark(data: bytes) -> None:
    assert compared(response(data, "text/plain"), response(b'{"a": 1}')).outcome is Outcome.MATCH


@pytest.mark.parametrize("media", OTHER_NAMES)
def test_the_same_bytes_are_the_same_body_whatever_they_are_called(media: str | None) -> None:
    rules = settings(headers=("content-type",))
    for data in (b"[1]", b"5", b"{", b"\xff\xfe", b"<p>"):
        assert compared(response(data), response(data, media)).outcome is Outcome.MATCH
        reported = {(d.in_, d.path) for d in compared(response(data), response(data, media), rules).differences}
        assert reported == {("header", "content-type")}


@pytest.mark.parametrize("charset", ["utf8mb4", "binary", "x-unknown", ""])
def test_json_whose_charset_is_none_is_json(charset: str) -> None:
    named = response('{"a":"é"}'.encode(), f"application/json; charset={charset}")
    assert compared(named, response('{"a": "é"}'.encode())).outcome is Outcome.MATCH
    assert found(compared(named, response(b'{"a": "e"}'))) == {body("$.a", "value", "value")}


ONE_SIDE: dict[str, tuple[bytes, str | None, bytes, str | None]] = {
    "called JSON": (b'{"a":1}', "application/json", b"a: 1", "text/plain"),
    "a page instead": (b'{"a":1}', "application/json", b"<h1>Sorry</h1>", "text/html"),
    "a page, both called so": (b'{"a":1}', "text/html", b"<h1>Sorry</h1>", "text/html"),
    "XML instead": (b'{"a":1}', None, b"<a>1</a>", "application/xml"),
    "a text": (b"[1]", "text/plain", b"[1", "text/plain"),
    "nothing": (b"[1]", None, b"", None),
    "a number of a text": (b"5", "application/json", b"6", "text/plain"),
    "a form": (b'{"a":1}', "application/json", b"a=1", "application/x-www-form-urlencoded"),
    "lines and a document": (b"[1,2]", "application/json", b"1\n2", "application/x-ndjson"),
    "bytes": (b'{"a":1}', "application/octet-stream", b"\x89PNG", "image/png"),
}


@pytest.mark.parametrize(("left", "media", "right", "other_media"), ONE_SIDE.values(), ids=ONE_SIDE)
def test_json_on_one_side_only_is_breaking(
    left: bytes, media: str | None, right: bytes, other_media: str | None
) -> None:
    pair = response(left, media), response(right, other_media)
    assert found(compared(*pair)) == {body("$", "type", "breaking")}
    assert found(compared(*pair[::-1])) == {body("$", "type", "breaking")}


TEXTS: dict[str, tuple[bytes, bytes]] = {
    "numbers": (b"5", b"5.0"),
    "brackets": (b"[info] one", b"[info] two"),
    "braces": (b"{name}", b"{name }"),
    "nested too deep for JSON": (b"[" * 100_000, b"[" * 100_001),
}


@pytest.mark.parametrize(("legacy", "candidate"), TEXTS.values(), ids=TEXTS)
def test_text_that_only_begins_like_json_is_text(legacy: bytes, candidate: bytes) -> None:
    (difference,) = compared(response(legacy, "text/plain"), response(candidate, "text/plain")).differences
    assert (difference.kind, type(difference.legacy)) == ("value", Excerpt)


def test_documents_called_lines_are_compared_as_the_one_that_both_are() -> None:
    lines, documents = "application/x-ndjson", "application/json"
    assert compared(response(b"[1, 2]", documents), response(b"[1,2]", lines)).outcome is Outcome.MATCH
    comparison = compared(response(b'{"a":1}\n{"a":2}', documents), response(b'{"a":1}\n{"a":3}', lines))
    assert found(comparison) == {body("$[*].a", "value", "value")}


TYPED: dict[str, tuple[bytes, bytes, Found]] = {
    "an integer and a decimal": (b'{"a":5}', b'{"a":5.0}', {body("$.a", "type", "breaking")}),
    "an integer and an exponent": (b'{"a":5e0}', b'{"a":5}', {body("$.a", "type", "breaking")}),
    "in an array": (b"[1,2,3]", b"[1,2.0,3]", {body("$[*]", "type", "breaking")}),
    "by value and by type": (b"[1,2]", b"[3,4.5]", {body("$[*]", "value", "value"), body("$[*]", "type", "breaking")}),
    "two decimals": (b'{"a":5.0}', b'{"a":5.00}', set()),
    "a decimal and an exponent": (b'{"a":5.0}', b'{"a":50E-1}', set()),
    "integers": (b'{"a":-0}', b'{"a":0}', set()),
    "minus nothing": (b'{"a":-0.0}', b'{"a":0}', {body("$.a", "type", "breaking")}),
    "huge": (b"1" + b"0" * 80, b"1e80", {body("$", "type", "breaking")}),
    "huge decimals": (b"[1e80]", b"[10.0e79]", set()),
    "decimals that differ": (b'{"a":5.0}', b'{"a":5.1}', {body("$.a", "value", "value")}),
    "many decimals": (
        b"[" + b"0.5," * 2000 + b"1]",
        b"[" + b"0.5," * 2000 + b"1.0]",
        {body("$[*]", "type", "breaking")},
    ),
    "lines": (b"5\n", b"5", set()),
}
AS_TYPED = replace(settings(), numbers="typed")


@pytest.mark.parametrize(("legacy", "candidate", "expected"), TYPED.values(), ids=TYPED)
def test_typed_numbers_differ_by_type(legacy: bytes, candidate: bytes, expected: Found) -> None:
    assert found(compared(response(legacy), response(candidate), AS_TYPED)) == expected
    decimal = compared(response(legacy), response(candidate))
    assert {d for d in found(decimal) if d[2] == "type"} == set()


def test_typed_lines_and_keys() -> None:
    media = "application/x-ndjson"
    assert found(compared(response(b"5", media), response(b"5.0", media), AS_TYPED)) == {
        body("$[*]", "type", "breaking")
    }
    by_id = replace(settings(unordered={"$": "id"}), numbers="typed")
    comparison = trees([{"id": 1}, {"id": 2}], [{"id": 2.0}, {"id": 1.0}], by_id)
    assert found(comparison) == {body("$[*].id", "type", "breaking")}


def test_typed_numbers_within_a_tolerance_are_accepted() -> None:
    tolerant = replace(settings(accept("$.a", abs="0.1", rel="0.001")), numbers="typed")
    assert trees({"a": 5.0}, {"a": 5.1}, tolerant).outcome is Outcome.ACCEPTED
    assert trees({"a": 5}, {"a": 5.01}, tolerant).outcome is Outcome.MISMATCH, "another type"
    assert trees({"a": 5}, {"a": 5.01}, replace(tolerant, numbers="decimal")).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("number", "expected"), [(b"5.0", 5.0), (b"1.5", 1.5), (b"NaN", "NaN"), (b"-Infinity", "-Infinity")]
)
def test_typed_numbers_and_those_that_are_none_are_shown_as_json(number: bytes, expected: Any) -> None:
    assert plain_value(number) == expected
    assert type(plain_value(number)) is type(expected)


def test_what_is_no_number_is_written_as_text() -> None:
    parsed = parse_json('{"a": [NaN, -Infinity, 1]}')
    assert isinstance(parsed, Json)
    assert json.loads(write_json(parsed.tree)) == {"a": ["NaN", "-Infinity", 1]}


def deep(depth: int, leaf: bytes) -> bytes:
    return b"[" * depth + leaf + b"]" * depth


def test_nesting_is_compared_as_deep_as_the_parser_goes() -> None:
    comparison = compared(response(deep(700, b"1")), response(deep(700, b"2")))
    assert [(d.kind, d.path) for d in comparison.differences] == [("value", "$" + "[*]" * 700)]


@pytest.mark.parametrize(
    "body", [deep(100_000, b"1"), b"[" * 200_000, b'{"a":' * 100_000], ids=["lists", "open", "objects"]
)
def test_nesting_beyond_the_parser_cannot_be_compared(body: bytes) -> None:
    for legacy, candidate in ((body, b"1"), (b"1", body), (body, b" " + body)):
        assert compared(response(legacy), response(candidate)).reason is Reason.DECODE
    assert compared(response(body), response(body)).outcome is Outcome.MATCH, "the same bytes are the same body"


def test_differences_come_gravest_first_and_bounded() -> None:
    comparison = trees({"z": 1, "a": 1}, {"a": 2, **{f"k{n:05}": n for n in range(1000)}})
    assert comparison.differences[0].path == "$.z"
    assert (len(comparison.differences), comparison.omitted) == (200, 802)
