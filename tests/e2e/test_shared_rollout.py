"""A rollout of two real proxies that share a store: both climb as one, and begin with the stored percents."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.e2e.commands import run
from tests.e2e.serving import LegacyState, Proxy, legacy
from tests.e2e.test_rollout import ROUTES, Callers, Rolling
from tests.served import served
from tests.store.postgres import PostgresServer, running_server

NAMES = ("first", "second")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_server() as running:
        yield running


@asynccontextmanager
async def nodes(
    folder: Path, upstream: LegacyState, url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Rolling]]:
    """Two proxies with one and the same file."""
    monkeypatch.setenv("STRANGLER_STORE_SECRET", "sixteen characters and more")

    async def candidate(request: web.Request) -> web.Response:
        return web.Response(text="candidate")

    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(served(candidate))
        found = []
        for name in NAMES:
            (folder / name).mkdir()
            proxy = Proxy(folder / name, upstream.port)
            text = ROUTES.format(legacy=upstream.port, orders=port, callers=4, workers=1)
            proxy.file.write_text(f'{text}store: "{url}"\nnode: "${{NODE_OF_TEST}}"\n')
            stack.push_async_callback(proxy.stop)
            await start(proxy, name, monkeypatch)
            found.append(Rolling(proxy, stack.aclose))
        yield found


async def start(proxy: Proxy, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_OF_TEST", name)
    await proxy.start()


@pytest.fixture
async def upstream() -> AsyncIterator[LegacyState]:
    async with legacy() as state:
        yield state


async def test_two_nodes_climb_as_one_and_start_with_what_is_stored(
    tmp_path: Path, upstream: LegacyState, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes(tmp_path, upstream, server.url(), monkeypatch) as (first, second):
        monkeypatch.setenv("NODE_OF_TEST", "second")
        code, output = await run(second.proxy.folder, "rollout", "start", "orders")
        assert code == 0, output
        async with first.callers.calling(), second.callers.calling():
            for node in (first, second):
                await node.proxy.until(lambda node=node: node.is_state("done"))  # type: ignore[misc]
        for node in (first, second):
            assert node.callers.moved_back == []
            await is_served_by(node.callers, "candidate")
        assert await first.events() == await second.events()
        assert [event for event, *_ in await first.events()].count("rollout.stepped") == 4

        second.proxy.signal(signal.SIGTERM)
        await second.proxy.ended()
        await start(second.proxy, "second", monkeypatch)
        assert set((await second.callers.call_all()).values()) == {"candidate"}, "from its first request on"

        second.proxy.signal(signal.SIGTERM)
        await second.proxy.ended()
        server.stop()
        try:
            await start(second.proxy, "second", monkeypatch)
            assert set((await second.callers.call_all()).values()) == {"legacy"}
            assert set((await first.callers.call_all()).values()) == {"candidate"}, "what is in force stays"
        finally:
            server.start()
        await is_served_by(second.callers, "candidate")


async def is_served_by(callers: Callers, arm: str) -> None:
    async with asyncio.timeout(60):
        while set((await callers.call_all()).values()) != {arm}:  # noqa: ASYNC110 - they have to call
            await asyncio.sleep(0.1)
