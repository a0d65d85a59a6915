"""The kill switch of single routes, from control to the disk, the audit, the events and the metrics."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from strangler.control.operator_actions import TurnRefusedError
from strangler.state import kill_switch
from strangler.state.kill_switch import KilledRoute, KillSwitchState
from tests.control.control import control_of

ROUTES = """\
version: 1
state: state
upstreams: {legacy: {url: "http://127.0.0.1:8000"}, orders: {url: "http://127.0.0.1:8001"}}
routes:
  - {name: orders, match: {prefix: /api/orders}, candidate: orders, split: {percent: 5}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose routes.yaml has ten routes, the last one a passthrough route."""
    more = [f"  - {{name: route-{n}, match: {{prefix: /r/{n}}}, candidate: orders}}\n" for n in range(8)]
    chat = "  - {name: chat, match: {prefix: /chat}, passthrough: orders}\n"
    (tmp_path / "routes.yaml").write_text(ROUTES + "".join(more) + chat)
    return tmp_path


async def test_the_kill_switch_of_a_route_is_on_disk_with_the_workers_and_an_event(folder: Path) -> None:
    before = (folder / "routes.yaml").read_bytes()
    async with control_of(folder, {}) as app:
        state = await app.turn_kill_switch(True, "nonsense", "ana", "orders")
        assert (state.on, [*state.routes], state.routes["orders"].reason) == (False, ["orders"], "nonsense")
        assert kill_switch.read(app.launch.folder) == app.links.kill_switch == state
        assert await app.turn_kill_switch(True, "", "ben", "orders") is state, "it is so already"
        assert await app.turn_kill_switch(False, "", "ben", "route-1") is state
        status = app.status()
        assert {route.name for route in status.routes if route.killed} == {"orders"}
        assert status.kill_switch.routes["orders"].reason == "nonsense"
        exposed = await app.numbers()
        assert exposed.gauges["strangler_kill_switch_route", ("orders",)] == 1
        assert exposed.own["strangler_kill_switch"] == 0
        await app.events.publisher.write()
        (event,) = [entry.event for entry in await app.read_events(0, 0.0, 9)]
        assert (event.type, event.data) == ("kill_switch", {"on": True, "reason": "nonsense", "route": "orders"})
        rows = await app.store.call(
            lambda connection: connection.execute("SELECT who, what, route, why, detail FROM audit").fetchall()
        )
        assert rows == [("ana", "kill-switch", "orders", "nonsense", "on")]
    async with control_of(folder, {}) as app:
        assert app.kill_switch == state
        off = await app.turn_kill_switch(False, "mended", "ana", "orders")
        assert (off.routes, kill_switch.read(app.launch.folder)) == ({}, off)
        assert ("strangler_kill_switch_route", ("orders",)) not in (await app.numbers()).gauges
    assert (folder / "routes.yaml").read_bytes() == before


async def test_turns_at_once_lose_no_route(folder: Path) -> None:
    names = [f"route-{number}" for number in range(8)]
    async with control_of(folder, {}) as app:
        await app.turn_kill_switch(True, "before", "ana", "orders")
        turns = [app.turn_kill_switch(True, name, "ana", name) for name in names]
        await asyncio.gather(
            *turns, app.turn_kill_switch(True, "all", "ben"), app.turn_kill_switch(False, "", "b", "orders")
        )
        state = kill_switch.read(app.launch.folder)
        assert (state, state.on, sorted(state.routes)) == (app.kill_switch, True, names)
        both = [app.turn_kill_switch(on, "", "ana", "orders") for on in (True, False, True, False)]
        last = (await asyncio.gather(*both))[-1]
        assert kill_switch.read(app.launch.folder) == app.kill_switch == last
        assert sorted(last.routes) == names


@pytest.mark.parametrize(
    ("route", "status", "words"),
    [
        ("ordrs", 404, "unknown route 'ordrs'; did you mean 'orders'?"),
        ("", 404, "unknown route ''"),
        ("chat", 409, "route 'chat' has passthrough: orders"),
        ("x" * 500, 404, "unknown route 'xxx"),
    ],
    ids=["a slip", "no name", "a passthrough route", "a long name"],
)
async def test_a_route_that_has_no_kill_switch_is_refused(folder: Path, route: str, status: int, words: str) -> None:
    async with control_of(folder, {}) as app:
        with pytest.raises(TurnRefusedError, match=re.escape(words)) as refused:
            await app.turn_kill_switch(True, "why", "ana", route)
        assert (refused.value.status, len(str(refused.value)) < 300) == (status, True)
        assert app.kill_switch == kill_switch.OFF
        assert not (app.launch.folder / "kill-switch.json").exists()


async def test_it_can_be_turned_off_for_a_route_that_has_gone_from_the_file(folder: Path) -> None:
    async with control_of(folder, {}) as app:
        await app.turn_kill_switch(True, "why", "ana", "route-1")
        await app.turn_kill_switch(True, "why", "ana", "route-2")
    (folder / "routes.yaml").write_text(ROUTES)
    async with control_of(folder, {}) as app:
        assert sorted(app.status().kill_switch.routes) == ["route-1", "route-2"], "they may come back"
        with pytest.raises(TurnRefusedError, match="did you mean 'route-1'"):
            await app.turn_kill_switch(False, "", "ana", "route-11")
        assert [*(await app.turn_kill_switch(False, "", "ana", "route-1")).routes] == ["route-2"]
        with pytest.raises(TurnRefusedError, match="unknown route 'route-1'"):
            await app.turn_kill_switch(True, "", "ana", "route-1")


async def test_more_names_than_a_worker_can_be_started_with_are_refused(folder: Path) -> None:
    full = {f"gone-{number}": KilledRoute("", None) for number in range(2_500)}
    assert kill_switch.fits(full)
    full["g" * (kill_switch.MAX_NAMES_BYTES - len(msgspec.json.encode(list(full))) - 3)] = KilledRoute("", None)
    (folder / "state").mkdir()
    kill_switch.write(folder / "state", KillSwitchState(False, "", None, full))
    async with control_of(folder, {}) as app:
        with pytest.raises(TurnRefusedError, match=r"single routes.*turn it on for all routes"):
            await app.turn_kill_switch(True, "why", "ana", "orders")
        await app.turn_kill_switch(False, "", "ana", "gone-7")
        await app.turn_kill_switch(True, "why", "ana", "orders")


async def test_a_folder_that_cannot_be_written_leaves_the_switch_as_it_is(folder: Path) -> None:
    async with control_of(folder, {}) as app:
        (app.launch.folder / "kill-switch.json.new").mkdir()
        with pytest.raises(OSError, match=r"kill-switch\.json\.new"):
            await app.turn_kill_switch(True, "why", "ana", "orders")
        assert app.kill_switch == kill_switch.OFF
        (app.launch.folder / "kill-switch.json.new").rmdir()
        assert (await app.turn_kill_switch(True, "why", "ana", "orders")).is_on_for("orders")


async def test_each_start_of_control_says_for_which_routes_it_is_on(folder: Path) -> None:
    async with control_of(folder, {}) as app:
        await app.turn_kill_switch(True, "all", "ana")
        await app.turn_kill_switch(True, "slow", "ana", "orders")
    with capture_logs() as lines:
        async with control_of(folder, {}):
            pass
    found = [
        (line.get("route"), line["reason"], line["log_level"]) for line in lines if line["event"] == "kill_switch.on"
    ]
    assert found == [(None, "all", "warning"), ("orders", "slow", "warning")]
