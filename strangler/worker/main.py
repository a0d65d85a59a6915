"""A worker process from start to end: event loop, sockets, link, ticks, signals."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Collection, Iterator

import structlog
import uvloop

from strangler import logs
from strangler.clock import unix_now
from strangler.core.http.trust import TrustedProxies
from strangler.core.routing.snapshot import Snapshot
from strangler.http1.client_connection import LAST_REQUEST_S
from strangler.http1.downstream import Downstream
from strangler.http1.server_state import ServerState
from strangler.ipc.link import WorkerLink
from strangler.ipc.messages import (
    BreakerOpened,
    CaptureGrants,
    EndpointHealth,
    FenceMarks,
    Hello,
    KillSwitch,
    LedgerStored,
    LoadedGeneration,
    Push,
    RecordingCredit,
    RecordingEnded,
    RecordingWanted,
    ToControl,
    ToWorker,
    decode_settings,
)
from strangler.ipc.metrics import Metrics
from strangler.ipc.process import has_ended, raise_file_limit
from strangler.ipc.start import StartError, WorkerStart
from strangler.logs import LogWriter
from strangler.sockets.accept import ConnectionCounts
from strangler.tls.server_context import ServerContexts, ignore_undecodable_names
from strangler.worker.access_log import AccessLog
from strangler.worker.call import Call
from strangler.worker.captures import Captures
from strangler.worker.context import WorkerContext
from strangler.worker.gauges import UpstreamGauges
from strangler.worker.handler import serve
from strangler.worker.ledger_names import LedgerNames, names_for
from strangler.worker.listeners import Listeners
from strangler.worker.request_metrics import RequestMetrics

_ACTIVE_TICK_S = 0.05
"""How late a timeout of a request may be noticed."""

_IDLE_TICK_S = 1.0
"""How late a timeout of an idle connection may be noticed: ten thousand of them cost 0.05 % of a core."""

_GC_THRESHOLDS = (50_000, 20, 50)
"""Requests leave no cycles behind; a collection that finds nothing would delay all requests by milliseconds."""

_LOOKUP_S = 2.0
"""How long the start waits for the first lookup of names; names that take longer are looked up by the connect."""

_OTHER_FILES = 1000
"""Descriptors other than client connections: connections to upstreams, listeners, the link."""

_GOODBYE_S = 0.5
"""After a drain: how long closing connections may take to flush."""


class Worker:
    """The owner of all that lives as long as the process."""

    def __init__(self, start: WorkerStart, loop: asyncio.AbstractEventLoop, writer: LogWriter) -> None:
        settings = decode_settings(start.settings())
        self._start = start
        self._loop = loop
        self._writer = writer
        self._process = f"worker-{start.index}"
        logs.configure(settings.log, self._process, writer)
        self._log = structlog.get_logger()
        self._numbers = Metrics()
        self._link = WorkerLink(
            start.link_path,
            self._hello,
            self._numbers,
            self._receive,
            knowledge=self._knowledge,
            lost=lambda: self._captures.close_credits(),
            farewell=self._farewell,
        )
        self._access_log = AccessLog(writer, self._process, os.getpid())
        self._captures = Captures(self._numbers, self._link)
        metrics = RequestMetrics(self._numbers)
        snapshot = Snapshot(settings, start.generation)
        self._context = context = WorkerContext(
            loop, snapshot, metrics, self._access_log, self._captures, self._link, start.index
        )
        self._policies, self._peers, self._upstreams = context.policies, context.peers, context.upstreams
        self._ledger, self._rollouts = context.ledger, context.rollouts
        self._policies.is_killed = start.killed
        self._policies.killed_routes = frozenset(start.killed_routes)
        self._gauges = UpstreamGauges(self._numbers, self._upstreams)
        self._server = ServerState(
            loop,
            settings.limits,
            Call,
            lambda client: serve(client, context),
            TrustedProxies(settings.trusted_proxies),
            self._crashed,
            metrics.count_refused,
        )
        self._counts = ConnectionCounts(start.counts_fd)
        self._listeners = Listeners(self._server, context, start.index, self._counts)
        self._listeners.adopt(settings, ServerContexts().renewed(settings.listeners, settings.files))
        self._acceptor = self._listeners.acceptor
        self._has_warned_ignored: TrustedProxies | None = None
        self._stop = asyncio.Event()
        self._pushed: Push | None = None
        self._has_push = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM, or until the supervisor is gone; then drain."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        self._loop.add_reader(self._start.lifeline_fd, self._stop.set)
        link = asyncio.create_task(self._link.run())
        active = asyncio.create_task(self._tick_active())
        idle = asyncio.create_task(self._tick_idle())
        load = asyncio.create_task(self._load_pushed())
        await self._upstreams.names.settle(_LOOKUP_S)
        listening = [socket.socket(fileno=descriptor) for descriptor in self._start.listen_fds]
        self._acceptor.start(list(zip(listening, self._start.addresses, strict=True)))
        self._check_file_limit()
        self._log.info("worker.ready", generation=self._policies.snapshot.generation)
        await self._stop.wait()
        await self._drain()
        for task in (active, idle, load, link):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._access_log.flush()
        self._gauges.measure()
        self._peers.share_marks()
        self._captures.flush()
        await self._link.close()
        self._upstreams.close()
        await self._upstreams.names.close()

    def _check_file_limit(self) -> None:
        """Warn if too few descriptors are allowed: a client connection needs one, and often another to an upstream."""
        allowed, wanted = raise_file_limit(), self._server.limits.connections
        if allowed < wanted * 9 // 8 + _OTHER_FILES:
            self._log.warning(
                "worker.few_files", allowed=allowed, connections=wanted, way_out="raise `ulimit -n`, or lower the limit"
            )

    async def _drain(self) -> None:
        """Accept no more connections, and let requests under way finish within `limits.drain`."""
        until = self._loop.time() + self._policies.snapshot.settings.limits.drain_s
        self._loop.remove_reader(self._start.lifeline_fd)
        with contextlib.suppress(OSError):  # the supervisor may be gone
            os.write(self._start.leaving_fd, f"{self._start.instance}\n".encode())
        self._server.drain()
        if has_ended(self._start.lifeline_fd) and not self._counts.is_shared:
            await self._acceptor.finish()
        else:
            self._acceptor.stop()
        await self._acceptor.settle()
        await self._empties(self._server.connections, min(until, self._loop.time() + LAST_REQUEST_S + _IDLE_TICK_S))
        if not await self._empties(self._server.active, until):
            self._log.warning("worker.drain_expired", requests=len(self._server.active))
        await self._empties(self._server.connections, self._loop.time() + _GOODBYE_S)
        self._server.abort()
        await asyncio.sleep(0)

    async def _empties(self, connections: Collection[Downstream], until: float) -> bool:
        """Wait until no connection is left; return False if that took too long."""
        while connections and self._loop.time() < until:  # noqa: ASYNC110 - an event would burden the hot path
            await asyncio.sleep(0.02)
        return not connections

    async def _tick_active(self) -> None:
        while True:
            await asyncio.sleep(_ACTIVE_TICK_S)
            self._acceptor.publish()
            self._server.sweep_active(self._loop.time())
            self._access_log.flush()
            self._peers.share_marks()
            self._captures.flush()
            self._ledger.tick(self._loop.time(), unix_now())
            self._rollouts.tick(self._loop.time())

    async def _tick_idle(self) -> None:
        connections = self._numbers.gauge("strangler_connections")
        dropped = self._numbers.counter("strangler_log_dropped_total")
        while True:
            await asyncio.sleep(_IDLE_TICK_S / 4)
            self._gauges.measure()
            connections.set(len(self._server.connections))
            self._warn_ignored_peer()
            if self._writer.dropped > dropped.value:
                dropped.inc(self._writer.dropped - dropped.value)
            now = self._loop.time()
            self._server.sweep_all(now)
            self._upstreams.sweep(now)

    def _warn_ignored_peer(self) -> None:
        """Warn, once per generation, of a peer whose fields are ignored: it may be the load balancer before us."""
        trusted = self._server.trusted
        if not trusted.ignored.peer or self._has_warned_ignored is trusted:
            return
        self._has_warned_ignored = trusted
        peer, field = trusted.ignored.peer, trusted.ignored.field
        self._log.warning(
            "client.forwarded_ignored",
            peer=peer,
            field=field,
            remedy=f"the peer is not trusted, so what it sends about the client is ignored; if it is a proxy of"
            f" yours, write `{trusted.with_peer(peer)}` into routes.yaml",
        )

    def _hello(self) -> Hello:
        return Hello(self._start.index, self._start.instance, os.getpid(), self._policies.snapshot.generation)

    def _knowledge(self) -> Iterator[ToControl]:
        """Yield all that a new control needs beside the metrics."""
        yield from self._peers.knowledge()
        yield from self._ledger.knowledge()

    def _farewell(self) -> Iterator[ToControl]:
        """Yield all that has been counted and not been sent."""
        yield from self._ledger.finish(self._loop.time(), unix_now())
        yield from self._rollouts.finish()

    def _receive(self, message: ToWorker) -> None:
        if isinstance(message, KillSwitch):
            self._policies.is_killed = message.on
            self._policies.killed_routes = frozenset(message.routes)
        elif isinstance(message, Push):
            self._pushed = message
            self._has_push.set()
        elif isinstance(message, CaptureGrants):
            self._captures.set_credits(message.grants)
        elif isinstance(message, RecordingWanted):
            self._captures.record(message)
        elif isinstance(message, RecordingCredit):
            self._captures.allow(message)
        elif isinstance(message, RecordingEnded):
            self._captures.end_recording()
        elif isinstance(message, LedgerStored):
            self._ledger.stored(message.number)
        elif isinstance(message, BreakerOpened | FenceMarks | EndpointHealth):
            self._peers.learn(message)

    async def _load_pushed(self) -> None:
        """Adopt new settings, the latest if several came. A thread prepares them: 10,000 routes take half a second,
        during which requests go on."""
        while True:
            await self._has_push.wait()
            self._has_push.clear()
            push, self._pushed = self._pushed, None
            if push is not None:
                self._load(*await asyncio.to_thread(_prepare, push, self._listeners.contexts))
            del push  # with 10,000 routes 5 MB, until the next reload

    def _load(self, snapshot: Snapshot, contexts: ServerContexts, names: LedgerNames | None) -> None:
        settings = snapshot.settings
        self._context.adopt(snapshot, names)
        self._listeners.adopt(settings, contexts)
        self._server.limits = settings.limits
        self._server.trusted = TrustedProxies(settings.trusted_proxies)
        logs.configure(settings.log, self._process, self._writer)
        self._link.offer(LoadedGeneration(snapshot.generation))

    def _crashed(self, crash: Exception) -> None:
        """Log a bug in the task of a connection: that connection ends, the others go on."""
        self._log.error("worker.crash", error=repr(crash), traceback="".join(traceback.format_exception(crash)))


def _prepare(push: Push, former: ServerContexts) -> tuple[Snapshot, ServerContexts, LedgerNames | None]:
    settings = decode_settings(push.settings)
    contexts = former.renewed(settings.listeners, settings.files)
    return Snapshot(settings, push.generation), contexts, names_for(settings)


async def _run(start: WorkerStart, writer: LogWriter) -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    await Worker(start, asyncio.get_running_loop(), writer).run()


def main() -> None:
    """Run `python -m strangler.worker`, as the supervisor starts it."""
    try:
        start = WorkerStart.from_environ()
    except StartError as error:
        sys.exit(f"strangler: {error}")
    writer = LogWriter()
    ignore_undecodable_names()
    try:
        uvloop.run(_run(start, writer))
    finally:
        writer.close()
