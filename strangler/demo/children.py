"""The demo's processes: start them, notice when one dies, stop them all."""

import asyncio
import ctypes
import os
import random
import signal
import socket
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from strangler.demo.first import first_of

_START_S = 60.0
_STOP_S = 10.0
_LOOK_AGAIN_S = 0.05
_LAST_LINES = 12
_PORTS = range(12_000, 32_768)

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class ChildDiedError(Exception):
    """A process ended, or did not get ready. The message has its last lines of output."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process. Its output goes to the file `log`."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def complaint(self, what: str) -> ChildDiedError:
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        words = "\n".join(f"  {line}" for line in lines) or "  (none)"
        return ChildDiedError(f"{self.name} {what}; its last output:\n{words}")

    async def watch(self) -> None:
        """Wait until the process has ended. Always raises ChildDiedError."""
        raise self.complaint(f"ended with exit code {await self.process.wait()}")


class ChildrenState:
    """The running processes. Each has its own session, so that Ctrl-C reaches the demo alone."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[Child] = []

    async def start(self, name: str, *command: str, ready: str, environ: Mapping[str, str] | None = None) -> Child:
        """Start a process and wait until GET `ready` has the status 200. Raises ChildDiedError."""
        return await self.launch(name, *command, ready=_first_ok(ready), lacking=f"respond at {ready}", environ=environ)

    async def launch(
        self,
        name: str,
        *command: str,
        ready: Coroutine[Any, Any, object],
        lacking: str,
        environ: Mapping[str, str] | None = None,
    ) -> Child:
        """Start a process, with more in its environment, and wait until `ready` has ended. Raises ChildDiedError.

        `lacking`: what it did not do if that takes too long.
        """
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # even `kill -9` of the demo leaves nothing behind
                env=None if environ is None else {**os.environ, **environ},
            )
        child = Child(name, process, log)
        self._running.append(child)
        if not await first_of(ready, child.watch(), timeout_s=_START_S):
            raise child.complaint(f"did not {lacking} within {_START_S:.0f} s")
        return child

    async def watch(self) -> None:
        """Wait until any of the processes has ended by itself. Always raises ChildDiedError."""
        await first_of(*(child.watch() for child in self._running))

    async def stop(self) -> list[str]:
        """Stop all, the last started first. Return the names of those that had to be killed."""
        killed = []
        while self._running:
            child = self._running.pop()
            if not await _stop(child.process):
                killed.append(child.name)
        return killed


def _end_with_parent() -> None:
    """Have the system send this child SIGTERM when its parent dies (Linux, prctl(2))."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _first_ok(url: str) -> None:
    async with ClientSession(timeout=ClientTimeout(total=2)) as session:
        while True:
            with suppress(ClientError, TimeoutError):
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(_LOOK_AGAIN_S)


async def _stop(process: asyncio.subprocess.Process) -> bool:
    """Send SIGTERM, then SIGKILL to the process and its own children. Return True if SIGTERM was enough."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Return different ports of 127.0.0.1 that were free a moment ago. Raises OSError if there are too few.

    They are below the ports that systems choose themselves, also for connections (from 32768 on Linux, 49152
    elsewhere): no other process gets them by chance before they are bound.
    """
    ports: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):  # not a secret
        if len(ports) == count:
            return ports
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
    raise OSError(f"no {count} ports are free")
