"""`strangler serve` with `engine: envoy` as processes, and what a test does to each of them."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil

from strangler.demo.children import free_ports
from tests.e2e.serving import Proxy


class EnvoyProxy(Proxy):
    """One `strangler serve` whose requests Envoy takes, at a port that is known beforehand."""

    def __init__(self, folder: Path, legacy_port: int, workers: int = 1) -> None:
        super().__init__(folder, legacy_port, workers)
        (self._listen,) = free_ports(1)

    def routes(self, percent: object = 0, workers: int | None = None) -> str:
        text = super().routes(percent, workers).replace("listen: 127.0.0.1:0\nadmin", f"listen: {self.address}\nadmin")
        return f"engine: envoy\n{text}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listen}"

    @property
    def port(self) -> int:
        return self._listen

    @property
    def envoys(self) -> list[int]:
        """The pids of the Envoys of this folder that live, the one that serves last."""
        found = []
        for record in sorted(
            (self.folder / "state" / "envoy").glob("*/envoy.json"), key=lambda at: int(at.parent.name)
        ):
            pid = int(json.loads(record.read_text())["pid"])
            if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        return found

    def child(self, module: str) -> int:
        """The pid of the process that runs a module of ours."""
        for child in psutil.Process(self.pid).children():
            if module in child.cmdline():
                return child.pid
        raise AssertionError(f"no {module} runs")

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    async def count(self, event: str, number: int) -> list[dict[str, Any]]:
        """The log lines of an event, once there are so many."""
        await self.until(lambda: len(self.events(event)) >= number)
        return self.events(event)

    async def is_served(self) -> bool:
        """Whether Envoy responds."""
        try:
            return await self.get() == 200
        except (OSError, IndexError):
            return False

    async def slowly(self, begun: asyncio.Event) -> bytes:
        """The whole response to a slow request, which the upstream has when the event is set."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
        await begun.wait()
        response = await reader.read()
        writer.close()
        return response
