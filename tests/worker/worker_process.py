"""A worker process with its listening socket and a control that a test scripts."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from strangler.ipc.messages import (
    FrameReader,
    LedgerBatch,
    LedgerStored,
    RolloutBatch,
    ToControl,
    encode_frame,
    encode_settings,
)
from strangler.ipc.start import WorkerStart, to_environ
from strangler.sockets.accept import empty_page
from strangler.unnamed_files import unnamed_file
from tests.http1.scripted import ScriptedUpstream
from tests.worker.plane import request, two_arms


class ScriptedControl:
    """A control's end of the links of a worker. It stores nothing until a test says so."""

    def __init__(self) -> None:
        self.connections: list[list[ToControl]] = []
        self.writer: asyncio.StreamWriter | None = None

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        messages: list[ToControl] = []
        self.connections.append(messages)
        self.writer = writer
        frames: FrameReader[ToControl] = FrameReader(ToControl)
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                messages += frames.feed(data)
        writer.close()

    def batches(self, connection: int = -1) -> list[LedgerBatch]:
        """The ledger's batches that came over a connection."""
        messages = self.connections[connection] if self.connections else []
        return [message for message in messages if isinstance(message, LedgerBatch)]

    def rollout_batches(self) -> list[RolloutBatch]:
        """The rollouts' batches that came over any connection."""
        return [message for messages in self.connections for message in messages if isinstance(message, RolloutBatch)]

    def store(self, number: int) -> None:
        assert self.writer is not None
        self.writer.write(encode_frame(LedgerStored(number)))

    def hang_up(self) -> None:
        assert self.writer is not None
        self.writer.close()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - another process has no event to wait for
            await asyncio.sleep(0.01)


class RunningWorker:
    """A worker process with its listening socket and its control."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, control: ScriptedControl) -> None:
        self.process = process
        self.control = control
        self._port = port

    async def ask(self, target: str, *fields: str) -> bytes:
        """Return the status line of the response to a request on a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(request(target, "Connection: close", *fields))
        response = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return response.partition(b"\r\n")[0]


@asynccontextmanager
async def worker(upstream: ScriptedUpstream, folder: Path, **changes: Any) -> AsyncIterator[RunningWorker]:
    """Start a worker as the supervisor does. `changes` are those of its only route."""
    control = ScriptedControl()
    server = await asyncio.start_unix_server(control.take, folder / "link.sock")
    with ExitStack() as exits:
        listener = exits.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        alive, lifeline = os.pipe()
        _, leaving = os.pipe()
        settings = unnamed_file(encode_settings(two_arms(upstream, upstream, **changes)))
        counts = unnamed_file(empty_page())
        start = WorkerStart(
            index=0,
            instance="run-1-0-1",
            listen_fds=(listener.fileno(),),
            addresses=("127.0.0.1:0",),
            link_path=str(folder / "link.sock"),
            settings_fd=settings,
            generation=1,
            killed=False,
            lifeline_fd=alive,
            counts_fd=counts,
            leaving_fd=leaving,
        )
        fds = (listener.fileno(), settings, alive, counts, leaving)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "strangler.worker",
            env=os.environ | to_environ(start),
            pass_fds=fds,
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            yield RunningWorker(process, listener.getsockname()[1], control)
        finally:
            os.close(lifeline)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            server.close()
