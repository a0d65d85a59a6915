"""The admin listener takes the findings of replays, beside the shadows of a running proxy."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer

from strangler.control.admin import application
from strangler.control.app import ControlApp
from strangler.control.shadow.pending import MAX_PENDING
from strangler.core.documents import MAX_FINDINGS, MAX_REPLAY_BYTES
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.replayed import encoded
from tests.control.control import control_of
from tests.store.evidence.pairs import captured, finding_of, json_response

ROUTES = """\
version: 1
admin: {listen: 127.0.0.1:0}
state: state
upstreams: {legacy: {url: "http://127.0.0.1:8000"}, orders: {url: "http://127.0.0.1:8001"}}
routes:
  - {name: orders, match: {prefix: /api/orders}, candidate: orders, fold: ["/api/orders/{}"], shadow: {percent: 1}}
"""


def replayed(*, is_match: bool = False, target: bytes = b"/api/orders/7") -> Finding:
    candidate = {"price": 1} if is_match else {"price": "1"}
    return finding_of(json_response({"price": 1}), json_response(candidate), captured(target, at=time.time()))


def body(*findings: Finding, **more: Any) -> dict[str, Any]:
    pairs = json.loads(msgspec.json.encode([encoded(finding) for finding in findings]))
    return {"who": "ana", "run": "r1", "findings": pairs} | more


@dataclass(frozen=True, slots=True)
class Api:
    client: TestClient[Any, Any]
    state: ControlApp

    async def add(self, given: Any) -> tuple[int, Any]:
        return await self.send(json.dumps(given).encode())

    async def send(self, content: bytes) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        response = await self.client.post("/api/replays", data=io.BytesIO(content), headers=headers)
        return response.status, await response.json()

    async def get(self, path: str) -> Any:
        response = await self.client.get(path)
        return await response.json()

    async def pairs(self) -> int:
        query = "SELECT coalesce(sum(count), 0) FROM pairs WHERE source = 'replay'"
        row = await self.state.store.call(lambda connection: connection.execute(query).fetchone())
        return int(row[0])


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    async with control_of(tmp_path, {}) as state:
        await state.shadow.runner.restore()
        async with TestClient(TestServer(application(state), host="127.0.0.1")) as client:
            yield Api(client, state)


async def test_they_are_in_the_inbox_and_the_journal_and_do_not_count(api: Api, tmp_path: Path) -> None:
    assert await api.add(body(replayed(), replayed(is_match=True))) == (200, {"stored": 2, "dropped": 0})
    (row,) = (await api.get("/api/diffs"))["signatures"]
    assert row["sources"] == {"replay": 1}
    assert (await api.get("/api/diffs?source=live"))["signatures"] == []
    assert [each["id"] for each in (await api.get("/api/diffs?source=replay"))["signatures"]] == [row["id"]]
    (sample,) = (await api.get(f"/api/diffs/{row['id']}"))["samples"]
    assert sample["comparison"]["source"] == "replay"
    (line,) = (tmp_path / "state" / "shadow-diffs.jsonl").read_text().splitlines()
    assert json.loads(line)["source"] == "replay"
    verdict = await api.get("/api/routes/orders/readiness")
    assert (verdict["pairs"], verdict["sources"]) == (0, ["live"])
    assert "2 pairs of replays are not counted: gate.from is [live]" in verdict["notes"]
    gate = json.dumps(verdict["gate"] | {"sources": ["live", "replay"]})
    response = await api.client.get("/api/routes/orders/readiness", params={"gate": gate})
    assert (await response.json())["pairs"] == 2


@pytest.mark.parametrize("sources", ["[]", '["dream"]'])
async def test_a_gate_without_a_source_is_refused(api: Api, sources: str) -> None:
    gate = json.dumps((await api.get("/api/routes/orders/readiness"))["gate"] | {"sources": json.loads(sources)})
    assert (await api.client.get("/api/routes/orders/readiness", params={"gate": gate})).status == 400


async def test_an_unknown_source_is_refused(api: Api) -> None:
    response = await api.client.get("/api/diffs?source=dream")
    assert (response.status, (await response.json())["detail"]) == (400, "source is one of live, replay")


async def test_endpoints_get_the_names_that_they_have_here(api: Api) -> None:
    await api.add(body(replace(replayed(), endpoint="GET /api/orders/abc")))
    (row,) = (await api.get("/api/diffs"))["signatures"]
    assert row["endpoint"] == "GET /api/orders/{}"
    (sample,) = (await api.get(f"/api/diffs/{row['id']}"))["samples"]
    assert sample["comparison"]["signature"] == row["id"]


async def test_a_run_is_audited_once(api: Api) -> None:
    for run in ("r1", "r1", "r2"):
        assert (await api.add(body(replayed(), run=run)))[0] == 200
    found = [entry["detail"] for entry in (await api.get("/api/audit"))["entries"]]
    assert found == ["run r2", "run r1"]


async def test_a_route_that_is_unknown_is_refused_by_its_name(api: Api) -> None:
    status, found = await api.add(body(replayed(), replace(replayed(), route="ordres")))
    assert status == 404
    assert "'ordres'" in found["detail"]
    assert await api.pairs() == 0, "all of it or nothing"


@pytest.mark.parametrize(
    "change",
    [
        {"who": ""}, {"run": "a b"}, {"run": "x" * 65}, {"findings": [{}]}, {"findings": None}, {"more": 1},
        {"findings": [encoded(replayed())] * (MAX_FINDINGS + 1)},
    ],
    ids=["who", "run", "long run", "finding", "no findings", "more", "too many"],
)  # fmt: skip
async def test_what_is_malformed_is_refused(api: Api, change: dict[str, Any]) -> None:
    status, _ = await api.add(json.loads(msgspec.json.encode(body() | change)))
    assert (status, await api.pairs()) == (400, 0)


async def test_a_finding_of_tomorrow_is_refused_with_its_place(api: Api) -> None:
    status, found = await api.add(body(replace(replayed(), at=time.time() + 86_400)))
    assert status == 400
    assert "findings[0].at" in found["detail"]


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"[" * 1_000_000, 400), (b" " * (MAX_REPLAY_BYTES + 1), 413), (b"{", 400)],
    ids=["nested", "too large", "cut"],
)
async def test_a_body_is_bounded(api: Api, content: bytes, status: int) -> None:
    assert (await api.send(content))[0] == status


async def test_deep_values_are_no_fault(api: Api) -> None:
    given = json.dumps(body(replayed())).replace('"legacy": 1,', f'"legacy": {"[" * 5000}{"]" * 5000},', 1)
    assert (await api.send(given.encode()))[0] == 400


async def test_shadows_come_first(api: Api) -> None:
    """While many findings of shadows wait, those of replays do not take their room."""
    waiting = [replace(replayed(is_match=True), line=None, sample=None)] * (MAX_PENDING // 2)
    for finding in waiting:
        api.state.shadow.writer.add(finding)
    response = await api.client.post("/api/replays", json=body(replayed()))
    assert (response.status, response.headers["Retry-After"]) == (503, "1")
    assert await api.state.shadow.runner.store()
    assert (await api.add(body(replayed())))[0] == 200


async def test_only_one_request_at_a_time_is_taken(api: Api) -> None:
    """The second is refused at once, and not kept in memory until the first is stored."""
    headers, begun, rest = {"Content-Type": "application/json"}, asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        begun.set()
        await rest.wait()
        yield json.dumps(body(replayed())).encode()[1:]

    first = asyncio.create_task(_posted(api, slow(), headers))
    await begun.wait()
    statuses = [(await api.client.post("/api/replays", json=body())).status for _ in range(20)]
    rest.set()
    assert await first == 200
    assert statuses[-1] == 503


async def _posted(api: Api, data: AsyncIterator[bytes], headers: dict[str, str]) -> int:
    async with api.client.post("/api/replays", data=data, headers=headers) as response:
        return response.status


async def test_what_a_reset_has_set_aside_is_not_added_to(api: Api) -> None:
    before = replayed()
    await api.add(body(replayed()))
    await api.state.evidence.reset("orders")
    assert await api.add(body(before, replayed())) == (200, {"stored": 1, "dropped": 1})


async def test_a_replay_does_not_change_the_current_release(api: Api) -> None:
    await api.state.evidence.name_release("orders", "v1")
    await api.add(body(replace(replayed(), release="v2"), replayed()))
    found = {row["name"]: (row["is_current"], row["pairs"]) for row in (await api.get("/api/releases"))["releases"]}
    assert found == {"v1": (True, 1), "v2": (False, 1)}


async def test_the_counters_of_shadows_are_those_of_shadows(api: Api) -> None:
    await api.add(body(replayed()))
    (route,) = (await api.get("/api/status"))["routes"]
    assert not any(route["shadow"]["comparisons"].values()), route["shadow"]
