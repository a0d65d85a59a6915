"""The example of a row, which keeps nothing secret and nothing personal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.ledger.examples import MAX_EXAMPLE, example_of

CASES = {
    "/orders/7?token=abc#x": "/orders/7",
    "/orders/550e8400-e29b-41d4-a716-446655440000": "/orders/550e8400-e29b-41d4-a716-446655440000",
    "/users/ana@example.com/mails": "/users/*@*/mails",
    "/users/ana%40example.com": "/users/*@*",
    "/login.do;jsessionid=0123456789ABCDEF0123456789ABCDEF": "/login.do",
    "/t/eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl/x": "/t/*/x",
    "/v1/users/0yTRhZZg9XlO": "/v1/users/*",
    "/commit/3f786850e387550fdab836ed7e6dc881de23001b": "/commit/*",
    "/files/iAcgezMhxnS2OCndAlRijQ.pdf": "/files/*.pdf",
    "/static/app-3f9ab21c.js": "/static/app-*.js",
    "/reset/abc123": "/reset/*",
    "/token/refresh": "/token/refresh",
    "/call/%2B4915112345678": "/call/*",
    "/blog/ten-things-for-2024-in-berlin": "/blog/ten-things-for-2024-in-berlin",
    "/a%2Fb/%3Cscript%3E": "/a%2Fb/<script>",
    "/": "/",
}


@pytest.mark.parametrize(("path", "example"), CASES.items(), ids=CASES)
def test_tokens_and_addresses_are_masked(path: str, example: str) -> None:
    assert example_of(path.encode()) == example


@given(st.binary(max_size=4000))
def test_any_path_has_a_short_example(path: bytes) -> None:
    assert len(example_of(b"/" + path)) <= MAX_EXAMPLE
