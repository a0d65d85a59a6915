"""The admin listener about reviews and the audit: several at once or none, and who did it."""

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import LogCapture

from strangler.control.admin import application
from strangler.control.app import ControlApp
from strangler.store.evidence.audits import AUDIT_KEPT_S, MAX_AUDIT_TEXT, write_audit
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.writing import store_findings
from tests.control.control import control_of
from tests.store.evidence.pairs import mismatch, seen

ROUTES = """\
version: 1
admin: {listen: 127.0.0.1:0}
state: state
upstreams: {legacy: {url: "http://127.0.0.1:8000"}, orders: {url: "http://127.0.0.1:8001"}}
routes:
  - {name: orders, match: {prefix: /api/orders}, candidate: orders, split: {percent: 25}, gate: {min_pairs: 5}}
  - {name: items, match: {prefix: /api/items}, candidate: orders, enabled: false, split: {percent: 25}}
"""
IDS = [letter * 16 for letter in "abc"]


@dataclass(frozen=True, slots=True)
class Api:
    client: TestClient[Any, Any]
    state: ControlApp

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        response = await self.client.post(path, json=body)
        return response.status, await response.json()

    async def get(self, path: str) -> tuple[int, Any]:
        response = await self.client.get(path)
        return response.status, await response.json()

    async def entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get("/api/audit"))[1]["entries"]
        return found

    async def states(self) -> list[str]:
        rows = await self.state.store.call(
            lambda connection: connection.execute("SELECT state FROM signatures ORDER BY id").fetchall()
        )
        return [row[0] for row in rows]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """With three differences."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    async with control_of(tmp_path, {}) as state:
        finding = mismatch(*(seen(name, f"$.{name[0]}") for name in IDS), at=time.time())
        await state.store.call(lambda connection: store_findings(connection, IndexState(), [finding], time.time()))
        async with TestClient(TestServer(application(state), host="127.0.0.1")) as client:
            yield Api(client, state)


class TestReviews:
    async def test_a_former_id_names_the_difference_that_it_is_now(self, api: Api) -> None:
        """Whoever has noted an id finds the difference, also after its endpoint has got another name."""
        former, now = "d" * 16, IDS[0]
        note = "INSERT INTO former_ids VALUES (?, ?, 1)"
        await api.state.store.call(lambda connection: connection.execute(note, (former, now)))
        status, found = await api.get(f"/api/diffs/{former}")
        assert (status, found["id"]) == (200, now)
        assert (await api.get(f"/api/diffs/{former[:9]}"))[1]["id"] == now
        body = {"state": "known", "who": "ben"}
        assert await api.post(f"/api/diffs/{former}", body) == (200, {"done": True, "changed": [now], "unchanged": []})
        both = await api.post("/api/diffs", body | {"ids": [former, now, IDS[1]]})
        assert both == (200, {"done": True, "changed": [IDS[1]], "unchanged": [now]})
        assert await api.states() == ["known", "known", "new"]

    async def test_several_are_marked_and_audited_with_a_name(self, api: Api) -> None:
        body = {"ids": IDS[:2], "state": "known", "owner": "ana", "why": "rounding", "who": "ben"}
        assert await api.post("/api/diffs", body) == (200, {"done": True, "changed": IDS[:2], "unchanged": []})
        assert await api.states() == ["known", "known", "new"]
        entries = await api.entries()
        assert {(entry["who"], entry["what"], entry["route"], entry["why"]) for entry in entries} == {
            ("ben", "known", "orders", "rounding")
        }
        assert sorted(entry["detail"].partition(" ")[0] for entry in entries) == IDS[:2]

    async def test_one_that_is_not_there_changes_nothing(self, api: Api) -> None:
        status, response = await api.post("/api/diffs", {"ids": [IDS[0], "f" * 16], "state": "fixed"})
        assert (status, "f" * 16 in response["detail"]) == (404, True)
        assert await api.states() == ["new"] * 3
        assert await api.entries() == []

    async def test_the_same_again_is_no_change(self, api: Api) -> None:
        body = {"ids": [IDS[0], IDS[0]], "state": "known"}
        await api.post("/api/diffs", body)
        assert (await api.post("/api/diffs", body))[1] == {"done": True, "changed": [], "unchanged": [IDS[0]]}
        assert len(await api.entries()) == 1

    async def test_one_alone_is_audited_too_and_by_the_address_without_a_name(self, api: Api) -> None:
        assert (await api.post(f"/api/diffs/{IDS[0]}", {"state": "fixed"}))[0] == 200
        (entry,) = await api.entries()
        assert (entry["who"], entry["what"]) == ("api 127.0.0.1", "fixed")
        assert (await api.post("/api/diffs/nothing", {"state": "fixed"}))[0] == 404
        assert len(await api.entries()) == 1

    async def test_thousands_fit_into_one_request(self, api: Api) -> None:
        many = [f"{number:016x}" for number in range(5000)]
        finding = mismatch(*(seen(name, f"$.{name}") for name in many), at=time.time())

        def keep(connection: Any) -> None:
            for at in range(0, 5000, 1000):
                part = mismatch(*finding.differences[at : at + 1000], at=time.time())
                store_findings(connection, IndexState(), [part], time.time())

        await api.state.store.call(keep)
        began = time.monotonic()
        status, response = await api.post("/api/diffs", {"ids": many, "state": "known"})
        assert (status, len(response["changed"])) == (200, 5000)
        assert time.monotonic() - began < 10

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"ids": IDS},
            {"ids": "a", "state": "known"},
            {"ids": IDS, "state": "gone"},
            {"ids": ["x"] * 20_001, "state": "known"},
            {"ids": IDS, "state": "known", "more": 1},
        ],
        ids=["nothing", "no state", "no list", "no such state", "too many", "another key"],
    )
    async def test_what_makes_no_sense_is_refused(self, api: Api, body: Any) -> None:
        assert (await api.post("/api/diffs", body))[0] == 400
        assert await api.states() == ["new"] * 3


class TestAudit:
    async def test_it_can_be_narrowed(self, api: Api) -> None:
        for name, route in (("ana", "orders"), ("ben", "items")):
            body = {"what": "x", "route": route, "why": "y", "who": name, "detail": "z"}
            assert (await api.post("/api/audit", body))[0] == 200

        async def actors(query: str) -> list[str]:
            return [entry["who"] for entry in (await api.get(f"/api/audit?{query}"))[1]["entries"]]

        assert await actors("") == ["ben", "ana"]
        assert await actors("who=ana") == ["ana"]
        assert await actors("route=items") == ["ben"]
        assert await actors("limit=1") == ["ben"]
        assert await actors(f"since={time.time() + 60}") == []
        assert (await api.get("/api/audit?limit=x"))[0] == 400
        assert (await api.get("/api/audit?since=x"))[0] == 400

    async def test_the_kill_switch_is_in_it_and_only_when_it_was_turned(self, api: Api) -> None:
        for body in (
            {"on": True, "reason": "nonsense", "who": "ana"},
            {"on": True, "reason": "nonsense", "who": "ben"},
            {"on": False, "who": "ana"},
            {"on": False, "reason": "once more"},
        ):
            assert (await api.post("/api/kill-switch", body))[0] == 200
        entries = [(entry["who"], entry["what"], entry["why"], entry["detail"]) for entry in await api.entries()]
        assert entries == [("ana", "kill-switch", "", "off"), ("ana", "kill-switch", "nonsense", "on")]

    async def test_the_kill_switch_of_a_route_is_in_it_with_the_route(self, api: Api) -> None:
        on = {"on": True, "reason": "nonsense", "who": "ana", "route": "orders"}
        for body in (on, on | {"who": "ben"}, on | {"route": "items"}, {"on": False, "who": "ana", "route": "orders"}):
            assert (await api.post("/api/kill-switch", body))[0] == 200
        status, found = await api.get("/api/kill-switch")
        assert (status, found["on"], [*found["routes"]]) == (200, False, ["items"])
        assert found["routes"]["items"]["reason"] == "nonsense"
        assert {route["name"]: route["killed"] for route in (await api.get("/api/status"))[1]["routes"]} == {
            "orders": False,
            "items": True,
        }
        entries = [(entry["route"], entry["why"], entry["detail"]) for entry in await api.entries()]
        assert entries == [("orders", "", "off"), ("items", "nonsense", "on"), ("orders", "nonsense", "on")]

    @pytest.mark.parametrize(
        ("body", "status", "words"),
        [
            ({"on": True, "route": "ordrs"}, 404, "did you mean 'orders'?"),
            ({"on": False, "route": "x"}, 404, "the file has orders, items"),
            ({"on": True, "route": "chat"}, 404, "unknown route 'chat'"),
            ({"on": True, "route": 7}, 400, "route"),
            ({"on": True, "routes": ["orders"]}, 400, "routes"),
        ],
        ids=["a slip", "none like it", "another", "no text", "another key"],
    )
    async def test_a_turn_that_makes_no_sense_changes_nothing(
        self, api: Api, body: Any, status: int, words: str
    ) -> None:
        refused, response = await api.post("/api/kill-switch", body)
        assert (refused, words in response["detail"]) == (status, True), response
        assert (await api.get("/api/kill-switch"))[1] == {"on": False, "reason": "", "since": None, "routes": {}}
        assert await api.entries() == []

    async def test_explain_knows_the_kill_switch_of_a_route(self, api: Api) -> None:
        await api.post("/api/kill-switch", {"on": True, "route": "orders"})
        found = (await api.get("/api/explain?url=/api/orders/7"))[1]
        assert (found["reason"], found["arm"]) == ("kill_switch", "legacy")
        assert found["detail"] == "the kill switch is on for route 'orders': all its requests go to legacy"
        await api.post("/api/kill-switch", {"on": True})
        found = (await api.get("/api/explain?url=/api/orders/7"))[1]
        assert found["detail"] == "the kill switch is on: every route goes to legacy"

    async def test_the_kill_switch_works_while_the_store_is_broken_and_the_log_has_it(self, api: Api) -> None:
        path, log = api.state.store.folder / "strangler.db", LogCapture()
        path.rename(path.with_name("moved"))
        path.mkdir()
        structlog.configure(processors=[log])
        try:
            status, response = await api.post("/api/kill-switch", {"on": True, "reason": "nonsense", "who": "ana"})
        finally:
            structlog.reset_defaults()
        assert (status, response["on"], api.state.kill_switch.on) == (200, True, True)
        (line,) = [line for line in log.entries if line["event"] == "audit"]
        assert (line["who"], line["what"], line["why"], line["detail"]) == ("ana", "kill-switch", "nonsense", "on")

    async def test_the_kill_switch_does_not_wait_for_a_store_that_hangs(self, api: Api) -> None:
        with closing(sqlite3.connect(api.state.store.folder / "strangler.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            assert (await api.post("/api/kill-switch", {"on": True, "reason": "nonsense"}))[0] == 200
            assert time.monotonic() - began < 3
            other.execute("COMMIT")
        await api.state.store.call(lambda _: None)
        assert [entry["what"] for entry in await api.entries()] == ["kill-switch"]

    async def test_it_is_bounded_in_time_and_text(self, api: Api) -> None:
        now = time.time()

        def write(connection: Any) -> None:
            write_audit(connection, now - AUDIT_KEPT_S - 60, "old", "x", "", "", "")
            write_audit(connection, now, "new", "x", "", "y" * 5000, "\ud800")

        await api.state.store.call(write)
        (entry,) = await api.entries()
        assert entry["who"] == "new"
        assert len(entry["why"]) == MAX_AUDIT_TEXT


class TestRollout:
    async def test_it_says_what_is_in_effect(self, api: Api) -> None:
        routes = (await api.get("/api/rollout"))[1]["routes"]
        assert (routes["orders"]["percent"], routes["items"]["percent"]) == (25, 0)
        assert routes["orders"]["gate"]["min_pairs"] == 5
        assert routes["items"]["gate"] is None

    async def test_a_route_is_judged_by_another_gate_if_that_is_asked(self, api: Api) -> None:
        gate = '{"min_pairs":7,"min_match":0.5,"max_breaking":0,"max_latency_ratio":2,"min_age_s":0}'
        found = (await api.get(f"/api/routes/orders/readiness?gate={gate}"))[1]
        assert found["gate"]["min_pairs"] == 7
        assert (await api.get("/api/routes/orders/readiness?gate=7"))[0] == 400
