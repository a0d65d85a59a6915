"""What browsers and download managers ask: validators, ranges, and what a status means then."""

from dataclasses import replace

from strangler.core.compare import Answer, conditions_of
from tests.core.compare.answers import accept, answer, settings
from tests.core.compare.labelled import Label, Pair

STATUS: set[Label] = {("status", None, "value")}
RANGE: set[Label] = {("header", "content-range", "value")}
CSS = b"body { color: #222 }"
LISTED = settings(headers=("content-type", "etag", "cache-control", "location"))
DATE, EARLIER, LATER = (f"Tue, 03 Nov 2026 10:0{minute}:00 GMT" for minute in (5, 4, 6))


def full(status: int = 200, body: bytes = CSS, **headers: str) -> Answer:
    return answer(body, "text/css", status, **headers)


def bare(status: int, **headers: str) -> Answer:
    return answer(b"", None, status, **headers)


def asked(
    name: str, asked: dict[str, str], legacy: Answer, candidate: Answer, verdict: set[Label] | str = "match"
) -> Pair:
    """`verdict`: labels, `match`, or `conditional`."""
    request = conditions_of([(key.replace("_", "-").encode(), value.encode()) for key, value in asked.items()])
    pair = Pair(f"asked: {name}", legacy, candidate, rules=LISTED, request=request)
    if verdict == "conditional":
        return replace(pair, outcome="not_comparable", reason="conditional")
    return pair if isinstance(verdict, str) else replace(pair, differences=verdict)


TAG = {"if_none_match": '"5f-a1"'}
SINCE = {"if_modified_since": DATE}
CONDITIONAL = [
    asked("both unchanged", TAG, bare(304, etag='"5f-a1"'), bare(304, etag='W/"5f-a1"')),
    asked("both unchanged, by date", SINCE, bare(304), bare(304)),
    asked("another maker's tag", TAG, bare(304, etag='"5f-a1"'), full(etag='"c0ffee"'), "conditional"),
    asked("the candidate's tag at legacy", TAG, full(etag='"1-2"'), bare(304, etag='"5f-a1"'), "conditional"),
    asked("a candidate without tags", TAG, bare(304), full(), "conditional"),
    asked("a candidate that ignores its tag", TAG, bare(304), full(etag='"5f-a1"'), STATUS),
    asked("a weak tag it ignores", {"if_none_match": 'W/"5f-a1"'}, bare(304), full(etag='"5f-a1"'), STATUS),
    asked("of several tags one it ignores", {"if_none_match": '"x", "5f-a1"'}, bare(304), full(etag='"5f-a1"'), STATUS),
    asked("none of several tags", {"if_none_match": '"x", "y"'}, bare(304), full(etag='"5f-a1"'), "conditional"),
    asked("a later date", SINCE, bare(304), full(last_modified=LATER), "conditional"),
    asked("an earlier date it ignores", SINCE, bare(304), full(last_modified=EARLIER), STATUS),
    asked("the date it ignores", SINCE, bare(304), full(last_modified=DATE), STATUS),
    asked("the date does not count beside a tag", TAG | SINCE, bare(304), full(last_modified=DATE), "conditional"),
    asked("any, ignored", {"if_none_match": "*"}, bare(304), full(), STATUS),
    asked("unchanged and moved", TAG, bare(304), bare(301, location="/b"), STATUS),
    asked("unchanged and gone", TAG, bare(304), answer(b"gone", "text/plain", 404), STATUS),
    asked("unchanged and forbidden", TAG, bare(304), bare(403), STATUS),
    asked("unchanged and failed", TAG, bare(304), answer(b"oops", "text/plain", 500), STATUS),
    asked("unchanged, and nobody asked", {}, bare(304), bare(200), STATUS),
    asked("changed on both, alike", TAG, full(), full()),
    asked(
        "changed on both, otherwise",
        TAG,
        full(etag='"1"'),
        full(body=b"body {}", etag='"2"'),
        {("header", "etag", "value"), ("body", "$", "value")},
    ),
    asked("a write refused by one", {"if_match": '"5f-a1"'}, bare(412), bare(204), "conditional"),
    asked("a write refused by both", {"if_match": '"5f-a1"'}, bare(412), bare(412)),
    asked("a write refused by date", {"if_unmodified_since": DATE}, bare(204), bare(412), "conditional"),
    asked("a write refused without a reason", {}, bare(204), bare(412), STATUS),
    asked("a write refused or not found", {"if_match": '"5f-a1"'}, bare(412), bare(404), STATUS),
]

PART = {"range": "bytes=0-9"}
IF_PART = PART | {"if_range": '"5f-a1"'}


def part(span: str, status: int = 206, **headers: str) -> Answer:
    return full(status, CSS[:10], content_range=span, **headers)


RANGES = [
    asked("a part", PART, part("bytes 0-9/20"), part("bytes 0-9/20")),
    asked("a part, spelt otherwise", PART, part("bytes 0-9/20"), part("Bytes 0 - 9/020")),
    asked("a part of another whole", PART, part("bytes 0-9/20"), part("bytes 0-9/21"), RANGE),
    asked("another part", PART, part("bytes 0-9/20"), part("bytes 1-10/20"), RANGE),
    asked("a part of an unknown whole", PART, part("bytes 0-9/20"), part("bytes 0-9/*"), RANGE),
    asked(
        "a part that does not say which",
        PART,
        part("bytes 0-9/20"),
        full(206, CSS[:10]),
        {("header", "content-range", "missing")},
    ),
    asked("a candidate without ranges", PART, part("bytes 0-9/20"), full(), STATUS),
    asked("legacy without ranges", PART, full(), part("bytes 0-9/20"), STATUS),
    asked("no such part", PART, bare(416, content_range="bytes */5"), bare(416, content_range="bytes */5")),
    asked(
        "no such part of another",
        PART,
        bare(416, content_range="bytes */5"),
        bare(416, content_range="bytes */6"),
        RANGE,
    ),
    asked("resumed at one", IF_PART, part("bytes 0-9/20"), full(etag='"other"'), "conditional"),
    asked("resumed at one, which knew the tag", IF_PART, part("bytes 0-9/20"), full(etag='"5f-a1"'), {*STATUS}),
    asked(
        "resumed by date",
        PART | {"if_range": DATE},
        part("bytes 0-9/20"),
        full(last_modified=LATER),
        "conditional",
    ),
    asked("a part and a failure", PART, part("bytes 0-9/20"), bare(503), STATUS),
]


def agreed(name: str, legacy: Answer, candidate: Answer, labels: set[Label], outcome: str = "") -> Pair:
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
    agreed("204 for 200, and a body less", answer({"ok": True}), bare(204), {("body", "$", "type")}),
    agreed("a failure is never agreed", answer({"ok": True}), answer({"ok": True}, status=500), STATUS),
    agreed("a failure with other headers", answer({}, vary="a"), answer(b"<h1>", "text/html", 502, vary="b"), STATUS),
    agreed("a failure that is too large", answer({}), Answer(503, is_too_large=True), STATUS),
    agreed("a failure in a broken coding", answer({}), answer(b"x", status=504, content_encoding="gzip"), STATUS),
]

PAIRS = [*CONDITIONAL, *RANGES, *STATUSES]
