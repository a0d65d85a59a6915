"""Requests, shadows, health checks and the probe of legacy reach the same upstreams, and fail at the same."""

import asyncio
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from strangler.comparing.arm_request import Outgoing
from strangler.comparing.client import ArmUpstream
from strangler.config.urls import base_url
from strangler.control.health import HealthChecks
from strangler.control.readiness import LegacyProbe
from strangler.control.shared_facts import SharedState
from strangler.core.resilience.endpoints import EndpointKey
from strangler.core.settings import HealthSettings, Settings, TlsSettings, UpstreamSettings
from strangler.ipc.messages import EndpointHealth
from tests.control.control import in_force
from tests.factories import settings as make_settings
from tests.factories import upstream
from tests.http1.scripted import ScriptedUpstream
from tests.upstreams.servers import Authorities, Server
from tests.worker.conftest import Serve
from tests.worker.plane import fallback, request, two_arms

HEALTH = HealthSettings(path="/healthz", interval_s=0.02, timeout_s=2.0, fall=1, rise=1)
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CA = TlsSettings("/tls/ca.pem", True)
CLIENT = replace(CA, cert="/tls/client.pem", key="/tls/client.key")


@dataclass(frozen=True)
class Case:
    """A server, the settings of its upstream, and what comes of it."""

    url: str = "https://127.0.0.1:{port}"
    tls: TlsSettings = CA
    names: tuple[str, ...] = ("127.0.0.1",)
    """Those in the server's certificate; empty: it is plain."""
    asks: bool = False
    newest: ssl.TLSVersion = TLS_1_3
    fault: Literal["connect", "reset"] | None = None
    host: str = "127.0.0.1:{port}"
    """The upstream's own Host."""
    server_name: str | None = None
    path: str = ""
    """The base path."""
    subject: str | None = None
    """The common name of the client's certificate."""


PLAIN = TlsSettings(None, True)
CASES = {
    "plain": Case("http://127.0.0.1:{port}", PLAIN, ()),
    "plain by name": Case("http://orders.internal:{port}", PLAIN, (), host="orders.internal:{port}"),
    "plain by name with a final dot": Case("http://orders.internal.:{port}", PLAIN, (), host="orders.internal:{port}"),
    "unix": Case("unix:{folder}/s", PLAIN, (), host="localhost"),
    "unix with a base path": Case("http+unix://{quoted}%2Fs/base", PLAIN, (), host="localhost", path="/base"),
    "TLS with a ca": Case(),
    "TLS by name": Case(
        "https://orders.internal:{port}",
        names=("orders.internal",),
        host="orders.internal:{port}",
        server_name="orders.internal",
    ),
    "TLS by name with a final dot": Case(
        "https://orders.internal.:{port}",
        names=("orders.internal",),
        host="orders.internal:{port}",
        server_name="orders.internal",
    ),
    "TLS with another name": Case(
        tls=replace(CA, server_name="orders.example"), names=("orders.example",), server_name="orders.example"
    ),
    "TLS without verification": Case(tls=TlsSettings(None, False), names=("other.example",)),
    "a client certificate": Case(tls=CLIENT, asks=True, subject="client"),
    "a client certificate, TLS 1.2": Case(tls=CLIENT, asks=True, newest=TLS_1_2, subject="client"),
    "a client certificate with its key in one file": Case(
        tls=replace(CA, cert="/tls/client-both.pem", key="/tls/client-both.pem"), asks=True, subject="client"
    ),
    "the wrong ca": Case(tls=replace(CA, ca="/tls/other-ca.pem"), fault="connect"),
    "the system's authorities": Case(tls=PLAIN, fault="connect"),
    "a wrong name": Case(names=("other.example",), fault="connect"),
    "a wrong server_name": Case(
        tls=replace(CA, server_name="orders.example"), fault="connect", server_name="orders.example"
    ),
    "no client certificate": Case(asks=True, fault="reset"),
    "no client certificate, TLS 1.2": Case(asks=True, newest=TLS_1_2, fault="connect"),
    "a client certificate of a stranger": Case(
        tls=replace(CA, cert="/tls/stranger.pem", key="/tls/stranger.key"), asks=True, fault="reset"
    ),
    "a ca file that was not read": Case(tls=replace(CA, ca="/tls/none.pem"), fault="connect"),
    "TLS where there is none": Case(tls=TlsSettings(None, False), names=(), fault="connect"),
    "no TLS where there is": Case("http://127.0.0.1:{port}", PLAIN, fault="reset"),
    "no socket there": Case("unix:{folder}/none", PLAIN, (), fault="connect"),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
# The probe sends nothing, so that it cannot notice a port with TLS behind an http:// URL.
_NOTICED = {name: case for name, case in CASES.items() if not (case.url.startswith("http:") and case.names)}
noticed_by_the_probe = pytest.mark.parametrize("case", _NOTICED.values(), ids=_NOTICED.keys())


class Stage:
    """The server of a case, and its upstream."""

    def __init__(self, case: Case, authorities: Authorities, folder: Path) -> None:
        is_unix = "unix:" in case.url
        context = authorities.server(*case.names, asks=case.asks, newest=case.newest) if case.names else None
        self.case = case
        self.files = authorities.files
        self.server = Server(context, folder / "s" if is_unix else None)
        self._folder = folder

    def upstream(self, name: str = "orders") -> UpstreamSettings:
        places = {"port": self.server.port, "folder": self._folder, "quoted": str(self._folder).replace("/", "%2F")}
        url = base_url(self.case.url.format(**places))
        return replace(upstream(name), urls=(url,), tls=self.case.tls, host="upstream", health=HEALTH)

    def check(self, target: str) -> None:
        """Check what the server got from a case that reaches it."""
        case, server = self.case, self.server
        assert server.requests[0].startswith(f"GET {case.path}{target} HTTP/1.1\r\n".encode())
        assert f"\r\nHost: {case.host.format(port=server.port)}\r\n".encode() in server.requests[0]
        assert set(server.server_names) <= {case.server_name}
        assert set(server.subjects) <= {case.subject}


@pytest.fixture
def stage(case: Case, authorities: Authorities, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(case, authorities, tmp_path_factory.mktemp("u"))


@cases
async def test_a_request_reaches_it(stage: Stage, case: Case, serve: Serve, legacy: ScriptedUpstream) -> None:
    with stage.server:
        running = await serve(replace(two_arms(legacy, stage.upstream(), fallback=None), files=stage.files))
        reply = await running.ask(request("/api"))
        assert (await running.line())["fault"] == case.fault
        assert reply.status == (200 if case.fault is None else 502)
    if case.fault is None:
        stage.check("/api")
    assert bool(stage.server.requests) is (case.fault is None)


@cases
async def test_a_shadow_reaches_it(stage: Stage, case: Case) -> None:
    with stage.server:
        made = ArmUpstream(stage.upstream(), files=stage.files)
        url = made.pick()
        sent = Outgoing(url, b"GET", url.path.encode() + b"/api", ((b"Host", url.authority.encode()),))
        response = await made.ask(sent, 5.0, 1000)
        await made.close()
    assert response.fault == case.fault
    if case.fault is None:
        assert response.body == b"ok"
        stage.check("/api")


@cases
async def test_a_health_check_reaches_it(stage: Stage, case: Case) -> None:
    """The first check changes what is known: an endpoint that is reached was unhealthy, one that is not was healthy."""
    with stage.server:
        settings = stage.upstream()
        shared, published = SharedState(), asyncio.Queue[EndpointHealth]()
        checks = HealthChecks(shared, published.put_nowait)
        made = replace(make_settings(upstreams=[settings]), files=stage.files)
        shared.adopt(made.upstreams, 1)
        checks.adopt(in_force(made))
        if case.fault is None:
            address = "unix:" + (settings.urls[0].unix_path or "") if settings.urls[0].unix_path else "127.0.0.1"
            for each in {address, settings.urls[0].connect_host}:
                shared.set_health(EndpointHealth("orders", settings.urls[0], each, False, "before"))
        async with asyncio.timeout(10):
            health = await published.get()
        await checks.close()
    assert health.is_healthy is (case.fault is None), health.reason
    if case.fault is None:
        stage.check("/healthz")
        assert shared.is_healthy("orders", EndpointKey(health.url, health.address))


@noticed_by_the_probe
async def test_the_probe_of_legacy_reaches_it(stage: Stage, case: Case) -> None:
    probe = LegacyProbe()
    with stage.server:
        made: Settings = replace(make_settings(upstreams=[stage.upstream("legacy")]), files=stage.files)
        assert await probe.is_reachable(made, 5.0) is (case.fault is None)
        await probe.close()


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_write_whose_certificate_is_refused_after_the_handshake_does_not_fall_back(
    method: str, authorities: Authorities, serve: Serve, legacy: ScriptedUpstream
) -> None:
    """By TLS 1.3 the request may be with the upstream before its refusal arrives."""
    with Server(authorities.server("127.0.0.1", asks=True)) as server:
        there = replace(upstream("orders", f"https://127.0.0.1:{server.port}"), tls=CA)
        made = two_arms(legacy, there, fallback=fallback())
        running = await serve(replace(made, files=authorities.files))
        reply = await running.ask(request("/api", method=method, body=b"x" if method == "POST" else None))
        assert (await running.line())["fault"] == ("reset" if method == "POST" else None)
        assert reply.status == (502 if method == "POST" else 200)
        assert len(legacy.requests) == (0 if method == "POST" else 1)
