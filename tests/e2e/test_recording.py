"""A running proxy that is recorded: clients notice nothing, and what is in the file is what was served."""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout, web

from strangler.recordings.lines import plain_pieces
from strangler.recordings.recorded import RecordedPair
from strangler.recordings.recording_reader import RecordingError, open_recording
from tests.e2e.commands import run
from tests.e2e.serving import Proxy
from tests.served import served

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
workers: 2
state: state
limits: {{drain: 5s}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://127.0.0.1:{orders}"}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
    split: {{percent: 0, sticky: ["cookie:sid"]}}
    shadow: {{percent: 100, max_body: 1KiB}}
  - name: users
    match: {{prefix: /api/users}}
    passthrough: orders
"""
SECRET = "hunter2-and-more"
LONG = 300_000


async def respond(request: web.Request) -> web.StreamResponse:
    if request.path.endswith("/stream"):
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        for _ in range(3):
            await stream.write(b"data: 1\n\n")
        return stream
    if request.path.endswith("/ws"):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket
    if request.path.endswith("/long"):
        return web.Response(text="x" * LONG)
    body = await request.read()
    return web.json_response({"path": request.path, "bytes": len(body), "password": SECRET})


@asynccontextmanager
async def proxy_in(folder: Path, more: str = "") -> AsyncIterator[Proxy]:
    async with served(respond) as legacy, served(respond) as orders:
        proxy = Proxy(folder, legacy)
        proxy.file.write_text(ROUTES.format(legacy=legacy, orders=orders) + more)
        await proxy.start()
        try:
            yield proxy
        finally:
            await proxy.stop()


class Recorder:
    """`strangler record` as a process."""

    def __init__(self, proxy: Proxy, *arguments: str) -> None:
        self.proxy = proxy
        self.file = proxy.folder / "a.rec"
        self._arguments = arguments

    async def __aenter__(self) -> "Recorder":
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "strangler", "record", *self._arguments, "-o", str(self.file)),
            cwd=self.proxy.folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "STRANGLER_USER": "ana"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        await self.proxy.until(self.is_on)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def is_on(self) -> bool:
        try:
            recording = (await self.proxy.status())["recording"]
        except OSError:
            return False
        return recording is not None

    async def has(self, pairs: int) -> None:
        """Wait until so many pairs were sent."""

        async def is_so() -> bool:
            recording = (await self.proxy.status())["recording"]
            return recording is not None and recording["pairs"] >= pairs

        await self.proxy.until(is_so)

    async def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """End it; return its exit code and its output."""
        self.process.send_signal(number)
        return await self.output()

    async def output(self) -> tuple[int, str]:
        async with asyncio.timeout(30):
            output, _ = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, output.decode()


def pairs_of(file: Path) -> list[RecordedPair]:
    """Return the pairs of a file, all of which must be readable."""
    pairs: list[RecordedPair] = []
    with open_recording(file) as recording:
        for _, item in recording:
            assert isinstance(item, RecordedPair), item
            pairs.append(item)
    return pairs


async def ask(
    proxy: Proxy, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, **more: Any
) -> str:
    async with (
        ClientSession(timeout=ClientTimeout(20)) as client,
        client.request(method, f"http://127.0.0.1:{proxy.port}{path}", headers=headers, **more) as response,
    ):
        assert response.status == 200
        return await response.text()


async def test_what_was_served_is_in_the_file_without_its_secrets(tmp_path: Path) -> None:
    async with proxy_in(tmp_path) as proxy, Recorder(proxy, "--all", "--max-body", "10KiB") as recorder:
        cookie = {"Cookie": f"sid={SECRET}"}
        await ask(proxy, "/api/orders/7?token=" + SECRET, headers=cookie | {"Authorization": f"Bearer {SECRET}"})
        await ask(proxy, "/api/orders", "POST", cookie, json={"password": SECRET, "n": 1})
        await ask(proxy, "/api/orders/long", headers=cookie)
        await ask(proxy, "/api/orders", "POST", cookie, data=b"y" * 20_000)
        await ask(proxy, "/api/users/stream")
        await ask(proxy, "/no/route")
        async with ClientSession() as client, client.ws_connect(f"http://127.0.0.1:{proxy.port}/api/users/ws") as ws:
            await ws.send_str("hello")
            assert (await ws.receive_str()) == "hello"
        await recorder.has(6)
        code, output = await recorder.end()
        assert code == 0, output
        assert output.startswith(f"{recorder.file}: 6 pairs (a running proxy)\n2 callers, ")
        assert await proxy.metric("strangler_recorded_total") == 6

        async def ended() -> str:  # the proxy notices that the client is gone when it writes the next line
            _, audit = await run(tmp_path, "audit")
            return audit if "record ended" in audit else ""

        assert "6 pairs" in await proxy.until(ended)
    pairs = sorted(pairs_of(recorder.file), key=lambda pair: pair.at)
    targets = [str(pair.request.target).partition("?")[0] for pair in pairs]
    assert targets == [
        "/api/orders/7",
        "/api/orders",
        "/api/orders/long",
        "/api/orders",
        "/api/users/stream",
        "/no/route",
    ]
    assert [pair.route for pair in pairs] == ["orders"] * 4 + ["users", None]
    assert [pair.arm for pair in pairs] == ["legacy"] * 4 + ["candidate", "legacy"]
    assert len({pair.caller for pair in pairs[:4]}) == 1
    assert all(pair.caller.startswith("redacted:") for pair in pairs)
    written, long, upload, stream = pairs[1], pairs[2], pairs[3], pairs[4]
    assert written.request.body is not None
    assert written.request.body.text is not None
    assert '"n": 1' in written.request.body.text
    assert long.response is not None
    assert long.response.body is not None
    assert long.response.body.omitted == LONG
    assert upload.request.body is not None
    assert upload.request.body.omitted == 20_000
    assert upload.response is not None
    assert upload.response.body is not None
    assert upload.response.body.is_whole
    assert stream.response is not None
    assert stream.response.body is not None
    assert stream.response.body.omitted == 3 * len(b"data: 1\n\n")
    with recorder.file.open("rb") as file:
        text = b"".join(piece for piece in plain_pieces(file) if isinstance(piece, bytes))
    assert SECRET.encode() not in text
    clients = [value for pair in pairs for name, value in pair.request.headers if name == "X-Forwarded-For"]
    assert len(clients) == len(pairs)
    assert all(str(value).startswith("redacted:") for value in clients)


async def test_shadows_go_on_as_without_a_recording(tmp_path: Path) -> None:
    async with proxy_in(tmp_path) as proxy, Recorder(proxy, "orders") as recorder:
        for _ in range(5):
            await ask(proxy, "/api/orders/7")
        await ask(proxy, "/api/orders/long")
        await recorder.has(6)

        async def is_compared() -> bool:
            matches = await proxy.metric("strangler_shadow_comparisons_total", outcome="match")
            return (
                matches == 5 and await proxy.metric("strangler_shadow_comparisons_total", outcome="not_comparable") == 1
            )

        await proxy.until(is_compared)
        assert (await recorder.end(signal.SIGTERM))[0] == 0
    long = next(pair for pair in pairs_of(recorder.file) if pair.request.target == "/api/orders/long")
    assert long.response is not None
    assert long.response.body is not None
    assert long.response.body.text == "x" * LONG


@pytest.mark.parametrize("name", ["control", "worker"])
async def test_a_killed_process_costs_a_gap_and_not_the_file(tmp_path: Path, name: str) -> None:
    async with proxy_in(tmp_path) as proxy, Recorder(proxy, "orders") as recorder:
        await ask(proxy, "/api/orders/1")
        await recorder.has(1)
        pid = (await proxy.status())["pid"]
        os.kill(pid["control"] if name == "control" else pid["workers"][0], signal.SIGKILL)

        async def is_back() -> bool:
            try:
                status = await proxy.status()
            except OSError:
                return False
            connected = [worker["is_connected"] for worker in status["workers"]]
            return status["recording"] is not None and connected == [True, True] and status["pid"] != pid

        await proxy.until(is_back)
        for number in range(20):
            await ask(proxy, f"/api/orders/{number}")
        await recorder.has(21 if name == "worker" else 20)
        code, output = await recorder.end()
        assert code == 0, output
        assert ("1 gap of" in output) == (name == "control")
    assert len(pairs_of(recorder.file)) == 21


async def test_a_killed_command_leaves_what_it_has(tmp_path: Path) -> None:
    async with proxy_in(tmp_path) as proxy, Recorder(proxy, "orders") as recorder:
        for number in range(3):
            await ask(proxy, f"/api/orders/{number}")
        part = recorder.file.with_name("a.rec.part")

        def has_all() -> bool:
            with suppress(RecordingError):  # it has no header yet
                return len(pairs_of(part)) == 3
            return False

        await proxy.until(has_all)
        recorder.process.kill()
        await recorder.process.wait()
        assert len(pairs_of(part)) == 3
        assert not recorder.file.exists()


async def test_settings_that_end_it_are_named_and_the_file_is_whole(tmp_path: Path) -> None:
    async with proxy_in(tmp_path) as proxy, Recorder(proxy, "orders") as recorder:
        await ask(proxy, "/api/orders/1")
        await recorder.has(1)
        proxy.file.write_text(proxy.file.read_text() + "evidence: {values: hashed}\n")
        code, output = await recorder.output()
        assert (code, "`evidence: {values: hashed}` is in force now" in output) == (1, True), output
    assert len(pairs_of(recorder.file)) == 1


async def test_there_is_one_recording_at_a_time(tmp_path: Path) -> None:
    async with proxy_in(tmp_path) as proxy, Recorder(proxy, "orders"):
        code, output = await run(tmp_path, "record", "users", "-o", "b.rec")
        assert code == 1
        assert "ana records since 20" in output
        assert not (tmp_path / "b.rec").exists()
        _, output = await run(tmp_path, "status")
        assert "recording by ana since" in output


async def test_what_cannot_be_recorded_is_said_before_anything_starts(tmp_path: Path) -> None:
    async with proxy_in(tmp_path) as proxy:
        (tmp_path / "there.rec").write_text("mine")
        for code, text, *arguments in (
            (1, "unknown route 'ordrs'; did you mean 'orders'?", "ordrs", "-o", "b.rec"),
            (1, "there.rec exists", "orders", "-o", "there.rec"),
            (1, "No such file or directory", "orders", "-o", "none/b.rec"),
            (2, "a share of 0 records nobody", "orders", "--share", "0", "-o", "b.rec"),
            (2, "name the recording to write with -o", "orders"),
            (2, "--all has all routes", "orders", "--all", "-o", "b.rec"),
            (2, "it must be at most 7d", "orders", "--for", "8d", "-o", "b.rec"),
            (1, "unknown route 'export'", "-o", "b.rec", "--", "export"),
            (1, "no request was recorded; b.rec was not written", "orders", "--for", "100ms", "-o", "b.rec"),
        ):
            found, output = await run(tmp_path, "record", *arguments)
            assert (found, text in output) == (code, True), output
        assert (tmp_path / "there.rec").read_text() == "mine"
        await proxy.stop()
        code, output = await run(tmp_path, "record", "orders", "-o", "b.rec")
        assert code == 1
        assert "is `strangler serve` running?" in output or "no proxy runs" in output
        assert not list(tmp_path.glob("b.rec*"))


async def test_clients_under_load_get_the_same_whoever_records(tmp_path: Path) -> None:
    """No response is another one, and each request is in the file or counted as dropped."""
    async with proxy_in(tmp_path) as proxy, Recorder(proxy, "orders", "--share", "50%") as recorder:
        callers, rounds = 20, 20
        bodies: set[str] = set()

        async def call(caller: int, client: ClientSession) -> None:
            for _ in range(rounds):
                url = f"http://127.0.0.1:{proxy.port}/api/orders/7"
                async with client.get(url, headers={"Cookie": f"sid=caller-{caller}"}) as response:
                    assert response.status == 200
                    bodies.add(await response.text())

        async with ClientSession(timeout=ClientTimeout(30)) as client, asyncio.TaskGroup() as group:
            for caller in range(callers):
                group.create_task(call(caller, client))
        assert bodies == {json.dumps({"path": "/api/orders/7", "bytes": 0, "password": SECRET})}
        code, output = await recorder.end()
        assert code == 0, output
        dropped = int(await proxy.metric("strangler_recording_dropped_total"))
    pairs = pairs_of(recorder.file)
    counts = Counter(pair.caller for pair in pairs)
    assert 0 < len(counts) < callers
    assert len(pairs) + dropped == rounds * len(counts)


async def test_a_recording_goes_on_over_a_restart_with_the_same_callers(tmp_path: Path) -> None:
    async with proxy_in(tmp_path) as proxy, Recorder(proxy, "orders", "--share", "50%") as recorder:

        async def call() -> None:
            for caller in range(30):
                await ask(proxy, "/api/orders/1", headers={"Cookie": f"sid=caller-{caller}"})

        await call()
        await recorder.has(1)
        killed_at = time.time()
        process = (await proxy.status())["pid"]["control"]
        os.kill(process, signal.SIGTERM)

        async def is_back() -> bool:
            try:
                status = await proxy.status()
            except OSError:
                return False
            workers = [worker["is_connected"] for worker in status["workers"]]
            return status["recording"] is not None and workers == [True, True] and status["pid"]["control"] != process

        await proxy.until(is_back)
        await call()
        code, output = await recorder.end()
        assert code == 0, output
        assert "1 gap of" in output
    pairs = pairs_of(recorder.file)
    before = {pair.caller for pair in pairs if pair.at < killed_at}
    after = {pair.caller for pair in pairs if pair.at >= killed_at}
    assert before
    assert before <= after
    assert len(after) < 30
