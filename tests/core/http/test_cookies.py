"""Set-Cookie fields: what they set or remove, and their public form."""

import pytest

from strangler.core.http.cookies import cookies_set, public_cookie

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"sid=1", {b"sid": b"1"}),
        (b"  sid = a=b ; Path=/", {b"sid": b"a=b"}),
        (b'sid="q"; Secure', {b"sid": b'"q"'}),
        (b"sid=", {b"sid": None}),
        (b"sid=1; Max-Age=0", {b"sid": None}),
        (b"sid=1; max-age=-5", {b"sid": None}),
        (b"sid=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", {b"sid": b"1"}),
        (b"sid=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", {b"sid": None}),
        (b"sid=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT", {b"sid": b"1"}),
        (b"sid=1; Expires=soon", {b"sid": b"1"}),
        (b"sid=1; Max-Age=often", {b"sid": b"1"}),
        (b"no pair", {}),
        (b"=value", {}),
        (b"", {}),
    ],
)
def test_what_a_field_sets_or_removes(field: bytes, expected: dict[bytes, bytes | None]) -> None:
    assert cookies_set([(b"Set-Cookie", field)], NOW) == expected


def test_the_last_of_one_name_counts_and_their_number_is_bounded() -> None:
    assert cookies_set([(b"set-cookie", b"a=1"), (b"X", b"a=9"), (b"SET-COOKIE", b"a=2")], NOW) == {b"a": b"2"}
    assert len(cookies_set([(b"set-cookie", b"c%d=1" % number) for number in range(500)], NOW)) <= 50


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"sid=/v2; Path=/v2/x; HttpOnly", b"sid=/v2; Path=/PUBLIC/v2/x; HttpOnly"),
        (b"sid=1;path=/v2", b"sid=1;path=/PUBLIC/v2"),
        (b"sid=1; Path=v2", b"sid=1; Path=v2"),
        (b"sid=1; Domain=orders.internal; Secure", b"sid=1; Secure"),
        (b"sid=1; Domain=.internal", b"sid=1"),
        (b"sid=1; domain=Orders.Internal", b"sid=1"),
        (b"sid=1; Domain=example.com", b"sid=1; Domain=example.com"),
        (b"sid=1; Domain=shop.example.com", b"sid=1; Domain=shop.example.com"),
        (b"sid=1; Domain=elsewhere.org", b"sid=1; Domain=elsewhere.org"),
        (b"sid=1; Domain=", b"sid=1; Domain="),
        (b"sid=1", b"sid=1"),
    ],
)
def test_a_cookie_as_the_client_gets_it(field: bytes, expected: bytes) -> None:
    made = public_cookie(field, lambda path: b"/PUBLIC" + path, b"orders.internal", b"shop.example.com")
    assert made == expected
