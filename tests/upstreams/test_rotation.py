"""New certificates count from the next handshake, and change nothing else."""

import asyncio
import threading
from dataclasses import replace

import pytest

from strangler.comparing.arm_request import Outgoing
from strangler.comparing.client import ArmUpstream
from strangler.control.health import HealthChecks
from strangler.control.readiness import LegacyProbe
from strangler.control.shared_facts import SharedState
from strangler.core.settings import HealthSettings, Settings, TlsSettings
from strangler.ipc.messages import BreakerOpened, EndpointHealth
from strangler.tls.client_context import ClientTlsState, upstream_context
from tests.control.control import in_force
from tests.factories import breaker, upstream
from tests.factories import settings as make_settings
from tests.http1.scripted import ScriptedUpstream
from tests.upstreams.servers import OK, Authorities, Server
from tests.worker.conftest import Serve
from tests.worker.plane import request, two_arms

CA = TlsSettings("/tls/ca.pem", True)
TLS = TlsSettings("/tls/ca.pem", True, "/tls/mine.pem", "/tls/mine.key")


def files(authorities: Authorities, name: str) -> dict[str, bytes]:
    """Return the files once the certificate `mine` is that of `name`."""
    made = authorities.files
    return {**made, "/tls/mine.pem": made[f"/tls/{name}.pem"], "/tls/mine.key": made[f"/tls/{name}.key"]}


def settings(server: Server, legacy: ScriptedUpstream, tls: TlsSettings = TLS, **changes: object) -> Settings:
    there = replace(upstream("orders", f"https://127.0.0.1:{server.port}"), tls=tls)
    return two_arms(legacy, replace(there, **changes), fallback=None)  # type: ignore[arg-type]


async def test_a_new_client_certificate_is_used_by_the_next_connection(
    authorities: Authorities, serve: Serve, legacy: ScriptedUpstream
) -> None:
    """The one that is idle goes on, and so does the one that carries a response."""
    with Server(authorities.server("127.0.0.1", asks=True)) as server:
        made = settings(server, legacy)
        running = await serve(replace(made, files=files(authorities, "client")))
        assert (await running.ask(request())).status == 200
        running.adopt(replace(made, files=files(authorities, "stranger")))
        assert running.connections("orders") == 1
        assert (await running.ask(request())).status == 200
        assert server.subjects == ["client"]
        first = await running.client()
        held = threading.Event()
        server.wait, server.end, server.response = held.wait, "close_notify", b"HTTP/1.1 200 OK\r\n\r\nto the end"
        await first.send(request())
        await first.wait_for(lambda: b"to the end" in first.received)
        assert (await running.ask(request())).status == 502, "the stranger is refused on a connection of its own"
        held.set()
        assert (await first.response()).body == b"to the end"
        server.end, server.response = "keep", OK
        running.adopt(replace(made, files=files(authorities, "client")), 3)
        assert (await running.ask(request())).status == 200
        assert set(server.subjects) == {"client"}


async def test_new_files_reset_neither_breaker_nor_health(
    authorities: Authorities, serve: Serve, legacy: ScriptedUpstream
) -> None:
    with Server(authorities.server("127.0.0.1", asks=True)) as server:
        made = settings(server, legacy, breaker=breaker())
        running = await serve(replace(made, files=files(authorities, "stranger")))
        for _ in range(10):
            await running.ask(request())
        state = running.upstreams["orders"].admission.breaker
        assert state.state == "open"
        running.adopt(replace(made, files=files(authorities, "client")))
        assert state.state == "open"
        shared = SharedState()
        shared.adopt(made.upstreams, 1)
        opened = BreakerOpened("orders", 1, 100.0, 1, "5 in a row")
        assert shared.learn(opened, 0.0) == opened
        shared.adopt(replace(made, files=files(authorities, "client")).upstreams, 2)
        assert opened in list(shared.everything(0.0))


async def test_other_keys_of_tls_end_idle_connections(
    authorities: Authorities, serve: Serve, legacy: ScriptedUpstream
) -> None:
    """An unverified connection must not outlast `verify: true`."""
    with Server(authorities.server("127.0.0.1")) as server:
        lax = settings(server, legacy, TlsSettings(None, False))
        running = await serve(lax)
        assert (await running.ask(request())).status == 200
        running.adopt(settings(server, legacy, TlsSettings(None, True)))
        assert running.connections("orders") == 0
        assert (await running.ask(request())).status == 502


async def test_shadows_checks_and_the_probe_use_new_files_at_once(authorities: Authorities) -> None:
    health = HealthSettings(path="/healthz", interval_s=0.02, timeout_s=2.0, fall=1, rise=1)
    with Server(authorities.server("127.0.0.1", asks=True), response=OK) as server:
        there = replace(upstream("legacy", f"https://127.0.0.1:{server.port}"), tls=TLS, health=health)
        made = make_settings(upstreams=[there])
        wrong, right = (replace(made, files=files(authorities, name)) for name in ("stranger", "client"))
        shadow, probe = ArmUpstream(there, files=wrong.files), LegacyProbe()
        shared, published = SharedState(), asyncio.Queue[EndpointHealth]()
        checks = HealthChecks(shared, published.put_nowait)
        shared.adopt(made.upstreams, 1)
        checks.adopt(in_force(wrong))
        sent = Outgoing(shadow.pick(), b"GET", b"/", ((b"Host", b"shop"),))
        assert (await shadow.ask(sent, 5.0, 1000)).fault == "reset"
        async with asyncio.timeout(10):
            assert not (await published.get()).is_healthy
            while await probe.is_reachable(wrong, 5.0):
                pass
        shadow.tls.adopt(there.tls, right.files)
        assert (await shadow.ask(sent, 5.0, 1000)).fault is None
        checks.adopt(in_force(right, 2))
        async with asyncio.timeout(10):
            assert (await published.get()).reason == "1 check succeeded"
            while not await probe.is_reachable(right, 5.0):  # noqa: ASYNC110 - a result is kept for a second
                await asyncio.sleep(0.05)
        await checks.close()
        await probe.close()
        await shadow.close()


def test_a_context_is_made_once_for_the_same_files(authorities: Authorities) -> None:
    state = ClientTlsState(TLS, files(authorities, "client"))
    context = state.context
    state.adopt(TLS, {**files(authorities, "client"), "/other": b""})
    assert state.context is context
    state.adopt(TLS, files(authorities, "stranger"))
    assert state.context is not context


def test_upstreams_that_need_the_same_context_share_it(authorities: Authorities) -> None:
    """It is made of what the files hold, wherever they are, and not of the name that is expected."""
    first = upstream_context(CA, authorities.files)
    copied = {"/copy.pem": authorities.files["/tls/ca.pem"]}
    assert upstream_context(TlsSettings("/copy.pem", True, server_name="orders.example"), copied) is first
    for other in (TlsSettings("/tls/ca.pem", False), TlsSettings("/tls/other-ca.pem", True), TlsSettings(None, True)):
        assert upstream_context(other, authorities.files) is not first


def test_an_empty_file_of_authorities_is_not_the_systems(authorities: Authorities) -> None:
    for content in (b"", "ä".encode()):
        with pytest.raises(OSError, match="is empty"):
            upstream_context(TlsSettings("/tls/ca.pem", True), {"/tls/ca.pem": content})


def test_comments_of_authorities_may_hold_anything(authorities: Authorities) -> None:
    content = "# Certificación\n".encode() + authorities.files["/tls/ca.pem"]
    context = upstream_context(TlsSettings("/tls/ca.pem", True), {"/tls/ca.pem": content})
    assert context.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("cert", ["client", "stranger"])
def test_a_key_that_does_not_fit_is_an_error(cert: str, authorities: Authorities) -> None:
    tls = TlsSettings(None, True, f"/tls/{cert}.pem", "/tls/client.key")
    if cert == "client":
        upstream_context(tls, authorities.files)
    else:
        with pytest.raises(OSError, match=r"/tls/stranger.pem: .*mismatch"):
            upstream_context(tls, authorities.files)
