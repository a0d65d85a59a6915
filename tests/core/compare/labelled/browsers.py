"""Requests of browsers and download managers: validators, ranges, and what a status means then."""

from dataclasses import replace

from strangler.core.compare import Response, conditions_of
from tests.core.compare.labelled import Label, Pair
from tests.core.compare.responses import accept, response, settings

STATUS: set[Label] = {("status", None, "value")}
RANGE: set[Label] = {("header", "content-range", "value")}
CSS = b"body { color: #222 }"
LISTED = settings(headers=("content-type", "etag", "cache-control", "location"))
DATE, EARLIER, LATER = (f"Tue, 03 Nov 2026 10:0{minute}:00 GMT" for minute in (5, 4, 6))


def full(status: int = 200, body: bytes = CSS, **headers: str) -> Response:
    return response(body, "text/css", status, **headers)


def bare(status: int, **headers: str) -> Response:
    return response(b"", None, status, **headers)


def pair(
    name: str,
    request_headers: dict[str, str],
    legacy: Response,
    candidate: Response,
    verdict: set[Label] | str = "match",
) -> Pair:
    """`verdict`: labels, `match`, or `conditional`."""
    request = conditions_of(
        [(key.replace("_", "-").encode(), value.encode()) for key, value in request_headers.items()]
    )
    pair = Pair(f"asked: {name}", legacy, candidate, rules=LISTED, request=request)
    if verdict == "conditional":
        return replace(pair, outcome="not_comparable", reason="conditional")
    return pair if isinstance(verdict, str) else replace(pair, differences=verdict)


TAG = {"if_none_match": '"5f-a1"'}
SINCE = {"if_modified_since": DATE}
CONDITIONAL = [
    pair("both unchanged", TAG, bare(304, etag='"5f-a1"'), bare(304, etag='W/"5f-a1"')),
    pair("both unchanged, by date", SINCE, bare(304), bare(304)),
    pair("another maker's tag", TAG, bare(304, etag='"5f-a1"'), full(etag='"c0ffee"'), "conditional"),
    pair("the candidate's tag at legacy", TAG, full(etag='"1-2"'), bare(304, etag='"5f-a1"'), "conditional"),
    pair("a candidate without tags", TAG, bare(304), full(), "conditional"),
    pair("a candidate that ignores its tag", TAG, bare(304), full(etag='"5f-a1"'), STATUS),
    pair("a weak tag it ignores", {"if_none_match": 'W/"5f-a1"'}, bare(304), full(etag='"5f-a1"'), STATUS),
    pair("of several tags one it ignores", {"if_none_match": '"x", "5f-a1"'}, bare(304), full(etag='"5f-a1"'), STATUS),
    pair("none of several tags", {"if_none_match": '"x", "y"'}, bare(304), full(etag='"5f-a1"'), "conditional"),
    pair("a later date", SINCE, bare(304), full(last_modified=LATER), "conditional"),
    pair("an earlier date it ignores", SINCE, bare(304), full(last_modified=EARLIER), STATUS),
    pair("the date it ignores", SINCE, bare(304), full(last_modified=DATE), STATUS),
    pair("the date does not count beside a tag", TAG | SINCE, bare(304), full(last_modified=DATE), "conditional"),
    pair("any, ignored", {"if_none_match": "*"}, bare(304), full(), STATUS),
    pair("unchanged and moved", TAG, bare(304), bare(301, location="/b"), STATUS),
    pair("unchanged and gone", TAG, bare(304), response(b"gone", "text/plain", 404), STATUS),
    pair("unchanged and forbidden", TAG, bare(304), bare(403), STATUS),
    pair("unchanged and failed", TAG, bare(304), response(b"oops", "text/plain", 500), STATUS),
    pair("unchanged, and nobody asked", {}, bare(304), bare(200), STATUS),
    pair("changed on both, alike", TAG, full(), full()),
    pair(
        "changed on both, otherwise",
        TAG,
        full(etag='"1"'),
        full(body=b"body {}", etag='"2"'),
        {("header", "etag", "value"), ("body", "$", "value")},
    ),
    pair("a write refused by one", {"if_match": '"5f-a1"'}, bare(412), bare(204), "conditional"),
    pair("a write refused by both", {"if_match": '"5f-a1"'}, bare(412), bare(412)),
    pair("a write refused by date", {"if_unmodified_since": DATE}, bare(204), bare(412), "conditional"),
    pair("a write refused without a reason", {}, bare(204), bare(412), STATUS),
    pair("a write refused or not found", {"if_match": '"5f-a1"'}, bare(412), bare(404), STATUS),
]

PART = {"range": "bytes=0-9"}
IF_PART = PART | {"if_range": '"5f-a1"'}


def part(span: str, status: int = 206, **headers: str) -> Response:
    return full(status, CSS[:10], content_range=span, **headers)


RANGES = [
    pair("a part", PART, part("bytes 0-9/20"), part("bytes 0-9/20")),
    pair("a part, spelt otherwise", PART, part("bytes 0-9/20"), part("Bytes 0 - 9/020")),
    pair("a part of another whole", PART, part("bytes 0-9/20"), part("bytes 0-9/21"), RANGE),
    pair("another part", PART, part("bytes 0-9/20"), part("bytes 1-10/20"), RANGE),
    pair("a part of an unknown whole", PART, part("bytes 0-9/20"), part("bytes 0-9/*"), RANGE),
    pair(
        "a part that does not say which",
        PART,
        part("bytes 0-9/20"),
        full(206, CSS[:10]),
        {("header", "content-range", "missing")},
    ),
    pair("a candidate without ranges", PART, part("bytes 0-9/20"), full(), STATUS),
    pair("legacy without ranges", PART, full(), part("bytes 0-9/20"), STATUS),
    pair("no such part", PART, bare(416, content_range="bytes */5"), bare(416, content_range="bytes */5")),
    pair(
        "no such part of another",
        PART,
        bare(416, content_range="bytes */5"),
        bare(416, content_range="bytes */6"),
        RANGE,
    ),
    pair("resumed at one", IF_PART, part("bytes 0-9/20"), full(etag='"other"'), "conditional"),
    pair("resumed at one, which knew the tag", IF_PART, part("bytes 0-9/20"), full(etag='"5f-a1"'), {*STATUS}),
    pair(
        "resumed by date",
        PART | {"if_range": DATE},
        part("bytes 0-9/20"),
        full(last_modified=LATER),
        "conditional",
    ),
    pair("a part and a failure", PART, part("bytes 0-9/20"), bare(503), STATUS),
]


def agreed(name: str, legacy: Response, candidate: Response, labels: set[Label], outcome: str = "") -> Pair:
    return Pair(
        f"agreed status: {name}",
        legacy,
        candidate,
        labels,
        outcome,
        rules=settings(accept(status=(302, 303)), accept(status=(200, 500)), accept(status=(200, 204))),
    )


STATUSES = [
    agreed("303 for 302", bare(302), bare(303), set(), "accepted"),
    agreed("302 for 303", bare(303), bare(302), STATUS),
    agreed("307 for 302", bare(302), bare(307), STATUS),
    agreed("204 for 200, and a body less", response({"ok": True}), bare(204), {("body", "$", "type")}),
    agreed("a failure is never agreed", response({"ok": True}), response({"ok": True}, status=500), STATUS),
    agreed(
        "a failure with other headers", response({}, vary="a"), response(b"<h1>", "text/html", 502, vary="b"), STATUS
    ),
    agreed("a failure that is too large", response({}), Response(503, is_too_large=True), STATUS),
    agreed("a failure in a broken coding", response({}), response(b"x", status=504, content_encoding="gzip"), STATUS),
]

PAIRS = [*CONDITIONAL, *RANGES, *STATUSES]
