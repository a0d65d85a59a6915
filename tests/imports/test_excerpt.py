"""Excerpts in messages: no query, address or secret in them, nothing that steers a terminal, and short."""

import pytest

from strangler.imports.excerpt import MAX_EXCERPT, excerpt

CASES = {
    "a query": (b"GET /a?session=abc HTTP/1.1", "GET /a?… HTTP/1.1"),
    "an e-mail address": (b"/users/mia@mail.example/x", "/users/*@*/x"),
    "an encoded one": (b"/users/mia%40mail.example/x", "/users/*@*/x"),
    "an IPv4 address": (b"203.0.113.7 - -", "*.*.*.* - -"),
    "an IPv6 address": (b"2001:db8::1:2:3 - -", "*:* - -"),
    "a short IPv6 address": (b"::1 2001:db8::7", "*:* *:*"),
    "no time": (b"[10/Oct/2000:13:55:36 -0700]", "[10/Oct/2000:13:55:36 -0700]"),
    "a token": (b"/t/0123456789abcdef0123456789abcdef01234567", "/t/…"),
    "an assigned secret": (b'{"password":"hunter2","a":1}', '{"password":"…","a":1}'),
    "control characters": (b"a\x1b[31mb\x00", "a·[31mb·"),
    "no UTF-8": (b"a\xffb", "a\ufffdb"),
}


@pytest.mark.parametrize(("line", "expected"), CASES.values(), ids=CASES)
def test_an_excerpt_hides(line: bytes, expected: str) -> None:
    assert excerpt(line) == expected


def test_an_excerpt_is_short() -> None:
    assert len(excerpt(b"word " * 100_000)) == MAX_EXCERPT + 1
