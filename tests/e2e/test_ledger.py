"""The ledger of a real proxy: its counts are the client's own, whichever process is killed between."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.commands import run
from tests.e2e.serving import LegacyState, Proxy, legacy

PATHS = {
    "GET /api/orders/{}": "/api/orders/%d",
    "GET /users/{}/carts": "/users/%d/carts",
    "GET /pages/home": "/pages/home",
    "GET /search": "/search?q=%d",
    "GET /static/app-{}.js": "/static/app-%08x.js",
}


@pytest.fixture
async def upstream() -> AsyncIterator[LegacyState]:
    async with legacy() as state:
        yield state


@asynccontextmanager
async def serving(folder: Path, upstream: LegacyState, workers: int = 1) -> AsyncIterator[Proxy]:
    proxy = Proxy(folder, upstream.port, workers)
    proxy.file.write_text(proxy.routes(percent=50))
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


class Clients:
    """Clients that count what they got a response for, by endpoint."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.served: Counter[str] = Counter()
        self.faults: list[str] = []
        self._numbers = count(1)

    async def call(self, times: int) -> None:
        """Call each endpoint so often, one call after the other."""
        for number in (next(self._numbers) for _ in range(times)):
            for endpoint, path in PATHS.items():
                try:
                    status = await self.proxy.get(path % (number + 0x10000000) if "%" in path else path)
                except (OSError, IndexError) as error:
                    self.faults.append(repr(error))
                    continue
                assert status == 200
                self.served[endpoint] += 1

    async def call_until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.call(1)
            await asyncio.sleep(0.02)

    async def counted(self) -> Counter[str]:
        """Return the counts of the ledger; none while control is away."""
        try:
            status, document = await self.proxy.ask("/api/ledger")
        except OSError:
            return Counter()
        if status != 200:
            return Counter()
        return Counter(
            {row["endpoint"]: row["calls"]["legacy"] + row["calls"]["candidate"] for row in document["rows"]}
        )

    async def is_counted(self) -> bool:
        found = await self.counted()
        assert all(found[endpoint] <= calls for endpoint, calls in self.served.items()), (found, self.served)
        return found == self.served


async def kill_control(proxy: Proxy) -> None:
    before = (await proxy.status())["pid"]["control"]
    os.kill(before, signal.SIGKILL)

    async def is_replaced() -> bool:
        return await proxy.is_ready() and (await proxy.status())["pid"]["control"] != before

    await proxy.until(is_replaced)


async def test_counts_equal_those_of_the_clients_whatever_happens_to_control(
    tmp_path: Path, upstream: LegacyState
) -> None:
    async with serving(tmp_path, upstream, workers=2) as proxy:
        clients, stop = Clients(proxy), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(clients.call_until(stop))
            for _ in range(3):
                await asyncio.sleep(0.7)  # at different moments of a batch's way
                await kill_control(proxy)
            proxy.edit(proxy.routes(percent=75))
            proxy.signal(signal.SIGHUP)
            await proxy.until(lambda: proxy.has_generation(2))
            stop.set()
        assert clients.faults == []
        assert clients.served.total() > 200
        await proxy.until(clients.is_counted)
        proxy.signal(signal.SIGTERM)  # once: a second one kills what has not been stored yet
        await proxy.ended()
        await proxy.start()
        assert await clients.counted() == clients.served
        await clients.call(3)
        await proxy.until(clients.is_counted)


async def test_the_last_calls_before_the_end_are_kept(tmp_path: Path, upstream: LegacyState) -> None:
    async with serving(tmp_path, upstream) as proxy:
        clients = Clients(proxy)
        await clients.call(20)
        proxy.signal(signal.SIGTERM)
        await proxy.ended()
        await proxy.start()
        assert await clients.counted() == clients.served


async def test_a_killed_worker_loses_its_last_moment_at_most(tmp_path: Path, upstream: LegacyState) -> None:
    async with serving(tmp_path, upstream) as proxy:
        clients = Clients(proxy)
        await clients.call(20)
        await proxy.until(clients.is_counted)
        (worker,) = (await proxy.status())["pid"]["workers"]
        os.kill(worker, signal.SIGKILL)

        async def is_replaced() -> bool:
            status = await proxy.status()
            return worker not in status["pid"]["workers"] and all(each["is_connected"] for each in status["workers"])

        await proxy.until(is_replaced)
        await clients.call(20)
        assert clients.faults == []
        await proxy.until(clients.is_counted)


async def test_without_a_ledger_nothing_is_counted_and_what_was_is_kept(tmp_path: Path, upstream: LegacyState) -> None:
    async with serving(tmp_path, upstream) as proxy:
        clients = Clients(proxy)
        await clients.call(2)
        await proxy.until(clients.is_counted)
        proxy.edit(proxy.routes(percent=50) + "ledger: false\n")
        await proxy.until(lambda: proxy.has_generation(2))
        counted, clients.served = clients.served, Counter()
        await clients.call(2)
        assert (await proxy.ask("/api/ledger"))[0] == 404
        proxy.edit(proxy.routes(percent=50))
        await proxy.until(lambda: proxy.has_generation(3))
        clients.served = counted
        await clients.call(1)
        await proxy.until(clients.is_counted)


async def test_a_backup_brings_the_ledger_back(tmp_path: Path, upstream: LegacyState) -> None:
    file = tmp_path / "backup.tar.gz"
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    async with serving(first, upstream) as proxy:
        clients = Clients(proxy)
        await clients.call(3)
        await proxy.until(clients.is_counted)
        body = {"endpoint": "GET /pages/home", "name": "ana"}
        assert (await proxy.ask("/api/ledger/own", "POST", body))[0] == 200  # stores all that there is
        status, output = await run(first, "state", "backup", str(file))
        assert status == 0, output
        await clients.call(1)
    status, output = await run(second, "state", "restore", str(file), "--state", str(second / "state"))
    assert status == 0, output
    async with serving(second, upstream) as other:
        _, document = await other.ask("/api/ledger")
        assert {row["calls"]["legacy"] + row["calls"]["candidate"] for row in document["rows"]} == {3}
        assert {row["owner"] for row in document["rows"]} == {"ana", None}
