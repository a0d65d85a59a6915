"""The end of the whole proxy, as those see it who connect at that moment."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.serving import Proxy, legacy

CLIENTS = 60


async def _connect_until_refused(port: int, seen: Counter[str]) -> None:
    """One request a connection, each as soon as the one before has its answer."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            seen["refused"] += 1
            return
        try:
            writer.write(b"GET /api/orders/7 HTTP/1.1\r\nHost: shop\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            seen[head[9:12].decode() + (" close" if b"connection: close" in head.lower() else "")] += 1
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            seen[f"{type(error).__name__} instead of an answer"] += 1
        finally:
            writer.transport.abort()


@pytest.mark.parametrize("workers", [1, 2])
async def test_whoever_is_connected_is_answered_and_all_others_are_refused(tmp_path: Path, workers: int) -> None:
    seen: Counter[str] = Counter()
    async with legacy() as upstream:
        proxy = Proxy(tmp_path, upstream.port, workers)
        await proxy.start()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CLIENTS):
                    group.create_task(_connect_until_refused(proxy.port, seen))
                await asyncio.sleep(0.3)
                proxy.signal(signal.SIGTERM)
            assert await proxy.ended() == 0
        finally:
            await proxy.stop()
    assert seen.keys() == {"200", "200 close", "refused"}
    assert seen["refused"] == CLIENTS
