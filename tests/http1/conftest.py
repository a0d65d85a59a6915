"""One process per proxy and set of options, one scripted upstream for all: the raw suite runs in seconds."""

from collections.abc import AsyncIterator, Iterator
from shutil import which

import pytest
import pytest_asyncio

from tests.http1 import proxies
from tests.http1.proxies import Proxy
from tests.http1.scripted import ScriptedUpstream
from tests.needs import require

STANDARD = """
version: 1
listen: 127.0.0.1:{{port}}
admin: {{{{listen: "127.0.0.1:{{admin}}"}}}}
workers: 1
state: "{{state}}"
log: {{{{level: warning, access: false}}}}
upstreams:
  legacy:
    url: http://127.0.0.1:{upstream}
    bulkhead: false
    breaker: false
"""
LIMITED = """
limits:
  header_bytes: 4KiB
  header_timeout: 300ms
  idle_timeout: 600ms
  request_body: 1KiB
  response_header: 8KiB
  drain: 0s
"""
BY_ENVOY = """
engine: envoy
"""
TRUSTING = """
trusted_proxies: [127.0.0.0/8]
"""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def raw_upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        yield upstream


def _ours(upstream: ScriptedUpstream, folders: pytest.TempPathFactory, options: str = "") -> Iterator[Proxy]:
    config = (STANDARD + options).format(upstream=upstream.port)
    with proxies.strangler(config, folders.mktemp("strangler")) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def ours(raw_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """`strangler serve`, all to legacy, its defaults."""
    yield from _ours(raw_upstream, tmp_path_factory)


@pytest.fixture(scope="session")
def ours_limited(raw_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """`strangler serve` with small limits."""
    yield from _ours(raw_upstream, tmp_path_factory, LIMITED)


@pytest.fixture(scope="session")
def ours_trusting(raw_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """`strangler serve` that believes loopback peers' X-Forwarded-*."""
    yield from _ours(raw_upstream, tmp_path_factory, TRUSTING)


@pytest.fixture(scope="session")
def nginx(raw_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    require("" if which("nginx") else "nginx")
    with proxies.nginx(raw_upstream.port, tmp_path_factory.mktemp("nginx")) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def haproxy(raw_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    require("" if which("haproxy") else "haproxy")
    with proxies.haproxy(raw_upstream.port, tmp_path_factory.mktemp("haproxy")) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def envoy(raw_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    require("" if proxies.envoy_binary() else "envoy")
    with proxies.envoy(raw_upstream.port, tmp_path_factory.mktemp("envoy")) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def engine(raw_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """`strangler serve` with the engine Envoy, all to legacy, its defaults."""
    require("" if proxies.envoy_binary() else "envoy")
    config = (STANDARD + BY_ENVOY).format(upstream=raw_upstream.port)
    with proxies.strangler(config, tmp_path_factory.mktemp("engine"), "engine") as proxy:
        yield proxy
