"""Conditional and range requests: what a status means to one who was asked by a validator."""

import pytest

from strangler.core.compare import Comparison, Outcome, Response, conditions_of
from tests.core.compare.responses import Found, compared, found, response, settings

Lines = list[tuple[str, str]]
NOTHING: Lines = []
BODY = b'{"id": 7}'
RISKY, BREAKING = ("status", None, "value", "risky"), ("status", None, "value", "breaking")


def ok(status: int = 200, **headers: str) -> Response:
    return response(BODY, status=status, **headers)


def at(status: int, **headers: str) -> Response:
    return response(b"", None, status, **headers)


def judged(request: Lines, legacy: Response, candidate: Response, headers: tuple[str, ...] = ()) -> Comparison:
    lines = [(name.encode(), value.encode()) for name, value in request]
    return compared(legacy, candidate, settings(headers=headers), request=conditions_of(lines))


def named(comparison: Comparison) -> str:
    return comparison.reason or comparison.outcome


TAG: Lines = [("If-None-Match", '"a"')]
SINCE: Lines = [("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")]
BOTH: Lines = [*TAG, *SINCE]
CASES: dict[str, tuple[Lines, Response, Response, str]] = {
    "both 304": (TAG, at(304, etag='"a"'), at(304, etag='"b"'), "match"),
    "304, by date": (SINCE, at(304), at(304), "match"),
    "another tag": (TAG, at(304), ok(etag='"b"'), "conditional"),
    "no tag at all": (TAG, at(304), ok(), "conditional"),
    "another 2xx": (TAG, at(304), ok(203), "conditional"),
    "a part": (TAG, at(304), ok(206), "conditional"),
    "the very tag": (TAG, at(304), ok(etag='"a"'), "mismatch"),
    "the very tag, weak there": (TAG, at(304), ok(etag='W/"a"'), "mismatch"),
    "the very tag, weak here": ([("if-none-match", 'W/"a"')], at(304), ok(etag='"a"'), "mismatch"),
    "a weak one written small": ([("if-none-match", 'w/"a"')], at(304), ok(etag='W/"a"'), "mismatch"),
    "the last of a list": ([("If-None-Match", '"x", W/"y" ,"a"')], at(304), ok(etag='"a"'), "mismatch"),
    "none of a list": ([("If-None-Match", '"x",W/"y"')], at(304), ok(etag='"a"'), "conditional"),
    "a list in two fields": ([("If-None-Match", '"x"'), ("IF-NONE-MATCH", '"a"')], at(304), ok(etag='"a"'), "mismatch"),
    "a comma within a tag": ([("If-None-Match", '"a,b"')], at(304), ok(etag='"a,b"'), "mismatch"),
    "half of a tag with a comma": ([("If-None-Match", '"a,b"')], at(304), ok(etag='"a"'), "conditional"),
    "blanks and empty members": ([("If-None-Match", ' ,, "a"  ,')], at(304), ok(etag=' "a" '), "mismatch"),
    "any": ([("If-None-Match", "*")], at(304), ok(), "mismatch"),
    "any, with blanks": ([("If-None-Match", "  * ")], at(304), ok(), "mismatch"),
    "a tag that is called *": ([("If-None-Match", '"*"')], at(304), ok(), "conditional"),
    "tags without quotes, both": ([("If-None-Match", "a")], at(304), ok(etag="a"), "mismatch"),
    "a tag that lost its quotes": ([("If-None-Match", "a")], at(304), ok(etag='"a"'), "conditional"),
    "an open quote": ([("If-None-Match", '"a')], at(304), ok(etag='"a"'), "conditional"),
    "case of tags": (TAG, at(304), ok(etag='"A"'), "conditional"),
    "304 and another redirect": (TAG, at(304), at(302), "mismatch"),
    "304 and 404": (TAG, at(304), at(404), "mismatch"),
    "304 and 412": ([*TAG, ("If-Match", '"b"')], at(304), at(412), "mismatch"),
    "304 that nobody asked for": (NOTHING, at(304), ok(), "mismatch"),
    "both, and nobody asked": (NOTHING, at(304), at(304), "match"),
    "an empty condition is none": ([("If-None-Match", " ")], at(304), ok(), "mismatch"),
    "a condition on writes is none of 304": ([("If-Match", '"a"')], at(304), ok(), "mismatch"),
    "the date": (SINCE, at(304), ok(last_modified="Sun, 06 Nov 1994 08:49:37 GMT"), "mismatch"),
    "an earlier date": (SINCE, at(304), ok(last_modified="Sun, 06 Nov 1994 08:49:36 GMT"), "mismatch"),
    "a later date": (SINCE, at(304), ok(last_modified="Sun, 06 Nov 1994 08:49:38 GMT"), "conditional"),
    "no date": (SINCE, at(304), ok(etag='"a"'), "conditional"),
    "RFC 850": (SINCE, at(304), ok(last_modified="Sunday, 06-Nov-94 08:49:37 GMT"), "mismatch"),
    "RFC 850, later": (SINCE, at(304), ok(last_modified="Sunday, 06-Nov-94 08:50:00 GMT"), "conditional"),
    "RFC 850, this century": (SINCE, at(304), ok(last_modified="Sunday, 06-Nov-22 08:49:37 GMT"), "conditional"),
    "asctime": (SINCE, at(304), ok(last_modified="Sun Nov  6 08:49:37 1994"), "mismatch"),
    "asctime, asked": (
        [("If-Modified-Since", "Sun Nov  6 08:49:37 1994")],
        at(304),
        ok(last_modified="Sun, 06 Nov 1994 08:49:37 GMT"),
        "mismatch",
    ),
    "a length behind the date": (
        [("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT; length=17")],
        at(304),
        ok(last_modified="Sun, 06 Nov 1994 08:49:37 GMT"),
        "mismatch",
    ),
    "no date, the same text": ([("If-Modified-Since", "v7")], at(304), ok(last_modified="v7"), "mismatch"),
    "no date, another text": ([("If-Modified-Since", "v7")], at(304), ok(last_modified="v8"), "conditional"),
    "a date that cannot be": (
        [("If-Modified-Since", "Sun, 99 Foo 1994 08:49:37 GMT")],
        at(304),
        ok(last_modified="Sun, 06 Nov 1994 08:49:37 GMT"),
        "conditional",
    ),
    "with a tag the date does not count": (
        BOTH,
        at(304),
        ok(etag='"b"', last_modified="Sun, 06 Nov 1994 08:49:37 GMT"),
        "conditional",
    ),
    "both 412": ([("If-Match", '"a"')], at(412), at(412), "match"),
    "If-Match": ([("If-Match", '"a"')], at(412), ok(), "conditional"),
    "If-Match, a list": ([("if-match", '"a", "b"'), ("If-Match", '"c"')], at(412), ok(204), "conditional"),
    "If-Unmodified-Since": ([("If-Unmodified-Since", "Sun Nov  6 08:49:37 1994")], at(412), ok(201), "conditional"),
    "a write where nothing was": ([("If-None-Match", "*")], at(412), ok(201), "mismatch"),
    "a write where something else was": (TAG, at(412), ok(204), "conditional"),
    "412 that nobody asked for": (NOTHING, at(412), ok(), "mismatch"),
    "412 and 404": ([("If-Match", '"a"')], at(412), at(404), "mismatch"),
    "200 and 200 are compared": (BOTH, ok(), response({"id": 8}), "mismatch"),
}


@pytest.mark.parametrize(("request_lines", "legacy", "candidate", "expected"), CASES.values(), ids=CASES)
def test_a_validator_means_something_to_its_maker_only(
    request_lines: Lines, legacy: Response, candidate: Response, expected: str
) -> None:
    assert named(judged(request_lines, legacy, candidate)) == expected
    assert named(judged(request_lines, candidate, legacy)) == expected


def test_what_ignored_its_own_tag_differs_in_its_status_alone() -> None:
    listed = ("content-type", "etag")
    assert found(judged(TAG, at(304, etag='"a"'), ok(etag='W/"a"'), listed)) == {BREAKING}
    assert found(judged(TAG, at(304), at(404), listed)) == {BREAKING}


@pytest.mark.parametrize(
    "full",
    [
        Response(200, [], b"x", is_too_large=True),
        Response(200, is_streaming=True),
        response(b"x", content_encoding="gzip"),
    ],
    ids=["too large", "a stream", "coding"],
)
def test_a_body_that_cannot_be_compared_changes_nothing_of_that(full: Response) -> None:
    assert named(judged(TAG, at(304), full)) == "conditional"
    assert found(judged([("Range", "bytes=0-1")], full, Response(206, [], b"x"))) == {RISKY}


PART = "bytes 0-99/200"
RANGE: Lines = [("Range", "bytes=0-99")]
IF_RANGE: Lines = [*RANGE, ("If-Range", '"a"')]
OTHER: Found = {("header", "content-range", "value", "risky")}
RANGES: dict[str, tuple[Lines, Response, Response, Found | str]] = {
    "the same part": (RANGE, ok(206, content_range=PART), ok(206, content_range=PART), set()),
    "spelling": (RANGE, ok(206, content_range=PART), ok(206, content_range=" Bytes=000 -  99 / 200"), set()),
    "another total": (RANGE, ok(206, content_range=PART), ok(206, content_range="bytes 0-99/300"), OTHER),
    "no total": (RANGE, ok(206, content_range=PART), ok(206, content_range="bytes 0-99/*"), OTHER),
    "another start": (RANGE, ok(206, content_range=PART), ok(206, content_range="bytes 1-99/200"), OTHER),
    "another end": (RANGE, ok(206, content_range=PART), ok(206, content_range="bytes 0-98/200"), OTHER),
    "another unit": (RANGE, ok(206, content_range=PART), ok(206, content_range="lines 0-99/200"), OTHER),
    "nobody asked": (NOTHING, ok(206, content_range=PART), ok(206, content_range="bytes 0-99/201"), OTHER),
    "without": (RANGE, ok(206, content_range=PART), ok(206), {("header", "content-range", "missing", "risky")}),
    "broken alike": (RANGE, ok(206, content_range="x  Y"), ok(206, content_range="X y"), set()),
    "broken": (RANGE, ok(206, content_range="x"), ok(206, content_range="y"), OTHER),
    "not satisfiable": (RANGE, at(416, content_range="bytes */200"), at(416, content_range="bytes  */0200"), set()),
    "not satisfiable, another total": (
        RANGE,
        at(416, content_range="bytes */200"),
        at(416, content_range="bytes */201"),
        OTHER,
    ),
    "of a 200 it does not count": (RANGE, ok(200, content_range=PART), ok(200, content_range="x"), set()),
    "a part and the whole": (RANGE, ok(206, content_range=PART), response({"other": 1}), {RISKY}),
    "a part and no such part": (RANGE, response(b"", None, 206), at(416), {BREAKING}),
    "If-Range": (IF_RANGE, ok(206, content_range=PART), ok(200, etag='"b"'), "conditional"),
    "If-Range, no tag": (IF_RANGE, ok(206), ok(200), "conditional"),
    "If-Range, the very tag": (IF_RANGE, ok(206), ok(200, etag='"a"'), {RISKY}),
    "If-Range, the tag but weak": (IF_RANGE, ok(206), ok(200, etag='W/"a"'), "conditional"),
    "If-Range, both weak": ([*RANGE, ("If-Range", 'W/"a"')], ok(206), ok(200, etag='W/"a"'), "conditional"),
    "If-Range, a date": (
        [*RANGE, ("If-Range", "Sun, 06 Nov 1994 08:49:37 GMT")],
        ok(206),
        ok(200, last_modified="Sun, 06 Nov 1994 08:49:37 GMT"),
        {RISKY},
    ),
    "If-Range, an earlier date": (
        [*RANGE, ("If-Range", "Sun, 06 Nov 1994 08:49:37 GMT")],
        ok(206),
        ok(200, last_modified="Sun, 06 Nov 1994 08:49:36 GMT"),
        "conditional",
    ),
    "If-Range without Range means nothing": ([("If-Range", '"a"')], ok(206), ok(200), {RISKY}),
    "If-Range, not satisfiable": (IF_RANGE, at(416), ok(200), "conditional"),
    "If-Range, both parts": (IF_RANGE, ok(206, content_range=PART), ok(206, content_range="bytes 0-99/9"), OTHER),
}


@pytest.mark.parametrize(("request_lines", "response_head", "other", "expected"), RANGES.values(), ids=RANGES)
def test_parts_are_compared_as_parts(
    request_lines: Lines, response_head: Response, other: Response, expected: Found | str
) -> None:
    comparison = judged(request_lines, response_head, other)
    if isinstance(expected, str):
        assert named(comparison) == named(judged(request_lines, other, response_head)) == expected
    else:
        assert found(comparison) == expected
        assert (judged(request_lines, other, response_head).outcome is Outcome.MATCH) is (not expected)


def test_a_listed_content_range_is_told_once() -> None:
    pair = ok(206, content_range=PART), ok(206, content_range="bytes 0-99/9")
    assert [d.path for d in judged(RANGE, *pair, ("content-range",)).differences] == ["content-range"]


def test_many_tags_take_no_time() -> None:
    tags = ", ".join(f'"{n}"' for n in range(50_000))
    assert named(judged([("If-None-Match", tags)], at(304), ok(etag='"999"'))) == "mismatch"
    assert named(judged([("If-None-Match", '"' * 50_000)], at(304), ok(etag='"' * 50_001))) in (
        "conditional",
        "mismatch",
    )
