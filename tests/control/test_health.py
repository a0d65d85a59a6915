"""Active checks against an upstream that is well, unwell, silent, or talks nonsense."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from strangler.control.health import HealthChecks
from strangler.control.shared_facts import SharedState
from strangler.core.settings import HealthSettings, UpstreamSettings
from strangler.ipc.messages import EndpointHealth
from tests.control.control import in_force
from tests.factories import settings as make_settings
from tests.factories import upstream
from tests.http1.scripted import Connection, Script, ScriptedUpstream, hang, refused_port, responding, send

HEALTH = HealthSettings(path="/healthz?deep=1", interval_s=0.02, timeout_s=0.1, fall=2, rise=2)


def respond(status: int) -> Script:
    return responding(send(b"HTTP/1.1 %d -\r\nContent-Length: 0\r\n\r\n" % status))


class Rig:
    """The checks, and what they told."""

    def __init__(self) -> None:
        self.shared = SharedState()
        self.published: asyncio.Queue[EndpointHealth] = asyncio.Queue()
        self.checks = HealthChecks(self.shared, self.published.put_nowait)

    def adopt(self, *upstreams: UpstreamSettings) -> None:
        by_name = {each_upstream.name: each_upstream for each_upstream in upstreams}
        self.shared.adopt(by_name, 1)
        self.checks.adopt(in_force(replace(make_settings(), upstreams=by_name)))

    async def next(self) -> EndpointHealth:
        async with asyncio.timeout(5):
            return await self.published.get()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.checks.close()


@pytest.fixture
async def orders() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream(respond(200)) as made:
        yield made


def checked(port: int, health: HealthSettings | None = HEALTH, host: str = "127.0.0.1") -> UpstreamSettings:
    return upstream("orders", f"http://{host}:{port}/base", health=health)


async def until_checked(orders: ScriptedUpstream, times: int) -> None:
    async with asyncio.timeout(5):
        while len(orders.requests) < times:  # noqa: ASYNC110 - the upstream has no event for it
            await asyncio.sleep(0.005)


async def test_an_endpoint_that_fails_is_told_once_and_so_is_one_that_is_back(
    rig: Rig, orders: ScriptedUpstream
) -> None:
    rig.adopt(checked(orders.port))
    await until_checked(orders, 3)
    orders.script = respond(503)
    health = await rig.next()
    assert (health.upstream, health.address, health.is_healthy) == ("orders", "127.0.0.1", False)
    assert health.reason == f"2 checks failed, the last: status 503 to Host: 127.0.0.1:{orders.port}"
    await until_checked(orders, len(orders.requests) + 5)
    orders.script = respond(204)
    assert (await rig.next()).reason == "2 checks succeeded"
    assert rig.published.empty()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(respond(404), "status 404", id="a status of 400 and above"),
        pytest.param(responding(hang()), "no response in 0.1 s", id="silence"),
        pytest.param(responding(send(b"SSH-2.0-OpenSSH\r\n\r\n")), "", id="another protocol"),
    ],
)
async def test_what_is_no_good_answer(rig: Rig, orders: ScriptedUpstream, script: Script, reason: str) -> None:
    orders.script = script
    rig.adopt(checked(orders.port))
    health = await rig.next()
    assert not health.is_healthy
    assert reason in health.reason


async def test_a_redirect_is_an_answer_and_is_not_followed(rig: Rig, orders: ScriptedUpstream) -> None:
    orders.script = responding(send(b"HTTP/1.1 302 -\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"))
    rig.adopt(checked(orders.port))
    await until_checked(orders, 5)
    assert {request.target for request in orders.requests} == {b"/base/healthz?deep=1"}
    assert rig.published.empty()


async def test_a_check_looks_like_a_request_of_the_proxy(rig: Rig, orders: ScriptedUpstream) -> None:
    """The upstream's path and headers, a connection of its own each time, and nothing that aiohttp would add."""
    settings = checked(orders.port)
    rig.adopt(replace(settings, headers=replace(settings.headers, set=(("X-Tenant", "shop"),))))
    await until_checked(orders, 2)
    first, second = orders.requests[:2]
    lines = first.raw.split(b"\r\n")
    assert lines[0] == b"GET /base/healthz?deep=1 HTTP/1.1"
    assert b"Host: 127.0.0.1:%d" % orders.port in lines
    assert b"X-Tenant: shop" in lines
    assert not [line for line in lines if line.lower().startswith((b"cookie", b"accept-encoding"))]
    assert first.connection != second.connection


async def test_a_check_sends_the_host_that_it_is_told_to_and_says_so(rig: Rig, orders: ScriptedUpstream) -> None:
    """A service that refuses hosts that it does not know (Django's ALLOWED_HOSTS) is checked by one that it knows."""

    async def only_the_known(connection: Connection) -> None:
        request = await connection.read_request()
        status = 200 if b"Host: shop.internal" in request.raw.split(b"\r\n") else 400
        await connection.send(b"HTTP/1.1 %d -\r\nContent-Length: 0\r\n\r\n" % status)

    orders.script = only_the_known
    rig.adopt(checked(orders.port))
    assert (await rig.next()).reason == f"2 checks failed, the last: status 400 to Host: 127.0.0.1:{orders.port}"
    rig.adopt(checked(orders.port, replace(HEALTH, host="shop.internal")))
    assert (await rig.next()).is_healthy


async def test_nobody_listens(rig: Rig) -> None:
    async with refused_port() as port:
        rig.adopt(checked(port))
        assert "2 checks failed, the last: " in (await rig.next()).reason


async def test_each_address_of_a_name_is_checked(rig: Rig, orders: ScriptedUpstream) -> None:
    orders.script = respond(500)
    rig.adopt(checked(orders.port, host="localhost"))
    assert (await rig.next()).address in ("127.0.0.1", "::1")
    async with asyncio.timeout(5):
        while not orders.requests:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
    assert b"Host: localhost:" in orders.requests[0].raw


async def test_what_is_no_longer_checked_is_left_alone(rig: Rig, orders: ScriptedUpstream) -> None:
    rig.adopt(checked(orders.port))
    await until_checked(orders, 1)
    rig.adopt(checked(orders.port, health=None))
    await asyncio.sleep(0.05)
    count = len(orders.requests)
    await asyncio.sleep(0.1)
    assert len(orders.requests) == count


async def test_what_an_earlier_control_found_unwell_comes_back_by_good_checks(
    rig: Rig, orders: ScriptedUpstream
) -> None:
    settings = checked(orders.port)
    rig.adopt(settings)
    await until_checked(orders, 1)
    rig.shared.learn(EndpointHealth("orders", settings.urls[0], "127.0.0.1", False, "of old"), 0.0)
    health = await rig.next()
    assert (health.is_healthy, health.reason) == (True, "2 checks succeeded")
