"""Another prefix in the path, and the public one back in a Location."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.routing.rewrite import Rewrite, cookie_path_back, rewrite_back, rewrite_target

ORDERS = Rewrite.between("/api/orders", "/v2/sales")
TO_ROOT = Rewrite.between("/api/orders", "/")
FROM_ROOT = Rewrite.between("/", "/v2")
NAMED = Rewrite.between("/shops/{shop}/orders", "/orders/of/{shop}")
DROPPED = Rewrite.between("/shops/{shop}/orders", "/orders")
LETTERS = Rewrite.between("/commandes à jour", "/v2/ventes à%20jour")
SLASHES = Rewrite.between("/api/orders/", "/v2/sales/")

TARGETS = [
    pytest.param(ORDERS, "", "/api/orders", "/v2/sales", id="the prefix itself"),
    pytest.param(ORDERS, "", "/api/orders/", "/v2/sales/", id="with a slash"),
    pytest.param(ORDERS, "", "/api/orders/7/items", "/v2/sales/7/items", id="what is below"),
    pytest.param(ORDERS, "", "/api/orders?x=1", "/v2/sales?x=1", id="a query after the prefix"),
    pytest.param(ORDERS, "", "/api/orders/7?", "/v2/sales/7?", id="an empty query"),
    pytest.param(
        ORDERS, "", "/api/orders/7?u=/api/orders/%2F;#", "/v2/sales/7?u=/api/orders/%2F;#", id="query untouched"
    ),
    pytest.param(ORDERS, "", "/api/orders/a%2Fb;v=1//c", "/v2/sales/a%2Fb;v=1//c", id="raw bytes untouched"),
    pytest.param(ORDERS, "", "/%61pi/orders/7", "/v2/sales/7", id="an encoded letter in the prefix"),
    pytest.param(ORDERS, "", "http://shop.example/api/orders/7?x", "http://shop.example/v2/sales/7?x", id="a URL"),
    pytest.param(ORDERS, "", "*", "*", id="an asterisk"),
    pytest.param(SLASHES, "", "/api/orders", "/v2/sales", id="trailing slashes do not count"),
    pytest.param(TO_ROOT, "", "/api/orders", "/", id="to the root"),
    pytest.param(TO_ROOT, "", "/api/orders/7", "/7", id="to the root, what is below"),
    pytest.param(FROM_ROOT, "", "/", "/v2/", id="from the root"),
    pytest.param(FROM_ROOT, "", "/a/b", "/v2/a/b", id="from the root, what is below"),
    pytest.param(FROM_ROOT, "", "http://shop.example?x", "http://shop.example/v2/?x", id="a URL without a path"),
    pytest.param(NAMED, "", "/shops/a%20b/orders/7", "/orders/of/a%20b/7", id="a name is carried over, raw"),
    pytest.param(DROPPED, "", "/shops/9/orders/7", "/orders/7", id="a name is dropped"),
    pytest.param(
        LETTERS, "", "/commandes%20%c3%a0%20jour/7", "/v2/ventes%20%C3%A0%20jour/7", id="letters go out encoded"
    ),
    pytest.param(None, "", "/api/orders//7", "/api/orders//7", id="nothing to do"),
    pytest.param(None, "/base", "/api/orders/7?x", "/base/api/orders/7?x", id="a base path in front"),
    pytest.param(None, "/base/", "/api", "/base/api", id="a base path with a slash"),
    pytest.param(None, "/", "/api", "/api", id="a base path that is the root"),
    pytest.param(None, "/base", "*", "*", id="an asterisk has no base path"),
    pytest.param(None, "/base", "http://shop.example", "http://shop.example/base/", id="a base path in a URL"),
    pytest.param(ORDERS, "/base", "/api/orders/7", "/base/v2/sales/7", id="base path and prefix"),
    pytest.param(TO_ROOT, "/base", "/api/orders", "/base/", id="base path and the root"),
]


@pytest.mark.parametrize(("rewrite", "base", "target", "expected"), TARGETS)
def test_target(rewrite: Rewrite | None, base: str, target: str, expected: str) -> None:
    assert rewrite_target(target.encode(), rewrite, base.encode()) == expected.encode()


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_only_the_prefix_of_a_target_changes(rest: bytes, query: bytes) -> None:
    below = rest.replace(b"?", b"").replace(b"#", b"")
    target = b"/api/orders/" + below + b"?" + query
    assert rewrite_target(target, ORDERS) == b"/v2/sales/" + below + b"?" + query


BACK = [
    pytest.param(ORDERS, "", "/v2/sales/7", "/api/orders/7", id="a path"),
    pytest.param(ORDERS, "", "/v2/sales", "/api/orders", id="the prefix itself"),
    pytest.param(ORDERS, "", "/v2/sales/7?x=1#y", "/api/orders/7?x=1#y", id="query and fragment stay"),
    pytest.param(ORDERS, "", "/v2/sales?x", "/api/orders?x", id="a query after the prefix"),
    pytest.param(ORDERS, "", "/v2/sales2", "/v2/sales2", id="whole segments only"),
    pytest.param(ORDERS, "", "/login", "/login", id="a path elsewhere"),
    pytest.param(ORDERS, "", "7", "7", id="a relative path"),
    pytest.param(ORDERS, "", "../7", "../7", id="a relative path upwards"),
    pytest.param(ORDERS, "", "?page=2", "?page=2", id="a query alone"),
    pytest.param(ORDERS, "", "", "", id="nothing"),
    pytest.param(ORDERS, "", "http://new:8001/v2/sales/7", "/api/orders/7", id="a URL at the upstream"),
    pytest.param(ORDERS, "", "HTTP://NEW:8001/v2/sales/7", "/api/orders/7", id="in capitals"),
    pytest.param(ORDERS, "", "http://new:8001/login", "http://new:8001/login", id="the upstream, elsewhere"),
    pytest.param(ORDERS, "", "http://new/v2/sales", "http://new/v2/sales", id="the upstream's host at another port"),
    pytest.param(
        ORDERS,
        "",
        "https://shop.example/v2/sales/7?x",
        "https://shop.example/api/orders/7?x",
        id="a URL at our own host",
    ),
    pytest.param(
        ORDERS, "", "https://shop.example:443/v2/sales", "https://shop.example:443/api/orders", id="the default port"
    ),
    pytest.param(
        ORDERS, "", "http://shop.example:8443/v2/sales", "http://shop.example:8443/v2/sales", id="another port of ours"
    ),
    pytest.param(ORDERS, "", "//shop.example/v2/sales/7", "//shop.example/api/orders/7", id="a URL without a scheme"),
    pytest.param(ORDERS, "", "//evil.example/v2/sales", "//evil.example/v2/sales", id="another host"),
    pytest.param(ORDERS, "", "https://shop.example@evil.example/v2/sales", None, id="a host that looks like ours"),
    pytest.param(ORDERS, "", "https://shop.example\\@evil.example/v2/sales", None, id="a backslash in the host"),
    pytest.param(ORDERS, "", "ftp://shop.example/v2/sales", None, id="another scheme"),
    pytest.param(ORDERS, "", "mailto:ana@shop.example", None, id="no URL of the web"),
    pytest.param(SLASHES, "", "/v2/sales/7", "/api/orders/7", id="trailing slashes do not count"),
    pytest.param(TO_ROOT, "", "/7", "/api/orders/7", id="everything is under the root"),
    pytest.param(TO_ROOT, "", "/", "/api/orders/", id="the root"),
    pytest.param(TO_ROOT, "", "http://new:8001", "/api/orders/", id="a URL without a path"),
    pytest.param(FROM_ROOT, "", "/v2", "/", id="back to the root"),
    pytest.param(FROM_ROOT, "", "/v2/a", "/a", id="back to the root, below"),
    pytest.param(FROM_ROOT, "", "/v2//evil.example/a", None, id="never to what looks like a host"),
    pytest.param(NAMED, "", "/orders/of/8/7", "/shops/8/orders/7", id="a name is taken from the Location"),
    pytest.param(DROPPED, "", "/orders/7", "/shops/9/orders/7", id="or from the request"),
    pytest.param(
        LETTERS, "", "/v2/ventes%20%C3%A0%20jour/7", "/commandes%20%C3%A0%20jour/7", id="letters come back encoded"
    ),
    pytest.param(None, "/base", "/base/api/7", "/api/7", id="a base path is taken away"),
    pytest.param(None, "/base", "/base", "/", id="a base path alone"),
    pytest.param(None, "/base", "/base//evil.example/a", None, id="nor is a base path taken off what would look so"),
    pytest.param(None, "", "http://new:8001//evil.example/a", None, id="nor is the upstream's address"),
    pytest.param(FROM_ROOT, "", "/v2/\\evil.example/a", None, id="nor to what browsers take for a host"),
    pytest.param(None, "/base", "/base2/api", None, id="base paths are whole segments"),
    pytest.param(None, "", "http://new:8001/api/7", "/api/7", id="no rewrite: the upstream's address is hidden"),
    pytest.param(None, "", "/api/7", "/api/7", id="no rewrite: a path"),
    pytest.param(ORDERS, "/base", "/base/v2/sales/7", "/api/orders/7", id="base path and prefix"),
    pytest.param(ORDERS, "/base", "/v2/sales/7", "/v2/sales/7", id="a path outside the base path"),
]


@pytest.mark.parametrize(("rewrite", "base", "location", "expected"), BACK)
def test_location(rewrite: Rewrite | None, base: str, location: str, expected: str | None) -> None:
    request_path = b"/shops/9/orders/1" if rewrite in (NAMED, DROPPED) else b"/api/orders/1"
    back = rewrite_back(location.encode(), rewrite, request_path, base.encode(), b"new:8001", b"shop.example")
    assert back == (location if expected is None else expected).encode()


@given(st.binary(max_size=40))
def test_location_never_raises_whatever_the_bytes(location: bytes) -> None:
    for rewrite in (ORDERS, TO_ROOT, FROM_ROOT, NAMED, None):
        rewrite_back(location, rewrite, b"/api/orders", b"/base", b"new:8001", b"shop.example")


@given(st.lists(st.sampled_from(["a", "b%20c", "v2", "sales", "api", ""]), max_size=4))
def test_what_goes_out_comes_back(rest: list[str]) -> None:
    path = ("/api/orders" + "".join(f"/{segment}" for segment in rest)).encode()
    for base in (b"", b"/base"):
        sent = rewrite_target(path, ORDERS, base)
        assert rewrite_back(sent, ORDERS, path, base, b"new:8001", b"shop.example") == path


@pytest.mark.parametrize(
    ("rewrite", "base", "path", "public"),
    [
        pytest.param(ORDERS, "", "/v2/sales", "/api/orders", id="the prefix itself"),
        pytest.param(ORDERS, "", "/v2/sales/", "/api/orders", id="with a slash, which would not match the prefix"),
        pytest.param(ORDERS, "", "/v2/sales/7", "/api/orders/7", id="what is below"),
        pytest.param(ORDERS, "", "/v2", "/api/orders", id="what the prefix is below"),
        pytest.param(ORDERS, "", "/", "/", id="the root covers the client's paths, too"),
        pytest.param(ORDERS, "", "/v2/salesman", "/v2/salesman", id="another path with the same start"),
        pytest.param(ORDERS, "", "/other", "/other", id="another path"),
        pytest.param(TO_ROOT, "", "/", "/api/orders", id="the root that stands for the public prefix"),
        pytest.param(TO_ROOT, "", "/x", "/api/orders/x", id="below that root"),
        pytest.param(FROM_ROOT, "", "/v2", "/", id="to the root"),
        pytest.param(FROM_ROOT, "", "/v2/a", "/a", id="below, to the root"),
        pytest.param(None, "/base", "/base", "/", id="a base path alone"),
        pytest.param(None, "/base", "/base/a", "/a", id="below a base path"),
        pytest.param(None, "/base", "/", "/", id="the root above a base path"),
        pytest.param(ORDERS, "/base", "/base/v2/sales", "/api/orders", id="base path and prefix"),
        pytest.param(NAMED, "", "/orders/of/9", "/shops/9/orders", id="a name"),
        pytest.param(DROPPED, "", "/orders", "/shops/9/orders", id="a name of the request"),
    ],
)
def test_a_cookies_path_is_the_clients(rewrite: Rewrite | None, base: str, path: str, public: str) -> None:
    request_path = b"/shops/9/orders/1" if rewrite in (NAMED, DROPPED) else b"/api/orders/1"
    assert cookie_path_back(path.encode(), rewrite, request_path, base.encode()) == public.encode()


@pytest.mark.parametrize(
    ("rewrite", "path", "prefix"),
    [
        pytest.param(TO_ROOT, "/api/orders/7", "/api/orders", id="all of the public prefix is taken away"),
        pytest.param(Rewrite.between("/api/orders", "/orders"), "/api/orders/7", "/api", id="a part of it"),
        pytest.param(ORDERS, "/api/orders/7", "/api/orders", id="another stands in its place"),
        pytest.param(FROM_ROOT, "/a", "", id="nothing is taken away"),
        pytest.param(DROPPED, "/shops/9/orders/1", "/shops/9", id="a name goes with it"),
        pytest.param(NAMED, "/shops/9/orders/1", "/shops/9/orders", id="a name is elsewhere"),
    ],
)
def test_the_candidate_is_told_what_it_does_not_see(rewrite: Rewrite, path: str, prefix: str) -> None:
    assert rewrite.forwarded_prefix(path.encode()) == prefix.encode()
