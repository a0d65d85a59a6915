"""Rewritten paths at a real Envoy, against our own engine: requests, Location and cookies."""

import asyncio

import pytest

from strangler.core.http.cookies import public_cookie
from strangler.core.routing.rewrite import Rewrite, cookie_path_back, rewrite_back, rewrite_target
from strangler.http1.parse import host_of
from tests import factories
from tests.envoy.clients import converse
from tests.envoy.running_clusters import running
from tests.envoy.scripted import Scripted

CASES = [
    pytest.param("/api/orders", "/v2/sales", "", id="a prefix"),
    pytest.param("/api/orders", "/v2/sales", "/base", id="a prefix and a base"),
    pytest.param("/api/orders", "/", "", id="to the root"),
    pytest.param("/", "/v2", "", id="from the root"),
    pytest.param("/api/orders", "/orders", "/base", id="a part"),
    pytest.param("/shops/{id}/orders", "/orders/of/{id}", "", id="a name"),
    pytest.param("/shops/{id}/orders", "/orders", "", id="a name that goes"),
    pytest.param("/shops/{id}/orders", None, "/base", id="a base alone"),
]
RESTS = ["", "/", "/7", "/7/", "/7/%41;x?a=/v2/sales", "/a%20b?x", "?x=1", "/v2/sales", "/{id}"]
PATHS = ["/v2/sales", "/v2/sales/7", "/v2", "/v2/salesman", "/orders/of/9", "/orders", "/orders/", "/base/orders/of/9"]
PATHS += ["/base/v2/sales/7", "/base", "/base/", "/based", "/", "//evil", "/\\evil", "/v2//evil", "/orders//evil", "/x"]
FRONTS = ["", "http://UPSTREAM", "HTTP://UPSTREAM", "https://UPSTREAM", "//UPSTREAM", "http://shop.example"]
FRONTS += [
    "https://shop.example:443",
    "http://shop.example:80",
    "//shop.example",
    "http://other.example",
    "ftp://UPSTREAM",
]
FRONTS += ["http://user@UPSTREAM"]
ODD = [
    "7",
    "../7",
    "?page=2",
    "#x",
    "http:",
    "http:///v2/sales",
    "//",
    "http://shop.example",
    "http://shop.example?x#y",
]
COOKIES = [
    "a=1",
    "a=1; Path=/v2/sales; HttpOnly",
    "a=1;path= /v2 ;Secure",
    "a=/v2; Path=/base/v2/sales/; Domain=127.0.0.1",
    "a=1; Path=/; Domain=.shop.example",
    "path=/v2/sales; Path=/orders",
    "a=1; Path=v2; Max-Age=1",
    "a=1; Path=/base; Domain=elsewhere.example",
    "a; ; Path=/orders/of/9",
]


@pytest.mark.parametrize(("public", "own", "base"), CASES)
async def test_paths_are_those_of_our_own_engine(public: str, own: str | None, base: str) -> None:
    orders = Scripted("orders")
    await orders.start()
    upstreams = [
        factories.upstream("legacy"),
        factories.upstream("orders", f"http://127.0.0.1:{orders.port}{base}"),
    ]
    route = factories.route("orders", prefix=public, rewrite=own, fallback=None)
    settings = factories.settings([route], upstreams)
    rewrite = None if own is None else Rewrite.between(public, own)
    upstream = f"127.0.0.1:{orders.port}"
    async with running(settings) as envoy:
        reader, writer = await asyncio.open_connection("127.0.0.1", envoy.ports["127.0.0.1:0"])
        prefix = public.replace("{id}", "9").rstrip("/")
        for rest in RESTS:
            target = (prefix + rest) if (prefix + rest).startswith("/") else "/" + rest
            await converse(reader, writer, target)
            assert orders.seen[-1].target == rewrite_target(target.encode(), rewrite, base.encode()).decode()
            sent = target.partition("?")[0].encode()
            forwarded = b"" if rewrite is None else rewrite.forwarded_prefix(sent)
            assert orders.seen[-1]["X-Forwarded-Prefix"] == (forwarded.decode() or None)
        path = f"{prefix}/7"
        for location in [front.replace("UPSTREAM", upstream) + each for front in FRONTS for each in PATHS] + ODD:
            orders.headers = [("Location", location), ("Content-Location", location)]
            got = await converse(reader, writer, path)
            expected = rewrite_back(
                location.encode(), rewrite, path.encode(), base.encode(), upstream.encode(), b"shop.example"
            ).decode()
            assert (got["Location"], got["Content-Location"]) == (expected, expected), location
        orders.headers = [("Set-Cookie", each) for each in COOKIES]
        got = await converse(reader, writer, path)

        def back(each: bytes) -> bytes:
            return cookie_path_back(each, rewrite, path.encode(), base.encode())

        own_host = host_of(b"shop.example") or b""
        expected_cookies = [public_cookie(each.encode(), back, b"127.0.0.1", own_host).decode() for each in COOKIES]
        assert [value for name, value in got.fields if name.lower() == "set-cookie"] == expected_cookies
        writer.close()
    await orders.stop()
