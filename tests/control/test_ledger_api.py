"""The API about the ledger: what it serves, what it refuses with which way out, and what the audit keeps."""

import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from strangler.control.admin import application
from strangler.control.app import ControlApp
from strangler.control.ledger_api import MAX_IMPORT_BYTES
from strangler.ipc.messages import LedgerBatch, LedgerSum
from tests.control.control import control_of

ROUTES = """\
version: 1
admin: {listen: 127.0.0.1:0}
state: state
upstreams: {legacy: {url: "http://127.0.0.1:1"}, orders: {url: "http://127.0.0.1:2"}}
routes:
  - {name: orders, match: {prefix: /orders}, candidate: orders, split: {percent: 5}}
"""
IMPORT: dict[str, Any] = {
    "digest": "d",
    "name": "f",
    "format": "list",
    "endpoints": [],
    "sums": [],
    "began": None,
    "ended": None,
}


def sums(*endpoints: str) -> list[LedgerSum]:
    return [
        LedgerSum(method, path, "", "legacy", 200, "curl/8", 1, time.time(), [1, *[0] * 14], path)
        for method, path in (endpoint.split(" ") for endpoint in endpoints)
    ]


@asynccontextmanager
async def admin_of(folder: Path, routes: str = ROUTES) -> AsyncIterator[tuple[ControlApp, TestClient[Any, Any]]]:
    (folder / "routes.yaml").write_text(routes)
    async with (
        control_of(folder, {}) as state,
        TestClient(TestServer(application(state), host="127.0.0.1")) as client,
    ):
        state.ledger.take("w0", LedgerBatch(1, sums("GET /orders/{}", "GET /a/x", "GET /a/y"), 0))
        yield state, client


async def test_rows_are_filtered_by_the_query(tmp_path: Path) -> None:
    async with admin_of(tmp_path) as (_, client):

        async def endpoints(query: str) -> list[str]:
            response = await client.get(f"/api/ledger{query}")
            assert response.status == 200
            return [row["endpoint"] for row in (await response.json())["rows"]]

        assert await endpoints("") == ["GET /a/x", "GET /a/y", "GET /orders/{}"]
        assert await endpoints("?state=splitting&state=quiet") == ["GET /orders/{}"]
        assert await endpoints("?state=splitting,legacy&q=/a/Y") == ["GET /a/y"]
        assert await endpoints("?route=orders&sort=p95&since=2026-01-01") == ["GET /orders/{}"]


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("/api/ledger?state=gone", 400, "write one of legacy"),
        ("/api/ledger?sort=size", 400, "write one of calls"),
        ("/api/ledger?since=1", 400, "write a day such as"),
        ("/api/ledger/endpoint", 400, "GET%20/orders/{}"),
        ("/api/ledger/endpoint?endpoint=GET%20/b", 404, "/api/ledger?hidden=1 has all"),
    ],
)
async def test_a_query_that_means_nothing_is_refused_with_the_way_out(
    tmp_path: Path, path: str, status: int, part: str
) -> None:
    async with admin_of(tmp_path) as (_, client):
        response = await client.get(path)
        assert response.status == status
        assert part in (await response.json())["detail"]


async def test_changes_are_made_and_audited(tmp_path: Path) -> None:
    async with admin_of(tmp_path) as (state, client):
        for what, body in (
            ("fold", {"endpoint": "/a/{}", "who": "ana", "why": "tenants"}),
            ("own", {"endpoint": "GET /orders/{id}", "name": "team-orders", "who": "ana"}),
            ("ignore", {"endpoint": "GET /a/7", "who": "ana"}),
            ("unfold", {"endpoint": "GET /a/{}", "who": "ana"}),
            ("import", IMPORT | {"endpoints": [["POST", "/pay"]], "who": "ana"}),
        ):
            response = await client.post(f"/api/ledger/{what}", json=body)
            assert response.status == 200, await response.text()
        rows = {row.endpoint: (row.owner, row.is_ignored) for row in state.ledger.state.rows.rows.values()}
        assert rows == {
            "GET /a/{}": (None, True),
            "GET /orders/{}": ("team-orders", False),
            "POST /pay": (None, False),
        }
        entries = (await (await client.get("/api/audit")).json())["entries"]
        assert [(entry["who"], entry["what"], entry["detail"]) for entry in reversed(entries)] == [
            ("ana", "ledger fold", "/a/{} is one endpoint now, which 2 were before"),
            ("ana", "ledger own", "GET /orders/{} belongs to team-orders"),
            (
                "ana",
                "ledger ignore",
                "GET /a/{} is hidden, and counts for nothing; `strangler ledger ignore` again shows it",
            ),
            ("ana", "ledger unfold", "/a/{} is folded no more: from now on its paths are endpoints of their own"),
            ("ana", "ledger import", "f: 1 new endpoints, 0 calls"),
        ]


@pytest.mark.parametrize(
    ("what", "body", "part"),
    [
        ("fold", {"endpoint": "GET /a/x"}, "has no {}"),
        ("fold", {"endpoint": "orders"}, "write a method and a path"),
        ("unfold", {"endpoint": "GET /orders/{}"}, "the form of its values tells"),
        ("ignore", {"endpoint": "GET /nobody"}, "`strangler ledger` lists them"),
        ("own", {"endpoint": "GET /a/x", "name": "a\nb"}, "must be printable"),
        ("own", {"endpoint": "GET /a/x", "owner": "ana"}, "unknown field"),
        ("import", IMPORT | {"began": 5.0, "ended": 4.0}, "correct its times"),
    ],
)
async def test_what_cannot_be_changed_says_why(tmp_path: Path, what: str, body: dict[str, Any], part: str) -> None:
    async with admin_of(tmp_path) as (state, client):
        response = await client.post(f"/api/ledger/{what}", json=body)
        assert response.status == 400
        assert part in (await response.json())["detail"]
        assert len(state.ledger.state.rows.rows) == 3


async def test_an_import_may_be_large_but_not_larger(tmp_path: Path) -> None:
    async with admin_of(tmp_path) as (state, client):
        endpoints = [["GET", f"/v1/reports/{number % 50}/section"] for number in range(20_000)]
        response = await client.post("/api/ledger/import", json=IMPORT | {"endpoints": endpoints})
        assert (response.status, (await response.json())["new_endpoints"]) == (200, 50)
        too_large = IMPORT | {"digest": "e", "name": "x" * MAX_IMPORT_BYTES}
        response = await client.post(
            "/api/ledger/import",
            data=io.BytesIO(json.dumps(too_large).encode()),
            headers={"Content-Type": "application/json"},
        )
        assert response.status == 413
        assert "at most 16 MiB; import the file in parts" in (await response.json())["detail"]
        assert "e" not in state.ledger.state.imports
        assert (await client.post("/api/ledger/own", json={"endpoint": "x" * 70_000})).status == 413


async def test_without_a_ledger_everything_is_404_and_says_so(tmp_path: Path) -> None:
    async with admin_of(tmp_path, ROUTES + "ledger: false\n") as (_, client):
        body = {"endpoint": "GET /a/x"}
        for response in (
            await client.get("/api/ledger"),
            await client.get("/api/ledger/history"),
            await client.get("/api/ledger/endpoint?endpoint=GET%20/a/x"),
            await client.post("/api/ledger/fold", json=body),
            await client.post("/api/ledger/import", json=IMPORT),
        ):
            assert response.status == 404
            assert "routes.yaml has `ledger: false`" in (await response.json())["detail"]
        assert (await (await client.get("/api/status")).json())["ledger"] is None
