"""The API about rollouts: where they stand, what they follow, and what they refuse with which way out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from strangler.control.admin import application
from strangler.control.app import ControlApp
from tests.control.control import control_of

ROUTES = """\
version: 1
admin: {listen: 127.0.0.1:0}
state: state
upstreams: {legacy: {url: "http://127.0.0.1:1"}, orders: {url: "http://127.0.0.1:2"}}
routes:
  - {name: orders, match: {prefix: /orders}, candidate: orders, split: &split {group: shop, sticky: [client_ip]},
     rollout: &plan {gate: never}}
  - {name: carts, match: {prefix: /carts}, candidate: orders, split: *split, rollout: *plan}
  - {name: plain, match: {prefix: /plain}, candidate: orders, split: {percent: 5}}
"""


@asynccontextmanager
async def admin_of(folder: Path) -> AsyncIterator[tuple[ControlApp, TestClient[Any, Any]]]:
    (folder / "routes.yaml").write_text(ROUTES)
    async with (
        control_of(folder, {}) as state,
        TestClient(TestServer(application(state), host="127.0.0.1")) as client,
    ):
        yield state, client


async def test_a_rollout_is_started_and_moves_its_whole_group(tmp_path: Path) -> None:
    async with admin_of(tmp_path) as (state, client):
        assert [each["route"] for each in (await (await client.get("/api/rollouts")).json())["rollouts"]] == [
            "orders",
            "carts",
        ]
        before = await (await client.get("/api/rollouts/carts")).json()
        assert (before["state"], before["waits_for"], before["commands"]) == ("waiting", "start", ["start"])
        response = await client.post("/api/rollouts/carts/start", json={"who": "ana", "why": "agreed"})
        assert (response.status, (await response.json())["state"]) == (200, "running")
        await state.rollouts.tick()
        status = await (await client.get("/api/status")).json()
        assert [(each["name"], each["percent"], each["rollout"]) for each in status["routes"]] == [
            (
                "orders",
                1,
                {"state": "running", "step": 1, "steps": [1, 5, 25, 50, 100], "waits_for": "hold", "group": "shop"},
            ),
            (
                "carts",
                1,
                {"state": "running", "step": 1, "steps": [1, 5, 25, 50, 100], "waits_for": "hold", "group": "shop"},
            ),
            ("plain", 5, None),
        ]
        assert status["config"]["generation"] == 2
        (entry,) = (await (await client.get("/api/audit")).json())["entries"]
        assert (entry["who"], entry["what"], entry["route"], entry["why"]) == (
            "ana",
            "rollout start",
            "carts",
            "agreed",
        )
        metrics = await (await client.get("/metrics")).text()
        assert 'strangler_rollout_percent{route="carts"} 1.0' in metrics
        assert 'strangler_rollout_state{route="carts",state="running"} 1.0' in metrics
        assert 'strangler_rollout_waits_for_person{route="carts"} 0.0' in metrics
        now = await (await client.get("/api/rollouts/orders")).json()
        assert [(move["what"], move["who"]) for move in now["moves"]] == [("start", "ana"), ("stepped", "")]
        assert now["why"].startswith("1 % is held until")


async def test_what_cannot_be_is_refused_with_the_way_out(tmp_path: Path) -> None:
    async with admin_of(tmp_path) as (_, client):
        for path, body, status, text in (
            ("/api/rollouts/ordres/start", {}, 404, "there is no route 'ordres'"),
            ("/api/rollouts/plain/start", {}, 404, "route 'plain' has no rollout: write `rollout` in routes.yaml"),
            ("/api/rollouts/orders/fly", {}, 404, "these are: start, pause, resume, approve, back"),
            ("/api/rollouts/orders/resume", {}, 409, "resume is not possible now, but start"),
            ("/api/rollouts/orders/approve", {"percent": 25}, 409, "25 % cannot be approved now: the next step is 1 %"),
            ("/api/rollouts/orders/start", {"who": 7}, 400, "who"),
        ):
            response = await client.post(path, json=body)
            assert response.status == status
            assert text in (await response.json())["detail"]
        response = await client.get("/api/rollouts/plain")
        assert (response.status, (await response.json())["status"]) == (404, 404)
