"""The intake as the engine's process has it: it serves Envoy's records, and counts them as a worker counts requests."""

import asyncio
import os
import socket
from collections.abc import Iterator
from random import random
from typing import Final

from strangler.clock import now, unix_now
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import Settings
from strangler.engine.intake.counting import RecordCounting
from strangler.engine.intake.polling import Admin, UpstreamPolling
from strangler.engine.intake.record_values import Record
from strangler.engine.intake.telemetry_server import TelemetryServer
from strangler.ipc.messages import LedgerStored, ToControl, ToWorker
from strangler.ipc.metrics import Metrics
from strangler.logs import LogWriter
from strangler.worker.access_log import AccessLog
from strangler.worker.control_link import ControlLink
from strangler.worker.ledger import Ledger
from strangler.worker.ledger_names import LedgerNames, names_for
from strangler.worker.request_metrics import RequestMetrics
from strangler.worker.rollout_counts import RolloutCounting
from strangler.worker.telemetry import Telemetry

TICK_S: Final = 0.05


class Intake:
    """Owns all that an engine's process says of requests. Its methods are called in the event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        generation: int,
        metrics: Metrics,
        link: ControlLink,
        writer: LogWriter,
        process: str,
    ) -> None:
        self._loop = loop
        self._numbers = metrics
        self._writer = writer
        self._access_log = AccessLog(writer, process, os.getpid())
        self._ledger = Ledger(link, random)
        self._rollouts = RolloutCounting(link)
        counted = RequestMetrics(metrics)
        telemetry = Telemetry(counted, self._access_log, link, self._ledger, self._rollouts)
        snapshot = Snapshot(settings, generation)
        self._counting = RecordCounting(telemetry, counted, metrics, snapshot)
        self._server = TelemetryServer(loop, self.take)
        self._polling = UpstreamPolling(metrics, link, settings)
        self._wanted: tuple[Settings, int] | None = None
        self._has_wanted = asyncio.Event()
        self._load(snapshot, names_for(settings))

    def serve(self, listener: socket.socket) -> None:
        """Read what comes to a listening, non-blocking socket, until it is released."""
        self._server.serve(listener)

    def release(self, listener: socket.socket) -> None:
        """Read what still waits at a socket whose Envoy has ended, and close it."""
        self._server.release(listener)

    def follow(self, admin: Admin | None) -> None:
        """Read the states of upstreams from this Envoy; None: from none."""
        self._polling.follow(admin)

    def adopt(self, settings: Settings, generation: int) -> None:
        """Count by new settings, which Envoy serves by; they are loaded by `run`."""
        self._wanted = (settings, generation)
        self._has_wanted.set()

    def receive(self, message: ToWorker) -> None:
        """Take in a message of control."""
        if isinstance(message, LedgerStored):
            self._ledger.stored(message.number)

    def knowledge(self) -> Iterator[ToControl]:
        """Yield all that a new control needs beside the metrics."""
        yield from self._ledger.knowledge()

    def farewell(self) -> Iterator[ToControl]:
        """Yield all that has been counted and not been sent."""
        yield from self._ledger.finish(self._loop.time(), unix_now())
        yield from self._rollouts.finish()

    async def run(self) -> None:
        """Follow settings and states, and send what was counted, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick())
            group.create_task(self._adopt_wanted())
            group.create_task(self._polling.run())

    def flush(self) -> None:
        """Bring all that was counted into metrics and lines. Called at the end, before the link is closed."""
        self._counting.finish(now())
        self._access_log.flush()
        self._count_dropped()

    async def close(self) -> None:
        """Read what has come, and close the sockets."""
        await self._server.close()

    def take(self, tag: str, record: Record) -> None:
        """Count one record."""
        self._counting.count(tag, record, now())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.tick()

    def tick(self) -> None:
        """Pass on what was counted; called many times a second."""
        at = self._loop.time()
        self._counting.tick(now())
        self._access_log.flush()
        self._ledger.tick(at, unix_now())
        self._rollouts.tick(at)
        self._count_dropped()

    def _count_dropped(self) -> None:
        dropped = self._numbers.counter("strangler_log_dropped_total")
        if self._writer.dropped > dropped.value:
            dropped.inc(self._writer.dropped - dropped.value)

    async def _adopt_wanted(self) -> None:
        """Adopt new settings, the latest if several came. A thread prepares them, while records are counted on."""
        while True:
            await self._has_wanted.wait()
            self._has_wanted.clear()
            wanted, self._wanted = self._wanted, None
            if wanted is not None:
                self._load(*await asyncio.to_thread(_prepare, *wanted))

    def _load(self, snapshot: Snapshot, names: LedgerNames | None) -> None:
        settings = snapshot.settings
        self._access_log.adopt(settings.log)
        self._ledger.adopt(names)
        self._polling.settings = settings
        self._counting.adopt(snapshot, now())


def _prepare(settings: Settings, generation: int) -> tuple[Snapshot, LedgerNames | None]:
    return Snapshot(settings, generation), names_for(settings)
