"""The demo's processes: start them, notice when one dies, stop them all."""

import asyncio
import ctypes
import os
import random
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout

from strangler.demo.first import first_of

_START_S = 20.0
_STOP_S = 10.0
_LOOK_AGAIN_S = 0.05
_LAST_LINES = 12
_PORTS = range(12_000, 32_768)

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class ChildDiedError(Exception):
    """A process ended, or did not get ready. The message has its last words."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process. Its output goes to the file `log`."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def complaint(self, what: str) -> ChildDiedError:
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        words = "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"
        return ChildDiedError(f"{self.name} {what}; its last words:\n{words}")

    async def watch(self) -> None:
        """Wait until the process has ended. Always raises ChildDiedError."""
        raise self.complaint(f"ended with exit code {await self.process.wait()}")


class ChildrenState:
    """The processes that run. Each has a session of its own, so that Ctrl-C reaches the demo alone."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[Child] = []

    async def start(self, name: str, *command: str, ready: str) -> None:
        """Start a process and wait until GET `ready` answers 200. Raises ChildDiedError."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # even `kill -9` of the demo leaves nothing behind
            )
        child = Child(name, process, log)
        self._running.append(child)
        if not await first_of(_first_ok(ready), child.watch(), timeout_s=_START_S):
            raise child.complaint(f"did not answer at {ready} within {_START_S:.0f} s")

    async def watch(self) -> None:
        """Wait until any of the processes has ended by itself. Always raises ChildDiedError."""
        await first_of(*(child.watch() for child in self._running))

    async def stop(self) -> list[str]:
        """Stop all, the last started first. Returns the names of those that had to be killed."""
        killed = []
        while self._running:
            child = self._running.pop()
            if not await _stop(child.process):
                killed.append(child.name)
        return killed


def _end_with_parent() -> None:
    """Runs in the child: SIGTERM comes to it when its parent dies (Linux, prctl(2))."""
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
    """SIGTERM, then SIGKILL for the process and its own children. True if the first was enough."""
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
    """Ports of 127.0.0.1 that were free a moment ago, all different. Raises OSError if there are none.

    They are below those that systems give to whoever asks for any port, or connects (32768 up on Linux, 49152 up
    elsewhere): until a process that is being started binds them, no other gets them by chance.
    """
    ports: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):  # not a secret
        if len(ports) == count:
            return ports
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
    raise OSError(f"no {count} ports are free")
