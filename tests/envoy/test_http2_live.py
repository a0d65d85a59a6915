"""Clients of a real Envoy that speak HTTP/2, by curl."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.core.listener_settings import ListenerSettings
from tests.certificates import make_ca, make_pair
from tests.envoy.running_clusters import RunningEnvoy, running
from tests.envoy.scripted import Scripted
from tests.envoy.test_listeners_live import LOCAL, NAME, on_disk, settings_for
from tests.needs import require


async def curl(envoy: RunningEnvoy, *options: str, scheme: str) -> str:
    """The version and the status that curl saw, and the fields of the response."""
    if shutil.which("curl") is None:
        require("curl: apt-get install curl")
    process = await asyncio.create_subprocess_exec(
        "curl", "-sk", "-m", "10", "-o", "/dev/null", "-D", "-", "-w", "%{http_version} %{http_code}", *options,
        f"{scheme}://127.0.0.1:{envoy.ports[NAME]}/a?b=c", stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    return output.decode().lower()


@pytest.mark.parametrize(
    ("is_taken", "option", "version"),
    [(True, "--http2", "2"), (True, "--http1.1", "1.1"), (False, "--http2", "1.1")],
)
async def test_http_2_is_taken_where_it_is_written(
    legacy: Scripted, tmp_path: Path, is_taken: bool, option: str, version: str
) -> None:
    tls = on_disk(tmp_path, make_pair(ca=make_ca()))
    async with running(settings_for(legacy, ListenerSettings(LOCAL, tls=tls, http2=is_taken))) as envoy:
        got = await curl(envoy, option, "-d", "hello", scheme="https")
        assert got.endswith(f"{version} 200")
        assert "alt-svc" not in got
        seen = legacy.seen[0]
        assert (seen.method, seen.target, seen.body, seen["X-Forwarded-Proto"]) == ("POST", "/a?b=c", b"hello", "https")
        assert (await envoy.records.request())[0]["v"] == f"HTTP/{version}"


async def test_http_2_without_tls(legacy: Scripted) -> None:
    async with running(settings_for(legacy, ListenerSettings(LOCAL, http2=True))) as envoy:
        assert (await curl(envoy, "--http2-prior-knowledge", scheme="http")).endswith("2 200")
        assert (await curl(envoy, "--http1.1", scheme="http")).endswith("1.1 200")


async def test_http_3_is_announced(legacy: Scripted, tmp_path: Path) -> None:
    tls = on_disk(tmp_path, make_pair(ca=make_ca()))
    listener = ListenerSettings(LOCAL, tls=tls, http2=True, http3=True)
    async with running(settings_for(legacy, replace(listener))) as envoy:
        assert set(envoy.ports) == {NAME, f"{NAME}/udp"}
        assert 'alt-svc: h3=":0"; ma=86400' in await curl(envoy, "--http2", scheme="https")
