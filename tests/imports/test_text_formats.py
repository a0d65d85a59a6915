"""Lines of text, in the shapes that servers and balancers write them."""

import msgspec
import pytest

from strangler.imports.log_reading import recognised
from strangler.imports.text_formats import TEXT_FORMATS, common
from strangler.imports.values import ImportOptions, LoggedCall, Unread

AT = 971211336.0
STAMP = "[10/Oct/2000:13:55:36 -0700]"

CLF = {
    "common": (
        f'203.0.113.7 - - {STAMP} "GET /orders/7 HTTP/1.0" 200 2326',
        LoggedCall(AT, "GET", b"/orders/7", status=200),
    ),
    "combined": (
        f'203.0.113.7 - ana {STAMP} "POST /orders?x=1&y=/ HTTP/2.0" 201 5 "https://shop.example/" "shop-app/4 (x)"',
        LoggedCall(AT, "POST", b"/orders", b"x=1&y=/", 201, "shop-app/4 (x)"),
    ),
    "neither referrer nor caller": (
        f'203.0.113.7 - - {STAMP} "GET / HTTP/1.1" 304 - "-" "-"',
        LoggedCall(AT, "GET", b"/", status=304),
    ),
    "an address of version 6": (
        f'2001:db8::7 - - {STAMP} "GET /a HTTP/1.1" 200 1 "-" "curl/8"',
        LoggedCall(AT, "GET", b"/a", status=200, caller="curl/8"),
    ),
    "a user with a blank": (
        f'203.0.113.7 - Ana Maria {STAMP} "GET /a HTTP/1.1" 200 1',
        LoggedCall(AT, "GET", b"/a", status=200),
    ),
    "a host before it": (
        f'shop.example:443 203.0.113.7 - - {STAMP} "GET /a HTTP/1.1" 200 1 "-" "curl/8"',
        LoggedCall(AT, "GET", b"/a", status=200, caller="curl/8", host="shop.example"),
    ),
    "a host of version 6 before it": (
        f'[2001:db8::1]:80 2001:db8::7 - Ana Maria {STAMP} "GET /a HTTP/1.1" 200 1',
        LoggedCall(AT, "GET", b"/a", status=200, host="[2001:db8::1]"),
    ),
    "nginx's escapes": (
        f'203.0.113.7 - - {STAMP} "GET /caf\\xC3\\xA9\\x22 HTTP/1.1" 200 1 "-" "a\\x22b\\xC3\\xA9"',
        LoggedCall(AT, "GET", b"/caf%C3%A9%22", status=200, caller='a"bé'),
    ),
    "Apache's escapes": (
        f'203.0.113.7 - - {STAMP} "GET /a\\"b\\\\c\\td HTTP/1.1" 400 1 "-" "x\\"y\\\\"',
        LoggedCall(AT, "GET", b"/a%22b\\c%09d", status=400, caller='x"y\\'),
    ),
    "raw UTF-8": (
        f'203.0.113.7 - - {STAMP} "GET /café HTTP/1.1" 200 1 "-" "é"',
        LoggedCall(AT, "GET", b"/caf%C3%A9", status=200, caller="é"),
    ),
    "blanks in the target": (
        f'203.0.113.7 - - {STAMP} "GET /my file.pdf HTTP/1.1" 200 1',
        LoggedCall(AT, "GET", b"/my%20file.pdf", status=200),
    ),
    "a fragment": (
        f'203.0.113.7 - - {STAMP} "GET /a#b?c HTTP/1.1" 200 1',
        LoggedCall(AT, "GET", b"/a", status=200),
    ),
    "HTTP/0.9": (f'203.0.113.7 - - {STAMP} "GET /a" 200 1', LoggedCall(AT, "GET", b"/a", status=200)),
    "absolute-form": (
        f'203.0.113.7 - - {STAMP} "GET http://u:p@Shop.example:80/a?b HTTP/1.1" 200 1',
        LoggedCall(AT, "GET", b"/a", b"b", 200, host="shop.example"),
    ),
    "absolute-form without a path": (
        f'203.0.113.7 - - {STAMP} "GET http://shop.example HTTP/1.1" 200 1',
        LoggedCall(AT, "GET", b"/", status=200, host="shop.example"),
    ),
    "asterisk-form": (
        f'203.0.113.7 - - {STAMP} "OPTIONS * HTTP/1.1" 200 1',
        LoggedCall(AT, "OPTIONS", b"*", status=200),
    ),
    "a method of an extension": (
        f'203.0.113.7 - - {STAMP} "VERSION-CONTROL /a HTTP/1.1" 200 1',
        LoggedCall(AT, "VERSION-CONTROL", b"/a", status=200),
    ),
    "no status": (f'203.0.113.7 - - {STAMP} "GET /a HTTP/1.1" - -', LoggedCall(AT, "GET", b"/a")),
    "nginx's 499 and a time of the request": (
        f'203.0.113.7 - - {STAMP} "GET /a HTTP/1.1" 499 0 "-" "curl/8" "10.0.0.1" rt=0.123',
        LoggedCall(AT, "GET", b"/a", status=499, caller="curl/8"),
    ),
    "Traefik": (
        f'203.0.113.7 - - {STAMP} "GET /a HTTP/1.1" 200 1 "-" "curl/8" 1234 "shop@docker" "http://10.0.0.7:80" 12ms',
        LoggedCall(AT, "GET", b"/a", status=200, caller="curl/8", duration_s=0.012),
    ),
    "Traefik without a router": (
        f'203.0.113.7 - - {STAMP} "GET /a HTTP/1.1" 404 19 "-" "-" 3 "-" "-" 0ms',
        LoggedCall(AT, "GET", b"/a", status=404, duration_s=0.0),
    ),
    "a line break of Windows": (
        f'203.0.113.7 - - {STAMP} "GET /a HTTP/1.1" 200 1 "-" "curl/8"\r',
        LoggedCall(AT, "GET", b"/a", status=200, caller="curl/8"),
    ),
    "CONNECT": (f'203.0.113.7 - - {STAMP} "CONNECT shop.example:443 HTTP/1.1" 405 1', Unread.NO_PATH),
    "a TLS handshake": (f'203.0.113.7 - - {STAMP} "\\x16\\x03\\x01\\x00\\xEE" 400 150', Unread.NO_REQUEST),
    "a dash": (f'203.0.113.7 - - {STAMP} "-" 408 -', Unread.NO_REQUEST),
    "nothing": (f'203.0.113.7 - - {STAMP} "" 400 0 "-" "-"', Unread.NO_REQUEST),
    "a day that does not exist": (
        '203.0.113.7 - - [31/Feb/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1',
        Unread.BAD_TIME,
    ),
    "no log": ("Exception in thread main", Unread.BAD_FORM),
    "JSON of our own log": ('{"event":"listening"}', Unread.OTHER_EVENT),
}


@pytest.mark.parametrize(("line", "expected"), CLF.values(), ids=CLF)
def test_a_common_or_combined_line(line: str, expected: LoggedCall | Unread) -> None:
    found = common()(line.encode())
    if isinstance(found, LoggedCall):
        assert found.client in ("203.0.113.7", "2001:db8::7", "10.0.0.1") or not found.client
        found = msgspec.structs.replace(found, client="")
    assert found == expected


HAPROXY_TAIL = "https~ app/app1 0/0/1/7/9 200 512 - - ---- 9/9/1/1/0 0/0"
HAPROXY_AT = 971186136.0 + 0.5
"""Its times have no zone, and count as UTC."""

OTHERS = {
    "HAProxy": (
        f'203.0.113.7:4711 [10/Oct/2000:13:55:36.500] {HAPROXY_TAIL} "GET /a?b HTTP/1.1"',
        LoggedCall(HAPROXY_AT, "GET", b"/a", b"b", 200, duration_s=0.009),
    ),
    "HAProxy behind syslog, with fields": (
        "<134>Oct 10 13:55:36 lb haproxy[7]: 203.0.113.7:4711 [10/Oct/2000:13:55:36.500] "
        f'{HAPROXY_TAIL} {{shop.example:443|Mozilla/5.0 (X11)||de}} {{text/html}} "GET /a HTTP/1.1"',
        LoggedCall(HAPROXY_AT, "GET", b"/a", b"", 200, "Mozilla/5.0 (X11)", "shop.example", 0.009),
    ),
    "HAProxy behind journald": (
        "2000-10-10T13:55:36.501+00:00 lb haproxy[7]: 2001:db8::7:4711 [10/Oct/2000:13:55:36.500] "
        f'{HAPROXY_TAIL} {{|}} "GET /a HTTP/2.0"',
        LoggedCall(HAPROXY_AT, "GET", b"/a", status=200, duration_s=0.009),
    ),
    "HAProxy, refused": (
        "203.0.113.7:4711 [10/Oct/2000:13:55:36.500] web web/<NOSRV> 0/-1/-1/-1/+2 503 212 - - SC-- 0/0/0/0/0 0/0 "
        '"GET /caf#C3#A9 HTTP/1.1"',
        LoggedCall(HAPROXY_AT, "GET", b"/caf%C3%A9", status=503, duration_s=0.002),
    ),
    "HAProxy, no request": (
        "203.0.113.7:4711 [10/Oct/2000:13:55:36.500] web web/<NOSRV> -1/-1/-1/-1/2 400 212 - - PR-- 0/0/0/0/0 0/0 "
        '"<BADREQ>"',
        Unread.NO_REQUEST,
    ),
    "HAProxy, cut by syslog": (
        f'203.0.113.7:4711 [10/Oct/2000:13:55:36.500] {HAPROXY_TAIL} "GET /a?very-long',
        Unread.CUT,
    ),
    "ALB": (
        "https 2000-10-10T20:55:36.250000Z app/shop/50dc 203.0.113.7:2817 10.0.0.1:80 0.001 0.020 0.003 200 200 34 366 "
        '"GET https://shop.example:443/a?b=c HTTP/1.1" "curl/8" AES TLSv1.2 arn:aws:x "Root=1" "shop.example" "-" 0',
        LoggedCall(AT + 0.25, "GET", b"/a", b"b=c", 200, "curl/8", "shop.example", 0.001 + 0.020 + 0.003),
    ),
    "ALB without a target": (
        "h2 2000-10-10T20:55:36.250000Z app/shop/50dc 203.0.113.7:2817 - -1 -1 -1 502 - 34 366 "
        '"GET https://shop.example:443/ HTTP/2.0" "-" AES TLSv1.2 - "-" "-" "-" 0',
        LoggedCall(AT + 0.25, "GET", b"/", b"", 502, "", "shop.example"),
    ),
    "ALB, no request": (
        "http 2000-10-10T20:55:36.250000Z app/shop/50dc 203.0.113.7:2817 - -1 -1 -1 400 - 0 0 "
        '"- http://shop.example:80- -" "-" - - - "-" "-" "-" -',
        Unread.NO_REQUEST,
    ),
    "ALB, an address for a host": (
        "http 2000-10-10T20:55:36.250000Z app/shop/50dc [2001:db8::7]:2817 10.0.0.1:80 0.1 0.1 0.1 404 404 0 0 "
        '"GET http://[2001:db8::1]:80/x HTTP/1.1" "zgrab/0" - -',
        LoggedCall(AT + 0.25, "GET", b"/x", b"", 404, "zgrab/0", "[2001:db8::1]", 0.1 + 0.1 + 0.1),
    ),
    "the classic balancer": (
        "2000-10-10T20:55:36.250000Z shop 203.0.113.7:2817 10.0.0.1:80 0.1 0.1 0.1 200 200 0 29 "
        '"GET http://shop.example:80/a HTTP/1.1" "curl/8" - -',
        LoggedCall(AT + 0.25, "GET", b"/a", b"", 200, "curl/8", "shop.example", 0.1 + 0.1 + 0.1),
    ),
    "Envoy": (
        '[2000-10-10T20:55:36.250Z] "GET /a?b HTTP/1.1" 200 - 0 135 14 9 "203.0.113.7" "curl/8" "3f8e" '
        '"shop.example:80" "10.0.0.1:80"',
        LoggedCall(AT + 0.25, "GET", b"/a", b"b", 200, "curl/8", "shop.example", 0.014),
    ),
    "Istio": (
        '[2000-10-10T20:55:36.250Z] "GET /a HTTP/2" 503 UF via_upstream - "delayed connect" 0 135 14 - "-" "curl/8" '
        '"3f8e" "shop.example" "10.0.0.1:80" inbound|80|| - 10.0.0.2:80 10.0.0.3:5 - default',
        LoggedCall(AT + 0.25, "GET", b"/a", b"", 503, "curl/8", "shop.example", 0.014),
    ),
    "Envoy, no request": (
        '[2000-10-10T20:55:36.250Z] "- - HTTP/1.1" 400 DPE 0 11 0 - "-" "-" "-" "-" "-"',
        Unread.NO_REQUEST,
    ),
}


@pytest.mark.parametrize(("line", "expected"), OTHERS.values(), ids=OTHERS)
def test_a_line_of_another_server(line: str, expected: LoggedCall | Unread) -> None:
    parsers = [make() for make in TEXT_FORMATS.values()]
    assert [found for found in (parse(line.encode()) for parse in parsers) if found != Unread.BAD_FORM] == [expected]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("common or combined", CLF["common"][0]),
        ("common or combined", CLF["Traefik"][0]),
        ("HAProxy", OTHERS["HAProxy behind syslog, with fields"][0]),
        ("AWS load balancer", OTHERS["ALB"][0]),
        ("Envoy", OTHERS["Istio"][0]),
    ],
)
def test_a_format_is_known_by_its_lines(name: str, line: str) -> None:
    found = recognised([line.encode()] * 3, ImportOptions())
    assert found is not None
    assert found[0] == name
