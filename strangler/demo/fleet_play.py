"""The demo of a fleet: three nodes with one PostgreSQL, whose leader is killed while apps read."""

import asyncio
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

from aiohttp import ClientSession

from strangler.demo import fleet_clients
from strangler.demo.children import Child, ChildrenState, free_ports
from strangler.demo.first import first_of
from strangler.demo.fleet_clients import FleetTallyState
from strangler.demo.fleet_routes import NAMES, NodePlace, fleet_routes_yaml
from strangler.demo.fleet_texts import FleetEnd, guide, header, line
from strangler.demo.fleet_views import FleetViews
from strangler.demo.keys import Keyboard, KeyInput
from strangler.demo.postgres_server import PostgresServer
from strangler.demo.stage import RELEASE, DemoOptions, Say, stop_on_signals

LINE_EVERY_S: Final = 3.0
KILL_AFTER_S: Final = 9.0
REPLACED_S: Final = 15.0
"""How long another leader is waited for: it comes within 10 s."""
_POLL_S: Final = 0.25
_KEYS: Final = {KeyInput.KEY: "The key k", KeyInput.LINE: "k and Enter"}
SETTLE_S: Final = 20.0
"""How long the end waits at most until all nodes have counted all."""


@dataclass(frozen=True, slots=True)
class FleetStage:
    """The folder, the nodes, and the URLs of both arms' services."""

    folder: Path
    nodes: Sequence[NodePlace]
    legacy: int
    candidate: int

    @property
    def routes(self) -> Path:
        return self.folder / "routes.yaml"


async def perform_fleet(options: DemoOptions, postgres: PostgresServer, say: Say) -> None:
    """Run the demo until its time is up or a signal comes. Raises ChildDiedError if a process dies first."""
    stopped = stop_on_signals()
    stage = _stage(Path(tempfile.mkdtemp(prefix="strangler-demo.")))
    children = ChildrenState(stage.folder)
    try:
        nodes: dict[str, Child] = {}
        await first_of(_set_up(stage, postgres, children, nodes), stopped.wait())
        if not stopped.is_set():
            async with ClientSession() as session:
                views = FleetViews(stage.nodes, session)
                await _Run(stage, nodes, options, say).perform(views, stopped, children.watch())
    finally:
        for name in await children.stop():
            say(f"{name} did not stop and was killed")
        postgres.remove()
        if options.keep:
            say(f"Kept: {stage.folder}")
        else:
            shutil.rmtree(stage.folder, ignore_errors=True)


def _stage(folder: Path) -> FleetStage:
    legacy, candidate, *ports = free_ports(2 + 2 * len(NAMES))
    nodes = [
        NodePlace(name, listen, admin, folder / name)
        for name, listen, admin in zip(NAMES, ports[::2], ports[1::2], strict=True)
    ]
    return FleetStage(folder, nodes, legacy, candidate)


async def _set_up(
    stage: FleetStage, postgres: PostgresServer, children: ChildrenState, nodes: dict[str, Child]
) -> None:
    """Start PostgreSQL and both arms, then all nodes at once; `nodes` gets their processes."""
    await postgres.start(children)
    stage.routes.write_text(fleet_routes_yaml(stage.nodes[0], postgres.url, stage.legacy, stage.candidate))
    shop = (sys.executable, "-m", "legacy_stub", "--data", str(stage.folder / "shop.db"), "--port")
    rewrite = ("--candidate", "shop", "--release", RELEASE)
    await children.start("legacy", *shop, str(stage.legacy), ready=_ready(stage.legacy))
    await children.start("candidate", *shop, str(stage.candidate), *rewrite, ready=_ready(stage.candidate))
    secret = secrets.token_hex(16)

    async def serve(node: NodePlace) -> None:
        command = (sys.executable, "-m", "strangler", "serve", "-c", str(stage.routes))
        ready = f"{node.admin_url}/readyz"
        nodes[node.name] = await children.start(
            f"node-{node.name}", *command, ready=ready, environ=node.environ(secret)
        )

    await asyncio.gather(*map(serve, stage.nodes))


def _ready(port: int) -> str:
    return f"http://127.0.0.1:{port}/healthz"


class _Run:
    """The demo once all runs. `nodes`: the processes, by name."""

    def __init__(self, stage: FleetStage, nodes: Mapping[str, Child], options: DemoOptions, say: Say) -> None:
        self._stage = stage
        self._nodes = nodes
        self._options = options
        self._say = say
        self._begun = monotonic()
        self._tally = FleetTallyState()
        self._is_kill_due = asyncio.Event()

    async def perform(self, views: FleetViews, stopped: asyncio.Event, dies: Coroutine[Any, Any, None]) -> None:
        """Run until the time is up, a signal comes, or a process dies: then `dies` raises."""
        closing = asyncio.Event()
        with Keyboard(self._press) as keyboard, _on_signal(self._is_kill_due.set):
            again = f"kill -USR1 {os.getpid()}" if keyboard.input is KeyInput.NONE else _KEYS[keyboard.input]
            self._say(guide(self._stage.nodes, self._stage.folder, self._options, KILL_AFTER_S, again))
            self._say(header(NAMES))
            clients = fleet_clients.send(self._stage.nodes, self._tally, closing)
            await first_of(clients, self._close_in_time(views, stopped, closing), dies)
        self._say((await self._settled(views)).text())

    async def _close_in_time(self, views: FleetViews, stopped: asyncio.Event, closing: asyncio.Event) -> None:
        jobs = self._report(views), self._kill_often(views), stopped.wait()
        await first_of(*jobs, timeout_s=self._options.duration_s)
        closing.set()
        await asyncio.Event().wait()  # until each client has its last response

    async def _report(self, views: FleetViews) -> None:
        while True:
            before = self._tally.by_node.copy()
            await asyncio.sleep(LINE_EVERY_S)
            leader = await views.leader()
            by_node = self._tally.by_node - before
            summary = self._tally.take()
            self._say(line(self._now(), "-" if leader is None else leader.name, by_node, NAMES, summary))

    async def _kill_often(self, views: FleetViews) -> None:
        """Kill the leader once after a while, and whenever somebody wants it."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_kill_due.wait(), KILL_AFTER_S)
        while True:
            self._is_kill_due.clear()
            await self._kill_leader(views)
            await self._is_kill_due.wait()

    async def _kill_leader(self, views: FleetViews) -> None:
        leader = await views.leader()
        status = None if leader is None else await views.status(leader)
        control = None if status is None else status.pid.control
        if leader is None or not isinstance(control, int) or _parent(control) != self._nodes[leader.name].process.pid:
            self._say(f"{self._now()}  nobody leads at the moment")
            return
        os.kill(control, signal.SIGKILL)
        killed = monotonic()
        self._say(f"{self._now()}  kill -9 {control}: the control process of node {leader.name}, which leads")
        after = await self._successor(views, leader)
        self._say(f"{self._now()}  node {after.name} leads, {monotonic() - killed:.1f} s later")

    async def _successor(self, views: FleetViews, former: NodePlace) -> NodePlace:
        """Return the next leader: another node, or `former` if it was elected again."""
        for _ in range(int(REPLACED_S / _POLL_S)):
            leader = await views.leader()
            if leader is not None and leader is not former:
                return leader
            await asyncio.sleep(_POLL_S)
        return former

    async def _settled(self, views: FleetViews) -> FleetEnd:
        """Return the figures once all nodes have counted all, or at the end of patience."""
        deadline = monotonic() + SETTLE_S
        while True:
            end = FleetEnd(
                self._tally.requests,
                self._tally.errors,
                self._tally.shadowed,
                NAMES,
                await views.counts(),
                await views.dropped(),
            )
            if end.is_complete or monotonic() > deadline:
                return end
            await asyncio.sleep(_POLL_S)

    def _press(self, key: str) -> None:
        if key == "k":
            self._is_kill_due.set()

    def _now(self) -> str:
        elapsed = int(monotonic() - self._begun)
        return f"   {elapsed // 60:02}:{elapsed % 60:02}"


def _parent(pid: int) -> int | None:
    """Return the parent of a process (proc(5)); None if it has gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


@contextmanager
def _on_signal(kill: Callable[[], None]) -> Iterator[None]:
    """Have SIGUSR1 stand for the key, where there is no terminal."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, kill)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
