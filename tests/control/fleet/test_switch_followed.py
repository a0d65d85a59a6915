"""The kill switch at two whole controls that share a store: followed at once, also where notifications get lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from strangler.control.app import ControlApp
from strangler.control.dashboard.kill_switch_view import kill_switch_view
from strangler.core.kill_switch_text import node_only_text
from strangler.state import kill_switch
from tests.control.control import control_of
from tests.control.fleet.database import Server
from tests.store.store_proxy import store_proxy

PATIENCE_S = 30
"""How long a condition may take: only a bug exceeds it."""
ROUTES = """\
version: 1
state: state
store: {url}
node: {name}
upstreams: {{legacy: {{url: "http://127.0.0.1:8000"}}, orders: {{url: "http://127.0.0.1:8001"}}}}
routes: {routes}
"""
ORDERS = "[{name: orders, match: {prefix: /api/orders}, candidate: orders, split: {percent: 100}}]"


@asynccontextmanager
async def control(folder: Path, name: str, url: str, routes: str = ORDERS) -> AsyncIterator[ControlApp]:
    """Run the control of a node, as far as it follows others and publishes events."""
    (folder / name).mkdir()
    (folder / name / "routes.yaml").write_text(ROUTES.format(url=url, name=name, routes=routes))
    environ = {"STRANGLER_STORE_SECRET": "a secret of all nodes, of 16 or more"}
    async with control_of(folder / name, environ) as app, AsyncExitStack() as stack:
        assert app.switch is not None
        for part in (*app.fleet.running, app.switch, app.events.publisher):
            stack.callback(asyncio.create_task(part.run()).cancel)
        yield app


async def until(condition: Callable[[], object]) -> float:
    """Wait until a condition holds; return how long that took, in seconds."""
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)
    return time.monotonic() - began


@pytest.mark.parametrize("notifies", [True, False], ids=["by notifications", "by polling"])
async def test_a_turn_at_a_node_is_followed_by_the_other(
    postgres: Server, database: str, tmp_path: Path, *, notifies: bool
) -> None:
    url = postgres.url(database)
    with postgres.connect(database) as connection:
        async with control(tmp_path, "first", url) as first, control(tmp_path, "second", url, "[]") as second:
            await until(lambda: first.fleet.clock.is_set and second.fleet.clock.is_set)
            if not notifies:
                connection.execute("DROP TRIGGER strangler_notify ON topics")
            assert (await first.turn_kill_switch(True, "nonsense", "ana", "orders")).pending == {}
            took_s = await until(lambda: second.kill_switch.is_on_for("orders"))
            print(f"followed within {1000 * took_s:.0f} ms")
            folder = second.launch.folder
            await until(lambda: kill_switch.read(folder) == second.kill_switch)
            assert second.kill_switch.routes == first.kill_switch.routes, "a route that only the other's file has"
            await second.turn_kill_switch(False, "mended", "ben", "orders")
            await until(lambda: not first.kill_switch.routes)
            for app in (first, second):
                await app.events.publisher.write()
            found = [entry.event.data for entry in await second.read_events(0, 0.0, 9)]
            assert [(data["on"], data["route"]) for data in found] == [(True, "orders"), (False, "orders")]
            audit = "SELECT who, what, route, detail FROM audit ORDER BY at"
            assert connection.execute(audit.encode()).fetchall() == [
                ("ana", "kill-switch", "orders", "on"),
                ("ben", "kill-switch", "orders", "off"),
            ]


async def test_while_the_store_is_away_a_turn_holds_for_its_node_which_says_so_and_is_followed_once_it_is_back(
    postgres: Server, database: str, tmp_path: Path
) -> None:
    with store_proxy(postgres.port) as way:
        async with (
            control(tmp_path, "first", postgres.url(database, way.port)) as first,
            control(tmp_path, "second", postgres.url(database)) as second,
        ):
            await until(lambda: first.fleet.clock.is_set and second.fleet.clock.is_set)
            way.cut()
            began = time.monotonic()
            state = await first.turn_kill_switch(True, "nonsense", "ana")
            assert time.monotonic() - began < PATIENCE_S
            assert (state.on, [*state.pending]) == (True, [""])
            assert kill_switch.read(first.launch.folder) == state
            found = node_only_text(first.status().kill_switch)
            assert found is not None
            assert found.startswith("this node only: the store is away")
            await first.turn_kill_switch(False, "mended", "ana")
            assert kill_switch_view(first) is not None, "the page says so even though it is off"
            await second.turn_kill_switch(True, "later", "ben")
            way.restore()
            await until(lambda: first.kill_switch.on and not first.kill_switch.pending)
            assert (first.kill_switch.reason, second.kill_switch.reason) == ("later", "later")
            assert node_only_text(first.status().kill_switch) is None
            way.cut()
            await first.turn_kill_switch(False, "latest", "ana")
            way.restore()
            await until(lambda: not second.kill_switch.on)
            assert (second.kill_switch.reason, first.kill_switch.pending) == ("latest", {})
