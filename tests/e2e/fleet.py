"""A fleet as a test plays with it: nodes that share a PostgreSQL, two arms, a webhook, and a load."""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg
from aiohttp import ClientError, web

from strangler.demo.children import free_ports
from tests.e2e.fleet_load import Load
from tests.e2e.serving import Proxy
from tests.needs import require
from tests.served import served
from tests.store.postgres import PostgresServer, running_server

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
state: state
store: "{store}"
node: "${{STRANGLER_NODE}}"
log: {{access: false}}
limits: {{drain: 5s}}
events: {{webhook: "http://127.0.0.1:{hook}/"}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  shop: {{url: "http://127.0.0.1:{candidate}"}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: shop
    shadow: {{percent: 100, recheck: 0, baseline: 0, in_flight: 256}}
    gate: {{min_pairs: 20, min_match: 50%, min_age: 0, max_latency_ratio: 1000}}
  - name: baskets
    match: {{prefix: /api/baskets}}
    candidate: shop
    split: {{sticky: ["header:x-user-id"]}}
    rollout:
      steps: [30, 60, 100]
      hold: 1h
      look: 500ms
      evidence: {{requests: 20, callers: 5}}
      latency: null
      gate: never
  - name: coupons
    match: {{prefix: /api/coupons}}
    candidate: shop
    split: {{sticky: ["header:x-user-id"]}}
    rollout: {{steps: [50, 100], hold: 1h, latency: null, gate: never}}
"""
SECRET = "a secret of the tests' own fleet"
HOUR_S = 3600
_DEADLINE_S = 60.0
START_S = 180.0
_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")

_T = TypeVar("_T")


async def until(condition: Callable[[], Awaitable[_T | None]], what: str = "", within_s: float = _DEADLINE_S) -> _T:
    """Wait until a condition gives something that counts as true, and return it. `what`: named if it never does."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                found = await condition()
                if found:
                    return found
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"it never came true within {within_s:g} s: {what}") from None


class Node(Proxy):
    """One node, in a folder of its own. `ahead_s`: how far its clock is ahead of everybody's."""

    def __init__(self, folder: Path, name: str, routes: str, ahead_s: int = 0) -> None:
        folder.mkdir()
        super().__init__(folder, 0)
        self.name = name
        self.file.write_text(routes)
        self._environ = {"STRANGLER_NODE": name, "STRANGLER_STORE_SECRET": SECRET}
        self._port = 0
        if ahead_s:
            require("" if _FAKETIME.exists() else "libfaketime (Debian: faketime)")
            self._environ |= {
                "LD_PRELOAD": str(_FAKETIME),
                "FAKETIME": f"+{ahead_s}s",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }

    @property
    def port(self) -> int:
        """Where it listens since it was last started."""
        return self._port

    @property
    def command(self) -> tuple[str, ...]:
        """The command that runs it."""
        settings = [f"{name}={value}" for name, value in self._environ.items()]
        return ("env", *settings, sys.executable, "-m", "strangler", "serve")

    async def serve(self, ready: bool = True) -> None:
        """Start it, and wait until it is ready to serve."""
        await self.start(*self.command, ready=False)
        await until(self._is_listening, f"node {self.name} listens", START_S)
        if ready:
            await until(self.is_ready, f"node {self.name} is ready", START_S)
        self._port = super().port

    async def _is_listening(self) -> bool:
        file = self.folder / "state" / "running.json"
        return file.exists() and self.running()["pid"] == self.pid

    def processes(self) -> list[psutil.Process]:
        """Return all its processes, the supervisor first."""
        return [psutil.Process(self.pid), *self.children()]

    async def kill(self) -> None:
        """Have all its processes killed at once, as when its machine dies."""
        self.send(signal.SIGSTOP)
        self.send(signal.SIGKILL)
        await self.ended()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    async def control(self) -> psutil.Process:
        return psutil.Process((await self.status())["pid"]["control"])

    async def document(self, path: str) -> Any:
        """Return a document of the admin listener; None while it has none."""
        try:
            status, found = await self.ask(path)
        except (OSError, ClientError):
            return None
        return found if status == 200 else None


@dataclass(slots=True)
class ShopArm:
    """An arm of the shop. The candidate's orders differ by their number."""

    is_candidate: bool
    port: int = 0
    targets: list[str] = field(default_factory=list)

    async def response(self, request: web.BaseRequest) -> web.Response:
        self.targets.append(request.path)
        number = int(request.path.rpartition("/")[2]) if request.path.startswith("/api/") else 0
        body: dict[str, Any] = {"id": number, "price": "19.99", "note": "gift"}
        if self.is_candidate and request.path.startswith("/api/orders"):
            body |= {"price": 19.99} if has_other_price(number) else {}
            if has_no_note(number):
                del body["note"]
        return web.json_response(body)


def has_other_price(number: int) -> bool:
    return number % 10 == 0


def has_no_note(number: int) -> bool:
    return number % 10 == 2


@dataclass(slots=True)
class Hook:
    """The receiver of the webhook."""

    port: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    async def response(self, request: web.BaseRequest) -> web.Response:
        self.events.append(json.loads(await request.read()))
        return web.Response()

    def repeated(self) -> dict[str, int]:
        """Return the ids that came more than once."""
        return {id_: times for id_, times in Counter(event["id"] for event in self.events).items() if times > 1}


@dataclass(slots=True)
class Fleet:
    """All that a test plays with."""

    folder: Path
    postgres: PostgresServer
    legacy: ShopArm
    candidate: ShopArm
    hook: Hook
    nodes: list[Node]
    load: Load

    @property
    def routes(self) -> str:
        return ROUTES.format(
            store=self.postgres.tcp_url("strangler", "strangler"),
            hook=self.hook.port,
            legacy=self.legacy.port,
            candidate=self.candidate.port,
        )

    async def leader(self) -> Node:
        """Return the node that all nodes say leads, once they agree on it."""

        async def found() -> Node | None:
            named = {tuple(sorted(await led_by(node))) for node in self.nodes}
            names = named.pop() if len(named) == 1 else ()
            return next((node for node in self.nodes if (node.name,) == names), None)

        return await until(found, "the nodes agree on a leader")

    async def follower(self) -> Node:
        leader = await self.leader()
        return next(node for node in self.nodes if node is not leader)

    async def documents(self, path: str) -> list[Any]:
        """Return the document of each node."""
        return list(await asyncio.gather(*(node.document(path) for node in self.nodes)))

    async def agreed(self, path: str, seen: Callable[[Any], _T]) -> _T:
        """Return what is `seen` in the document of every node, once it is the same."""
        last: list[Any] = []

        async def same() -> tuple[_T] | None:
            last[:] = [None if each is None else seen(each) for each in await self.documents(path)]
            return (last[0],) if last[0] is not None and all(each == last[0] for each in last) else None

        try:
            found = await until(same)
        except AssertionError:
            raise AssertionError(f"the nodes never said the same of {path}: {last}") from None
        return found[0]

    async def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement at the store, beside all nodes."""
        return await asyncio.to_thread(self._query, statement)

    def _query(self, statement: str) -> list[tuple[Any, ...]]:
        with self.postgres.connect("strangler") as connection:
            return connection.execute(statement.encode()).fetchall()

    async def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric of all nodes."""
        return sum(await asyncio.gather(*(node.metric(name, **labels) for node in self.nodes)))


async def _stop(nodes: list[Node]) -> None:
    await asyncio.gather(*(node.stop() for node in nodes))


async def led_by(node: Node) -> list[str]:
    """Return the names of the nodes that lead, as one node sees it."""
    status = await node.document("/api/status")
    return [each["node"] for each in (status or {}).get("nodes", []) if each["leader"]]


def make_database(postgres: PostgresServer) -> None:
    """Make a role without rights but those to a database of its own."""
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE strangler LOGIN")
        connection.execute("CREATE DATABASE strangler OWNER strangler")


@asynccontextmanager
async def fleet(
    folder: Path, names: Sequence[str] = ("a", "b", "c"), late: Sequence[str] = ("c",)
) -> AsyncIterator[Fleet]:
    """Start nodes of these names, all ready. The clocks of those in `late` are an hour ahead."""
    async with AsyncExitStack() as stack:
        legacy, candidate, hook = ShopArm(is_candidate=False), ShopArm(is_candidate=True), Hook()
        legacy.port = await stack.enter_async_context(served(legacy.response))
        candidate.port = await stack.enter_async_context(served(candidate.response))
        hook.port = await stack.enter_async_context(served(hook.response))
        postgres = stack.enter_context(running_server(free_ports(1)[0]))
        make_database(postgres)
        nodes: list[Node] = []
        made = Fleet(folder, postgres, legacy, candidate, hook, nodes, Load(nodes))
        nodes += [Node(folder / name, name, made.routes, HOUR_S if name in late else 0) for name in names]
        stack.push_async_callback(_stop, nodes)
        await asyncio.gather(*(node.serve() for node in nodes))
        yield made


@asynccontextmanager
async def stopped(postgres: PostgresServer) -> AsyncIterator[None]:
    """Have all processes of the server stand still in the block: they neither respond nor go."""
    await asyncio.to_thread(postgres.send, signal.SIGSTOP)
    try:
        yield
    finally:
        await asyncio.to_thread(postgres.send, signal.SIGCONT)


@asynccontextmanager
async def locked(postgres: PostgresServer, *tables: str) -> AsyncIterator[None]:
    """Have somebody hold tables in the block, so that nothing can be written to them or read from them."""
    connection = await psycopg.AsyncConnection.connect(postgres.url("strangler"))
    try:
        await connection.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE".encode())
        yield
    finally:
        await connection.close()
