"""Listed headers, and no others."""

import pytest

from strangler.core.compare import Outcome, Response
from tests.core.compare.responses import Found, compared, found, settings

Fields = list[tuple[str, str]]


def headers(fields: Fields) -> Response:
    return Response(200, [(name.encode(), value.encode()) for name, value in fields])


def header(name: str, kind: str, severity: str) -> Found:
    return {("header", name, kind, severity)}


LISTED = ("content-type", "Location", "cache-control", "set-cookie", "x-list")
CASES: dict[str, tuple[Fields, Fields, Found]] = {
    "case of names": ([("Cache-Control", "no-store")], [("cache-control", "no-store")], set()),
    "outer whitespace": ([("cache-control", " no-store\t")], [("cache-control", "no-store")], set()),
    "value": ([("cache-control", "a")], [("cache-control", "b")], header("cache-control", "value", "risky")),
    "missing": ([("cache-control", "a")], [], header("cache-control", "missing", "risky")),
    "extra": ([], [("cache-control", "a")], header("cache-control", "extra", "additive")),
    "not listed": ([("date", "a"), ("server", "x")], [("date", "b")], set()),
    "a list in one field or two": ([("x-list", "a"), ("x-list", "b")], [("x-list", "a, b")], set()),
    "media type: case and blanks": (
        [("content-type", 'Text/HTML;Charset="UTF-8"')],
        [("content-type", "text/html; charset=utf-8")],
        set(),
    ),
    "media type: order of parameters": ([("content-type", "a/b; x=1; y=2")], [("content-type", "a/b;y=2;x=1")], set()),
    "media type: charset": (
        [("content-type", "text/html; charset=utf-8")],
        [("content-type", "text/html")],
        header("content-type", "value", "risky"),
    ),
    "media type: charset of JSON": (
        [("content-type", "application/json")],
        [("content-type", 'application/json; Charset="UTF-8"')],
        header("content-type", "value", "additive"),
    ),
    "media type: charset of JSON lost": (
        [("content-type", "application/problem+json;charset=utf-8")],
        [("content-type", "application/problem+json")],
        header("content-type", "value", "additive"),
    ),
    "media type: another charset of JSON": (
        [("content-type", "application/json; charset=utf-8")],
        [("content-type", "application/json; charset=latin-1")],
        header("content-type", "value", "additive"),
    ),
    "media type: charset of JSON and more": (
        [("content-type", "application/json; v=1")],
        [("content-type", "application/json; v=2; charset=utf-8")],
        header("content-type", "value", "risky"),
    ),
    "media type: JSON of another type": (
        [("content-type", "application/json; charset=utf-8")],
        [("content-type", "application/hal+json")],
        header("content-type", "value", "risky"),
    ),
    "media type: boundaries": (
        [("content-type", "multipart/mixed; boundary=a")],
        [("content-type", "multipart/mixed; boundary=b")],
        set(),
    ),
    "media type: multipart of another kind": (
        [("content-type", "multipart/mixed; boundary=a")],
        [("content-type", "multipart/related; boundary=a")],
        header("content-type", "value", "risky"),
    ),
    "media type: type": (
        [("content-type", "text/html")],
        [("content-type", "text/plain")],
        header("content-type", "value", "risky"),
    ),
    "cookie values": ([("set-cookie", "sid=1; Path=/")], [("set-cookie", "sid=2; path=/")], set()),
    "order of cookies and attributes": (
        [("set-cookie", "a=1; Path=/; HttpOnly"), ("set-cookie", "b=1")],
        [("set-cookie", "b=2"), ("set-cookie", "a=3; httponly; path=/")],
        set(),
    ),
    "cookie expiry moves on": (
        [("set-cookie", "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT")],
        [("set-cookie", "a=1; Expires=Wed, 21 Oct 2026 07:28:05 GMT")],
        set(),
    ),
    "cookie: case of SameSite and Domain": (
        [("set-cookie", "a=1; SameSite=Lax; Domain=.Example.com")],
        [("set-cookie", "a=1; samesite=lax; domain=example.com")],
        set(),
    ),
    "cookie lost": (
        [("set-cookie", "a=1"), ("set-cookie", "b=1")],
        [("set-cookie", "a=1")],
        header("set-cookie", "value", "risky"),
    ),
    "only cookie lost": ([("set-cookie", "a=1")], [], header("set-cookie", "value", "risky")),
    "cookie new": ([], [("set-cookie", "a=1")], header("set-cookie", "value", "risky")),
    "cookie renamed": ([("set-cookie", "a=1")], [("set-cookie", "b=1")], header("set-cookie", "value", "risky")),
    "cookie: attribute lost": (
        [("set-cookie", "a=1; HttpOnly; Secure")],
        [("set-cookie", "a=1; HttpOnly")],
        header("set-cookie", "value", "risky"),
    ),
    "cookie: other path": (
        [("set-cookie", "a=1; Path=/")],
        [("set-cookie", "a=1; Path=/v2")],
        header("set-cookie", "value", "risky"),
    ),
    "cookie: expiry lost": (
        [("set-cookie", "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT")],
        [("set-cookie", "a=1")],
        header("set-cookie", "value", "risky"),
    ),
}


@pytest.mark.parametrize(("legacy", "candidate", "expected"), CASES.values(), ids=CASES)
def test_listed_headers(legacy: Fields, candidate: Fields, expected: Found) -> None:
    assert found(compared(headers(legacy), headers(candidate), settings(headers=LISTED))) == expected


def test_location_is_compared_as_the_client_would_get_it() -> None:
    legacy, candidate = headers([("location", "/api/orders/7")]), headers([("location", "/v2/orders/7")])
    rules = settings(headers=("location",))

    def public(location: bytes) -> bytes:
        return location.replace(b"/v2/", b"/api/")

    assert compared(legacy, candidate, rules).outcome is Outcome.MISMATCH
    assert compared(legacy, candidate, rules, rewrite_back=public).outcome is Outcome.MATCH


def test_values_of_cookies_are_not_even_shown() -> None:
    legacy, candidate = headers([("set-cookie", "sid=s3cr3t; Path=/")]), headers([("set-cookie", "tid=s3cr3t")])
    (difference,) = compared(legacy, candidate, settings(headers=LISTED)).differences
    assert (difference.legacy, difference.candidate) == ("sid; path=/", "tid")


def test_a_candidates_cookie_is_compared_as_its_client_gets_it() -> None:
    legacy = Response(200, [(b"Set-Cookie", b"sid=1; Path=/api/orders")])
    candidate = Response(200, [(b"Set-Cookie", b"sid=2; Path=/v2/orders")])
    rules = settings(headers=("set-cookie",))

    def moved(cookie: bytes) -> bytes:
        return cookie.replace(b"/v2", b"/api")

    assert compared(legacy, candidate, rules).outcome is Outcome.MISMATCH
    assert compared(legacy, candidate, rules, cookie_back=moved).outcome is Outcome.MATCH
