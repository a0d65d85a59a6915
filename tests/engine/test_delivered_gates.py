"""A delivery brings the real Envoy the secrets of TLS, and gates that take over from one another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from strangler.core.listener_settings import Address, ListenerSettings
from strangler.core.settings import Settings
from strangler.demo.children import free_ports
from strangler.engine import living
from strangler.engine.own_envoy import OwnEnvoy
from strangler.engine.rendering import SwitchState, Wanted
from tests.certificates import client_context, make_ca, make_pair
from tests.engine.envoys import NoIntake, real_envoy, response_of
from tests.envoy.test_listeners_live import on_disk
from tests.factories import route, settings, upstream
from tests.served import served


async def respond(request: web.Request) -> web.StreamResponse:
    return web.Response(status=201 if request.path.startswith(("/v1", "/v2", "/v3")) else 202)


@pytest.fixture
async def made() -> AsyncIterator[Settings]:
    async with served(respond) as port:
        (own,) = free_ports(1)
        url = f"http://127.0.0.1:{port}"
        yield settings(
            routes=[route("orders", prefix="/api", percent=100, rewrite="/v1", fallback=None)],
            upstreams=[upstream("legacy", url), upstream("orders", url)],
            listeners=(ListenerSettings(Address("127.0.0.1", own)),),
        )


@pytest.fixture
async def owner(tmp_path: Path) -> AsyncIterator[OwnEnvoy]:
    folder = tmp_path / "envoy"
    folder.mkdir()
    loop = asyncio.get_running_loop()
    owner = OwnEnvoy(folder, "test", "/run/receiver.sock", real_envoy(), NoIntake(), loop, bool)
    yield owner
    await owner.let_go()
    living.kill_all(folder)


async def test_a_gate_takes_over_without_a_lost_request(owner: OwnEnvoy, made: Settings) -> None:
    await owner.restart(Wanted(made, 1, 0.0, SwitchState()))
    port, statuses = made.listeners[0].address.port, list[int]()

    async def ask() -> None:
        while True:
            statuses.append(await response_of(port, "/api/orders"))

    asking = asyncio.create_task(ask())
    for generation, own in enumerate(["/v2", "/v3", "/v1", "/v2"], start=2):
        routes = (route("orders", prefix="/api", percent=100, rewrite=own, fallback=None),)
        await owner.bring(Wanted(replace(made, routes=routes), generation, 0.0, SwitchState()))
        for _ in range(20):
            assert await response_of(port, "/api/orders") == 201
    assert not asking.done()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert set(statuses) == {201}


async def test_a_listener_with_tls_comes_with_its_secrets(owner: OwnEnvoy, made: Settings, tmp_path: Path) -> None:
    await owner.restart(Wanted(made, 1, 0.0, SwitchState()))
    ca = make_ca()
    (port,) = free_ports(1)
    secure = ListenerSettings(Address("127.0.0.1", port), tls=on_disk(tmp_path, make_pair(ca=ca)))
    wanted = Wanted(replace(made, listeners=(*made.listeners, secure)), 2, 0.0, SwitchState())
    await owner.bring(wanted)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context(ca), server_hostname="shop.example")
    writer.close()
    await writer.wait_closed()
