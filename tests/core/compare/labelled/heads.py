"""Statuses, headers, and pairs that cannot be compared."""

from strangler.core.compare import Answer
from strangler.core.fault import Fault
from tests.core.compare.answers import accept, answer, settings
from tests.core.compare.labelled import Label, Pair

STATUS: set[Label] = {("status", None, "value")}
OK = answer({"id": 7})
STATUSES = [
    Pair("status: 201 for 200", OK, answer({"id": 7}, status=201), STATUS),
    Pair("status: 204 for 200", answer(b"", None), answer(b"", None, 204), STATUS),
    Pair("status: 404 for 200", OK, answer({"id": 7}, status=404), STATUS),
    Pair("status: 302 for 301", answer(b"", None, 301), answer(b"", None, 302), STATUS),
    Pair("status: 422 for 400", answer({"e": 1}, status=400), answer({"e": 1}, status=422), STATUS),
    Pair("status: 500 for 200", OK, answer(b"Internal Server Error", "text/plain", 500), STATUS),
    Pair("status: 500 with JSON for 404", answer({"e": 1}, status=404), answer({"e": 1}, status=500), STATUS),
]

LISTED = settings(headers=("content-type", "location", "cache-control", "set-cookie", "etag"))


def field(name: str, kind: str = "value") -> set[Label]:
    return {("header", name, kind)}


def heads(name: str, legacy: Answer, candidate: Answer, labels: set[Label] | None = None) -> Pair:
    return Pair(f"header: {name}", legacy, candidate, labels or set(), rules=LISTED)


HEADERS = [
    heads("not listed", answer({}, server="a", date="x"), answer({}, server="b")),
    heads(
        "media type spelt differently",
        answer({}, "application/json;charset=UTF-8"),
        answer({}, "application/json; charset=utf-8"),
    ),
    heads("charset added", answer({}), answer({}, "application/json; charset=utf-8"), field("content-type")),
    heads("problem for json", answer({}), answer({}, "application/problem+json"), field("content-type")),
    heads("cache-control lost", answer({}, cache_control="no-store"), answer({}), field("cache-control", "missing")),
    heads("cache-control new", answer({}), answer({}, cache_control="no-store"), field("cache-control", "extra")),
    heads(
        "cache-control changed",
        answer({}, cache_control="max-age=60"),
        answer({}, cache_control="max-age=61"),
        field("cache-control"),
    ),
    heads("location", answer(b"", None, 302, location="/a"), answer(b"", None, 302, location="/b"), field("location")),
    heads(
        "location is absolute",
        answer(b"", None, 302, location="/a"),
        answer(b"", None, 302, location="http://x/a"),
        field("location"),
    ),
    heads(
        "cookie value",
        answer({}, set_cookie="sid=1; Path=/; HttpOnly"),
        answer({}, set_cookie="sid=2; HttpOnly; Path=/"),
    ),
    heads("cookie lost", answer({}, set_cookie="sid=1"), answer({}), field("set-cookie")),
    heads("cookie new", answer({}), answer({}, set_cookie="sid=1"), field("set-cookie")),
    heads(
        "cookie without Secure",
        answer({}, set_cookie="sid=1; Secure"),
        answer({}, set_cookie="sid=1"),
        field("set-cookie"),
    ),
    heads(
        "etag and body",
        answer({"a": 1}, etag='"1"'),
        answer({"a": 2}, etag='"2"'),
        field("etag") | {("body", "$.a", "value")},
    ),
    Pair(
        "header: accepted",
        answer({}, etag='"1"'),
        answer({}, etag='"2"'),
        outcome="accepted",
        rules=settings(accept(header="etag"), headers=("etag",)),
    ),
    Pair(
        "header: accepted for another kind only",
        answer({}, etag='"1"'),
        answer({}),
        field("etag", "missing"),
        rules=settings(accept(header="etag", kind="value"), headers=("etag",)),
    ),
    Pair(
        "header: rule has expired",
        answer({}, etag='"1"'),
        answer({}, etag='"2"'),
        field("etag"),
        rules=settings(accept(header="etag", until="2026-11-22"), headers=("etag",)),
    ),
]


def useless(name: str, legacy: Answer, candidate: Answer, reason: str) -> Pair:
    return Pair(f"not comparable: {name}", legacy, candidate, outcome="not_comparable", reason=reason)


USELESS = [
    useless("legacy 500", answer({"e": 1}, status=500), OK, "legacy_error"),
    useless("legacy 503, candidate too", answer(status=503), answer(status=503), "legacy_error"),
    useless("legacy refused", Answer(0, fault=Fault.CONNECT), OK, "legacy_error"),
    useless("candidate refused", OK, Answer(0, fault=Fault.CONNECT), "unavailable"),
    useless("candidate reset", OK, Answer(0, fault=Fault.RESET), "unavailable"),
    useless("breaker open", OK, Answer(0, fault=Fault.OPEN), "unavailable"),
    useless("candidate too slow", OK, Answer(0, fault=Fault.TIMEOUT), "timeout"),
    useless(
        "events", answer(b"data: 1\n\n", "text/event-stream"), answer(b"data: 1\n\n", "text/event-stream"), "streaming"
    ),
    useless("upgrade", Answer(101), Answer(426), "streaming"),
    useless("cut at the limit", OK, Answer(200, [], b"{", is_too_large=True), "too_large"),
    useless("nested too deep", OK, answer(b"[" * 100_000 + b"]" * 100_000), "decode"),
]

PAIRS = [*STATUSES, *HEADERS, *USELESS]
