"""Statuses, headers, and pairs that cannot be compared."""

from strangler.core.compare import Response
from strangler.core.fault import Fault
from tests.core.compare.labelled import Label, Pair
from tests.core.compare.responses import accept, response, settings

STATUS: set[Label] = {("status", None, "value")}
OK = response({"id": 7})
STATUSES = [
    Pair("status: 201 for 200", OK, response({"id": 7}, status=201), STATUS),
    Pair("status: 204 for 200", response(b"", None), response(b"", None, 204), STATUS),
    Pair("status: 404 for 200", OK, response({"id": 7}, status=404), STATUS),
    Pair("status: 302 for 301", response(b"", None, 301), response(b"", None, 302), STATUS),
    Pair("status: 422 for 400", response({"e": 1}, status=400), response({"e": 1}, status=422), STATUS),
    Pair("status: 500 for 200", OK, response(b"Internal Server Error", "text/plain", 500), STATUS),
    Pair("status: 500 with JSON for 404", response({"e": 1}, status=404), response({"e": 1}, status=500), STATUS),
]

LISTED = settings(headers=("content-type", "location", "cache-control", "set-cookie", "etag"))


def field(name: str, kind: str = "value") -> set[Label]:
    return {("header", name, kind)}


def heads(name: str, legacy: Response, candidate: Response, labels: set[Label] | None = None) -> Pair:
    return Pair(f"header: {name}", legacy, candidate, labels or set(), rules=LISTED)


HEADERS = [
    heads("not listed", response({}, server="a", date="x"), response({}, server="b")),
    heads(
        "media type spelt differently",
        response({}, "application/json;charset=UTF-8"),
        response({}, "application/json; charset=utf-8"),
    ),
    heads("charset added", response({}), response({}, "application/json; charset=utf-8"), field("content-type")),
    heads("problem for json", response({}), response({}, "application/problem+json"), field("content-type")),
    heads(
        "cache-control lost", response({}, cache_control="no-store"), response({}), field("cache-control", "missing")
    ),
    heads("cache-control new", response({}), response({}, cache_control="no-store"), field("cache-control", "extra")),
    heads(
        "cache-control changed",
        response({}, cache_control="max-age=60"),
        response({}, cache_control="max-age=61"),
        field("cache-control"),
    ),
    heads(
        "location", response(b"", None, 302, location="/a"), response(b"", None, 302, location="/b"), field("location")
    ),
    heads(
        "location is absolute",
        response(b"", None, 302, location="/a"),
        response(b"", None, 302, location="http://x/a"),
        field("location"),
    ),
    heads(
        "cookie value",
        response({}, set_cookie="sid=1; Path=/; HttpOnly"),
        response({}, set_cookie="sid=2; HttpOnly; Path=/"),
    ),
    heads("cookie lost", response({}, set_cookie="sid=1"), response({}), field("set-cookie")),
    heads("cookie new", response({}), response({}, set_cookie="sid=1"), field("set-cookie")),
    heads(
        "cookie without Secure",
        response({}, set_cookie="sid=1; Secure"),
        response({}, set_cookie="sid=1"),
        field("set-cookie"),
    ),
    heads(
        "etag and body",
        response({"a": 1}, etag='"1"'),
        response({"a": 2}, etag='"2"'),
        field("etag") | {("body", "$.a", "value")},
    ),
    Pair(
        "header: accepted",
        response({}, etag='"1"'),
        response({}, etag='"2"'),
        outcome="accepted",
        rules=settings(accept(header="etag"), headers=("etag",)),
    ),
    Pair(
        "header: accepted for another kind only",
        response({}, etag='"1"'),
        response({}),
        field("etag", "missing"),
        rules=settings(accept(header="etag", kind="value"), headers=("etag",)),
    ),
    Pair(
        "header: rule has expired",
        response({}, etag='"1"'),
        response({}, etag='"2"'),
        field("etag"),
        rules=settings(accept(header="etag", until="2026-11-22"), headers=("etag",)),
    ),
]


def useless(name: str, legacy: Response, candidate: Response, reason: str) -> Pair:
    return Pair(f"not comparable: {name}", legacy, candidate, outcome="not_comparable", reason=reason)


USELESS = [
    useless("legacy 500", response({"e": 1}, status=500), OK, "legacy_error"),
    useless("legacy 503, candidate too", response(status=503), response(status=503), "legacy_error"),
    useless("legacy refused", Response(0, fault=Fault.CONNECT), OK, "legacy_error"),
    useless("candidate refused", OK, Response(0, fault=Fault.CONNECT), "unavailable"),
    useless("candidate reset", OK, Response(0, fault=Fault.RESET), "unavailable"),
    useless("breaker open", OK, Response(0, fault=Fault.OPEN), "unavailable"),
    useless("candidate too slow", OK, Response(0, fault=Fault.TIMEOUT), "timeout"),
    useless(
        "events",
        response(b"data: 1\n\n", "text/event-stream"),
        response(b"data: 1\n\n", "text/event-stream"),
        "streaming",
    ),
    useless("upgrade", Response(101), Response(426), "streaming"),
    useless("cut at the limit", OK, Response(200, [], b"{", is_too_large=True), "too_large"),
    useless("nested too deep", OK, response(b"[" * 100_000 + b"]" * 100_000), "decode"),
]

PAIRS = [*STATUSES, *HEADERS, *USELESS]
