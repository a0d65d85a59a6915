"""`strangler serve` as a process, an upstream beside it, and what a test does to them."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from aiohttp import ClientSession, web
from prometheus_client.parser import text_string_to_metric_families

from tests.served import served

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0{admin}}}
workers: {workers}
state: state
limits: {{drain: 5s}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://localhost:{legacy}"}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
    split: {{percent: {percent}, sticky: [client_ip]}}
"""

SLOW_S = 0.8


@dataclass(slots=True)
class LegacyState:
    """An upstream that answers at once, slowly (`/slow`), or as a websocket (`/ws`)."""

    port: int = 0
    started: asyncio.Event = field(default_factory=asyncio.Event)  # a slow request has come

    async def response(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/ws":
            return await self._echo(request)
        if request.path == "/slow":
            self.started.set()
            await asyncio.sleep(SLOW_S)
        return web.Response(text="legacy")

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket


@asynccontextmanager
async def legacy() -> AsyncIterator[LegacyState]:
    state = LegacyState()
    async with served(state.response) as state.port:
        yield state


class Proxy:
    """One `strangler serve` in a folder of its own."""

    def __init__(self, folder: Path, legacy_port: int, workers: int = 1, token: str | None = None) -> None:
        self.folder = folder
        self.file = folder / "routes.yaml"
        self.token = token
        self._legacy_port = legacy_port
        self._workers = workers
        self._process: asyncio.subprocess.Process | None = None
        self._log = folder / "log"

    def routes(self, percent: object = 0, workers: int | None = None) -> str:
        return ROUTES.format(
            admin=f', token: "{self.token}"' if self.token else "",
            workers=workers or self._workers,
            legacy=self._legacy_port,
            percent=percent,
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def port(self) -> int:
        return int(self.running()["listen"].rpartition(":")[2])

    @property
    def admin(self) -> str:
        running = self.running()
        return f"{'https' if running['admin_has_tls'] else 'http'}://{running['admin']}"

    @property
    def log(self) -> list[dict[str, Any]]:
        """All lines that are complete."""
        return [json.loads(line) for line in self._log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def events(self, event: str) -> list[dict[str, Any]]:
        """Those that stand in the log by now: a line is written a moment after what it tells of."""
        return [line for line in self.log if line["event"] == event]

    async def wait_for_log(self, event: str) -> list[dict[str, Any]]:
        """The events of that name, once there is one."""
        found: list[dict[str, Any]] = await self.until(lambda: self.events(event))
        return found

    async def start(self, *arguments: str, ready: bool = True) -> None:
        """Start, and wait until it is ready to serve."""
        if not self.file.exists():
            self.file.write_text(self.routes())
        command = arguments or (sys.executable, "-m", "strangler", "serve")
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, cwd=self.folder, stdout=log, stderr=log, env=environ
            )
        if ready:
            await self.until(self.is_ready)

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGTERM)
            await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def ended(self) -> int:
        assert self._process is not None
        async with asyncio.timeout(30):
            return await self._process.wait()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children(recursive=True)

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait up to one and a half minutes until a condition, or an awaitable one, holds; what it gave."""
        try:
            async with asyncio.timeout(90):
                while True:
                    found = condition()
                    found = await found if asyncio.iscoroutine(found) else found
                    if found:
                        return found
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"it never came true; the log:\n{self._log.read_text()}") from None

    async def is_ready(self) -> bool:
        try:
            status, _ = await self.ask("/readyz")
        except (OSError, FileNotFoundError):
            return False
        return status == 200

    async def ask(
        self,
        path: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        token: bool = True,
    ) -> tuple[int, Any]:
        """Status and content of an answer of the admin listener; JSON decoded."""
        sent = dict(headers or {})
        if self.token and token:
            sent["Authorization"] = f"Bearer {self.token}"
        async with (
            ClientSession() as client,
            client.request(method, self.admin + path, json=body, headers=sent, ssl=False) as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if "json" in response.content_type else text

    async def status(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.ask("/api/status"))[1]
        return found

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name with these labels."""
        _, text = await self.ask("/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and sample.labels | labels == sample.labels
        )

    async def requests(self) -> float:
        return await self.metric("strangler_requests_total")

    async def get(self, path: str = "/") -> int:
        """One request on a connection of its own, no second try; the status."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".encode())
        response = await reader.read()
        writer.close()
        return int(response.split(b" ", 2)[1])

    def edit(self, text: str) -> None:
        """Replace routes.yaml as most editors do: write beside it, then rename."""
        draft = self.folder / ".routes.yaml.swp"
        draft.write_text(text)
        draft.replace(self.file)

    async def has_generation(self, generation: int) -> bool:
        """True if every worker follows it."""
        status = await self.status()
        workers = [worker["generation"] for worker in status["workers"]]
        return status["config"]["generation"] == generation and set(workers) == {generation}

    def running(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state" / "running.json").read_text())
        return found


@dataclass(slots=True)
class LoadState:
    """The results of clients that never stopped asking."""

    statuses: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@asynccontextmanager
async def load_on(proxy: Proxy, clients: int = 4) -> AsyncIterator[LoadState]:
    """Constant load until the end of the block; by then every request has its answer."""
    load, stop = LoadState(), asyncio.Event()

    async def ask() -> None:
        while not stop.is_set():
            try:
                load.statuses.append(await proxy.get("/api/orders/7"))
            except (OSError, IndexError) as error:
                load.faults.append(repr(error))
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(ask())
        try:
            yield load
        finally:
            stop.set()


def is_refused(port: int) -> bool:
    """True if nobody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False
