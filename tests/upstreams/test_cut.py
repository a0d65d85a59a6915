"""A response without a length that ends by TCP alone, where TLS would have said so, is cut: anybody can end a TCP
connection."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.comparing.arm_request import Outgoing
from strangler.comparing.client import ArmUpstream
from strangler.control.health import HealthChecks
from strangler.control.shared_facts import SharedState
from strangler.core.fault import Fault
from strangler.core.settings import HealthSettings, TlsSettings, UpstreamSettings
from strangler.ipc.messages import EndpointHealth
from tests.control.control import in_force
from tests.factories import settings as make_settings
from tests.factories import upstream
from tests.http1.scripted import ScriptedUpstream
from tests.upstreams.servers import Authorities, End, Server
from tests.worker.conftest import Serve
from tests.worker.plane import request, two_arms

UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhalf of it"
ends = pytest.mark.parametrize("end", ["close_notify", "cut"])


def there(server: Server, **changes: object) -> UpstreamSettings:
    made = upstream("orders", f"https://127.0.0.1:{server.port}")
    return replace(made, tls=TlsSettings("/tls/ca.pem", True), **changes)  # type: ignore[arg-type]


@pytest.fixture
def server(end: End, authorities: Authorities) -> Server:
    return Server(authorities.server("127.0.0.1"), response=UNTIL_CLOSE, end=end)


@ends
async def test_a_client_sees_that_a_response_is_cut(
    end: End, server: Server, authorities: Authorities, serve: Serve, legacy: ScriptedUpstream
) -> None:
    with server:
        running = await serve(replace(two_arms(legacy, there(server), fallback=None), files=authorities.files))
        client = await running.client()
        await client.send(request())
        reply = await client.response_or_cut()
        assert reply.body == b"half of it"
        assert reply.is_complete is (end == "close_notify")
        assert (await running.line())["fault"] == ("reset" if end == "cut" else None)


@ends
async def test_a_shadow_that_is_cut_is_a_fault_and_compares_with_nothing(
    end: End, server: Server, authorities: Authorities
) -> None:
    with server:
        made = ArmUpstream(there(server), files=authorities.files)
        response = await made.ask(Outgoing(made.pick(), b"GET", b"/", ((b"Host", b"shop"),)), 5.0, 1000)
        await made.close()
    assert (response.fault, response.body) == ((Fault.RESET, b"") if end == "cut" else (None, b"half of it"))


@ends
async def test_a_health_check_that_is_cut_has_failed(end: End, server: Server, authorities: Authorities) -> None:
    health = HealthSettings(path="/healthz", interval_s=0.02, timeout_s=2.0, fall=1, rise=1)
    with server:
        settings = there(server, health=health)
        shared, published = SharedState(), asyncio.Queue[EndpointHealth]()
        checks = HealthChecks(shared, published.put_nowait)
        made = replace(make_settings(upstreams=[settings]), files=authorities.files)
        shared.adopt(made.upstreams, 1)
        if end == "close_notify":
            shared.set_health(EndpointHealth("orders", settings.urls[0], "127.0.0.1", False, "before"))
        checks.adopt(in_force(made))
        async with asyncio.timeout(10):
            change = await published.get()
        await checks.close()
    assert change.is_healthy is (end == "close_notify")
    assert ("without close_notify" in change.reason) is (end == "cut")


@pytest.mark.parametrize("framing", ["close", "length"])
async def test_a_slow_client_gets_everything_of_a_connection_that_ends_meanwhile(
    framing: str, authorities: Authorities, serve: Serve, legacy: ScriptedUpstream
) -> None:
    """While the client does not read, the upstream is not read either: its end must wait behind its last bytes."""
    body = b"0123456789abcdef" * 100_000
    length = b"Content-Length: %d\r\n" % len(body) if framing == "length" else b""
    context = authorities.server("127.0.0.1")
    response = b"HTTP/1.1 200 OK\r\n%bConnection: close\r\n\r\n%b" % (length, body)
    with Server(context, response=response, end="close_notify") as server:
        running = await serve(
            replace(two_arms(legacy, there(server), fallback=None), files=authorities.files), send_buffer=4096
        )
        sock = await running.deaf_client()
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, request("/api", "Connection: close"))
        received = b""
        async with asyncio.timeout(60):
            while data := await loop.sock_recv(sock, 20_000):
                received += data
                await asyncio.sleep(0.0005)
        assert received.partition(b"\r\n\r\n")[2].endswith(body if framing == "length" else b"0\r\n\r\n")
        assert len(received) >= len(body)


@pytest.mark.parametrize("at", [b"", b"HTTP/1.1 200 OK\r\nConte"], ids=["nothing", "half a head"])
async def test_an_end_before_the_head_is_a_reset(
    at: bytes, authorities: Authorities, serve: Serve, legacy: ScriptedUpstream, tmp_path: Path
) -> None:
    with Server(authorities.server("127.0.0.1"), response=at, end="cut") as server:
        running = await serve(replace(two_arms(legacy, there(server), fallback=None), files=authorities.files))
        assert (await running.ask(request("/api", method="POST", body=b"x"))).status == 502
        assert (await running.line())["fault"] == "reset"
