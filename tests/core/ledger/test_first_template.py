"""The first template of a path, which its form alone decides."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.ledger.first_template import (
    MAX_REMEMBERED,
    MAX_SEGMENTS,
    FirstTemplateMemo,
    first_template,
)
from strangler.core.ledger.template_tree import TemplateTreeState

CASES = {
    "/orders/7": "/orders/{}",
    "/orders/-7": "/orders/{}",
    "/orders/7/lines/12": "/orders/{}/lines/{}",
    "/orders/550e8400-e29b-41d4-a716-446655440000": "/orders/{}",
    "/orders/01ARZ3NDEKTSV4RRFFQ69G5FAV": "/orders/{}",
    "/orders/507f1f77bcf86cd799439011": "/orders/{}",
    "/orders/3f2a91b": "/orders/{}",
    "/orders/7.json": "/orders/{}.json",
    "/orders/7:cancel": "/orders/{}:cancel",
    "/odata/Orders(7)/Lines": "/odata/Orders({})/Lines",
    "/odata/Customers('ana')": "/odata/Customers({})",
    "/reports/2024-05-01": "/reports/{}",
    "/reports/2024-05": "/reports/{}",
    "/reports/2024-W07": "/reports/{}",
    "/log/2024-05-01T10:00:00Z": "/log/{}",
    "/2024/05/my-post": "/{}/{}/my-post",
    "/users/ana@example.com": "/users/{}",
    "/users/ana%40example.com": "/users/{}",
    "/products/A4-1200X": "/products/{}",
    "/products/B07XJ8C8F5": "/products/{}",
    "/products/ord-1234": "/products/{}",
    "/products/123-blue-shoes": "/products/{}",
    "/products/blue-shoes-p12345.html": "/products/{}.html",
    "/minutes/council-2025-03-06.pdf": "/minutes/council-{}.pdf",
    "/edi/DESADV_20221121_8970.edi": "/edi/DESADV_{}.edi",
    "/firmware/2.0.0-rc1": "/firmware/{}",
    "/firmware/gateway-2.0.0-rc1.bin": "/firmware/gateway-{}.bin",
    "/codes/K75": "/codes/{}",
    "/apps/tpp-191181954e": "/apps/{}",
    "/static/main-DYRUXXGF.js": "/static/main-{}.js",
    "/weather/52.52,-13.40": "/weather/{}",
    "/devices/a4:83:e7:00:11:2b": "/devices/{}",
    "/t/dQw4w9WgXcQ": "/t/{}",
    "/t/iAcgezMhxnS2OCndAlRijQ": "/t/{}",
    "/t/eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln": "/t/{}",
    "/t/dGVzdA==": "/t/{}",
    "/static/app-3f9ab21c.js": "/static/app-{}.js",
    "/static/main.8a7b6c5d.chunk.js": "/static/main.{}.chunk.js",
    "/assets/index-DiwrgTda.js": "/assets/index-{}.js",
    "/js/jquery-3.7.1.min.js": "/js/jquery-{}.min.js",
    "/img/IMG_2034.jpg": "/img/IMG_{}.jpg",
    "/img/7f3a9c2e7f3a9c2e7f3a9c2e7f3a9c2e.jpg": "/img/{}.jpg",
    "/a/b%2Fc": "/a/{}",
    "/a/%00x": "/a/{}",
    "/a/%ff": "/a/{}",
    "/a/{id}": "/a/{}",
    "/" + "x" * 8000: "/{}",
    # words
    "/users/me": "/users/me",
    "/checkout/step1": "/checkout/step1",
    "/oauth2/token": "/oauth2/token",
    "/api/v1/orders": "/api/v1/orders",
    "/2010-04-01/Accounts": "/2010-04-01/Accounts",
    "/api/1.1/statuses": "/api/1.1/statuses",
    "/de-AT/produkte": "/de-AT/produkte",
    "/i18n/k8s/sha256/b2b": "/i18n/k8s/sha256/b2b",
    "/rpc/getOrdersByCustomerId": "/rpc/getOrdersByCustomerId",
    "/login/OAuth2Callback": "/login/OAuth2Callback",
    "/img/logo@2x.png": "/img/logo@2x.png",
    "/sites/example.com": "/sites/example.com",
    "/%C3%BCber-uns": "/über-uns",
    "/my%20file": "/my%20file",
    "/a%3Fb": "/a%3Fb",
    # parameters, slashes, odd targets
    "/cars;color=red/models;page=2": "/cars/models",
    "/login.do;jsessionid=0123456789ABCDEF": "/login.do",
    "/orders?x=1": "/orders",
    "//a//b///c": "/a/b/c",
    "/a/": "/a/",
    "": "/",
    "/": "/",
    "*": "*",
    "http://shop.example/a/7?x": "/a/{}",
}


@pytest.mark.parametrize(("path", "template"), CASES.items(), ids=[path[:40] for path in CASES])
def test_values_are_known_by_their_form(path: str, template: str) -> None:
    assert first_template(path.encode()) == template


def test_a_long_path_ends_with_the_rest() -> None:
    assert first_template(b"/a" * 500) == "/a" * MAX_SEGMENTS + "/{...}"
    assert first_template(b"/a" * MAX_SEGMENTS) == "/a" * MAX_SEGMENTS
    assert first_template(b"/a" * MAX_SEGMENTS + b"/") == "/a" * MAX_SEGMENTS + "/"


def test_words_of_the_operator_are_not_folded() -> None:
    assert first_template(b"/reports/2024/7", frozenset({"2024"})) == "/reports/2024/{}"


@given(st.binary(max_size=200))
def test_any_bytes_have_a_template_that_stays_the_same(path: bytes) -> None:
    template = first_template(path)
    assert template == "*" or template.startswith("/")
    assert template.isprintable()
    tree = TemplateTreeState()
    tree.learn(path)
    assert tree.template_of_first(template) == tree.template_of(path)


@given(st.lists(st.text(min_size=1, max_size=20), max_size=5))
def test_a_template_does_not_depend_on_how_a_word_is_encoded(segments: list[str]) -> None:
    plain = "/" + "/".join(quote(text, safe="") for text in segments)
    encoded = "/" + "/".join("".join(f"%{byte:02x}" for byte in text.encode()) for text in segments)
    if not any("\ud800" <= char <= "\udfff" for text in segments for char in text):
        assert first_template(plain.encode()) == first_template(encoded.encode())


def test_the_memo_is_bounded_and_agrees() -> None:
    memo = FirstTemplateMemo()
    for number in range(3 * MAX_REMEMBERED):
        path = f"/p{number}/x".encode()
        assert memo.template_of(path) == first_template(path)
        assert memo.template_of(b"/orders/7") == "/orders/{}"
    assert len(memo.recent) + len(memo.elder) <= MAX_REMEMBERED
    memo.template_of(b"/" + b"x" * 8000)
    assert max(map(len, memo.recent)) < 300
