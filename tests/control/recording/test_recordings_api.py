"""`POST /api/recordings`: the stream, who may, how it ends, and a client that does not read."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from msgspec.structs import replace

from strangler.config.load import load
from strangler.control.admin import application
from strangler.control.app import ControlApp
from strangler.control.recording.capture_queue import QUEUE_BYTES
from strangler.control.recording.recordings_api import RecordingsApi
from strangler.control.responses import VISITOR
from strangler.control.visitor import Visitor
from strangler.ipc.messages import (
    Captured,
    FrameReader,
    Hello,
    RecordingCredit,
    RecordingEnded,
    RecordingWanted,
    ToWorker,
    encode_frame,
    recorded_bytes,
)
from tests.control.control import control_of, in_force
from tests.control.recording.test_captured_pairs import capture

ROUTES = """\
version: 1
admin: {listen: 127.0.0.1:0}
state: state
upstreams: {legacy: {url: "http://127.0.0.1:1"}, orders: {url: "http://127.0.0.1:2"}}
routes:
  - {name: orders, match: {prefix: /orders}, candidate: orders}
  - {name: users, match: {prefix: /users}, candidate: orders}
"""
ALL = {"all": True, "who": "ana"}


class Transport(asyncio.Transport):
    """Takes what is sent to a worker."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.data += bytes(data)


@dataclass(slots=True)
class Worker:
    """A worker's end of the link: it keeps to its credit as a real one does."""

    app: ControlApp
    name: str = "w0"
    transport: Transport = field(default_factory=Transport)
    sent_bytes: int = 0

    def join(self) -> "Worker":
        self.app.server.set_living(frozenset({self.name}))
        self.connection = self.app.server.accept()
        self.connection.connection_made(self.transport)
        self.connection.data_received(encode_frame(Hello(0, self.name, 1, 1)))
        return self

    connection: Any = None

    @property
    def messages(self) -> list[Any]:
        reader: FrameReader[Any] = FrameReader(ToWorker)
        return reader.feed(self.transport.data)

    @property
    def wanted(self) -> RecordingWanted | None:
        found = [message for message in self.messages if isinstance(message, RecordingWanted | RecordingEnded)]
        return found[-1] if found and isinstance(found[-1], RecordingWanted) else None

    @property
    def left_bytes(self) -> int:
        wanted = self.wanted
        if wanted is None:
            return 0
        credits_ = [message.credit_bytes for message in self.messages if isinstance(message, RecordingCredit)]
        return max([wanted.credit_bytes, *credits_]) - self.sent_bytes

    def send(self, message: Captured) -> bool:
        """Send a capture if there is credit for it."""
        wanted = self.wanted
        if wanted is None or self.left_bytes <= 0:
            return False
        self.sent_bytes += recorded_bytes(message)
        self.connection.data_received(encode_frame(replace(message, recording=wanted.number)))
        return True


@asynccontextmanager
async def admin_of(folder: Path, routes: str = ROUTES) -> AsyncIterator[tuple[ControlApp, TestClient[Any, Any]]]:
    (folder / "routes.yaml").write_text(routes)
    async with (
        control_of(folder, {}) as state,
        TestClient(TestServer(application(state), host="127.0.0.1")) as client,
    ):
        yield state, client


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the state has no event for this
            await asyncio.sleep(0.01)


async def audit_of(client: TestClient[Any, Any]) -> list[str]:
    response = await client.get("/api/audit")
    return [f"{entry['what']}: {entry['detail']}" for entry in (await response.json())["entries"]]


async def test_the_lines_of_a_recording_come_while_it_goes_on(tmp_path: Path) -> None:
    async with admin_of(tmp_path) as (state, client):
        worker = Worker(state).join()
        async with client.post("/api/recordings", json=ALL | {"for_s": 1.5, "share": 10}) as response:
            assert response.content_type == "application/x-ndjson"
            header = json.loads(await response.content.readline())
            assert (header["recording"], header["source"], header["redacted"]) == (1, "proxy", True)
            assert worker.wanted is not None
            assert (worker.wanted.routes, worker.wanted.share) == (None, 0.1)
            assert worker.send(capture())
            pair = json.loads(await response.content.readline())
            assert pair["request"]["target"] == "/orders?a=1"
            lines = [json.loads(line) async for line in response.content]
        assert [line["recorded"]["pairs"] for line in lines] == [1, 1]
        assert lines[-1]["recorded"]["ended"] == "time"
        assert worker.wanted is None
        assert state.status().recording is None
        assert not worker.send(capture())


async def test_it_ends_when_the_client_leaves_and_both_ends_are_in_the_audit(tmp_path: Path) -> None:
    async with admin_of(tmp_path) as (state, client):
        worker = Worker(state).join()
        response = await client.post("/api/recordings", json={"routes": ["orders"], "redact": False, "who": "ana"})
        await response.content.readline()
        worker.send(capture())
        await response.content.readline()
        response.close()
        await until(lambda: state.recordings.status() is None)
        assert worker.wanted is None
        entries: list[str] = []
        async with asyncio.timeout(5):
            while len(entries) < 2:
                entries = [entry for entry in await audit_of(client) if entry.startswith("record")]
        assert entries[-1] == "record: orders; 100 % of the callers; not redacted"
        assert entries[0].startswith("record ended: 1 pairs, ")
        assert entries[0].endswith("dropped: none; ended: the client left")


async def test_its_size_is_never_exceeded(tmp_path: Path) -> None:
    async with admin_of(tmp_path) as (state, client):
        worker = Worker(state).join()
        async with client.post("/api/recordings", json=ALL | {"max_bytes": 1 << 20}) as response:
            await response.content.readline()
            for _ in range(20):
                assert worker.send(capture(response=b"word " * 20_000))
            size = 0
            async for line in response.content:
                if line.startswith(b'{"recorded"'):
                    last = json.loads(line)["recorded"]
                else:
                    size += len(line)
        assert (last["ended"], last["bytes"]) == ("size", size)
        assert 900_000 < size <= 1 << 20


async def test_there_is_one_at_a_time_and_the_other_says_whose_it_is(tmp_path: Path) -> None:
    async with admin_of(tmp_path) as (state, client):
        first = await client.post("/api/recordings", json=ALL)
        refused = await client.post("/api/recordings", json=ALL | {"who": "bob"})
        assert refused.status == 409
        assert (await refused.json())["detail"].startswith("ana records since 20")
        recording = state.status().recording
        assert recording is not None
        assert (recording.who, recording.routes, recording.redacted) == ("ana", None, True)
        first.close()


@pytest.mark.parametrize(("body", "status", "text"), [
    ({"routes": ["ordrs"]}, 404, "did you mean 'orders'?"),
    ({}, 400, "name routes, or all of them"),
    ({"all": True, "routes": ["orders"]}, 400, "not both"),
    ({"all": True, "share": 0}, 400, "share"),
    ({"all": True, "share": 101}, 400, "share"),
    ({"all": True, "for_s": 604_801}, 400, "for_s"),
    ({"all": True, "max_bytes": 1000}, 400, "max_bytes"),
    ({"all": True, "max_body": 17 << 20}, 400, "max_body"),
    ({"all": True, "more": 1}, 400, "more"),
])  # fmt: skip
async def test_what_cannot_be_recorded_is_refused(
    tmp_path: Path, body: dict[str, object], status: int, text: str
) -> None:
    async with admin_of(tmp_path) as (state, client):
        response = await client.post("/api/recordings", json=body)
        assert (response.status, text in (await response.json())["detail"]) == (status, True)
        assert state.recordings.status() is None


async def test_without_values_nothing_is_recorded_but_what_keeps_secrets(tmp_path: Path) -> None:
    async with admin_of(tmp_path, ROUTES + "evidence: {values: hashed}\n") as (_, client):
        refused = await client.post("/api/recordings", json=ALL)
        assert (refused.status, "values: hashed" in (await refused.json())["detail"]) == (403, True)
        taken = await client.post("/api/recordings", json=ALL | {"redact": False})
        assert taken.status == 200
        assert json.loads(await taken.content.readline())["key"] is None
        taken.close()


async def test_a_rule_counts_as_soon_as_it_is_in_force_and_hashed_values_end_it(tmp_path: Path) -> None:
    async with admin_of(tmp_path) as (state, client):
        worker = Worker(state).join()
        made = capture(b'{"plan": "gold"}', lines=b"Host: shop\r\nContent-Type: application/json\r\n")
        async with client.post("/api/recordings", json=ALL) as response:
            await response.content.readline()
            worker.send(made)
            assert b"gold" in await response.content.readline()
            more = "candidate: orders, compare: {redact: [$.plan]}"
            state.recordings.adopt(in_force(_settings(tmp_path, ROUTES.replace("candidate: orders", more))))
            worker.send(made)
            assert b"gold" not in await response.content.readline()
            state.recordings.adopt(in_force(_settings(tmp_path, ROUTES + "evidence: {values: hashed}\n")))
            lines = [line async for line in response.content]
        assert json.loads(lines[-1])["recorded"]["ended"] == "settings"


def _settings(folder: Path, routes: str) -> Any:
    file = folder / "other.yaml"
    file.write_text(routes)
    settings = load(file, {}).settings
    assert settings is not None
    return settings


async def test_a_worker_that_joins_later_records_too(tmp_path: Path) -> None:
    async with admin_of(tmp_path) as (state, client):
        response = await client.post("/api/recordings", json=ALL)
        await response.content.readline()
        worker = Worker(state).join()
        assert worker.send(capture())
        assert b"/orders" in await response.content.readline()
        response.close()


async def test_a_client_that_reads_nothing_costs_captures_and_no_memory(tmp_path: Path) -> None:
    """Its connection is cut in the end, and the next client can record."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    async with control_of(tmp_path, {}) as state:
        app = web.Application(middlewares=[_visitor])
        app.add_routes(RecordingsApi(lambda _: state, stall_s=1.0).routes())
        async with TestServer(app, host="127.0.0.1") as server:
            worker = Worker(state).join()
            body = json.dumps(ALL).encode()
            _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
            head = "POST /api/recordings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            head += f"Content-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await until(lambda: worker.wanted is not None)
            message, refused = capture(response=b"word " * 50_000), 0
            while state.recordings.status() is not None:
                refused += not worker.send(message)
                await asyncio.sleep(0.001)
            assert refused > 0
            assert worker.sent_bytes < 2 * QUEUE_BYTES
            writer.close()


@web.middleware
async def _visitor(request: web.Request, handler: Any) -> web.StreamResponse:
    request[VISITOR] = Visitor("127.0.0.1")
    response: web.StreamResponse = await handler(request)
    return response
