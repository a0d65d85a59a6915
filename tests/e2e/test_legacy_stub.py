"""The shop is what the demo and other tests stand on: this holds what they rely on."""

import asyncio
import signal
import socket
import sqlite3
import sys
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import BodyPartReader, ClientSession, CookieJar, FormData, MultipartReader, WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer

from legacy_stub import seed
from legacy_stub.app import candidate_app, legacy_app
from legacy_stub.build import rewrite
from legacy_stub.drifts import DRIFTS, NAMES, ORDER, ORDERS, Drift, drifted
from legacy_stub.faults import FaultState
from legacy_stub.shop import Json, Shop

ShopClient = TestClient[web.Request, web.Application]


async def _client(app: web.Application) -> ShopClient:
    client = TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True))
    await client.start_server()
    return client


@pytest.fixture
async def legacy(tmp_path: Path) -> AsyncIterator[ShopClient]:
    shop = Shop()
    client = await _client(legacy_app(shop, tmp_path, FaultState()))
    yield client
    await client.close()
    shop.close()


@pytest.fixture
async def candidate() -> AsyncIterator[ShopClient]:
    shop = Shop()
    client = await _client(candidate_app("orders", shop, FaultState()))
    yield client
    await client.close()
    shop.close()


async def _json(client: ShopClient, path: str) -> Json:
    response = await client.get(path)
    assert response.status == 200
    data: Json = await response.json()
    return data


def _token(page: str) -> str:
    """Return the token of a page's form."""
    return page.split('name="csrf" value="')[1].split('"')[0]


def _order(token: str, quantity: int = 1) -> dict[str, str]:
    return {"csrf": token, "quantity": str(quantity)}


class TestPages:
    @pytest.mark.parametrize(
        ("path", "status"),
        [("/", 200), ("/products", 200), ("/login", 200), ("/nowhere", 404)],
        ids=["home", "products", "login", "unknown"],
    )
    async def test_pages_are_html(self, legacy: ShopClient, path: str, status: int) -> None:
        response = await legacy.get(path)
        assert (response.status, response.content_type) == (status, "text/html")
        assert "<!doctype html>" in await response.text()

    async def test_old_address_redirects(self, legacy: ShopClient) -> None:
        response = await legacy.get("/catalogue", allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (302, "/products")

    @pytest.mark.parametrize("token", ["", "guessed", "ü" * 8], ids=["none", "guessed", "not-ascii"])
    async def test_login_needs_the_token_of_its_form(self, legacy: ShopClient, token: str) -> None:
        await legacy.get("/login")
        form = {"csrf": token, "email": "user3@shop.example", "password": seed.PASSWORD}
        assert (await legacy.post("/login", data=form)).status == 403

    async def test_login_gives_a_new_session_that_opens_the_account(self, legacy: ShopClient) -> None:
        token = _token(await (await legacy.get("/login")).text())
        before = legacy.session.cookie_jar.filter_cookies(legacy.make_url("/"))["sid"].value
        form = {"csrf": token, "email": "user3@shop.example", "password": seed.PASSWORD}
        response = await legacy.post("/login", data=form, allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (302, "/account")
        assert response.cookies["sid"].value != before
        assert "orders." in await (await legacy.get("/account")).text()

    async def test_account_without_login_redirects_to_it(self, legacy: ShopClient) -> None:
        response = await legacy.get("/account", allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (302, "/login")

    async def test_a_token_is_masked_anew_each_time_and_both_hold(self, legacy: ShopClient) -> None:
        first, second = [_token(await (await legacy.get("/products/MUG-01")).text()) for _ in range(2)]
        assert first != second
        for token in (first, second):
            response = await legacy.post("/products/MUG-01/cart", data=_order(token), allow_redirects=False)
            assert response.status == 302

    async def test_a_token_of_another_visitor_is_refused(self, legacy: ShopClient) -> None:
        token = _token(await (await legacy.get("/login")).text())
        legacy.session.cookie_jar.clear()
        await legacy.get("/login")
        assert (await legacy.post("/products/MUG-01/cart", data=_order(token))).status == 403

    async def test_a_page_runs_the_script_of_its_own_nonce_alone(self, legacy: ShopClient) -> None:
        nonces = set()
        for _ in range(2):
            response = await legacy.get("/products/MUG-01")
            nonce = response.headers["Content-Security-Policy"].split("'nonce-")[1].split("'")[0]
            assert f'<script nonce="{nonce}">' in await response.text()
            nonces.add(nonce)
        assert len(nonces) == 2

    async def test_a_form_puts_a_product_into_the_visitors_cart(self, legacy: ShopClient) -> None:
        page = await (await legacy.get("/products/MUG-01")).text()
        assert '<main>\n<h1>Mug, speckled</h1>\n<p class="price">12.90 €</p>' in page
        response = await legacy.post("/products/MUG-01/cart", data=_order(_token(page), 3), allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (302, "/cart")
        cart = await (await legacy.get("/cart")).text()
        assert '3 × MUG-01</td><td class="price">38.70 €' in cart
        assert '<p class="total">38.70 €</p>' in cart

    @pytest.mark.parametrize(
        ("sku", "quantity", "status"),
        [("MUG-01", "0", 422), ("MUG-01", "100", 422), ("MUG-01", "x", 422), ("MUG-01", "²", 422), ("NONE", "1", 404)],
    )
    async def test_a_form_that_makes_no_sense_is_refused(
        self, legacy: ShopClient, sku: str, quantity: str, status: int
    ) -> None:
        token = _token(await (await legacy.get("/login")).text())
        response = await legacy.post(f"/products/{sku}/cart", data={"csrf": token, "quantity": quantity})
        assert response.status == status
        assert (await _json(legacy, "/api/carts"))["lines"] == []


class TestVisits:
    async def _visits(self, client: ShopClient) -> int:
        return int((await _json(client, "/api/visits"))["visits"])

    async def test_each_request_of_a_session_is_one_visit(self, legacy: ShopClient) -> None:
        for path in ("/", "/products", "/catalogue", "/nowhere", "/api/orders/7", "/api/users/3", "/feed.xml"):
            await legacy.get(path, allow_redirects=False)
        assert await self._visits(legacy) == 7
        assert "visit number 8." in await (await legacy.get("/")).text()

    async def test_what_is_no_visit(self, legacy: ShopClient) -> None:
        await legacy.get("/")
        for path in ("/healthz", "/faults", "/api/visits", "/events?limit=0"):
            assert (await legacy.get(path)).status == 200
        assert await self._visits(legacy) == 1

    async def test_a_304_and_a_refused_form_are_visits(self, legacy: ShopClient) -> None:
        tag = (await legacy.get("/products")).headers["ETag"]
        assert (await legacy.get("/products", headers={"If-None-Match": tag})).status == 304
        assert (await legacy.post("/login", data={})).status == 403
        assert await self._visits(legacy) == 3

    async def test_login_keeps_the_count(self, legacy: ShopClient) -> None:
        token = _token(await (await legacy.get("/login")).text())
        form = {"csrf": token, "email": "user3@shop.example", "password": seed.PASSWORD}
        await legacy.post("/login", data=form)  # and the account, after it
        assert await self._visits(legacy) == 3

    async def test_the_api_opens_no_session(self, legacy: ShopClient) -> None:
        response = await legacy.get("/api/orders/7")
        assert "Set-Cookie" not in response.headers
        assert await self._visits(legacy) == 0

    async def test_a_monolith_counts_shadows_like_any_request(self, legacy: ShopClient) -> None:
        await legacy.get("/")
        await legacy.get("/products", headers={"X-Strangler-Shadow": "1"})
        assert await self._visits(legacy) == 2


class TestApi:
    async def test_orders_are_paged_and_filtered(self, legacy: ShopClient) -> None:
        second = await _json(legacy, "/api/orders?status=shipped&page=2&per_page=3")
        every = await _json(legacy, "/api/orders?status=shipped&per_page=100")
        assert second["items"] == every["items"][3:6]
        assert second["total"] == len(every["items"]) > 6
        assert {order["status"] for order in every["items"]} == {"shipped"}

    @pytest.mark.parametrize("query", ["page=0", "per_page=101", "user_id=x"])
    async def test_bad_paging_is_400_as_json(self, legacy: ShopClient, query: str) -> None:
        response = await legacy.get(f"/api/orders?{query}")
        assert response.status == 400
        assert set(await response.json()) == {"error"}

    async def test_an_order_lives_from_post_to_delete(self, legacy: ShopClient) -> None:
        order = {"user_id": 3, "lines": [{"sku": "MUG-01", "quantity": 2}], "gift_note": "hi"}
        placed = await legacy.post("/api/orders", json=order)
        where = placed.headers["Location"]
        assert placed.status == 201
        assert (await _json(legacy, where))["price"] == 25.80
        changed = await legacy.put(where, json={"status": "paid"})
        assert (await changed.json())["status"] == "paid"
        assert (await legacy.delete(where)).status == 204
        assert (await legacy.get(where)).status == 404

    @pytest.mark.parametrize(
        "order",
        [{}, {"user_id": 1, "lines": [{"sku": "NONE"}]}, {"user_id": 1, "lines": ["MUG-01"]}],
        ids=["empty", "unknown-product", "odd-lines"],
    )
    async def test_an_order_that_makes_no_sense_is_422(self, legacy: ShopClient, order: Json) -> None:
        assert (await legacy.post("/api/orders", json=order)).status == 422

    async def test_users_have_etags_and_304(self, legacy: ShopClient) -> None:
        first = await legacy.get("/api/users/3")
        again = await legacy.get("/api/users/3", headers={"If-None-Match": first.headers["ETag"]})
        assert (first.status, again.status) == (200, 304)
        assert again.headers["ETag"] == first.headers["ETag"]
        assert (await legacy.get("/api/users/999")).status == 404

    async def test_papers_come_as_multipart(self, legacy: ShopClient) -> None:
        order = await _json(legacy, "/api/orders/7")
        first, second = [await legacy.get("/api/orders/7/papers") for _ in range(2)]
        assert first.content_type == "multipart/mixed"
        assert first.headers["Content-Type"] != second.headers["Content-Type"], "another boundary each time"
        reader = MultipartReader.from_response(first)
        packing = await reader.next()
        assert isinstance(packing, BodyPartReader)
        listed = [{"sku": line["sku"], "quantity": line["quantity"]} for line in order["lines"]]
        assert await packing.json() == {"order": 7, "items": listed}
        slip = await reader.next()
        assert isinstance(slip, BodyPartReader)
        assert (await slip.text()).startswith("Order 7\r\n")
        assert await reader.next() is None
        assert (await legacy.get("/api/orders/9999/papers")).status == 404

    async def test_gzip_only_where_the_client_takes_it(self, legacy: ShopClient) -> None:
        packed = await legacy.get("/api/users", headers={"Accept-Encoding": "gzip"})
        plain = await legacy.get("/api/users", headers={"Accept-Encoding": "identity"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in plain.headers
        assert await packed.json() == await plain.json()

    async def test_a_cart_belongs_to_its_session(self, legacy: ShopClient) -> None:
        added = await legacy.post("/api/carts", json={"sku": "TIN-01", "quantity": 3})
        assert added.status == 201
        assert (await _json(legacy, "/api/carts"))["total"] == 29.97
        stranger = await legacy.get("/api/carts", headers={"Cookie": "sid=none"}, cookies={"sid": "none"})
        assert (await stranger.json())["lines"] == []


class TestFiles:
    CONTENT = bytes(range(256)) * 1000

    async def _upload(self, client: ShopClient, **request: Any) -> Json:
        response = await client.post("/api/files", **request)
        assert response.status == 201
        file: Json = await response.json()
        assert response.headers["Location"] == f"/files/{file['id']}"
        return file

    async def test_a_form_upload_comes_back_whole(self, legacy: ShopClient) -> None:
        form = FormData(quote_fields=False)
        form.add_field("file", self.CONTENT, filename="tea ☕.bin", content_type="image/x-tea")
        file = await self._upload(legacy, data=form)
        assert (file["name"], file["bytes"]) == ("tea ☕.bin", len(self.CONTENT))
        response = await legacy.get(f"/files/{file['id']}")
        assert response.content_type == "image/x-tea"
        assert await response.read() == self.CONTENT

    async def test_a_raw_upload_can_be_read_by_range(self, legacy: ShopClient) -> None:
        file = await self._upload(legacy, params={"name": "raw.bin"}, data=self.CONTENT)
        response = await legacy.get(f"/files/{file['id']}", headers={"Range": "bytes=1000-1099"})
        assert response.status == 206
        assert response.headers["Content-Range"] == f"bytes 1000-1099/{len(self.CONTENT)}"
        assert await response.read() == self.CONTENT[1000:1100]

    async def test_a_form_without_a_file_is_400(self, legacy: ShopClient) -> None:
        form = FormData({"name": "no file"}, default_to_multipart=True)
        assert (await legacy.post("/api/files", data=form)).status == 400


class TestLive:
    async def test_events_tell_of_orders(self, legacy: ShopClient) -> None:
        async with legacy.get("/events?limit=1") as events:
            assert events.content_type == "text/event-stream"
            await legacy.put("/api/orders/5", json={"status": "packed"})
            assert "event: notice\ndata: order 5 packed\n\n" in await events.text()

    async def test_websocket_echoes_and_tells_notices(self, legacy: ShopClient) -> None:
        async with legacy.ws_connect("/ws") as socket:
            await socket.send_str("hello")
            assert (await socket.receive()).data == "echo: hello"
            await socket.send_bytes(b"\x00\xff")
            assert (await socket.receive()).data == b"\x00\xff"
            await legacy.put("/api/orders/5", json={"status": "paid"})
            assert (await socket.receive()).data == "notice: order 5 paid"


LONG_AGO, FAR_AHEAD = "Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


class TestConditions:
    """RFC 9110 sections 13 and 14."""

    BUILT = "Mon, 05 Jan 2026 08:00:00 GMT"

    @pytest.mark.parametrize(
        "path", ["/products", "/products/MUG-01", "/feed.xml", "/api/orders/7", "/api/orders?page=2", "/api/users"]
    )
    async def test_a_tag_is_weak_and_stays_while_nothing_changes(self, legacy: ShopClient, path: str) -> None:
        first, second = await legacy.get(path), await legacy.get(path)
        assert first.headers["ETag"] == second.headers["ETag"]
        assert first.headers["ETag"].startswith('W/"')
        again = await legacy.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status, await again.read()) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]

    async def test_a_change_makes_another_tag(self, legacy: ShopClient) -> None:
        before = (await legacy.get("/api/orders/5")).headers["ETag"]
        await legacy.put("/api/orders/5", json={"status": "cancelled"})
        after = await legacy.get("/api/orders/5", headers={"If-None-Match": before})
        assert after.status == 200
        assert after.headers["ETag"] != before

    @pytest.mark.parametrize(
        ("conditions", "status"),
        [
            ({"If-None-Match": "TAG"}, 304),
            ({"If-None-Match": '"other", TAG'}, 304),
            ({"If-None-Match": "*"}, 304),
            ({"If-None-Match": '"other"'}, 200),
            ({"If-Modified-Since": BUILT}, 304),
            ({"If-Modified-Since": FAR_AHEAD}, 304),
            ({"If-Modified-Since": LONG_AGO}, 200),
            ({"If-Modified-Since": "no date"}, 200),
            ({"If-None-Match": '"other"', "If-Modified-Since": BUILT}, 200),
            ({"If-Match": "TAG"}, 200),
            ({"If-Match": "*"}, 200),
            ({"If-Match": '"other"'}, 412),
            ({"If-Unmodified-Since": BUILT}, 200),
            ({"If-Unmodified-Since": LONG_AGO}, 412),
        ],
        ids=lambda value: str(value),
    )
    async def test_conditions(self, legacy: ShopClient, conditions: dict[str, str], status: int) -> None:
        tag = (await legacy.get("/products/prices.csv")).headers["ETag"]
        headers = {name: value.replace("TAG", tag) for name, value in conditions.items()}
        response = await legacy.get("/products/prices.csv", headers=headers)
        assert response.status == status
        assert (response.headers["ETag"], response.headers["Last-Modified"]) == (tag, self.BUILT)

    async def test_a_weak_tag_never_holds_where_a_strong_one_is_needed(self, legacy: ShopClient) -> None:
        tag = (await legacy.get("/products")).headers["ETag"]
        assert (await legacy.get("/products", headers={"If-Match": tag})).status == 412

    @pytest.mark.parametrize(
        ("headers", "status", "range_of"),
        [
            ({"Range": "bytes=5-9"}, 206, (5, 10)),
            ({"Range": "bytes=-7"}, 206, (-7, None)),
            ({"Range": "bytes=20-"}, 206, (20, None)),
            ({"Range": "bytes=999999-"}, 416, (0, 0)),
            ({"Range": "bytes=0-1,4-5"}, 200, (0, None)),
            ({"Range": "lines=0-1"}, 200, (0, None)),
            ({"Range": "bytes=5-9", "If-Range": "TAG"}, 206, (5, 10)),
            ({"Range": "bytes=5-9", "If-Range": '"other"'}, 200, (0, None)),
            ({"Range": "bytes=5-9", "If-Range": "W/TAG"}, 200, (0, None)),
            ({"Range": "bytes=5-9", "If-Range": BUILT}, 206, (5, 10)),
            ({"Range": "bytes=5-9", "If-Range": LONG_AGO}, 200, (0, None)),
        ],
        ids=lambda value: str(value),
    )
    async def test_ranges(
        self, legacy: ShopClient, headers: dict[str, str], status: int, range_of: tuple[int, int | None]
    ) -> None:
        whole = await legacy.get("/products/prices.csv")
        body, tag = await whole.read(), whole.headers["ETag"]
        sent = {name: value.replace("TAG", tag) for name, value in headers.items()}
        response = await legacy.get("/products/prices.csv", headers=sent)
        start, end = range_of
        assert (response.status, await response.read()) == (status, body[start:end])
        if status == 206:
            first, last, _ = slice(start, end).indices(len(body))
            assert response.headers["Content-Range"] == f"bytes {first}-{last - 1}/{len(body)}"
        if status == 416:
            assert response.headers["Content-Range"] == f"bytes */{len(body)}"

    async def test_what_has_a_strong_tag_is_not_compressed(self, legacy: ShopClient) -> None:
        response = await legacy.get("/products/prices.csv", headers={"Accept-Encoding": "gzip"})
        assert response.headers["ETag"].startswith('"')
        assert "Content-Encoding" not in response.headers


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[ShopClient, ShopClient]]:
    """Legacy, and the candidate for orders and products, on one database: the cookies of one hold at the other."""
    data = tmp_path / "shop.db"
    ours, theirs = Shop(data), Shop(data)
    legacy = await _client(legacy_app(ours, tmp_path, FaultState()))
    candidate = TestClient(
        TestServer(candidate_app("shop", theirs, FaultState())), cookie_jar=legacy.session.cookie_jar
    )
    await candidate.start_server()
    yield legacy, candidate
    await candidate.close()
    await legacy.close()
    theirs.close()
    ours.close()


class TestCandidateOfTheShop:
    async def test_its_validators_mean_nothing_to_legacy_nor_legacys_to_it(
        self, both: tuple[ShopClient, ShopClient]
    ) -> None:
        for path in ("/products", "/products/MUG-01", "/products/prices.csv", "/feed.xml", "/api/orders/7"):
            ours, theirs = [(await test_client.get(path)).headers["ETag"] for test_client in both]
            assert ours != theirs
            crossed = [
                await test_client.get(path, headers={"If-None-Match": tag})
                for test_client, tag in zip(both, (theirs, ours), strict=True)
            ]
            assert [response.status for response in crossed] == [200, 200], path

    async def test_its_pages_are_written_in_another_way(self, both: tuple[ShopClient, ShopClient]) -> None:
        for path in ("/products/TEA-01", "/feed.xml"):
            ours, theirs = [await (await test_client.get(path)).text() for test_client in both]
            assert ours != theirs

    async def test_its_feed_says_the_same_in_other_prefixes(self, both: tuple[ShopClient, ShopClient]) -> None:
        ours, theirs = [
            [(node.tag, (node.text or "").strip(), node.attrib) for node in ET.fromstring(await response.read()).iter()]
            for response in [await test_client.get("/feed.xml") for test_client in both]
        ]
        assert ours == theirs
        assert len(ours) > 40

    async def test_its_two_drifts_of_products(self, both: tuple[ShopClient, ShopClient]) -> None:
        _, candidate = both
        page = await (await candidate.get("/products/MUG-01")).text()
        assert "12.9 €" in page
        form = _order(_token(page))
        response = await candidate.post("/products/MUG-01/cart", data=form, allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (303, "/cart")

    async def test_a_shadow_counts_no_visit_and_a_request_does(self, both: tuple[ShopClient, ShopClient]) -> None:
        legacy, candidate = both
        await legacy.get("/")
        await candidate.get("/products/MUG-01", headers={"X-Strangler-Shadow": "1"})
        assert await _json(legacy, "/api/visits") == {"visits": 1}
        await candidate.get("/products/MUG-01")
        assert await _json(legacy, "/api/visits") == {"visits": 2}

    async def test_a_shadow_without_a_session_gets_a_page_and_leaves_none(
        self, both: tuple[ShopClient, ShopClient], tmp_path: Path
    ) -> None:
        _, candidate = both
        response = await candidate.get("/products/MUG-01", headers={"X-Strangler-Shadow": "1"})
        assert _token(await response.text())
        with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
            assert database.execute("SELECT count(*) FROM sessions").fetchone() == (0,)


DRY = {"X-Strangler-Shadow": "dry-run"}


class TestDryRuns:
    async def test_a_dry_run_is_answered_confirmed_and_changes_nothing(
        self, both: tuple[ShopClient, ShopClient]
    ) -> None:
        legacy, candidate = both
        form = _order(_token(await (await legacy.get("/products/MUG-01")).text()))
        response = await candidate.post("/products/MUG-01/cart", data=form, headers=DRY, allow_redirects=False)
        assert (response.status, response.headers["X-Strangler-Shadow-Handled"]) == (303, "1")
        assert (await _json(legacy, "/api/carts"))["lines"] == []

    async def test_a_dry_run_of_an_order_places_none_and_holds_up_no_write(
        self, both: tuple[ShopClient, ShopClient]
    ) -> None:
        legacy, candidate = both
        order = {"user_id": 3, "lines": [{"sku": "MUG-01", "quantity": 2}]}
        before = (await _json(legacy, "/api/orders"))["total"]
        rehearsed = await candidate.post("/api/orders", json=order, headers=DRY)
        assert (rehearsed.status, rehearsed.headers["X-Strangler-Shadow-Handled"]) == (201, "1")
        assert (await candidate.get(rehearsed.headers["Location"])).status == 404
        assert (await legacy.post("/api/orders", json=order)).status == 201
        assert (await _json(legacy, "/api/orders"))["total"] == before + 1

    @pytest.mark.parametrize("order", [{}, "no JSON object"], ids=["422", "400"])
    async def test_a_dry_run_that_is_refused_is_confirmed_too(
        self, both: tuple[ShopClient, ShopClient], order: Any
    ) -> None:
        response = await both[1].post("/api/orders", json=order, headers=DRY)
        assert 400 <= response.status < 500
        assert response.headers["X-Strangler-Shadow-Handled"] == "1"

    @pytest.mark.parametrize(
        ("path", "headers", "status"),
        [
            ("/api/orders", DRY, 204),
            ("/products/MUG-01/cart", DRY, 204),
            ("/nowhere", DRY, 404),
            ("/api/orders", {"X-Strangler-Shadow": "1"}, 405),
            ("/api/orders", {}, 405),
        ],
        ids=["api", "page", "unknown-path", "no-dry-run", "no-shadow"],
    )
    async def test_it_promises_dry_runs_where_it_writes(
        self, both: tuple[ShopClient, ShopClient], path: str, headers: dict[str, str], status: int
    ) -> None:
        response = await both[1].options(path, headers=headers)
        assert response.status == status
        assert response.headers.get("X-Strangler-Shadow-Handled") == ("1" if status == 204 else None)

    async def test_legacy_promises_nothing(self, both: tuple[ShopClient, ShopClient]) -> None:
        response = await both[0].options("/api/orders", headers=DRY)
        assert response.status == 405
        assert "X-Strangler-Shadow-Handled" not in response.headers

    async def test_an_unaware_candidate_writes_and_confirms_nothing(self) -> None:
        shop = Shop()
        build = rewrite(None, frozenset(), knows_shadows=False)
        client = await _client(candidate_app("shop", shop, FaultState(), build))
        try:
            assert (await client.options("/api/orders", headers=DRY)).status == 405
            order = {"user_id": 3, "lines": [{"sku": "MUG-01", "quantity": 2}]}
            placed = await client.post("/api/orders", json=order, headers=DRY)
            assert placed.status == 201
            assert "X-Strangler-Shadow-Handled" not in placed.headers
            assert (await client.get(placed.headers["Location"])).status == 200
        finally:
            await client.close()
            shop.close()


class TestDrifts:
    async def test_the_candidate_serves_orders_and_nothing_else(self, candidate: ShopClient) -> None:
        assert (await candidate.get("/api/orders/7")).status == 200
        assert (await candidate.get("/healthz")).status == 200
        assert (await candidate.get("/api/users")).status == 404
        assert (await candidate.get("/products")).status == 404

    async def test_answers_differ_by_the_table_and_by_nothing_else(
        self, legacy: ShopClient, candidate: ShopClient
    ) -> None:
        for number in range(1, 50):
            path = f"/api/orders/{number}"
            ours, theirs = await _json(legacy, path), await _json(candidate, path)
            noise = (ours.pop("generated_at"), theirs.pop("generated_at"))
            assert noise[0] != noise[1]
            assert theirs == drifted(ours)

    async def test_lists_differ_in_their_orders_only(self, legacy: ShopClient, candidate: ShopClient) -> None:
        ours, theirs = await _json(legacy, "/api/orders"), await _json(candidate, "/api/orders")
        assert theirs["items"] == [drifted(order) for order in ours["items"]]
        assert {**theirs, "items": 0, "generated_at": 0} == {**ours, "items": 0, "generated_at": 0}

    async def test_noise_differs_on_legacy_itself(self, legacy: ShopClient) -> None:
        first, second = await _json(legacy, "/api/orders/7"), await _json(legacy, "/api/orders/7")
        assert {name for name in first if first[name] != second[name]} == {"generated_at"}

    @pytest.mark.parametrize("drift", [drift for drift in DRIFTS if ORDER in drift.places], ids=lambda d: d.name)
    def test_a_drift_changes_the_field_that_it_names(self, drift: Drift) -> None:
        shop = Shop()
        order = shop.order(7)
        shop.close()
        assert order is not None
        after = drift.apply(order)
        changed = {name for name in order | after if order.get(name, ...) != after.get(name, ...)}
        path = drift.places[ORDER]
        assert path is not None
        if drift.noise:
            assert (changed, drift.places[ORDERS]) == (set(), path)
            return
        assert changed == {path.removeprefix("$.")}
        assert drift.places[ORDERS] == path.replace("$", "$.items[*]")

    def test_a_drift_that_is_fixed_is_gone(self) -> None:
        shop = Shop()
        order = shop.order(7)
        shop.close()
        assert order is not None
        fixed = drifted(order, frozenset(NAMES) - {"price-as-text"})
        assert fixed["price"] == order["price"]
        assert "gift_note" not in fixed
        assert drifted(order, frozenset()) == order


class TestFaults:
    async def test_errors_and_back(self, candidate: ShopClient) -> None:
        await candidate.put("/faults", json={"error_percent": 100})
        assert (await candidate.get("/api/orders/7")).status == 503
        assert (await candidate.get("/healthz")).status == 200
        await candidate.put("/faults", json={"error_percent": 0})
        assert (await candidate.get("/api/orders/7")).status == 200

    async def test_latency_is_added(self, candidate: ShopClient) -> None:
        await candidate.put("/faults", json={"latency_ms": 80})
        begun = asyncio.get_running_loop().time()
        await candidate.get("/api/orders/7")
        assert asyncio.get_running_loop().time() - begun >= 0.08


class TestProcess:
    async def _start(self, *options: str) -> tuple[asyncio.subprocess.Process, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "legacy_stub", *options, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        return process, line.split()[-1]

    async def test_two_processes_share_a_file_and_end_on_sigterm(self, tmp_path: Path) -> None:
        data = str(tmp_path / "shop.db")
        legacy, legacy_url = await self._start("--port", "0", "--data", data)
        candidate, candidate_url = await self._start("--port", "0", "--data", data, "--candidate", "orders")
        async with ClientSession() as client:
            order = {"user_id": 1, "lines": [{"sku": "MUG-01"}]}
            placed = await client.post(f"{legacy_url}/api/orders", json=order)
            response = await client.get(candidate_url + placed.headers["Location"])
            assert (await response.json())["price"] == "12.90"
            socket = await client.ws_connect(f"{legacy_url}/ws")
            for process in (legacy, candidate):
                process.send_signal(signal.SIGTERM)
            closing = await asyncio.wait_for(socket.receive(), 5)
            assert (closing.type, closing.data) == (WSMsgType.CLOSE, 1001)
        assert [await process.wait() for process in (legacy, candidate)] == [0, 0]

    async def test_each_answer_names_the_release(self) -> None:
        process, url = await self._start("--port", "0", "--candidate", "shop", "--release", "2026.11", "--fixed", "all")
        async with ClientSession() as client:
            for path in ("/api/orders/7", "/nowhere", "/healthz", "/products/MUG-01"):
                assert (await client.get(url + path)).headers["X-Release"] == "2026.11"
            assert "12.90 €" in await (await client.get(f"{url}/products/MUG-01")).text()
            assert isinstance((await (await client.get(f"{url}/api/orders/7")).json())["price"], float)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0

    async def test_an_option_of_a_candidate_is_refused_for_legacy(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "legacy_stub", "--fixed", "all"), stderr=asyncio.subprocess.PIPE
        )
        _, complaint = await process.communicate()
        assert process.returncode == 2
        assert b"add --candidate" in complaint

    async def test_a_taken_port_is_an_error(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "legacy_stub", "--port", str(taken.getsockname()[1])),
                stderr=asyncio.subprocess.PIPE,
            )
            _, complaint = await process.communicate()
        assert process.returncode == 1
        assert b"address already in use" in complaint
