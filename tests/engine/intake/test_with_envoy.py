"""The records of a real Envoy, as they are counted: the values are those that our own engine has for the same requests.

What differs by nature is not here: retries inside a gate, and what Envoy refuses that our engine passes on.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from strangler.core.ledger_settings import LedgerSettings
from strangler.core.settings import Settings
from strangler.engine.admin_socket import AdminSocket
from strangler.engine.intake.intake import Intake
from strangler.envoy.place import Switches
from strangler.envoy.render import render
from strangler.ipc.messages import LedgerBatch
from strangler.ipc.metrics import Metrics
from tests.engine.intake.samples import KeptLines, TakingLink
from tests.envoy.running import RunningEnvoy, place_in, run
from tests.envoy.scripted import Scripted
from tests.factories import route, settings, upstream

PATIENCE_S: Final = 30.0
LOAD: Final = 2000
_AGENT: Final = "probe/1"


class Counting:
    """A running Envoy, its upstreams, and the intake that counts what it says."""

    def __init__(self, intake: Intake, writer: KeptLines, metrics: Metrics, link: TakingLink) -> None:
        self.intake, self.writer, self.metrics, self.link = intake, writer, metrics, link
        self.legacy, self.orders = Scripted("legacy"), Scripted("orders")
        self.port = 0
        self.envoy: RunningEnvoy | None = None

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.writer.lines]

    def figure(self, name: str, *labels: str) -> float:
        cells = [cell for report in self.metrics.report_all() for cell in [*report.counters, *report.gauges]]
        return next((cell.value for cell in cells if (cell.name, cell.labels) == (name, labels)), 0.0)

    async def send(self, raw: bytes, *, stays: bool = True) -> bytes:
        """Send bytes on a connection of their own, and return what comes until the end of a response's head."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(raw)
        await writer.drain()
        try:
            return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S) if stays else b""
        except asyncio.IncompleteReadError as error:
            return error.partial
        finally:
            writer.close()

    async def line_of(self, raw: bytes, *, stays: bool = True) -> dict[str, Any]:
        """Send a request and return its access line."""
        before = len(self.writer.lines)
        await self.send(raw, stays=stays)
        await until(lambda: len(self.writer.lines) > before)
        return self.lines()[before]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what Envoy says wakes nobody here
            await asyncio.sleep(0.01)


def request(target: str, method: str = "GET", *fields: str, version: str = "1.1", body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/{version}", "Host: shop.example", f"User-Agent: {_AGENT}", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@asynccontextmanager
async def counting(folder: Path) -> AsyncIterator[Counting]:
    metrics, link, writer = Metrics(), TakingLink(), KeptLines()
    legacy, orders = Scripted("legacy"), Scripted("orders")
    for each in (legacy, orders):
        await each.start()
    made = _settings(legacy.port, orders.port)
    loop = asyncio.get_running_loop()
    intake = Intake(loop, made, 1, metrics, link, writer, "envoy")
    found = Counting(intake, writer, metrics, link)
    found.legacy, found.orders = legacy, orders
    folder.mkdir(parents=True, exist_ok=True)
    intake.serve(listening(folder / "telemetry.sock"))
    running = asyncio.create_task(intake.run())
    resources = render(made, place_in(folder), 1, Switches(), 0.0)
    manager = run(resources, folder)
    found.envoy = await asyncio.to_thread(manager.__enter__)
    try:
        ports = await asyncio.to_thread(found.envoy.ports)
        found.port = next(iter(ports.values()))
        intake.follow(AdminSocket(folder / "admin.sock"))
        yield found
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await intake.close()
        for each in (legacy, orders):
            await each.stop()


def listening(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen(64)
    made.setblocking(False)
    return made


def _settings(legacy: int, orders: int) -> Settings:
    routes = [
        route("orders", prefix="/api/orders", percent=100),
        route("dead", prefix="/api/dead", candidate="dead", percent=100),
        route("half", prefix="/half", percent=0),
    ]
    upstreams = [
        upstream("legacy", f"http://127.0.0.1:{legacy}"),
        upstream("orders", f"http://127.0.0.1:{orders}"),
        upstream("dead", "http://127.0.0.1:1"),
    ]
    made = settings(routes, upstreams)
    limits = replace(made.limits, request_body_bytes=1000)
    return replace(made, ledger=LedgerSettings(), log=replace(made.log, format="json"), limits=limits)


async def test_lines_are_those_of_our_own_engine(tmp_path: Path) -> None:
    async with counting(tmp_path / "e") as made:
        plain = await made.line_of(request("/plain?secret=1"))
        assert {name: plain[name] for name in plain if name not in ("time", "duration_ms", "request_id", "pid")} == {
            "level": "info", "event": "request", "client": "127.0.0.1", "method": "GET", "path": "/plain",
            "route": None, "arm": "legacy", "reason": "no_route", "upstream": "legacy", "status": 200, "fault": None,
            "attempts": 1, "bytes": len("legacy GET /plain?secret=1"), "process": "envoy",
        }  # fmt: skip
        for raw, expected in _kinds():
            line = await made.line_of(raw)
            assert {name: line.get(name) for name in expected} == expected, raw

        made.orders.behaviour = 503
        failed = await made.line_of(request("/api/orders/1"))
        assert (failed["arm"], failed["status"], failed["attempts"], failed["fallback"]) == ("legacy", 200, 2, True)
        refused = await made.line_of(request("/api/dead/1"))
        assert (refused["arm"], refused["status"], refused["fallback"]) == ("legacy", 200, True)
        made.legacy.behaviour = "reset"
        reset = await made.line_of(request("/x", "POST", body=b"a"))
        assert (reset["status"], reset["fault"], reset["bytes"]) == (502, "reset", 0)
        made.legacy.behaviour = "hang"
        gone = await made.line_of(request("/gone"), stays=False)
        assert (gone["status"], gone["fault"], gone["arm"]) == (None, "client_gone", "legacy")

        await until(lambda: made.figure("strangler_fallbacks_total", "orders", "503") == 1)
        await until(lambda: made.figure("strangler_fallbacks_total", "dead", "connect") == 1)
        assert made.figure("strangler_requests_total", "orders", "legacy", "legacy", "2xx") == 1
        assert made.figure("strangler_requests_total", "", "legacy", "legacy", "gone") == 1
        assert made.figure("strangler_attempts_total", "orders", "5xx") == 1
        assert made.figure("strangler_attempts_total", "legacy", "reset") == 1
        await until(lambda: made.figure("strangler_connections") >= 0 and made.figure("strangler_in_flight", "x") == 0)


def _kinds() -> list[tuple[bytes, dict[str, Any]]]:
    """Return requests, with what their lines have."""
    candidate = {"route": "orders", "arm": "candidate", "upstream": "orders", "reason": "percent", "fault": None}
    return [
        (request("/api/orders/7"), {**candidate, "status": 200, "attempts": 1}),
        (request("/half/1"), {"route": "half", "arm": "legacy", "reason": "percent", "status": 200}),
        (request("/head", "HEAD"), {"method": "HEAD", "status": 200, "bytes": 0}),
        (request("/up", "POST", body=b"abc"), {"method": "POST", "status": 200}),
        (request("/old", version="1.0"), {"status": 200, "arm": "legacy"}),
        (request("/id", "GET", "X-Request-Id: my-id"), {"request_id": "my-id"}),
        (request("/caf%C3%A9"), {"path": "/caf%C3%A9"}),
        (request("/api/orders/..%2f1"), {"route": None, "reason": "ambiguous_path", "arm": "legacy"}),
        (request("/big", "POST", body=b"a" * 2000),
         {"status": 413, "fault": "too_large", "reason": "unplanned", "arm": None, "attempts": 0, "bytes": 0}),
        (b"GARBAGE\r\n\r\n", {"status": 400, "fault": "malformed", "reason": "unplanned", "arm": None}),
    ]  # fmt: skip


async def test_ledger_and_requests_have_every_request_of_a_crowd(tmp_path: Path) -> None:
    async with counting(tmp_path / "e") as made:

        async def client(number: int) -> None:
            for turn in range(40):
                await made.send(request(f"/api/orders/{number * 100 + turn}"))

        await asyncio.gather(*(client(number) for number in range(25)))
        await until(lambda: made.figure("strangler_requests_total", "orders", "candidate", "orders", "2xx") == 1000)
        made.intake.flush()
        batches = [each for each in made.link.sent if isinstance(each, LedgerBatch)]
        last = [each for each in made.intake.farewell() if isinstance(each, LedgerBatch)]
        sums = {each.number: each for each in [*batches, *last]}
        assert sum(cell.calls for batch in sums.values() for cell in batch.sums) == 1000


async def test_a_reader_that_stands_still_holds_no_request_up(tmp_path: Path) -> None:
    """A stopped process accepts nothing and reads nothing; Envoy drops what is too much, and says how much."""
    folder = tmp_path / "e"
    async with counting(folder) as made:
        await made.line_of(request("/first"))
        await made.intake.close()
        with closing(listening(folder / "telemetry.sock")):
            assert made.envoy is not None
            before = _rss_bytes(made.envoy.process.pid)
            assert await asyncio.to_thread(_load, made.port, LOAD) == LOAD
            assert _rss_bytes(made.envoy.process.pid) - before < LOAD * 8192


def _load(port: int, count: int) -> int:
    served = 0
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.settimeout(PATIENCE_S)
        for number in range(count):
            connection.sendall(request(f"/load/{number}"))
            while b"\r\n\r\n" not in connection.recv(65_536):
                pass
            served += 1
    return served


def _rss_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_records_reach_the_next_reader(tmp_path: Path) -> None:
    """A killed process leaves its socket; the next one makes its own at the same path, and Envoy comes back."""
    folder = tmp_path / "e"
    async with counting(folder) as made:
        await made.line_of(request("/first"))
        await made.intake.close()
        for turn in range(3):
            await made.send(request(f"/between/{turn}"))
        made.intake.serve(listening(folder / "telemetry.sock"))
        async with asyncio.timeout(PATIENCE_S):
            while not any(line["path"] == "/after" for line in made.lines()):
                await made.send(request("/after"))
                await asyncio.sleep(0.05)
