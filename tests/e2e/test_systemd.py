"""The proxy under a service manager: what it is told, and the sockets that it leaves to the proxy."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.serving import Proxy
from tests.e2e.test_restart import restart, serving_pid, strangler

LAUNCH = """\
import os, socket, sys
listener = socket.create_server(("127.0.0.1", {port}))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {{"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "{name}"}}
os.environ |= {environ!r}
os.execv(sys.executable, [sys.executable, "-m", "strangler", "serve"])
"""


class Manager:
    """The messages that a service manager receives, as they come."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._lines: list[str] = []
        self._has_come = asyncio.Event()

    async def listen(self) -> None:
        while True:
            message = await asyncio.get_running_loop().sock_recv(self._listener, 4096)
            self._lines += message.decode().split("\n")
            self._has_come.set()

    async def until(self, line: str) -> list[str]:
        """All lines that have come since the last call, up to this one."""
        async with asyncio.timeout(60):
            while line not in self._lines:
                self._has_come.clear()
                await self._has_come.wait()
        end = self._lines.index(line) + 1
        found, self._lines = self._lines[:end], self._lines[end:]
        return found


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        manager = Manager(listener)
        listening = asyncio.create_task(manager.listen())
        yield manager
        listening.cancel()
        await asyncio.wait([listening])


async def launch(proxy: Proxy, port: int, name: str = "listen", ready: bool = True, **environ: str) -> None:
    (proxy.folder / "launch.py").write_text(LAUNCH.format(port=port, name=name, environ=environ))
    await proxy.start(sys.executable, "launch.py", ready=ready)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


async def test_it_is_told_when_the_proxy_serves_lives_restarts_and_ends(proxy: Proxy, manager: Manager) -> None:
    await launch(proxy, free_port(), NOTIFY_SOCKET=str(proxy.folder / "notify"), WATCHDOG_USEC="400000")
    await manager.until("READY=1")
    await manager.until("WATCHDOG=1")
    pid = await restart(proxy)
    assert "RELOADING=1" in await manager.until(f"MAINPID={pid}")
    await manager.until("READY=1")
    assert await proxy.ended() == 0  # systemd follows the new main process
    await manager.until("WATCHDOG=1")
    proxy.file.write_text("nonsense")
    status, output = await strangler(proxy.folder, "restart", "--state", "state")
    assert (status, "goes on" in output) == (1, True)
    await manager.until("RELOADING=1")
    assert not [line for line in await manager.until("READY=1") if line.startswith("MAINPID")]
    serving = psutil.Process(pid)
    serving.send_signal(signal.SIGTERM)
    await manager.until("STOPPING=1")
    await asyncio.to_thread(serving.wait, 20)


@pytest.mark.parametrize("name", ["listen", "strangler.socket"])
async def test_its_socket_is_served_and_goes_to_the_next_program(proxy: Proxy, name: str) -> None:
    """By its name whatever routes.yaml says, without a name by its address."""
    port = free_port()
    if name != "listen":
        proxy.file.write_text(proxy.routes().replace("listen: 127.0.0.1:0\n", f"listen: 127.0.0.1:{port}\n", 1))
    await launch(proxy, port, name)
    assert proxy.port == port
    assert await proxy.get() == 200
    before = serving_pid(proxy)
    assert await restart(proxy) != before
    assert proxy.port == port
    assert await proxy.get() == 200


async def test_a_socket_that_routes_yaml_does_not_know_is_refused_with_the_way_out(proxy: Proxy) -> None:
    port = free_port()
    await launch(proxy, port, "other", ready=False)
    assert await proxy.ended() == 1
    text = (proxy.folder / "log").read_text()
    assert f"nothing in routes.yaml listens at 127.0.0.1:{port}" in text
    assert "FileDescriptorName=listen" in text


KEPT = """\
import os, socket, sys
giver = socket.socket(socket.AF_UNIX)
giver.connect("giver")
_, (descriptor,), _, _ = socket.recv_fds(giver, 1, 1)
os.dup2(descriptor, 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "listen"}
os.execv(sys.executable, [sys.executable, "-m", "strangler", "serve"])
"""


async def launch_with(proxy: Proxy, kept: socket.socket) -> None:
    """Start the proxy with a socket that stays open here, as it does in systemd."""
    (proxy.folder / "kept.py").write_text(KEPT)
    (proxy.folder / "giver").unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as giver:
        giver.bind(str(proxy.folder / "giver"))
        giver.listen()
        await proxy.start(sys.executable, "kept.py", ready=False)
        connection, _ = await asyncio.to_thread(giver.accept)
        with connection:
            socket.send_fds(connection, [b"x"], [kept.fileno()])
    await proxy.until(proxy.is_ready)


async def test_connections_wait_at_its_socket_while_the_proxy_is_stopped(proxy: Proxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as kept:
        await launch_with(proxy, kept)
        assert await proxy.get() == 200
        proxy.signal(signal.SIGTERM)
        assert await proxy.ended() == 0
        reader, writer = await asyncio.open_connection("127.0.0.1", kept.getsockname()[1])
        writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
        await launch_with(proxy, kept)
        assert (await reader.readline()).split()[1] == b"200"
        writer.close()
