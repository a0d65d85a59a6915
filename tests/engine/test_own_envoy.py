"""The real Envoy as this process runs it: started, fed, adopted, replaced, killed and drained."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from strangler.core.listener_settings import Address, ListenerSettings
from strangler.demo.children import free_ports
from strangler.engine import living
from strangler.engine.delivery import DeliveryError
from strangler.engine.draining import active_requests
from strangler.engine.own_envoy import OwnEnvoy
from strangler.engine.rendering import SwitchState, Wanted
from strangler.envoy.place import Switches
from tests.engine.envoys import NoIntake, real_envoy, response_of, taken_port
from tests.factories import route, settings, upstream
from tests.served import served

PATIENCE_S = 60.0


async def respond(request: web.Request) -> web.StreamResponse:
    if request.path == "/slow":
        await asyncio.sleep(2.0)
    return web.Response(status=201)


@pytest.fixture
async def wanted() -> AsyncIterator[Wanted]:
    async with served(respond) as port:
        (own,) = free_ports(1)
        url = f"http://127.0.0.1:{port}"
        made = settings(
            routes=[route("orders", prefix="/api", percent=0)],
            upstreams=[upstream("legacy", url), upstream("orders", url)],
            listeners=(ListenerSettings(Address("127.0.0.1", own)),),
        )
        yield Wanted(made, 1, 0.0, SwitchState())


class Stage:
    """Makes the owners of one folder, one after the other, as processes do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.owners: list[OwnEnvoy] = []

    def owner(self, on_end: Callable[[], object] = bool) -> OwnEnvoy:
        loop, name = asyncio.get_running_loop(), f"test-{len(self.owners)}"
        owner = OwnEnvoy(self.folder, name, "/run/receiver.sock", real_envoy(), NoIntake(), loop, on_end)
        self.owners.append(owner)
        return owner

    async def close(self) -> None:
        for owner in self.owners:
            await owner.let_go()
        living.kill_all(self.folder)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    folder = tmp_path / "envoy"
    folder.mkdir()
    stage = Stage(folder)
    yield stage
    await stage.close()


def changed(wanted: Wanted, generation: int, **changes: Any) -> Wanted:
    return replace(wanted, settings=replace(wanted.settings, **changes), generation=generation)


def port_of(wanted: Wanted) -> int:
    return wanted.settings.listeners[0].address.port


async def test_a_started_envoy_serves_and_drains(stage: Stage, wanted: Wanted) -> None:
    owner = stage.owner()
    await owner.restart(wanted)
    assert await response_of(port_of(wanted)) == 201
    slow = asyncio.create_task(response_of(port_of(wanted), "/slow"))
    await active(owner)
    loop = asyncio.get_running_loop()
    assert await owner.end(loop.time() + PATIENCE_S, lambda: False)
    assert await slow == 201
    assert owner.has_died
    assert [path.name for path in stage.folder.iterdir()] == []
    with pytest.raises(ConnectionRefusedError):
        await response_of(port_of(wanted))


async def test_an_envoy_outlives_its_owner_and_is_adopted_as_it_is(stage: Stage, wanted: Wanted) -> None:
    first, second = stage.owner(), stage.owner()
    await first.restart(wanted)
    pid = first.pid
    await first.let_go()
    assert await response_of(port_of(wanted)) == 201
    assert await second.adopt(wanted)
    await second.bring(changed(wanted, 2, routes=()))
    assert second.pid == pid
    assert await response_of(port_of(wanted)) == 201


async def test_a_changed_bootstrap_is_a_hot_restart_that_cuts_nothing(stage: Stage, wanted: Wanted) -> None:
    owner = stage.owner()
    await owner.restart(wanted)
    pid = owner.pid
    slow = asyncio.create_task(response_of(port_of(wanted), "/slow"))
    await active(owner)
    await owner.bring(changed(wanted, 2, workers=2))
    assert owner.pid != pid
    assert await response_of(port_of(wanted)) == 201
    assert await slow == 201


async def test_a_killed_envoy_is_noticed_and_started_again(stage: Stage, wanted: Wanted) -> None:
    ended = asyncio.Event()
    owner = stage.owner(ended.set)
    await owner.restart(wanted)
    assert owner.pid is not None
    os.kill(owner.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        await ended.wait()
    assert owner.has_died
    await owner.restart(wanted)
    assert await response_of(port_of(wanted)) == 201
    assert len(living.numbered(stage.folder)) == 1


async def test_a_refused_listener_leaves_what_was_there(stage: Stage, wanted: Wanted) -> None:
    owner = stage.owner()
    await owner.restart(wanted)
    folder = stage.folder / "1"
    routes = (folder / "rds.json").read_bytes()
    with taken_port() as taken:
        both = (*wanted.settings.listeners, ListenerSettings(Address("127.0.0.1", taken)))
        with pytest.raises(DeliveryError, match=r"[Aa]ddress already in use|cannot bind"):
            await owner.bring(changed(wanted, 2, listeners=both, routes=()))
    assert await response_of(port_of(wanted)) == 201
    assert content(folder / "rds.json") == content_of(routes)
    await owner.bring(changed(wanted, 3, routes=()))
    assert content(folder / "rds.json") != content_of(routes)


async def test_a_port_that_is_taken_ends_the_start(stage: Stage, wanted: Wanted) -> None:
    with taken_port() as taken:
        elsewhere = changed(wanted, 1, listeners=(ListenerSettings(Address("127.0.0.1", taken)),))
        owner = stage.owner()
        with pytest.raises(DeliveryError, match=r"[Aa]ddress already in use|cannot bind"):
            await owner.restart(elsewhere)
    assert owner.has_died
    assert living.living(stage.folder) == []


async def test_the_kill_switch_acts_at_once(stage: Stage, wanted: Wanted) -> None:
    owner = stage.owner()
    await owner.restart(wanted)
    wanted.switch.present = Switches(is_killed=True)
    owner.write_runtime()
    await owner.confirm_runtime()
    assert owner.admin is not None
    assert b'"final_value": "100"' in await owner.admin.get("/runtime")


async def test_an_envoy_that_hangs_is_replaced_by_the_one_that_adopts_it(stage: Stage, wanted: Wanted) -> None:
    first, second = stage.owner(), stage.owner()
    await first.restart(wanted)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGSTOP)
    await first.let_go()
    assert not await second.adopt(wanted)
    await second.restart(wanted)
    assert await response_of(port_of(wanted)) == 201


async def test_a_drained_envoy_is_replaced_by_the_one_that_adopts_it(stage: Stage, wanted: Wanted) -> None:
    """The process that drains Envoy lets go as soon as another one waits for it."""
    first, second = stage.owner(), stage.owner()
    await first.restart(wanted)
    slow = asyncio.create_task(response_of(port_of(wanted), "/slow"))
    await active(first)
    assert not await first.end(asyncio.get_running_loop().time() + PATIENCE_S, lambda: True)
    await first.let_go()
    assert await second.adopt(wanted)
    await second.bring(wanted)
    assert await response_of(port_of(wanted)) == 201
    assert await slow == 201


async def active(owner: OwnEnvoy) -> None:
    """Wait until a request is under way."""
    assert owner.admin is not None
    async with asyncio.timeout(PATIENCE_S):
        while not await active_requests(owner.admin):  # noqa: ASYNC110 - Envoy rings no bell
            await asyncio.sleep(0.01)


def content(path: Path) -> object:
    return content_of(path.read_bytes())


def content_of(data: bytes) -> object:
    """The resources of a file, without its version."""
    return json.loads(data)["resources"]
