"""The shop is what the demo and other tests stand on: this holds what they rely on."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar, FormData, WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer

from legacy_stub import seed
from legacy_stub.app import legacy_app, orders_app
from legacy_stub.drifts import DRIFTS, Drift, drifted
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
    client = await _client(orders_app(shop, FaultState()))
    yield client
    await client.close()
    shop.close()


async def _json(client: ShopClient, path: str) -> Json:
    answer = await client.get(path)
    assert answer.status == 200
    data: Json = await answer.json()
    return data


class TestPages:
    @pytest.mark.parametrize(
        ("path", "status"),
        [("/", 200), ("/products", 200), ("/login", 200), ("/nowhere", 404)],
        ids=["home", "products", "login", "unknown"],
    )
    async def test_pages_are_html(self, legacy: ShopClient, path: str, status: int) -> None:
        answer = await legacy.get(path)
        assert (answer.status, answer.content_type) == (status, "text/html")
        assert "<!doctype html>" in await answer.text()

    async def test_old_address_redirects(self, legacy: ShopClient) -> None:
        answer = await legacy.get("/catalogue", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, "/products")

    async def test_login_needs_the_token_of_its_form(self, legacy: ShopClient) -> None:
        await legacy.get("/login")
        form = {"csrf": "guessed", "email": "user3@shop.example", "password": seed.PASSWORD}
        assert (await legacy.post("/login", data=form)).status == 403

    async def test_login_gives_a_new_session_that_opens_the_account(self, legacy: ShopClient) -> None:
        page = await (await legacy.get("/login")).text()
        token = page.split('name="csrf" value="')[1].split('"')[0]
        before = legacy.session.cookie_jar.filter_cookies(legacy.make_url("/"))["sid"].value
        form = {"csrf": token, "email": "user3@shop.example", "password": seed.PASSWORD}
        answer = await legacy.post("/login", data=form, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, "/account")
        assert answer.cookies["sid"].value != before
        assert "orders." in await (await legacy.get("/account")).text()

    async def test_account_without_login_redirects_to_it(self, legacy: ShopClient) -> None:
        answer = await legacy.get("/account", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, "/login")


class TestApi:
    async def test_orders_are_paged_and_filtered(self, legacy: ShopClient) -> None:
        second = await _json(legacy, "/api/orders?status=shipped&page=2&per_page=3")
        every = await _json(legacy, "/api/orders?status=shipped&per_page=100")
        assert second["items"] == every["items"][3:6]
        assert second["total"] == len(every["items"]) > 6
        assert {order["status"] for order in every["items"]} == {"shipped"}

    @pytest.mark.parametrize("query", ["page=0", "per_page=101", "user_id=x"])
    async def test_bad_paging_is_400_as_json(self, legacy: ShopClient, query: str) -> None:
        answer = await legacy.get(f"/api/orders?{query}")
        assert answer.status == 400
        assert set(await answer.json()) == {"error"}

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
        answer = await client.post("/api/files", **request)
        assert answer.status == 201
        file: Json = await answer.json()
        assert answer.headers["Location"] == f"/files/{file['id']}"
        return file

    async def test_a_form_upload_comes_back_whole(self, legacy: ShopClient) -> None:
        form = FormData(quote_fields=False)
        form.add_field("file", self.CONTENT, filename="tea ☕.bin", content_type="image/x-tea")
        file = await self._upload(legacy, data=form)
        assert (file["name"], file["bytes"]) == ("tea ☕.bin", len(self.CONTENT))
        answer = await legacy.get(f"/files/{file['id']}")
        assert answer.content_type == "image/x-tea"
        assert await answer.read() == self.CONTENT

    async def test_a_raw_upload_can_be_read_by_range(self, legacy: ShopClient) -> None:
        file = await self._upload(legacy, params={"name": "raw.bin"}, data=self.CONTENT)
        answer = await legacy.get(f"/files/{file['id']}", headers={"Range": "bytes=1000-1099"})
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes 1000-1099/{len(self.CONTENT)}"
        assert await answer.read() == self.CONTENT[1000:1100]

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


class TestDrifts:
    async def test_the_candidate_serves_orders_and_nothing_else(self, candidate: ShopClient) -> None:
        assert (await candidate.get("/api/orders/7")).status == 200
        assert (await candidate.get("/healthz")).status == 200
        assert (await candidate.get("/api/users")).status == 404

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

    @pytest.mark.parametrize("drift", [drift for drift in DRIFTS if not drift.noise], ids=lambda d: d.kind)
    def test_a_drift_changes_the_field_that_it_names(self, drift: Drift) -> None:
        shop = Shop()
        order = shop.order(7)
        shop.close()
        assert order is not None
        after = drift.apply(order)
        changed = {name for name in order | after if order.get(name, ...) != after.get(name, ...)}
        assert changed == {drift.detail_path.removeprefix("$.")}
        assert drift.list_path == drift.detail_path.replace("$", "$.items[*]")


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
            answer = await client.get(candidate_url + placed.headers["Location"])
            assert (await answer.json())["price"] == "12.90"
            socket = await client.ws_connect(f"{legacy_url}/ws")
            for process in (legacy, candidate):
                process.send_signal(signal.SIGTERM)
            closing = await asyncio.wait_for(socket.receive(), 5)
            assert (closing.type, closing.data) == (WSMsgType.CLOSE, 1001)
        assert [await process.wait() for process in (legacy, candidate)] == [0, 0]

    async def test_a_taken_port_is_an_error(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "legacy_stub", "--port", str(taken.getsockname()[1])),
                stderr=asyncio.subprocess.PIPE,
            )
            _, complaint = await process.communicate()
        assert process.returncode == 1
        assert b"address already in use" in complaint
