"""The process that runs Envoy, from start to end: link, signals, metrics, ownership."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import structlog
import uvloop

from strangler import logs
from strangler.engine.binary import BinaryError, find
from strangler.engine.foreign_envoy import ForeignEnvoy
from strangler.engine.intake.intake import Intake
from strangler.engine.living import FOLDER, kill_all, living
from strangler.engine.own_envoy import OwnEnvoy
from strangler.engine.ownership import Ownership
from strangler.engine.rendering import SwitchState, Wanted, with_listeners_of_start
from strangler.engine.steering import EngineError, Steering
from strangler.engine.switching import Switching
from strangler.envoy.place import Switches
from strangler.ipc.link import WorkerLink
from strangler.ipc.messages import (
    EngineState,
    Hello,
    KillSwitch,
    LoadedGeneration,
    Push,
    ToControl,
    ToWorker,
    decode_settings,
)
from strangler.ipc.metrics import Metrics
from strangler.ipc.process import has_ended, raise_file_limit
from strangler.ipc.start import EngineStart, StartError, WorkerStart
from strangler.logs import LogWriter
from strangler.sockets.accept import ConnectionCounts

PROCESS: Final = "envoy"

CLAIM_WAIT_S: Final = 10.0
"""How long a process that is to end leaves Envoy alone for the next one, where one is to be expected."""

SETTLE_S: Final = 5.0
"""How long the start of an Envoy, or a delivery, may go on after the process is to end."""

_CLAIM_LOOK_S: Final = 0.02


class Engine:
    """The owner of all that lives as long as the process."""

    def __init__(
        self, start: WorkerStart, engine: EngineStart, loop: asyncio.AbstractEventLoop, writer: LogWriter
    ) -> None:
        """Raises BinaryError, OSError."""
        settings = decode_settings(start.settings())
        settings = with_listeners_of_start(settings, settings, start.addresses)
        logs.configure(settings.log, PROCESS, writer)
        raise_file_limit()
        self._log = structlog.get_logger()
        self._start = start
        self._loop = loop
        self._writer = writer
        self._generation = start.generation
        """The generation that Envoy has confirmed last; before that, the first one."""
        self._former = settings
        """The settings that Envoy has confirmed last; before that, the first ones."""
        self._state = EngineState("", None, "")
        self._stop = asyncio.Event()
        self._signals = 0
        self._counts = ConnectionCounts(start.counts_fd)
        metrics = Metrics()
        self._link = WorkerLink(
            start.link_path,
            lambda: Hello(start.index, start.instance, os.getpid(), self._generation),
            metrics,
            self._receive,
            knowledge=self._knowledge,
            farewell=lambda: self._intake.farewell(),
        )
        self._intake = Intake(loop, settings, start.generation, metrics, self._link, writer, PROCESS)
        self._switch = SwitchState(Switches(start.killed, frozenset(start.killed_routes)))
        self._folder = Path(engine.folder) / FOLDER
        self._has_own = not engine.files
        binary = find(engine.binary) if engine.binary or self._has_own else None
        if binary is not None and self._has_own:
            self._envoy: OwnEnvoy | ForeignEnvoy = OwnEnvoy(
                self._folder, start.instance, engine.mirrors_at, binary, self._intake, loop, lambda: self._wake()
            )
        else:
            self._envoy = ForeignEnvoy(Path(engine.files), start.instance, engine.mirrors_at, self._intake)
        self._ownership = Ownership(self._folder)
        self._switching = Switching(self._envoy)
        first = Wanted(settings, start.generation, time.time(), self._switch)
        self._steering = Steering(self._envoy, self._ownership, first, binary, self, is_standby=engine.is_standby)

    async def run(self) -> None:
        """Run Envoy until SIGTERM, or until the supervisor is gone. Raises EngineError if that cannot begin."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_signal)
        self._loop.add_reader(self._start.lifeline_fd, self._on_lifeline)
        runs = (self._link.run(), self._intake.run(), self._switching.run())
        parts = [asyncio.create_task(run) for run in runs]
        work = asyncio.create_task(self._steering.run(self._is_served))
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        try:
            await self._settle(work)
            await self._finish()
        finally:
            for part in (stop, *parts):
                await _cancel(part)
            await self._intake.close()
            self._intake.flush()
            await self._link.close()

    # What the work reports

    def accepts(self) -> None:
        self._counts.publish(self._start.index, 0)

    def confirmed(self, wanted: Wanted) -> None:
        if wanted.generation != self._generation:
            self._log.info("envoy.loaded", generation=wanted.generation)
        self._generation = wanted.generation
        self._former = wanted.settings
        logs.configure(wanted.settings.log, PROCESS, self._writer)
        self._intake.adopt(wanted.settings, wanted.generation)
        self._link.offer(LoadedGeneration(wanted.generation))

    def changed(self) -> None:
        self._intake.follow(None if self._envoy.has_died else self._envoy.admin)
        problem = self._steering.problem or self._envoy.problem or ""
        state = EngineState(self._envoy.version, self._envoy.pid, problem)
        if state != self._state:
            self._state = state
            self._link.offer(state)

    def _knowledge(self) -> Iterator[ToControl]:
        """Yield all that a new control needs beside the metrics."""
        yield self._state
        yield from self._intake.knowledge()

    # What wakes it

    def _receive(self, message: ToWorker) -> None:
        if isinstance(message, KillSwitch):
            self._switch.present = Switches(message.on, frozenset(message.routes))
            self._switching.turn()
        elif isinstance(message, Push):
            self._steering.want(partial(self._decoded, message))
        else:
            self._intake.receive(message)

    @property
    def _ends_at_once(self) -> bool:
        return self._signals > 1

    def _wake(self) -> None:
        self._steering.wake.set()

    def _decoded(self, push: Push) -> Wanted:
        """Return what to bring to Envoy. A thread calls this: 10,000 routes take a while."""
        settings = with_listeners_of_start(decode_settings(push.settings), self._former, self._start.addresses)
        return Wanted(settings, push.generation, time.time(), self._switch)

    def _on_signal(self) -> None:
        self._signals += 1  # the end of the lifeline, which comes first, is none
        self._stop.set()

    def _on_lifeline(self) -> None:
        self._loop.remove_reader(self._start.lifeline_fd)
        self._stop.set()

    # The end

    async def _settle(self, work: "asyncio.Task[None]") -> None:
        """End the work, but not in the middle of a start or a delivery. Raises EngineError."""
        self._steering.stop()
        if self._steering.is_owner:
            await asyncio.wait({work}, timeout=SETTLE_S)
        await _cancel(work)

    async def _finish(self) -> None:
        """Leave Envoy to the process that waits for it; if none does, let it finish its requests, and end it."""
        until = time.monotonic() + self._former.limits.drain_s
        with contextlib.suppress(OSError):  # the supervisor may be gone
            os.write(self._start.leaving_fd, f"{self._start.instance}\n".encode())
        if not self._steering.is_owner:
            return
        if not await self._is_claimed() and await self._envoy.end(until, self._has_to_stop_draining):
            self._counts.publish(self._start.index, None)
        elif self._ends_at_once and not self._ownership.is_claimed():
            kill_all(self._folder)
        else:
            await self._envoy.let_go()
            self._log.info("envoy.left_to_successor")
        self._ownership.release()

    async def _is_claimed(self) -> bool:
        """Return whether another process waits for Envoy. If one is to come, give it the time to start."""
        is_followed = self._counts.is_shared or not has_ended(self._start.lifeline_fd)
        deadline = time.monotonic() + (CLAIM_WAIT_S if is_followed and self._has_own else 0.0)
        while not self._ownership.is_claimed() and time.monotonic() < deadline and not self._ends_at_once:  # noqa: ASYNC110
            await asyncio.sleep(_CLAIM_LOOK_S)
        return self._ownership.is_claimed()

    def _has_to_stop_draining(self) -> bool:
        return self._ends_at_once or self._ownership.is_claimed()

    def _is_served(self) -> bool:
        return not self._has_own or bool(living(self._folder))


async def _cancel(task: "asyncio.Task[object]") -> None:
    """Cancel a task and wait for it. Raises what has ended it before."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _run(start: WorkerStart, engine: EngineStart, writer: LogWriter) -> None:
    try:
        await Engine(start, engine, asyncio.get_running_loop(), writer).run()
    except (EngineError, BinaryError) as error:
        structlog.get_logger().error("envoy.cannot_run", reason=str(error))
        sys.exit(str(error))


def main() -> None:
    """Run `python -m strangler.engine`, as the supervisor starts it."""
    try:
        start = WorkerStart.from_environ()
    except StartError as error:
        sys.exit(f"strangler: {error}")
    if start.engine is None:
        sys.exit("strangler: this program is started by `strangler serve` where routes.yaml has `engine: envoy`")
    os.umask(0o077)
    writer = LogWriter()
    try:
        uvloop.run(_run(start, start.engine, writer))
    finally:
        writer.close()
