"""Attacks on the running proxy. docs/security.md names these tests."""

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest

from strangler.control.connection_cap import MAX_CONNECTIONS
from strangler.demo.children import free_ports
from strangler.http1.parse import MAX_PASSES
from tests.e2e.serving import LegacyState, Proxy, legacy

TOKEN = "s3cret-token-of-the-test"


@pytest.fixture
async def upstream() -> AsyncIterator[LegacyState]:
    async with legacy() as state:
        yield state


@pytest.fixture
async def proxy(tmp_path: Path, upstream: LegacyState) -> AsyncIterator[Proxy]:
    """With a token, and a state folder that everyone may look into."""
    (tmp_path / "state").mkdir(mode=0o755)
    this_proxy = Proxy(tmp_path, upstream.port, token=TOKEN)
    await this_proxy.start()
    yield this_proxy
    await this_proxy.stop()


async def test_no_secret_is_on_a_command_line_or_in_the_start_of_a_process(proxy: Proxy) -> None:
    for process in (psutil.Process(proxy.pid), *proxy.children()):
        assert TOKEN not in " ".join(process.cmdline())
        assert TOKEN not in process.environ().get("STRANGLER_START", "")


async def test_what_is_written_is_its_users_alone_in_a_folder_of_any_mode(proxy: Proxy) -> None:
    written = list((proxy.folder / "state").iterdir())
    assert {"running.json", "strangler.db", "lock"} <= {file.name for file in written}
    open_to_others = [file.name for file in written if stat.S_IMODE(file.stat().st_mode) & 0o077]
    assert open_to_others == []


async def test_connections_held_open_at_admin_shut_nobody_out(proxy: Proxy) -> None:
    port = int(proxy.admin.rpartition(":")[2])
    async with AsyncExitStack() as held:
        for _ in range(MAX_CONNECTIONS + 50):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            held.callback(writer.close)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost:")
        assert (await proxy.ask("/healthz"))[0] == 200
        assert (await proxy.ask("/api/status"))[0] == 200
        (control,) = [p for p in proxy.children() if "strangler.control" in " ".join(p.cmdline())]
        there = [c for c in control.net_connections("tcp") if c.status == psutil.CONN_ESTABLISHED]
        assert len(there) <= MAX_CONNECTIONS


async def test_a_request_that_comes_round_again_and_again_is_ended(tmp_path: Path) -> None:
    """routes.yaml may not name the proxy itself, but a load balancer between hides the circle."""
    (port,) = free_ports(1)
    server = await asyncio.start_server(lambda r, w: _relay(r, w, port), "127.0.0.1", 0)
    async with server:
        proxy = Proxy(tmp_path, server.sockets[0].getsockname()[1])
        proxy.file.write_text(proxy.routes().replace("listen: 127.0.0.1:0\n", f"listen: 127.0.0.1:{port}\n", 1))
        await proxy.start()
        try:
            assert await proxy.get("/") == 508
            assert await proxy.until(lambda: _has_counted(proxy))
        finally:
            await proxy.stop()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Joins a connection with one to `server`."""
    there, back = await asyncio.open_connection("127.0.0.1", port)

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
        sink.close()

    await asyncio.gather(copy(reader, back), copy(there, writer))


async def _has_counted(proxy: Proxy) -> bool:
    return await proxy.requests() == MAX_PASSES + 1


async def test_an_absolute_target_is_never_dialled(proxy: Proxy) -> None:
    targets: list[bytes] = []

    async def inside(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        targets.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(inside, "127.0.0.1", 0)
    async with server:
        target = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/latest/meta-data"
        assert await proxy.get(target) == 200  # legacy's answer
    assert targets == []
