"""The control process: started by the supervisor, ends when told to or when the supervisor is gone."""

import asyncio
import os
import signal
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import structlog
import uvloop
from aiohttp import web

from strangler.control.admin import application
from strangler.control.entrance import bounded
from strangler.control.events import gates, outbox
from strangler.control.events.evidence import READY_EVERY_S, EvidenceEvents, ReadyWatch
from strangler.control.events.gates import GateWatch
from strangler.control.events.state import EventsState
from strangler.control.health import HealthChecks
from strangler.control.links import LinksState
from strangler.control.plane import ControlState
from strangler.control.reload import InForce, ReloadState
from strangler.control.shadow.desk import DeskState
from strangler.control.shadow.schema import SCHEMA, upgrade
from strangler.control.store import Store
from strangler.control.totals import TotalsState
from strangler.control.tracing import TracingState
from strangler.core.settings import Settings
from strangler.state import kill_switch
from strangler.state.files import STORE
from strangler.wire import logs
from strangler.wire.messages import (
    Adopt,
    Draining,
    DrainSeen,
    FrameReader,
    FromSupervisor,
    Processes,
    Reload,
    StandsBy,
    Started,
    ToSupervisor,
    decode_settings,
    encode_frame,
)
from strangler.wire.start import ControlStart, read_file

SHUTDOWN_S = 1.0  # for answers of the admin listener that are under way

log = structlog.get_logger()


def main() -> None:
    """Run until the end."""
    start = ControlStart.from_environ()
    encoded = read_file(start.settings_fd)
    settings = decode_settings(encoded)
    first = decode_settings(read_file(start.first_settings_fd))
    os.close(start.settings_fd)
    os.close(start.first_settings_fd)
    if not _may_begin(start.supervisor_fd):
        return
    writer = logs.LogWriter()
    logs.configure(settings.log, "control", writer)
    try:
        uvloop.run(_run(start, first, InForce(settings, encoded, start.generation, logs.utc_now()), writer))
    finally:
        writer.close()


def _may_begin(supervisor_fd: int) -> bool:
    """Wait until the state folder is ours to write: an earlier program's control may still have it. False: never."""
    with socket.socket(fileno=os.dup(supervisor_fd)) as supervisor:
        supervisor.setblocking(True)
        try:
            supervisor.sendall(encode_frame(StandsBy()))
            return supervisor.recv(1, socket.MSG_PEEK) != b""
        except OSError:  # the supervisor is gone
            return False


async def _run(start: ControlStart, first: Settings, in_force: InForce, writer: logs.LogWriter) -> None:
    folder = Path(start.folder)
    store = Store(folder / STORE, SCHEMA + outbox.SCHEMA + gates.SCHEMA, upgrade)
    totals = TotalsState()
    links = LinksState(totals, in_force.generation, in_force.encoded, kill_switch.read(folder))
    desk = DeskState(folder, start.run, links, store, in_force.settings)
    events = EventsState(folder, start.run, links, store, in_force.settings)
    desk.spans = links.spans = tracing = TracingState(in_force.settings)
    watch = GateWatch(store, events, in_force.settings)
    supervisor = _SupervisorEnd()
    checks = HealthChecks(links.shared, links.tell)

    def adopt(new: InForce) -> None:
        logs.configure(new.settings.log, "control", writer)
        links.shared.adopt(new.settings.upstreams, new.generation)
        checks.adopt(new.settings.upstreams)
        links.publish(new.generation, new.encoded)
        desk.adopt(new.settings)
        events.reloaded(new)
        watch.adopted(new.settings)
        tracing.adopt(new.settings)
        state.shown.adopt(new.settings, time.monotonic())
        supervisor.send(Adopt(new.generation, new.encoded, new.settings.workers, new.settings.limits.drain_s))

    reload = ReloadState(Path(start.config), os.environ, first, in_force, adopt, rejected=events.rejected)
    state = ControlState(folder, start.run, start.listen, reload, links, store, desk, events, tracing)
    desk.told = EvidenceEvents(events, state.slow)
    ready = ReadyWatch(store, events, lambda: state.settings, READY_EVERY_S)
    await state.restore()
    await desk.restore()
    await events.restore()
    await state.slow.restore()
    links.shared.adopt(in_force.settings.upstreams, in_force.generation)
    if links.kill_switch.on:
        log.warning("kill_switch.on", reason=links.kill_switch.reason, since=links.kill_switch.since)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(state.close)
        stack.push_async_callback(checks.close)
        stack.push_async_callback(asyncio.to_thread, tracing.close)
        stack.push_async_callback(events.close)
        stack.push_async_callback(desk.close)
        checks.adopt(in_force.settings.upstreams)
        await supervisor.attach(start.supervisor_fd, state)
        await _serve_admin(stack, state, start.admin_fds)
        log.info("control.ready", generation=in_force.generation)
        supervisor.send(Started())
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(reload.run()),
                group.create_task(state.keep_saving()),
                group.create_task(state.keep_history()),
                group.create_task(desk.run()),
                group.create_task(state.figures.run()),
                group.create_task(events.run()),
                group.create_task(ready.run()),
                group.create_task(watch.run()),
                group.create_task(state.slow.run()),
                *(
                    group.create_task(_accept(links, socket.socket(fileno=descriptor)))
                    for descriptor in (start.link_fd, start.former_link_fd)
                    if descriptor is not None
                ),
            ]
            await supervisor.ended.wait()
            for task in tasks:
                task.cancel()


async def _serve_admin(stack: AsyncExitStack, state: ControlState, descriptors: tuple[int, ...]) -> None:
    runner = web.AppRunner(application(state), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    assert runner.server is not None
    enter = bounded(runner.server)
    for descriptor in descriptors:
        listener = await asyncio.get_running_loop().create_server(enter, sock=socket.socket(fileno=descriptor))
        stack.callback(listener.close)


async def _accept(links: LinksState, listener: socket.socket) -> None:
    """Take in workers. Not by a server of the loop: some remove the socket's file as they close, and it is not ours."""
    loop = asyncio.get_running_loop()
    try:
        while True:
            connection, _ = await loop.sock_accept(listener)
            await loop.connect_accepted_socket(links.accept, connection)
    finally:
        links.abort()
        listener.close()


class _SupervisorEnd(asyncio.Protocol):
    """Control's end of its talk with the supervisor, and what ends this process: SIGTERM, or the supervisor's end."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._frames: FrameReader[FromSupervisor] = FrameReader(FromSupervisor)  # type: ignore[arg-type]
        self._transport: asyncio.Transport | None = None
        self._state: ControlState | None = None

    async def attach(self, descriptor: int, state: ControlState) -> None:
        """Begin to listen."""
        self._state = state
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.ended.set)
        for number in (signal.SIGINT, signal.SIGHUP):  # meant for the supervisor
            loop.add_signal_handler(number, lambda: None)
        await loop.connect_accepted_socket(lambda: self, socket.socket(fileno=descriptor))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for message in self._frames.feed(data):
            self._on_message(message)

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set()

    def send(self, message: ToSupervisor) -> None:
        """Send; it is the supervisor's own business to read."""
        if self._transport is not None:
            self._transport.write(encode_frame(message))

    def _on_message(self, message: FromSupervisor) -> None:
        if self._state is None:
            return
        match message:
            case Reload():
                self._state.reload.ask()
            case Draining():
                self._state.is_draining = True
                self.send(DrainSeen())
            case Processes(processes):
                self._state.set_processes(processes)


if __name__ == "__main__":
    main()
