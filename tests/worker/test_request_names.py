"""Upstreams whose name has several addresses, and several URLs: what a request does when one cannot be reached."""

import asyncio
import socket
from typing import Any

import pytest

from strangler.core.resilience.endpoints import EndpointKey
from strangler.core.settings import HealthSettings, UpstreamSettings
from strangler.ipc.messages import EndpointHealth
from strangler.sockets.dns import REFRESH_EVERY_S
from tests.factories import upstream
from tests.http1.scripted import ScriptedUpstream, responding, send
from tests.worker.conftest import Serve
from tests.worker.plane import at, request, response, retry, two_arms

NAME = "orders.internal"
HEALTH = HealthSettings(path="/healthz", interval_s=10.0, timeout_s=1.0, fall=3, rise=1)


@pytest.fixture
async def addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the addresses of the name; a test may change them."""
    known = ["127.0.0.1", "127.0.0.2"]
    loop = asyncio.get_running_loop()

    async def getaddrinfo(host: str, port: Any, **_: Any) -> list[Any]:
        found = known if host == NAME else [host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0)) for address in found]

    monkeypatch.setattr(type(loop), "getaddrinfo", lambda self, *a, **k: getaddrinfo(*a, **k), raising=False)
    return known


def named(candidate: ScriptedUpstream, **changes: Any) -> UpstreamSettings:
    return upstream("orders", at(candidate, host=NAME), **changes)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_connect_goes_on_to_the_next_address(
    method: str, addresses: list[str], serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    """Only 127.0.0.1 listens. Nothing was sent to the other, so any method may go on, and it is one attempt."""
    candidate.script = responding(send(response(200, b"candidate", "Connection: close")))
    running = await serve(two_arms(legacy, named(candidate), fallback=None))
    await running.upstreams.names.settle(1.0)
    for number in range(40):
        assert (await running.ask(request(method=method, body=b"x"))).body == b"candidate"
        assert (await running.lines(number + 1))[-1]["attempts"] == 1
    assert len(candidate.requests) == 40
    (aside,) = running.logged("endpoint.changed")
    assert (aside["usable"], "127.0.0.2" in aside["endpoint"]) == (False, True)
    assert running.upstreams["orders"].admission.breaker.state == "closed"


async def test_if_no_address_can_be_reached_the_fault_is_connect(
    addresses: list[str], serve: Serve, legacy: ScriptedUpstream
) -> None:
    addresses[:] = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    async with ScriptedUpstream() as gone:
        settings = two_arms(legacy, named(gone), fallback=None)
    running = await serve(settings)
    await running.upstreams.names.settle(1.0)
    assert (await running.ask(request())).status == 502
    line = await running.line()
    assert (line["fault"], line["attempts"]) == ("connect", 1)


async def test_a_name_that_moves_takes_its_requests_along(
    addresses: list[str], serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    addresses[:] = ["127.0.0.2"]
    running = await serve(two_arms(legacy, named(candidate), fallback=None))
    await running.upstreams.names.settle(1.0)
    assert (await running.ask(request())).status == 502
    addresses[:] = ["127.0.0.1"]
    running.upstreams.sweep(asyncio.get_running_loop().time() + REFRESH_EVERY_S + 1)
    await running.upstreams.names.settle(1.0)
    assert (await running.ask(request())).status == 200
    (state,) = running.upstreams["orders"].endpoints.states
    assert state.key.address == "127.0.0.1"


async def test_an_address_that_was_found_unwell_before_dns_told_of_it_is_not_used(
    addresses: list[str], serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, named(candidate, health=HEALTH), fallback=None))
    (url,) = running.upstreams["orders"].settings.urls
    running.peers.learn(EndpointHealth("orders", url, "127.0.0.2", False, "3 checks failed"))
    await running.upstreams.names.settle(1.0)
    states = {state.key: state.is_healthy for state in running.upstreams["orders"].endpoints.states}
    assert states == {EndpointKey(url, "127.0.0.1"): True, EndpointKey(url, "127.0.0.2"): False}


async def test_a_retry_goes_to_another_url_if_there_is_one(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    async with ScriptedUpstream(responding(send(response(503, b"", "Connection: close")))) as broken:
        both = upstream("orders", at(candidate), at(broken), retry=retry())
        running = await serve(two_arms(legacy, both, fallback=None))
        statuses = [(await running.ask(request())).status for _ in range(40)]
        assert statuses == [200] * 40
        assert broken.requests


async def test_what_control_finds_unwell_gets_no_requests_until_it_is_well(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    async with ScriptedUpstream(responding(send(response(200, b"other")))) as other:
        both = upstream("orders", at(candidate), at(other), health=HEALTH)
        running = await serve(two_arms(legacy, both, fallback=None))
        url = both.urls[1]
        running.peers.learn(EndpointHealth("orders", url, url.host, False, "3 checks failed"))
        assert {(await running.ask(request())).body for _ in range(20)} == {b"candidate"}
        running.gauges.measure()
        gauges = {cell.labels: cell.value for cell in next(running.numbers.report_all()).gauges}
        assert (gauges["orders", str(url)], gauges["orders", str(both.urls[0])]) == (2, 0)
        running.peers.learn(EndpointHealth("orders", url, url.host, True, "1 check succeeded"))
        assert {(await running.ask(request())).body for _ in range(200)} == {b"candidate", b"other"}
